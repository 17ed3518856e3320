"""A repository on the Hugging Face hub: what lies in it, and bringing it here, checked.

Files are checked against what the hub itself states of them when it is asked: their SHA-256, or
git's name for those that it keeps in git. What may be fetched at all is decided here; what becomes
of it is `large`'s affair.
"""

import hashlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import quote

from fls_models.core.files import digest
from fls_models.core.progress import Progress, within
from fls_models.errors import DamagedWeights, WeightsMissing
from fls_models.weights.downloads import hub_address, watched

# Settings, texts and weights that are nothing but numbers: no pickles and no programs.
_SUFFIXES = (".json", ".txt", ".jinja", ".safetensors")
# `conversion.layout.find` looks two folders deep.
_DEPTH = 3
_PARTS = ".parts"
_ADAPTER = "adapter_model.safetensors"


@dataclass(frozen=True)
class HubListed:
    """A file as the hub lists it: `sha256` for large ones, git's `blob` for the others."""

    path: str
    bytes: int
    sha256: str | None
    blob: str | None


@dataclass(frozen=True)
class Listing:
    """What is wanted of a repository, as it is at one commit."""

    repo: str
    commit: str
    files: tuple[HubListed, ...]
    licence: str = ""

    @property
    def bytes(self) -> int:
        return sum(file.bytes for file in self.files)


def ask(repo: str, *, adapter: bool, ways_out: str) -> Listing:
    """What there is to fetch of a large model. `adapter=False` leaves adapters' weights out.

    Raises what `list_all` does.
    """
    listing = list_all(repo, ways_out=ways_out)
    files = tuple(
        file
        for file in listing.files
        if _is_wanted(file.path) and (adapter or not file.path.endswith(_ADAPTER))
    )
    if not any(file.path.endswith(".safetensors") for file in files):
        raise WeightsMissing(
            f"{hub_address()}/{repo} holds no weights that can be used (safetensors). {ways_out}"
        )
    return replace(listing, files=files)


def list_all(repo: str, *, ways_out: str) -> Listing:
    """All files of a repository, and its licence.

    Raises WeightsMissing when the hub does not answer or gives nothing, with `ways_out`: a
    sentence with what else can be done.
    """
    from huggingface_hub import HfApi

    with _answering(repo, ways_out):
        model_info = HfApi(endpoint=hub_address()).model_info(repo, files_metadata=True, timeout=30)
    files = []
    for file in model_info.siblings or ():
        sha256 = file.lfs.sha256 if file.lfs else None
        files.append(HubListed(file.rfilename, file.size or 0, sha256, file.blob_id))
    if not model_info.sha:
        raise WeightsMissing(f"{hub_address()}/{repo} holds nothing. {ways_out}")
    card_data = model_info.card_data
    licence = str(card_data.get("license") or "") if card_data is not None else ""
    return Listing(repo, model_info.sha, tuple(files), licence)


def prune(listing: Listing, incoming: Path) -> None:
    """Deletes what an interrupted download left of another commit's files."""
    current_paths = {incoming / file.path for file in listing.files}
    current_paths |= {_part(file, incoming) for file in listing.files}
    for inside, _, names in os.walk(incoming):
        for name in names:
            if (path := Path(inside) / name) not in current_paths:
                path.unlink()


def download(
    listing: Listing, incoming: Path, stage: str, progress: Progress, *, ways_out: str
) -> None:
    """Brings all files into a folder; takes up what an interrupted download left there.

    Raises WeightsMissing when the hub stops answering, DamagedWeights when a file is not what the
    hub said it is; then it is deleted, and all others are kept.
    """
    progress(stage, 0, listing.bytes)
    done = 0
    for file in listing.files:
        place = incoming / file.path
        if not _is_what_was_listed(place, file):
            place.parent.mkdir(parents=True, exist_ok=True)
            with watched(incoming / _PARTS, within(progress, stage, done, listing.bytes)):
                _fetch(listing, file, incoming, ways_out)
            if not _is_what_was_listed(place, file):
                place.unlink()
                raise DamagedWeights(
                    f"{file.path} is not the file that {hub_address()} says it is; it was deleted. "
                    "Run the same command again to get it anew."
                )
        done += file.bytes
        progress(stage, done, listing.bytes)


def _fetch(listing: Listing, file: HubListed, incoming: Path, ways_out: str) -> None:
    from huggingface_hub.file_download import http_get
    from huggingface_hub.utils import build_hf_headers  # type: ignore[attr-defined]
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    # hf_hub_download begins an interrupted file anew, and one of five gigabytes takes long.
    part = _part(file, incoming)
    part.parent.mkdir(exist_ok=True)
    url = f"{hub_address()}/{listing.repo}/resolve/{listing.commit}/{quote(file.path)}"
    # Compressed, what is here could not be counted on to be the beginning of what comes.
    headers = {**build_hf_headers(), "Accept-Encoding": "identity"}
    with part.open("ab") as part_file, _answering(listing.repo, ways_out):
        size = part_file.tell()
        if size > file.bytes:
            size = part_file.truncate(0)
        if size < file.bytes:
            http_get(url, part_file, resume_size=size, headers=headers, expected_size=file.bytes)
    part.replace(incoming / file.path)


def _part(file: HubListed, incoming: Path) -> Path:
    # By content: what changed on the hub must not be taken up again.
    identity = f"{file.path} {file.bytes} {file.sha256 or file.blob}"
    return incoming / _PARTS / hashlib.sha256(identity.encode()).hexdigest()[:32]


def _is_wanted(path: str) -> bool:
    steps = path.split("/")
    # A name that leads elsewhere, or is hidden, is no file of a model.
    plain = all(step and not step.startswith(".") and "\\" not in step for step in steps)
    return plain and len(steps) <= _DEPTH and path.endswith(_SUFFIXES)


def _is_what_was_listed(path: Path, file: HubListed) -> bool:
    if not path.is_file() or path.stat().st_size != file.bytes:
        return False
    if file.sha256:
        return digest(path) == file.sha256
    blob_hash = hashlib.sha1(b"blob %d\0" % file.bytes + path.read_bytes(), usedforsecurity=False)
    return file.blob is None or blob_hash.hexdigest() == file.blob


@contextmanager
def _answering(repo: str, ways_out: str) -> Iterator[None]:
    """Turns what a request to the hub may raise into WeightsMissing; the disk's errors pass."""
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError

    address = f"{hub_address()}/{repo}"
    try:
        yield
    except GatedRepoError as error:
        raise WeightsMissing(
            f"{address} is given only to those who agreed to its terms: agree there, set HF_TOKEN, "
            f"and run the same command again. {ways_out}"
        ) from error
    except Exception as error:
        status = error.response.status_code if isinstance(error, HfHubHTTPError) else None
        if status in (401, 403, 404):
            raise WeightsMissing(
                f"{address} is not there, or not for everybody; set HF_TOKEN if you may see it. "
                f"{ways_out}"
            ) from error
        network = isinstance(error, HfHubHTTPError | ConnectionError | TimeoutError)
        if isinstance(error, OSError) and error.errno is not None and not network:
            raise
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise WeightsMissing(
            f"{address} did not answer ({lines[0]}). Try again when it does: what is here already "
            f"is kept. {ways_out}"
        ) from error
