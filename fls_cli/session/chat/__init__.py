"""A conversation about recordings."""
