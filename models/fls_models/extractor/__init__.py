"""From windows to frames, their content density, and fewer frames by fusion."""
