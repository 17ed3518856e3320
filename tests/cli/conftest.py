from media_files import recordings, site, videos
from tiny_model import hush, talk, tiny, tiny_weights

__all__ = ["hush", "recordings", "site", "talk", "tiny", "tiny_weights", "videos"]
