"""What is typed, and what a terminal shows."""
