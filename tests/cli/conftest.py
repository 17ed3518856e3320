from media_files import ffmpeg, no_bundled_ffmpeg, recordings, site, videos
from tiny_model import hush, one_thread, talk, tiny, tiny_mini, tiny_weights

__all__ = [
    "ffmpeg",
    "hush",
    "no_bundled_ffmpeg",
    "one_thread",
    "recordings",
    "site",
    "talk",
    "tiny",
    "tiny_mini",
    "tiny_weights",
    "videos",
]
