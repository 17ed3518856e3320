"""What the commands of `fls train` share."""
