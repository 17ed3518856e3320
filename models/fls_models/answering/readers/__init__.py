"""How a recording is given to a language model: as text, or as frames."""
