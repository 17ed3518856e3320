"""Methods of compression compared on long speech."""
