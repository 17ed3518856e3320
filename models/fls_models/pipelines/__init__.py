"""Models by their cards: what hears, what reads and what answers, put together."""
