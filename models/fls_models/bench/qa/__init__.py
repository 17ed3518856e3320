"""Questions about recordings, and how well they are answered."""
