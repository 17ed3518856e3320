from media_files import recordings, site, videos
from tiny_model import hush, one_thread, talk, tiny, tiny_mini, tiny_weights

__all__ = [
    "hush",
    "one_thread",
    "recordings",
    "site",
    "talk",
    "tiny",
    "tiny_mini",
    "tiny_weights",
    "videos",
]
