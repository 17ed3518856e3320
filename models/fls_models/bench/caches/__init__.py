"""What benches heard and answered before."""
