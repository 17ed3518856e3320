"""Where samples stand: packets with a container's times become one row of samples on one clock.

A sample's place is its time in the recording. Where the times leave a gap, silence stands for it;
where they go back, as in joined parts, what follows comes after what was there; where they drift,
they are followed in steps of a tenth of a second; some that are wrong among right ones are passed
over, and what the right ones then leave open is a hole before the wrong ones.
"""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from fls_cli.media.timeline.laps import CLOSE, split_time
from fls_cli.media.timeline.nut import Packet
from fls_models.core.constants import SAMPLE_RATE

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

# How many samples are handed on at once.
BLOCK = SAMPLE_RATE

LONGEST_GAP = 3600 * SAMPLE_RATE
# A time so far from where it should be may be wrong.
_FAR = SAMPLE_RATE
# Shorter gaps are how some recorders leave out silence, shorter pauses how decoders begin.
_SHORTEST_GAP = SAMPLE_RATE
_SHORTEST_PAUSE = SAMPLE_RATE // 5

# How far to look for the end of wrong times.
_STRAYING = 20 * SAMPLE_RATE


JumpKind: TypeAlias = Literal["gap", "pause", "hole", "closed", "back"]


@dataclass(frozen=True)
class Jump:
    """Where the clock of a recording does not run on; `start` and `seconds` on the recording's.

    `gap`: nothing is recorded for so long, silence stands for it; `pause`: the same for less than a
    second; `hole`: the same, since that is damaged; `closed`: nothing is recorded for so long that
    it is left out; `back`: the clock went back by so much.
    """

    kind: JumpKind
    start: float
    seconds: float


class Misled(Exception):
    """The demuxer was sent to a time and came to a later one, so its clock cannot be trusted."""


