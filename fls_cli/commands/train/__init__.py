"""The commands of `fls train`."""
