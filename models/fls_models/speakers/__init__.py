"""Who speaks when: segmentation, voices, clusters, turns."""
