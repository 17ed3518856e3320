"""A command at work: its sources, its model, and where results go."""
