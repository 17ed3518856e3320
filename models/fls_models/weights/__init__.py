"""Where a model's weights come from and lie."""
