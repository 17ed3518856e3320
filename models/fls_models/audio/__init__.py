"""From blocks of samples to windows, and to where somebody speaks."""
