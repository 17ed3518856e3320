"""From samples to files of sound."""
