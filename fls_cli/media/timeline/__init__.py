"""Where samples stand on the clock of a recording."""
