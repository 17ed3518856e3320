"""Models of the user's own: any GGUF that can be read, any Whisper, and the card of both.

A part comes from a file or folder of this machine, or from the hub (`hf:OWNER/REPO/FILE.gguf`),
where it is pinned to the commit and the hashes that the hub states when it is added.
"""

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from fls_models.core.files import write_whole
from fls_models.errors import UsageError
from fls_models.weights.card import HubFile, Part, TextCard, WeightFile, load, part
from fls_models.weights.hub import Listing, list_all
from fls_models.weights.thresholds import Thresholds

HUB = "hf:"
_UNTOLD = "as its maker says"
_SCHEMA = "fls.model/1"
_LIMITS = (
    "Nobody measured it here: what it answers, and how often it is right, tells "
    "`fls bench qa FILE --model {}`."
)
_CTRANSLATE2 = ("model.bin", "config.json", "tokenizer.json")
_TRANSFORMERS = ("config.json", "tokenizer.json")
_WHISPER_TEXTS = (
    "config.json",
    "tokenizer.json",
    "vocabulary.json",
    "vocabulary.txt",
    "preprocessor_config.json",
    "generation_config.json",
)


def llm_part(source: str) -> Part:
    """The language model that a source names; what a file holds is not looked at.

    Raises UsageError for what is no such source, WeightsMissing where the hub does not answer.
    """
    if source.startswith(HUB):
        repo, file = _hub_names(source)
        if not file.endswith(".gguf"):
            raise UsageError(
                f"{source} names no GGUF file; give hf:OWNER/REPO/FILE.gguf as the hub lists it."
            )
        return _from_hub(_listed(repo), "gguf", {file}, file)
    place = Path(source).absolute()
    if not place.is_file():
        raise UsageError(f"{source} is no file; give a GGUF file, or hf:OWNER/REPO/FILE.gguf.")
    return Part(_name(place), place.stem, _UNTOLD, str(place), "gguf", place=place)


def described(llm: Part) -> tuple[Part, float]:
    """A language model with the name and the licence that its file states, and the memory that it
    takes, in GB; by its size, about, where it is still to be fetched.

    Raises what `GgufHeader.read` does.
    """
    if llm.place is None:
        return llm, about_gb(llm)
    from fls_models.weights.conversion.gguf_header import GgufHeader

    header = GgufHeader.read(llm.place)
    described_part = replace(llm, what=header.name, licence=header.licence or _UNTOLD)
    return described_part, round(header.needed_bytes / 1e9, 1)


def about_gb(llm: Part) -> float:
    """Memory by the size of a file of some 4.5 bits a parameter."""
    size = llm.bytes if llm.place is None else llm.place.stat().st_size
    return round(2 * size / 1e9 + 1.2, 1)


def ears_part(source: str) -> Part:
    """The Whisper that a source names: a folder, or `hf:OWNER/REPO`.

    Raises what `llm_part` does.
    """
    if source.startswith(HUB):
        repo, _ = _hub_names(source)
        listing = _listed(repo)
        if any(file.path == "model.bin" for file in listing.files):
            return _from_hub(listing, "ctranslate2", {*_WHISPER_TEXTS, "model.bin"}, repo)
        return _from_hub(listing, "transformers", {*_WHISPER_TEXTS, "model.safetensors"}, repo)
    place = Path(source).absolute()
    if not place.is_dir():
        raise UsageError(
            f"{source} is no folder; give one with a Whisper as CTranslate2 or transformers keeps "
            f"it, or hf:OWNER/REPO."
        )
    if all((place / name).is_file() for name in _CTRANSLATE2):
        return Part(place.name, "Whisper", _UNTOLD, str(place), "ctranslate2", place=place)
    if all((place / name).is_file() for name in _TRANSFORMERS) and _is_whisper(place):
        name = _name(place / "config.json")
        return Part(name, "Whisper", _UNTOLD, str(place), "transformers", place=place)
    raise UsageError(
        f"{place} holds no Whisper: neither {', '.join(_CTRANSLATE2)}, nor transformers' "
        "config.json of a whisper with tokenizer.json."
    )


