"""Recordings in short: what carries a topic, sentences written from it, and whether it bears them
out."""
