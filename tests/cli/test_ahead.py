"""Decoding in a thread: what comes out is what went in, and nothing is left of it."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from media_files import as_file, hear, run_ffmpeg, tone, write_wav
from test_ledger import children

from fls_cli.media.ffmpeg.process import _children
from fls_cli.media.flaws import Flaw
from fls_cli.media.stream import stream
from fls_cli.session.hearing.read_ahead import Ahead
from fls_cli.sources.resolve import open_sources
from fls_models.errors import InputError, NotMedia

if TYPE_CHECKING:
    from fls_cli.session.hearing.read_ahead import Blocks

Warn = Callable[[Flaw], None]
# Only against hanging; less than the time after which ffmpeg gives a silent host up.
PATIENCE = 20


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """No thread and no child outlives what a test began."""
    threads, before = set(threading.enumerate()), children(os.getpid())
    yield
    assert set(threading.enumerate()) == threads
    assert children(os.getpid()) <= before
    assert _children == {}


def block(value: float) -> np.ndarray:
    return np.full(4, value, np.float32)


def never(flaw: Flaw) -> None:
    raise AssertionError(flaw.text)


def until(true: Callable[[], object]) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_the_blocks_are_those_of_direct_decoding(talk: Path) -> None:
    ahead = Ahead(lambda warn: stream(as_file(talk), warn=warn))
    found = np.concatenate(list(ahead.blocks(never)))
    np.testing.assert_array_equal(found, hear(talk).samples)


def test_decoding_begins_before_anybody_asks_and_goes_no_further_than_it_may() -> None:
    decoded: list[int] = []

    def endless(warn: Warn) -> Blocks:
        while True:
            decoded.append(len(decoded))
            yield block(decoded[-1])

    ahead = Ahead(endless)
    until(lambda: len(decoded) == 601)
    time.sleep(0.05)
    assert len(decoded) == 601
    taken = ahead.blocks(never)
    assert [next(taken)[0] for _ in range(700)] == list(range(700))
    taken.close()


def test_warnings_and_errors_come_after_the_blocks_before_them() -> None:
    told: list[object] = []

    def broken(warn: Warn) -> Blocks:
        yield block(1)
        warn(Flaw("gap", "a warning"))
        yield block(2)
        raise NotMedia("the end")

    taken = Ahead(broken).blocks(told.append)
    with pytest.raises(NotMedia, match="the end"):
        told.extend(float(found[0]) for found in taken)
    assert told == [1.0, Flaw("gap", "a warning"), 2.0]


def test_any_error_arrives(tmp_path: Path) -> None:
    def crash(warn: Warn) -> Blocks:
        raise MemoryError("no room")
        yield

    with pytest.raises(MemoryError, match="no room"):
        list(Ahead(crash).blocks(never))
    (tmp_path / "letter.mp3").write_text("Dear reader,\nthis is a letter.\n")
    for name in ("letter.mp3", "gone.mp3"):
        source = as_file(tmp_path / name)
        with pytest.raises(InputError) as direct:
            list(stream(source))
        ahead = Ahead(lambda warn, source=source: stream(source, warn=warn))  # type: ignore[misc]
        with pytest.raises(type(direct.value)) as found:
            list(ahead.blocks(never))
        assert str(found.value) == str(direct.value)


def test_a_recording_that_is_cut_off_warns(talk: Path) -> None:
    talk.write_bytes(talk.read_bytes()[:-64_000])
    told: list[Flaw] = []
    list(Ahead(lambda warn: stream(as_file(talk), warn=warn)).blocks(told.append))
    assert told == hear(talk).flaws
    assert [flaw.kind for flaw in told] == ["cut off"]


@pytest.fixture
def long(tmp_path: Path) -> Path:
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=1500", tmp_path / "long.flac")
    return tmp_path / "long.flac"


def test_closed_when_full_before_anything_was_taken(long: Path) -> None:
    ahead = Ahead(lambda warn: stream(as_file(long), warn=warn))
    until(lambda: ahead._drawn.qsize() == 601)
    ahead.close()
    ahead.close()


def test_closed_while_blocks_are_taken(long: Path) -> None:
    taken = Ahead(lambda warn: stream(as_file(long), warn=warn)).blocks(never)
    next(taken)
    taken.close()


def test_closed_at_once(long: Path) -> None:
    for _ in range(10):
        Ahead(lambda warn: stream(as_file(long), warn=warn)).close()


def test_closed_when_all_is_decoded_and_nothing_taken(tmp_path: Path) -> None:
    short = write_wav(tmp_path / "short.wav", tone(440, 1))
    ahead = Ahead(lambda warn: stream(as_file(short), warn=warn))
    ahead._thread.join(PATIENCE)
    ahead.close()


def test_after_closing_there_are_no_blocks(talk: Path) -> None:
    ahead = Ahead(lambda warn: stream(as_file(talk), warn=warn))
    ahead.close()
    assert list(ahead.blocks(never)) == []


def test_a_host_that_is_silent_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("http_proxy", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as host:
        address = f"http://127.0.0.1:{host.getsockname()[1]}/talk.mp3"
        with open_sources([address]) as [source]:
            ahead = Ahead(lambda warn: stream(source, warn=warn))
            asking, _ = host.accept()
            begun = time.monotonic()
            ahead.close()
            assert time.monotonic() - begun < PATIENCE
            asking.close()