class Placing:
    """The row of samples from `start` to `end` (seconds) that `packets` of `channels` make.

    `sought` says that packets begin where the demuxer was sent, not at the recording's beginning;
    `clocked` that the container has times of its own: what only counts samples has no gaps, and
    ffmpeg miscounts where their rate changes. `jumped` is told of each hole, of each pause of
    0.2 s and each other jump of a second or more, as far as that lies in what is wanted.
    """

    def __init__(
        self,
        start: float,
        end: float | None,
        *,
        sought: bool,
        clocked: bool = True,
        jumped: Callable[[Jump], None],
    ) -> None:
        self._first = round(start * SAMPLE_RATE)
        self._last = None if end is None else round(end * SAMPLE_RATE)
        self._position = 0
        self._anchored = not sought
        self._clocked = clocked
        self._hole: int | None = None
        self._wait = 0
        self._offset = 0
        self._lap = 0
        self._pts: int | None = None
        self._raw_end: int | None = None
        # Packets to come whose times are wrong.
        self._strays = 0
        # The time in the pipe at which the container's clock, as it runs now, shows 0.
        self._base = 0
        self._jumped = jumped
        self._closed = 0

    @property
    def closed(self) -> float:
        """How many seconds were left out of the part that is read."""
        return self._closed / SAMPLE_RATE

    @property
    def seconds(self) -> float:
        """How long the recording is, as far as it was read."""
        return self._position / SAMPLE_RATE

    @property
    def is_complete(self) -> bool:
        """Whether all that was wanted is there, whatever comes behind it."""
        return self._last is not None and self._position >= self._last

    def begin_part(self, hole: float, wait: float = 0.0, *, clocked: bool = True) -> None:
        """What comes now has a clock of its own and follows some seconds after what was.

        `hole` of them are damaged; for `wait` more, what was there went on without sound, or it
        begins so much before that sound ended.
        """
        self._clocked = clocked
        self._pts = self._raw_end = None
        self._lap = self._closed = 0
        self._offset = self._position
        self._hole = round(hole * SAMPLE_RATE)
        self._tell("hole", self._hole)
        self._wait = round(wait * SAMPLE_RATE) if abs(wait) * SAMPLE_RATE > CLOSE else 0

    def blocks(
        self, packets: Iterable[Packet], channels: Callable[[], int]
    ) -> Iterator[npt.NDArray[np.float32]]:
        """(BLOCK, channels) float32 each, the last shorter. Raises Misled before the first."""
        import numpy as np

        pending = bytearray()
        width = 0

        def array(count: int) -> npt.NDArray[np.float32]:
            block = np.frombuffer(pending[: count * width], np.float32)
            del pending[: count * width]
            return block.reshape(count, channels())

        coming = iter(packets)
        ahead: deque[Packet] = deque()
        while (packet := ahead.popleft() if ahead else next(coming, None)) is not None:
            width = width or 4 * channels()
            count = len(packet.data) // width
            if self._follows(packet.pts, count):
                pending += packet.data
                if len(pending) >= BLOCK * width:
                    yield array(BLOCK)
                continue
            if self._is_far(packet.pts):
                self._look_ahead(packet, ahead, coming, width)
            silence, dropped = self._place(packet.pts, count)
            data = packet.data[dropped * width : count * width]
            while silence:
                part = min(silence, BLOCK)
                pending += self._cut(bytes(part * width), part, width)
                silence -= part
                while len(pending) >= BLOCK * width:
                    yield array(BLOCK)
            pending += self._cut(data, count - dropped, width)
            while len(pending) >= BLOCK * width:
                yield array(BLOCK)
            if self.is_complete:
                break
        if pending:
            yield array(len(pending) // width)

    def _follows(self, pts: int, count: int) -> bool:
        """Whether a packet simply comes next, as most do; moves on behind it."""
        raw = pts - self._base
        position = self._position
        if (
            self._raw_end is None
            or pts - 1 == self._pts
            or not -CLOSE <= raw + self._offset - position <= CLOSE
            or self._hole is not None
            or position < self._first
            or (self._last is not None and position + count > self._last)
        ):
            return False
        self._pts, self._raw_end = pts, raw + count
        self._position = position + count
        return True

    def _is_far(self, pts: int) -> bool:
        """Whether a time is so far from what was before that it may be wrong."""
        if self._raw_end is None or self._strays or not self._clocked:
            return False
        return abs(split_time(pts)[1] - self._raw_end) >= _FAR

    def _look_ahead(
        self, packet: Packet, ahead: deque[Packet], coming: Iterator[Packet], width: int
    ) -> None:
        """Counts the packets, from this one on, after which times go on from those before it.

        Where they do so later than they should, the difference is a hole before them.
        """
        assert self._raw_end is not None
        expected = self._raw_end
        wrong = split_time(packet.pts)[1]
        for number in itertools.count(1):
            expected += len(packet.data) // width
            if expected - self._raw_end > _STRAYING:
                return
            if number > len(ahead):
                if (following := next(coming, None)) is None:
                    return
                ahead.append(following)
            packet = ahead[number - 1]
            late = split_time(packet.pts)[1] - expected
            # No gap is of hours and then makes the clock go back.
            back = wrong - self._raw_end > LONGEST_GAP and split_time(packet.pts)[1] < wrong
            if abs(late) <= CLOSE or (back and 0 < late <= LONGEST_GAP):
                self._strays = number
                if late > CLOSE:
                    self._hole = late
                    self._tell("hole", late)
                return

    def _cut(self, data: bytes, count: int, width: int) -> bytes:
        """What of the next `count` samples is wanted; moves on behind them."""
        begin = self._position
        self._position += count
        early = max(0, self._first - begin)
        late = 0 if self._last is None else max(0, self._position - self._last)
        if not early and not late:
            return data
        return data[early * width : max(0, count - late) * width]

    def _place(self, pts: int, count: int) -> tuple[int, int]:
        """How many samples of silence come before a packet, and how many of its own are dropped."""
        if self._strays and self._raw_end is not None:
            self._strays -= 1
            hole, self._hole = self._hole or 0, None
            self._pts, self._raw_end = pts, self._raw_end + hole + count
            return hole, 0
        lap, raw = split_time(pts)
        # A graph that was built anew counts laps from 0: its times are then held to the last.
        clamped = self._pts is not None and pts == self._pts + 1 and count > 1
        late = self._raw_end is None
        step = 0 if self._raw_end is None else raw - self._raw_end
        back = lap != self._lap or clamped or step < -CLOSE
        self._lap, self._pts, self._raw_end = lap, pts, raw + count
        self._base = pts - raw
        if not self._anchored:
            self._anchored = True
            self._position = max(0, raw)
            if self._position > self._first:
                raise Misled
        if self._hole is not None:
            # Its picture may run before there is sound.
            quiet = self._wait + (raw if self._clocked and raw <= LONGEST_GAP else 0)
            silence, self._hole = self._hole + (quiet if quiet > CLOSE else 0), None
            self._offset = self._position + silence - raw
            return silence, 0
        if not self._clocked:
            return 0, 0
        off = raw + self._offset - self._position
        if -CLOSE <= off <= CLOSE and not clamped:
            return 0, 0
        if late and 0 < off <= LONGEST_GAP:
            # The picture ran before there was sound.
            return off, 0
        if off > LONGEST_GAP:
            self._tell("closed", off)
            self._offset -= off
            self._closed += off
            return 0, 0
        if back:
            self._tell("back", -off)
            self._offset -= off
            return 0, 0
        if off > 0:
            self._tell("gap" if off >= _SHORTEST_GAP else "pause", off)
            return off, 0
        return 0, min(-off, count)

    def _tell(self, kind: JumpKind, count: int) -> None:
        if count < {"hole": 1, "pause": _SHORTEST_PAUSE}.get(kind, _FAR):
            return
        begin, end = self._position, self._position
        if kind in ("gap", "pause", "hole"):
            end += count
            begin = max(begin, self._first)
            end = end if self._last is None else min(end, self._last)
            count = end - begin
        if count > 0 and self._first <= begin and (self._last is None or end <= self._last):
            self._jumped(Jump(kind, begin / SAMPLE_RATE, count / SAMPLE_RATE))


def in_blocks(
    pieces: Iterable[npt.NDArray[np.float32]],
) -> Iterator[npt.NDArray[np.float32]]:
    """The samples of `pieces` (n,) as (BLOCK,) each, the last shorter."""
    import numpy as np

    waiting = np.zeros(0, np.float32)
    for piece in pieces:
        if not len(waiting) and len(piece) == BLOCK:
            yield piece
            continue
        waiting = np.concatenate([waiting, piece])
        while len(waiting) >= BLOCK:
            yield waiting[:BLOCK]
            waiting = waiting[BLOCK:]
    if len(waiting):
        yield waiting
