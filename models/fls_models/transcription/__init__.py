"""From speech to words with times, and to sentences."""
