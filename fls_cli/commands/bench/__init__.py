"""The commands of `fls bench`."""
