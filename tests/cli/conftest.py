import signal
from collections.abc import Iterator

import pytest
from media_files import ffmpeg, no_bundled_ffmpeg, recordings, site, videos
from podcast_host import host
from tiny_model import hush, one_thread, talk, tiny, tiny_mini, tiny_weights

__all__ = [
    "default_sighup",
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


@pytest.fixture
def default_sighup() -> Iterator[None]:
    """SIGHUP as a terminal's processes have it: under nohup, tests would pass it on ignored."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)
