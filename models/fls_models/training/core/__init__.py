"""The loop, its checkpoints and its processes: what all training shares."""
