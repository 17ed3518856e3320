"""Training to read fused frames."""
