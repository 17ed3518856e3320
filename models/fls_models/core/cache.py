"""What the caller keeps between runs, so that nothing is heard or read twice.

The models say what an entry depends on; where it lies, and for how long, is the caller's.
"""

from collections.abc import Mapping
from typing import Protocol

CacheKey = Mapping[str, object]
"""Everything that an entry depends on, as JSON: other parts, another entry."""


class Cache(Protocol):
    """Entries are bytes. One that is lost only costs the time to make it anew."""

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        """What was kept, unchanged, or None. A kind is a word of small letters."""

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        """Keeps an entry if it can."""


class NullCache:
    """A memory that keeps nothing."""

    def get(self, kind: str, parts: CacheKey) -> bytes | None:
        return None

    def put(self, kind: str, parts: CacheKey, content: bytes) -> None:
        pass


NULL_CACHE = NullCache()
