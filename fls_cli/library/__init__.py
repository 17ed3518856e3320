"""Finding what was said in recordings that were heard before."""
