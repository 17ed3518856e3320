"""What is, or will be, remembered of a recording that was heard."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from fls_cli.media.ffmpeg.locate import decoder_parts
from fls_cli.media.ffmpeg.raw import raw_by_suffix
from fls_cli.media.fingerprint import contents_of, is_unchanged
from fls_cli.media.flaws import Flaw
from fls_cli.session.request import ListenRequest
from fls_models.core.cache import Cache

# Changes when the same bytes become other samples.
DECODED = "one-clock-1"


class Entry:
    """One entry of `memory`: what the `ear` of its `parts` heard in a source; its flaws as JSON.

    `key` is all that it depends on. An address has none: what lies there may change.
    """

    def __init__(
        self,
        request: ListenRequest,
        kind: str,
        parts: Mapping[str, Any],
        memory: Cache,
        warn: Callable[[Flaw], None],
    ) -> None:
        self._source, self._memory, self._warn = request.source, memory, warn
        self._kind = kind
        self._contents = contents_of(request.source)
        self.key: dict[str, Any] | None = None
        if self._contents is not None:
            guess = None if request.audio_range.raw else raw_by_suffix(request.source.below or "")
            self.key = {
                **parts,
                "audio": self._contents.sha256,
                **request.audio_range.heard(),
                "by_suffix": str(guess),
                # The samples, not the bytes, are what is heard.
                "decoded": DECODED,
                **decoder_parts(),
            }
        self.flaws: list[dict[str, Any]] = []

    def get(self) -> bytes | None:
        return None if self.key is None else self._memory.get(self._kind, self.key)

    def put(self, content: bytes) -> None:
        # What is still being recorded has other bytes by now.
        if self._contents and self.key and is_unchanged(self._source, asdict(self._contents)):
            self._memory.put(self._kind, self.key, content)

    def note(self, flaw: Flaw) -> None:
        """Warns, and keeps what was said for the next time the recording is found."""
        self.flaws.append(flaw.as_json())
        self._warn(flaw)
