"""From weights as they are released to weights as they are run."""
