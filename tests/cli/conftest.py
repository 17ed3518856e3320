from media_files import ffmpeg, no_bundled_ffmpeg, recordings, site, videos
from podcast_host import host
from tiny_model import hush, one_thread, talk, tiny, tiny_mini, tiny_weights

__all__ = [
    "ffmpeg",
    "host",
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
