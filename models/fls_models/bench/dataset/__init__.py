"""Recordings that are made for a bench."""
