"""What ffmpeg may open, and the child process that runs it."""

from __future__ import annotations

import io
import os
import re
import subprocess
import threading
from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import TypeAlias, cast
from urllib.parse import quote, urlsplit

from fls_cli.media.ffmpeg.feed import feed
from fls_cli.media.ffmpeg.locate import find_ffmpeg
from fls_cli.media.ffmpeg.probe import Track
from fls_cli.media.ffmpeg.raw import RawAudio
from fls_cli.media.http_client import PATIENCE, USER_AGENT, certificates
from fls_cli.media.layout.kinds import WHOLE, Part
from fls_cli.media.source import Source
from fls_cli.media.timeline.edit_lists import edited
from fls_cli.media.timeline.laps import clock_filter
from fls_cli.media.timeline.nut import NutReader, Packet
from fls_models.core.constants import SAMPLE_RATE

# Containers and raw audio whose demuxers read the one file that they are given. Playlists and
# scripts (hls, dash, concat, sdp, imf, image2, lavfi, avisynth, ...) name further files and hosts.
# So can a MOV, but its references are off unless asked for (-enable_drefs).
FORMATS = (
    "aac,ac3,aiff,amr,amrnb,amrwb,ape,asf,au,avi,caf,dsf,dss,dts,dtshd,dv,eac3,flac,flv,gxf,"
    "iff,ircam,loas,matroska,mlp,mov,mp3,mpc,mpc8,mpeg,mpegts,mxf,nistsphere,nut,nuv,ogg,oma,qcp,"
    "qoa,rm,shn,sox,tak,truehd,tta,voc,w64,wav,wtv,wv"
)
# An https address goes over tls over tcp; over httpproxy too where the environment names a proxy.
_URL_PROTOCOLS = "http,https,tcp,tls,httpproxy"

# Channels that must become fewer are averaged, not summed, so that they cannot clip.
_RESAMPLE = f"aresample={SAMPLE_RATE}:rematrix_maxval=1"

# Without a look at their checksums, damage is noise at full scale, or silence without a word.
_CHECKED = frozenset({"flac", "tta", "wavpack"})
_KEPT_LINES = 40
# MPEG-TS that lost packets is no more than worth a warning to ffmpeg.
_COMPLAINT = re.compile(rb"\[(?:error|fatal|panic)\]|corrupt input packet")
# Of a recording that begins midway the first pictures cannot be decoded, which costs no sound.
_OF_PICTURES = re.compile(
    rb"\[(?:h26[1-4]|hevc|vvc|av1|libdav1d|vp\d|libvpx\S*|mpeg[12]?video|mpeg4|msmpeg4\S*|wmv\d|vc1"
    rb"|theora|mjpeg|dvvideo|rv\d\d|svq\d) @"
)

# By the thread that waits for it, which has one at a time if it is one that others may end.
_children: dict[int, subprocess.Popen[bytes]] = {}

Options: TypeAlias = dict[str, str | int | None]


def describe(
    source: Source, part: Part = WHOLE, raw: RawAudio | None = None, *, loglevel: str = "info"
) -> tuple[int, str]:
    """ffmpeg's exit code and what it prints on opening `source`, without the name of it.

    Nothing is decoded. A negative code is the signal that ended it.
    """
    end = part.pieces[-1][1] if part.pieces else part.end
    target, options, folder = _input(source, replace(part, pieces=(), end=end), raw)
    # The one output that needs no stream, and so none that could be decoded.
    command = _command(target, {**options, "loglevel": loglevel}, {"format": "ffmetadata"})
    with _start(command, folder, subprocess.DEVNULL) as child:
        try:
            _, report = child.communicate()
        finally:
            child.kill()
            _children.pop(threading.get_ident(), None)
    # A name may hold newlines and what looks like a description.
    return child.returncode, report.replace(_as_logged(target), b"input").decode(errors="replace")


def end_child_of(thread: int) -> None:
    """Kills the child that another thread waits for, if there is one just now."""
    if child := _children.get(thread):
        child.kill()


