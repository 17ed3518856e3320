"""What the extractor made of a recording, as numbers and as a picture."""
