"""What texts mean, as vectors: near each other where they say the same in other words."""
