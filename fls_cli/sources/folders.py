"""Which files of a folder are recordings.

Judged by suffix where that says enough, so that a folder of thousands opens at once, and by
content, with ffmpeg, where the suffix says nothing.
"""

import errno
import mimetypes
import os
import re
from collections.abc import Callable
from pathlib import Path

from fls_cli.console.text import printable
from fls_cli.media.clips.mark import is_marked
from fls_cli.media.ffmpeg.probe import read_report
from fls_cli.media.ffmpeg.process import describe
from fls_cli.media.ffmpeg.raw import RAW_SUFFIXES
from fls_cli.media.source import Source
from fls_models.core.progress import ignore
from fls_models.errors import InputError

_MEDIA = (
    ".3g2 .3gp .aac .ac3 .aif .aifc .aiff .amr .ape .asf .au .avi .caf .dts .eac3 .flac .flv .m2ts "
    ".m4a .m4b .m4v .mka .mkv .mov .mp2 .mp3 .mp4 .mpc .mpeg .mpg .mts .mxf .oga .ogg .ogv .ogx "
    ".opus .spx .ts .tta .vob .w64 .wav .weba .webm .wma .wmv .wv"
)
MEDIA_SUFFIXES = frozenset(_MEDIA.split()) | RAW_SUFFIXES
# Source code shares these suffixes with the streams of cameras, and with those of telephones.
_SHARED = frozenset({".ts", ".mts"})
_SHARED_BY_RAW = frozenset({".al", ".ul"})
# What Python or a system calls audio or video though it holds notes, names of other files or
# subtitles, and what this program writes though not every Python has heard of it.
_OTHER = (
    ".ass .csd .dls .jsonl .kar .m3u .m3u8 .m4u .md .mid .midi .mxmf .mxu .orc .plj .pls .psid "
    ".ram .sco .sid .wax .wmx .wvx"
)
_OTHER_SUFFIXES = frozenset(_OTHER.split())
_LOOKED_AT = 4096
# The control characters that no text has; compressed sound has some among any few hundred bytes.
_NO_TEXT = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def files_below(
    folder: str | Path,
    *,
    unreadable: Callable[[OSError], None] | None = None,
    clip: Callable[[Path], None] = ignore,
) -> list[Path]:
    """The recordings in `folder` and below it, as paths that begin with it, sorted.

    Hidden files and folders are left out, links to folders not followed. So are the clips that
    `fls` itself cut out; `clip` is told of each. Raises InputError when `folder` may not be read,
    FfmpegMissing when a file had to be looked into. `unreadable` is told of folders below that may
    not be read, and without it they raise, too.
    """

    def refuse(error: OSError) -> None:
        if unreadable is None or error.filename in (None, os.fspath(folder)):
            raise unreadable_folder(error) from error
        unreadable(error)

    paths: list[Path] = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        if not os.access(parent, os.X_OK, effective_ids=True):
            # Its names may be read, and nothing behind them.
            refuse(PermissionError(errno.EACCES, os.strerror(errno.EACCES), parent))
            folders.clear()
            continue
        folders[:] = [name for name in folders if not name.startswith(".")]
        for path in (Path(parent, name) for name in files if not name.startswith(".")):
            if is_clip(path):
                clip(path)
            elif is_recording(path):
                paths.append(path)
    return sorted(paths, key=lambda path: path.parts)


def unreadable_folder(error: OSError) -> InputError:
    """What to say of a folder that may not be read."""
    place = printable(os.fsdecode(error.filename or "."))
    return InputError(
        f"{place}: this folder could not be read: {error.strerror}; allow it with chmod or ask its "
        "owner."
    )


def is_clip(path: Path) -> bool:
    """Whether a file is a clip that `fls` cut out of a recording."""
    return path.suffix.lower() == ".wav" and os.path.isfile(path) and is_marked(_opening(path))


def is_recording(path: Path) -> bool:
    """Whether there is a file at `path` that is a recording, by suffix, else by content.

    By suffix alone a file may be empty, damaged or silent. Raises FfmpegMissing when the content
    had to be looked at.
    """
    suffix = path.suffix.lower()
    if suffix in _OTHER_SUFFIXES or not os.path.isfile(path):
        return False
    if suffix in _SHARED_BY_RAW:
        # Silence on a telephone has no control characters either.
        opening = _opening(path)
        return not (opening.isascii() and _is_text(opening))
    if suffix in MEDIA_SUFFIXES:
        return suffix not in _SHARED or not _is_text(_opening(path))
    # Not the whole name, which is taken for an address if it looks like one.
    kind, packed = mimetypes.guess_type(f"x{suffix}")
    if packed:
        return False
    if kind:
        return kind.startswith(("audio/", "video/"))
    return _has_sound(path)


def _has_sound(path: Path) -> bool:
    opening = _opening(path)
    if not opening or _is_text(opening):
        return False
    _, text = describe(Source(str(path), "file", path, printable(str(path))))
    info = read_report(text)
    # ffmpeg finds sound in programs and noise, too, but then it says that it is not sure.
    return (
        info is not None
        and any(track.codec != "none" for track in info.tracks)
        and "misdetection possible" not in text
    )


def _opening(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT)
    except OSError:
        return b""


def _is_text(opening: bytes) -> bool:
    return bool(opening) and _NO_TEXT.search(opening) is None
