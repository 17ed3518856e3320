"""Answers and inspections as HTML pages: one file each, with the sound in it, for any browser.

Pure functions from values to text, by templates, but for `page_audio`, which runs ffmpeg.
"""
