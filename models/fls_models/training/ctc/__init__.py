"""Training of CTC heads and connectors."""