def own_card(
    name: str,
    base: TextCard,
    llm: Part | None,
    ears: Part | None,
    memory_gb: float | None = None,
) -> TextCard:
    """A card with other parts than `base` has; nothing is known of them, so it refuses nothing.

    Memory is guessed by the language model's file unless it is known.
    """
    mind, speech = llm or base.llm, ears or base.speech
    if memory_gb is None:
        memory_gb = base.memory_gb if llm is None else about_gb(llm)
    words = f"{speech.what} and {mind.what}, 8-bit."
    return replace(
        base,
        name=name,
        summary=words[:1].upper() + words[1:],
        runs_on=f"any CPU with {memory_gb:.1f} GB of memory free",
        memory_gb=memory_gb,
        limits=_LIMITS.format(name),
        thresholds=None if llm is not None else base.thresholds,
        frames=None,
        preference=None,
        in_sight=False,
        speech=speech,
        llm=mind,
    )


def write(card: TextCard, file: Path) -> None:
    """Keeps a card where `card.look_in` finds it."""
    payload = {
        "schema": _SCHEMA,
        "name": card.name,
        "speech": _part_json(card.speech),
        "llm": _part_json(card.llm),
        "memory_gb": card.memory_gb,
        "limits": card.limits,
        "thresholds": None if card.thresholds is None else asdict(card.thresholds),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_whole(file, json.dumps(payload, indent=2, ensure_ascii=False) + "\n")


def read(file: Path) -> TextCard:
    """A card that `write` kept; UsageError for what is none."""
    try:
        raw = json.loads(file.read_text("utf-8"))
        if raw["schema"] != _SCHEMA or raw["name"] != file.stem:
            raise ValueError("another schema")
        base = load("mini")
        assert isinstance(base, TextCard)
        llm, ears = _part_of(raw["llm"]), _part_of(raw["speech"])
        card = own_card(raw["name"], base, llm, ears, float(raw["memory_gb"]))
        thresholds = raw["thresholds"]
        return replace(
            card,
            limits=str(raw["limits"]),
            thresholds=None if thresholds is None else Thresholds(**thresholds),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(
            f"{file} is no card of a model ({error}); remove the file, and add the model again "
            "(`fls models add`)."
        ) from None


def _part_json(part: Part) -> Any:
    if part.place is None and not part.commit:
        return part.name
    return {**asdict(part), "place": None if part.place is None else str(part.place)}


def _part_of(raw: Any) -> Part:
    if isinstance(raw, str):
        return part(raw)
    files = tuple(
        WeightFile(**{**file, "hub": HubFile(**file["hub"]), "pieces": ()}) for file in raw["files"]
    )
    place = None if raw["place"] is None else Path(raw["place"])
    return Part(**{**raw, "files": files, "place": place})


def _listed(repo: str) -> Listing:
    return list_all(repo, ways_out="Or download what it holds, and give its path.")


def _from_hub(listing: Listing, form: str, wanted: Collection[str], what: str) -> Part:
    """Of these files, a part that is pinned to them."""
    repo = listing.repo
    listed = [file for file in listing.files if file.path in wanted]
    if not any(file.sha256 for file in listed):
        raise UsageError(
            f"hf:{repo} has no {what}; it has {_some([file.path for file in listing.files])}."
        )
    files = tuple(
        WeightFile(
            file.path,
            file.bytes,
            file.sha256 or "",
            HubFile(repo, file.path),
            blob=file.blob or "",
        )
        for file in listed
    )
    licence = listing.licence or "not stated on the hub"
    mark = hashlib.sha256(repr(files).encode()).hexdigest()[:12]
    name = f"{repo.replace('/', '--')}-{mark}"
    origin = f"https://huggingface.co/{repo}"
    label = Path(what).stem if form == "gguf" else repo
    return Part(name, label, licence, origin, form, files, commit=listing.commit)


def _hub_names(source: str) -> tuple[str, str]:
    owner, _, rest = source.removeprefix(HUB).partition("/")
    repo, _, file = rest.partition("/")
    if not owner or not repo:
        raise UsageError(f"{source} names no repository; give hf:OWNER/REPO as the hub has it.")
    return f"{owner}/{repo}", file


def _name(place: Path) -> str:
    """Tells a file from others by its path, size and time: no bytes are read."""
    there = place.stat()
    identity = repr((str(place), there.st_size, there.st_mtime_ns))
    return f"local-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"


def _is_whisper(place: Path) -> bool:
    try:
        return bool(
            json.loads((place / "config.json").read_text("utf-8"))["model_type"] == "whisper"
        )
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _some(names: list[str]) -> str:
    shown = ", ".join(names[:6]) or "nothing"
    return f"{shown} and {len(names) - 6} more" if names[6:] else shown
