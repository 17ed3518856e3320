"""Why ffmpeg would not read an input, in one sentence of ours instead of several of its own."""

import re
from collections.abc import Callable
from pathlib import PurePath
from urllib.parse import urlsplit

from fls_cli.media.source import Source
from fls_cli.media.unreachable import by_status, by_words
from fls_models.errors import InputError, NotMedia, RefusedInput, Unreachable

# ffmpeg's names for what makes it open files and hosts that the input names.
_FOLLOWERS = (
    "applehttp avisynth concat dash dvdvideo hls imf lavfi rtp rtsp sap sdp vapoursynth vobsub "
    "webm_dash_manifest"
)
_PLAYLIST_SUFFIXES = ".asx .avs .cue .ffconcat .m3u .m3u8 .mpd .pls .ram .sdp .smil .vpy .wpl .xspf"
_PLAYLIST_OPENINGS = (b"#extm3u", b"[playlist]", b"<asx", b"<smil", b"ffconcat version", b"v=0")
_MP4_OPENINGS = (b"ftyp", b"mdat", b"free", b"skip", b"wide")
_WEB_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf|\s|<!--.*?-->|<\?xml[^>]*>)*<(?:!doctype\s+html|html)\b", re.I | re.S
)

# Of samples whose kind nobody tells.
_UNTOLD = frozenset({".pcm", ".raw"})
_DETECTED = re.compile(r"Format (\S+) (?:probed|detected) ")
_STATUS = re.compile(r"(?:Server returned|HTTP error) (\d{3}|[45]XX)")


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
    if source.path is None and (reason := _unreachable(text)):
        return Unreachable(f"{source.name}: {reason}.")
    if _is_playlist(source, text, look_closer):
        return RefusedInput(
            f"{source.name}: this is a playlist or a script, and those are not followed; "
            "give the media file itself."
        )
    opening = _opening(source)
    # Where it is known what follows the sound.
    if "moov atom not found" in text and opening[4:8] in _MP4_OPENINGS:
        index = "moov"
    elif opening.startswith(b"caff") and "Missing packet table" in text:
        index = "pakt"
    else:
        index = ""
    if index:
        return NotMedia(
            f"{source.name}: its index ({index}) is missing, so the file is cut off; get the whole "
            "file."
        )
    if _WEB_PAGE.match(opening):
        return NotMedia(
            f"{source.name}: this is a web page, not audio or video; it may ask for a login, or "
            "hold a link to the media file: give that."
        )
    hint = "give a media file"
    if source.kind == "stdin" or PurePath(source.name).suffix.lower() in _UNTOLD:
        hint += ", or for samples without a header, add --raw s16le:8000:1"
    return NotMedia(f"{source.name}: this is neither audio nor video that can be read; {hint}.")


def undecodable(source: Source, codec: str, text: str) -> InputError:
    """The error for a `codec` track of which ffmpeg decoded nothing, saying `text`."""
    if "ecoder" in text and "not found" in text:
        what = f"this ffmpeg has no decoder for {codec}; convert the file first"
    else:
        what = f"none of its {codec} audio can be decoded, so it is damaged; get the file again"
    return NotMedia(f"{source.name}: {what}.")


def _unreachable(text: str) -> str | None:
    """Why ffmpeg could not read a stream that comes from its host without an end."""
    if status := _STATUS.search(text):
        return by_status(status[1])
    return by_words(text)


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
    path = source.path
    if path is None:
        return b""
    with open(path, "rb") as file:
        return file.read(512)
