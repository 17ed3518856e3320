"""Transcripts in every form in which they are written."""
