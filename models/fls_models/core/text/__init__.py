"""Text as it is compared: words, names and numbers in one spelling."""
