from media_files import recordings, site, videos

__all__ = ["recordings", "site", "videos"]