class Decoding:
    """A child that decodes one audio track of `source`; a context manager that ends the child.

    `begin` is the container's time of the recording's first moment, `seek` how far behind it to
    begin, both in seconds. `channels` is how many come out, None for as many as there are. `raw`
    is what samples without a header are.
    """

    def __init__(
        self,
        source: Source,
        track: Track,
        begin: float = 0.0,
        seek: float = 0.0,
        channels: int | None = None,
        part: Part = WHOLE,
        raw: RawAudio | None = None,
    ) -> None:
        target, options, folder = _input(source, part, raw)
        # The container's own times, not what ffmpeg would make of them.
        options |= {"loglevel": "level+warning", "copyts": None}
        if seek > 0:
            options |= {"ss": f"{seek:.6f}", "noaccurate_seek": None}
        if track.edit_list:
            options["ignore_editlist"] = 1
        self._edits = track.edits
        filters = f"{_RESAMPLE},{clock_filter(0.0 if track.edits else begin)}"
        samples: Options = {
            "format": "nut",
            "c:a": "pcm_f32le",
            "af": filters,
            "ar": SAMPLE_RATE,
            "avoid_negative_ts": "disabled",
            # How much could be decoded is judged by the samples.
            "max_error_rate": 1,
            # A write for many packets.
            "flush_packets": 0,
        }
        if channels is not None:
            samples["ac"] = channels
        if track.codec in _CHECKED:
            options["err_detect"] = "crccheck+explode"
        command = _command(target, options, samples, f"a:{track.index}")
        self._target = _as_logged(target)
        self._lines: deque[bytes] = deque(maxlen=_KEPT_LINES)
        is_fed = bool(source.path and part.pieces)
        self._process = _start(command, folder, subprocess.PIPE, is_fed=is_fed)
        self._feed: threading.Thread | None = None
        if source.path and self._process.stdin:
            pipe = cast(io.BufferedWriter, self._process.stdin)
            self._feed = feed(source.path, part.pieces, pipe)
        _calm(self._process.pid)
        self._thread = threading.get_ident()
        self._out = cast(io.BufferedReader, self._process.stdout)
        self._err = cast(io.BufferedReader, self._process.stderr)
        self._nut = NutReader(self._out.read)
        # An unread stderr would block ffmpeg once the pipe is full.
        self._drain = threading.Thread(target=self._keep_last_lines, daemon=True)
        self._drain.start()

    def __enter__(self) -> Decoding:
        return self

    def __exit__(self, *_: object) -> None:
        _children.pop(self._thread, None)
        self._process.kill()
        self._process.wait()
        self._drain.join()
        if self._feed:
            self._feed.join()
        self._out.close()
        self._err.close()

    @property
    def channels(self) -> int:
        """How many there are in each packet; known with the first."""
        return self._nut.channels

    def packets(self) -> Iterator[Packet]:
        """Interleaved float32 at 16 kHz, with times in samples that `Placing` reads."""
        packets = self._nut.packets()
        if not self._edits or (first := next(packets, None)) is None:
            return packets
        return edited(chain([first], packets), self._edits, 4 * self._nut.channels)

    def finish(self, *, early: bool = False) -> tuple[int, str]:
        """The child's exit code (negative: the signal that ended it) and its last complaints.

        If it is ended `early`, that is no failure, and what it said until then is all.
        """
        if early:
            self._process.kill()
        code = self._process.wait()
        self._drain.join()
        text = b"".join(self._lines).replace(self._target, b"input")
        return 0 if early else code, text.decode(errors="replace")

    def _keep_last_lines(self) -> None:
        while line := self._err.readline(4096):
            if _COMPLAINT.search(line) and not _OF_PICTURES.match(line):
                self._lines.append(line)


def _calm(process: int) -> None:
    """Lets the threads of a process finish what they are at before others of its own wake.

    ffmpeg 9 hands each frame through five threads, and wakes them for it (figures in
    `benchmarks/README.md`, Decoding).
    """
    with suppress(OSError):
        os.sched_setscheduler(process, os.SCHED_BATCH, os.sched_param(0))


def _command(
    target: str, options: Options, output: Options, selected: str | None = None
) -> list[str]:
    import ffmpeg

    # ffmpeg-python cannot hash a name that is not UTF-8, so the name is put in afterwards.
    stream = ffmpeg.input("input", **options)
    selection = stream[selected] if selected else stream
    command: list[str] = selection.output("pipe:", **output).compile(cmd=find_ffmpeg())
    command[command.index("-i") + 1] = target
    return command


def _input(source: Source, part: Part, raw: RawAudio | None) -> tuple[str, Options, Path | None]:
    """What ffmpeg is told to open, with which options, and from which folder."""
    if part.bare:
        raw = part.bare.raw
    options: Options = {
        "hide_banner": None,
        "nostdin": None,
        "nostats": None,
        "format_whitelist": raw.format if raw else FORMATS,
        # What has more channels and does not say what they are is no 5.1.
        "guess_layout_max": 2,
        **(raw.options if raw else {}),
    }
    if (path := source.path) is not None:
        options["protocol_whitelist"] = "file,pipe"
        name = f"file:{path.name}"
        if part.unbounded and not part.bare:
            options["ignore_length"] = 1
        if part.bare or not part.is_whole:
            begin, end = (part.bare.begin, part.bare.end) if part.bare else (part.begin, part.end)
            options["protocol_whitelist"] = "file,pipe,subfile"
            name = f"subfile,,start,{begin},end,{end or 0},,:{name}"
        if part.pieces:
            name = "pipe:0"
        # From within its folder: ffmpeg cuts the lines that it prints at 1024 bytes.
        return name, options, path.parent
    # A stream without an end: what has one was copied to a file.
    options |= {
        "protocol_whitelist": _URL_PROTOCOLS,
        "rw_timeout": PATIENCE * 1_000_000,
        "user_agent": USER_AGENT,
    }
    address = urlsplit(source.location).geturl()
    if address.startswith("https:"):
        # Many builds of ffmpeg take any certificate unless told otherwise.
        options |= {"tls_verify": 1, "ca_file": certificates()}
    return quote(address, safe=":/?#[]@!$&'()*+,;=%~"), options, None


def _as_logged(target: str) -> bytes:
    """`target` as ffmpeg prints it: some control characters become question marks."""
    return bytes(63 if byte < 8 or 13 < byte < 32 else byte for byte in os.fsencode(target))


def _start(
    command: list[str], folder: Path | None, stdout: int, *, is_fed: bool = False
) -> subprocess.Popen[bytes]:
    """The child that this thread waits for from now on."""
    environment = {**os.environ, "AV_LOG_FORCE_NOCOLOR": "1"}
    environment.pop("AV_LOG_FORCE_COLOR", None)
    # Its own process group: Ctrl-C at the terminal is ours to handle, and would otherwise
    # look like a recording that ends here.
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE if is_fed else subprocess.DEVNULL,
        stdout=stdout,
        stderr=subprocess.PIPE,
        cwd=folder,
        env=environment,
        process_group=0,
    )
    _children[threading.get_ident()] = child
    return child
