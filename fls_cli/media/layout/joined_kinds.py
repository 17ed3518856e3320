"""Files of one kind or another that were written one behind the other."""

import re
from collections.abc import Callable
from dataclasses import dataclass

from fls_cli.media.layout.headers import kind_at, next_header
from fls_cli.media.layout.kinds import WORTH_TELLING, Bytes, Lack, Part


def unknown_end(data: Bytes, at: int) -> int | None:
    """That of recordings that do not tell where they end."""
    return None


@dataclass(frozen=True)
class Kind:
    """Recordings that begin with `header`, and by themselves promise to end at `end`.

    `end` is asked with the bytes and where a recording begins; `exact` says that it goes by what is
    there, piece by piece, so that only the last one may lack something.
    """

    header: re.Pattern[bytes]
    end: Callable[[Bytes, int], int | None] = unknown_end
    exact: bool = False

    def parts(self, data: Bytes, begin: int) -> list[Part]:
        """The recordings that were joined from a byte on; all there is, where nothing is known.

        Where the last one has an end, one of another kind begins there.
        """
        parts: list[Part] = []
        at: int | None = begin
        while at is not None and (at == begin or self.header.match(data, at)):
            end = self.end(data, at)
            # Each is at least a byte long, whatever its header says.
            end = None if end is not None and end <= at else end
            following = self._following(data, at, end)
            parts.append(Part(at, following, lacks=self.lack(data, at, end, following)))
            at = following
        return parts

    def lack(self, data: Bytes, at: int, end: int | None, following: int | None) -> Lack | None:
        """What the recording at a byte lacks that promises an end and has another one behind it."""
        missing = (end or 0) - (len(data) if following is None else following)
        if self.exact:
            return "end" if missing > 0 else None
        return "bytes" if missing >= WORTH_TELLING else None

    def _following(self, data: Bytes, at: int, end: int | None) -> int | None:
        if end is not None and self.header.match(data, end):
            return end
        if end == len(data):
            return None
        # A recording that was cut off before another was joined to it ends where that begins.
        match = self.header.search(data, at + 1)
        own = match.start() if match else None
        if end is not None and kind_at(data, end):
            return end
        # What was cut off ends within what it promises; a little behind the end is a tag.
        tag = end is not None and 0 < len(data) - end < WORTH_TELLING
        foreign = next_header(data, end if end is not None and tag else at + 1, own)
        return own if foreign is None else foreign
