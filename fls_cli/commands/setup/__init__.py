"""What is here, and how it is set up."""
