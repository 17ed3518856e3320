"""How true summaries are, and how much of what matters they say."""
