"""ffmpeg: which, how it is run, and what it says."""
