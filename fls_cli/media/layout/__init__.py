"""How a file's bytes are laid out: parts that were joined, and what is missing."""
