"""What a question will cost, before it is asked."""
