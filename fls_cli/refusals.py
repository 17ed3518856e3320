"""Why ffmpeg would not read an input, in one sentence of ours instead of several of its own."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import PurePath
from urllib.parse import urlsplit

from fls_cli.inputs import Source
from fls_models.errors import InputError, NotMedia, RefusedInput, Unreachable

# ffmpeg's names for what makes it open files and hosts that the input names.
_FOLLOWERS = (
    "applehttp avisynth concat dash dvdvideo hls imf lavfi rtp rtsp sap sdp vapoursynth vobsub "
    "webm_dash_manifest"
)
_PLAYLIST_SUFFIXES = ".asx .avs .cue .ffconcat .m3u .m3u8 .mpd .pls .ram .sdp .smil .vpy .wpl .xspf"
_PLAYLIST_OPENINGS = (b"#extm3u", b"[playlist]", b"<asx", b"<smil", b"ffconcat version", b"v=0")
_MP4_OPENINGS = (b"ftyp", b"mdat", b"free", b"skip", b"wide")

_DETECTED = re.compile(r"Format (\S+) (?:probed|detected) ")
_STATUS = re.compile(r"(?:Server returned|HTTP error) (\d{3}|[45]XX)")
_STATUSES = {
    "401": "the server asks for a login (401); put it in the address as https://user:password@host",
    "403": "the server forbids it (403); check that the link has not expired",
    "404": "there is nothing at this address (404); check the spelling",
    "410": "there is nothing at this address any more (410)",
    "429": "the server takes no more requests for now (429); try again later",
}
_FAILURES = {
    "Failed to resolve hostname": "no such host is known; check the spelling and the network",
    "Connection refused": "the host refused the connection; check the port and try again later",
    "timed out": "the host did not answer in time; try again later",
    "certificate": "the host's certificate could not be verified; check the address",
    "Network is unreachable": "the network is unreachable; check the connection",
    "No route to host": "there is no route to this host; check the connection",
    "Connection reset": "the host broke off the connection; try again later",
    "Input/output error": "the connection failed; try again later, or download it first",
}


def unreadable(source: Source, code: int, text: str, look_closer: Callable[[], str]) -> InputError:
    """The error for an input that ffmpeg did not open, leaving `code` and `text`, its stderr.

    `look_closer` opens it once more and gives ffmpeg's debug output, which names the format that
    was refused.
    """
    if code < 0:
        return InputError(
            f"{source.name}: ffmpeg crashed on it (signal {-code}); update the one that "
            "`fls doctor` names, or set FLS_FFMPEG to another."
        )
    if source.kind == "url" and (reason := _unreachable(text)):
        return Unreachable(f"{source.name}: {reason}.")
    if _is_playlist(source, text, look_closer):
        return RefusedInput(
            f"{source.name}: this is a playlist or a script, and those are not followed; "
            "give the media file itself."
        )
    if "moov atom not found" in text and (reason := _no_index(source)):
        return NotMedia(f"{source.name}: {reason}.")
    return NotMedia(
        f"{source.name}: this is neither audio nor video that can be read; give a media file."
    )


def undecodable(source: Source, codec: str, text: str) -> InputError:
    """The error for a `codec` track of which ffmpeg decoded nothing, saying `text`."""
    if "ecoder" in text and "not found" in text:
        what = f"this ffmpeg has no decoder for {codec}; convert the file first"
    else:
        what = f"none of its {codec} audio can be decoded, so it is damaged; get the file again"
    return NotMedia(f"{source.name}: {what}.")


def _unreachable(text: str) -> str | None:
    if status := _STATUS.search(text):
        return _STATUSES.get(status[1], f"the server answered with error {status[1]}")
    return next((reason for sign, reason in _FAILURES.items() if sign in text), None)


def _is_playlist(source: Source, text: str, look_closer: Callable[[], str]) -> bool:
    where = urlsplit(source.location).path if source.kind == "url" else source.location
    if PurePath(where).suffix.lower() in _PLAYLIST_SUFFIXES.split() or "m3u8" in text:
        return True
    if "Protocol" in text and "not on whitelist" in text:
        return True
    opening = _opening(source).lstrip(b"\xef\xbb\xbf \r\n\t").lower()
    if opening.startswith(_PLAYLIST_OPENINGS):
        return True
    if "Format not on whitelist" in text:
        return any(name in _FOLLOWERS.split() for name in _DETECTED.findall(look_closer()))
    return False


def _opening(source: Source) -> bytes:
    if source.path is None:
        return b""
    with open(source.path, "rb") as file:
        return file.read(512)


def _no_index(source: Source) -> str | None:
    if source.kind == "url":
        return (
            "its index was not found: the file is cut off, or its index lies at the end and the "
            "server cannot skip to it; download it first"
        )
    if _opening(source)[4:8] not in _MP4_OPENINGS:
        return None
    return "its index (moov) is missing, so the file is cut off; get the whole file"
