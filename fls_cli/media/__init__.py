"""From a source of bytes to samples on one clock."""
