"""Which ffmpeg is run: the one that this project is tested with, unless the user chose another.

Two versions of ffmpeg may decode one recording to samples that differ, and even to another count
of them. So the default is a certain one, which the imageio-ffmpeg wheel brings, whatever else is
installed; `FLS_FFMPEG` chooses another; PATH is searched only where there is no wheel's. Which
one `IMAGEIO_FFMPEG_EXE` names, which is for other programs, does not matter.
"""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, TypeAlias

from fls_models.core.optional import installing
from fls_models.errors import FfmpegMissing

VARIABLE = "FLS_FFMPEG"

Origin: TypeAlias = Literal["wheel", "variable", "path"]

_WHY: dict[Origin, str] = {
    "wheel": "the tested one, from the imageio-ffmpeg wheel",
    "variable": f"chosen by {VARIABLE}",
    "path": "from PATH, as the imageio-ffmpeg wheel has none for this machine",
}
_REPAIR = f"`{installing('--force-reinstall', 'imageio-ffmpeg')}`"
_REMEDY: dict[Origin, str] = {
    "wheel": f"{_REPAIR} may repair it, or set {VARIABLE} to another",
    "variable": f"set {VARIABLE} to another, or unset it to use that of the imageio-ffmpeg wheel",
    "path": f"set {VARIABLE} to another, or {_REPAIR}",
}
_PATIENCE = 30


@dataclass(frozen=True)
class Ffmpeg:
    """An ffmpeg by its absolute path, and where that was found."""

    path: str
    origin: Origin

    @property
    def why(self) -> str:
        """Why it is this one, as the end of a sentence."""
        return _WHY[self.origin]

    @property
    def remedy(self) -> str:
        """What to do where it does not do what it is there for, as the end of a sentence."""
        return _REMEDY[self.origin]

    @property
    def version(self) -> str | None:
        """The first word of its version, if it says one; raises what `description` does."""
        match = re.match(r"ffmpeg version (\S+)", self.description)
        return match[1] if match else None

    @property
    def description(self) -> str:
        """What it says of its version, its configuration and its libraries.

        It is run for that, once as long as the file is the same. Raises FfmpegMissing when it does
        not run.
        """
        try:
            return _described(self.path, os.stat(self.path).st_mtime_ns)
        except (OSError, subprocess.SubprocessError) as error:
            failure = FfmpegMissing(f"{self.path} does not run ({_reason(error)}); {self.remedy}.")
            raise failure from error


def choose_ffmpeg() -> Ffmpeg:
    """The ffmpeg to run. Any but the wheel's was seen to run.

    Raises FfmpegMissing when there is none, and when the user chose what is none.
    """
    if choice := os.environ.get(VARIABLE):
        path = shutil.which(os.path.expanduser(choice))
        if path is None:
            raise FfmpegMissing(
                f"{VARIABLE} is {choice!r}, which is no program that can be run; set it to the "
                "path of an ffmpeg or its name on PATH, or unset it to use that of the "
                "imageio-ffmpeg wheel."
            )
        ffmpeg = Ffmpeg(os.path.abspath(path), "variable")
    elif bundled := bundled_ffmpeg():
        return Ffmpeg(bundled, "wheel")
    elif path := shutil.which("ffmpeg"):
        ffmpeg = Ffmpeg(os.path.abspath(path), "path")
    else:
        raise FfmpegMissing(
            "ffmpeg was not found: the imageio-ffmpeg wheel has none for this machine, and PATH "
            f"has none either; install one with {_REPAIR} or `apt install ffmpeg`, or set "
            f"{VARIABLE} to the path of one."
        )
    # A program that is no ffmpeg would make every recording look damaged.
    if ffmpeg.version is None:
        raise FfmpegMissing(f"{ffmpeg.path} is no ffmpeg; {ffmpeg.remedy}.")
    return ffmpeg


def find_ffmpeg() -> str:
    """The path of the ffmpeg to run; raises what `choose_ffmpeg` does."""
    return choose_ffmpeg().path


def bundled_ffmpeg() -> str | None:
    """The path of the ffmpeg within the installed imageio-ffmpeg; None when it has none.

    Not `imageio_ffmpeg.get_ffmpeg_exe`: that takes `IMAGEIO_FFMPEG_EXE` before its own, and
    conda's or PATH's after it, without saying so; and it runs what it finds, once a process.
    """
    package = find_spec("imageio_ffmpeg")
    for folder in (package and package.submodule_search_locations) or ():
        # The version and the machine are in the name; a wheel has the one for its machine.
        for file in sorted(Path(folder, "binaries").glob("ffmpeg-*")):
            if os.access(file, os.X_OK):
                return str(file)
    return None


def decoder_parts() -> dict[str, str]:
    """What the key of a result tells of the ffmpeg that it was decoded with.

    Nothing of the wheel's, which belongs to this version of `fls` as its other libraries do; so
    results of it are found by the keys that they always had. Of another all that it says of
    itself: its version alone would not tell of the libraries that it loads.
    """
    ffmpeg, bundled = choose_ffmpeg(), bundled_ffmpeg()
    if bundled is not None and os.path.samefile(ffmpeg.path, bundled):
        return {}
    return {"decoder": ffmpeg.description}


@lru_cache
def _described(path: str, changed: int) -> str:
    process = subprocess.run(
        [path, "-version"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=_PATIENCE,
        # Ctrl-C is this process's to handle.
        process_group=0,
        check=True,
    )
    return process.stdout.decode(errors="replace")


def _reason(error: OSError | subprocess.SubprocessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        code = error.returncode
        return f"signal {-code}" if code < 0 else f"exit code {code}"
    if isinstance(error, subprocess.TimeoutExpired):
        return f"no answer for {_PATIENCE} s"
    return str(getattr(error, "strerror", None) or error)
