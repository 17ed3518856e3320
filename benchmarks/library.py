"""How soon `fls search` finds something in many recordings, and names that were heard otherwise.

    python benchmarks/library.py dev.jsonl --recordings 1000 [--meaning]
    python benchmarks/library.py dev.jsonl --rank
    python benchmarks/library.py dev.jsonl --reworded
    pip install hibari-tts==0.2.1 && apt install flite
    python benchmarks/library.py dev.jsonl --names

Recordings of ten minutes are made of SPIRAL's texts (arXiv 2412.12009), drawn and joined with a
seed, as transcripts that were heard before; their files hold next to nothing. Seconds are those of
whole processes, for ten words that are said; --meaning looks for them by meaning, too, which reads
all passages once. With --names, the sixty names of `vocabulary.py` are
read aloud by its three voices, heard by `mini`'s Whisper, and looked for as they are written: a
name is found where a passage in which it was said is among the first three. With --rank, each text
is a recording, and its question is put to all: is it among those that `fls ask` reads first? With
--reworded, thirty things that recordings of the dev part say are looked for in other words, which
are ours (`questions/reworded.jsonl`) and were written from SPIRAL's questions alone.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING, Any

from checkout import ROOT

from fls_cli.library.index import Index, open_index
from fls_cli.library.meaning import find_meant, fused
from fls_cli.library.query import Query
from fls_cli.library.ranking import rank
from fls_cli.library.search import Shelf, find
from fls_cli.storage.cache import DiskCache, key
from fls_cli.storage.paths import cache_folder
from fls_models.core.files import digest
from fls_models.core.jsonl import read_lines
from fls_models.core.progress import ignore
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.transcription.meaning.encoder import MeaningEncoder
from fls_models.weights.card import part
from fls_models.weights.store import folder as folder_of

if TYPE_CHECKING:
    from fls_cli.library.meaning import Encode

# Spoken words a second, and seconds of a recording.
_PACE, _SECONDS = 2.5, 600.0
_FIRST = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("texts", type=Path, nargs="+", help="SPIRAL's items, JSON lines")
    parser.add_argument("--recordings", type=int, nargs="*", default=[], metavar="N")
    parser.add_argument("--meaning", action="store_true")
    parser.add_argument("--names", action="store_true")
    parser.add_argument("--rank", action="store_true")
    parser.add_argument("--reworded", action="store_true")
    arguments = parser.parse_args()
    texts = [text for place in arguments.texts for text in texts_of(place)]
    for count in arguments.recordings:
        time_searches(texts, count, meaning=arguments.meaning)
    if arguments.rank:
        for place in arguments.texts:
            rank_recordings(place)
    if arguments.reworded:
        find_reworded(arguments.texts[0])
    if arguments.names:
        find_names(texts)


def texts_of(place: Path) -> list[str]:
    items: list[dict[str, Any]] = [raw for _, raw in read_lines(place)]
    return [
        item.get("text") or " ".join(str(turn["text"]) for turn in item["turns"]) for item in items
    ]


def transcript(sentences: Sequence[str]) -> Transcript:
    """Sentences spoken at an even pace."""
    spoken: list[Sentence] = []
    until = 0.0
    for text in sentences:
        words = []
        for word in text.split():
            words.append(Word(until, until + 1 / _PACE, f" {word}", 0.9))
            until += 1 / _PACE
        spoken.append(Sentence(tuple(words)))
    return Transcript("en", tuple(spoken), until)


def time_searches(texts: Sequence[str], count: int, *, meaning: bool) -> None:
    draw = random.Random(0)
    with TemporaryDirectory() as name:
        folder = Path(name)
        cache = DiskCache(folder / "cache" / "recordings", 10**11)
        (folder / "talks").mkdir()
        for number in range(count):
            sentences: list[str] = []
            while sum(len(text.split()) for text in sentences) < _PACE * _SECONDS:
                sentences += sentences_of(draw.choice(texts))
            place = folder / "talks" / f"talk-{number}.wav"
            place.write_text(str(number))
            heard = {"audio": digest(place), "start": 0.0, "end": None, "track": None}
            parts = {**heard, "channels": "mix", "raw": None, "effort": "balanced"}
            kept = {"heard": parts, "transcript": transcript(sentences).as_json()}
            cache.put("transcripts", key(**parts), json.dumps(kept).encode())
        words = [
            draw.choice([w for w in draw.choice(texts).split() if len(w) > 5]) for _ in range(10)
        ]
        first, *_ = run(folder, words[:1])
        size = (folder / "cache" / "library.sqlite").stat().st_size
        plain = run(folder, [" ".join(words[i : i + 2]) for i in range(9)])
        wrong = run(folder, [word[:2] + word[3:] for word in words])
        if meaning:
            prepare_meanings(folder / "cache")
            [reading] = run(folder, [" ".join(words[:2])], "--meaning")
            meant = run(folder, [" ".join(words[i : i + 2]) for i in range(9)], "--meaning")
            print(
                f"with meaning: read once in {reading:.0f} s, then {median(meant):.2f} s (at most "
                f"{max(meant):.2f})"
            )
        print(
            f"{count} recordings: indexed in {first:.1f} s ({size / 1e6:.1f} MB); two words "
            f"{median(plain):.2f} s (at most {max(plain):.2f}), a word with a letter missing "
            f"{median(wrong):.2f} s (at most {max(wrong):.2f})"
        )


def prepare_meanings(cache: Path) -> None:
    """Links the network that tells meanings, which is in the user's own cache, into another."""
    own = folder_of(part("all-minilm-l6-v2"), cache_folder())
    if not own.is_dir():
        raise SystemExit("fls search FOLDER WORDS --meaning fetches what this needs")
    (cache / "weights").mkdir(exist_ok=True)
    (cache / "weights" / own.name).symlink_to(own)


def run(folder: Path, queries: Sequence[str], *options: str) -> list[float]:
    """Seconds of a process for each query."""
    road = os.pathsep.join((str(ROOT), str(ROOT / "models")))
    environment = {**os.environ, "FLS_CACHE": str(folder / "cache"), "PYTHONPATH": road}
    seconds = []
    for query in queries:
        command = [sys.executable, "-m", "fls_cli", "search", str(folder / "talks"), query]
        command += options
        begun = perf_counter()
        subprocess.run([*command, "--quiet"], env=environment, check=True, capture_output=True)
        seconds.append(perf_counter() - begun)
    return seconds


def rank_recordings(place: Path) -> None:
    items: list[dict[str, Any]] = [raw for _, raw in read_lines(place)]
    with open_index(None, ignore) as index:
        for number, text in enumerate(texts_of(place)):
            index.add(str(number), transcript(sentences_of(text)), "balanced")
        there = index.recordings_of(map(str, range(len(items))))
        index.want(there.values())
        begun = perf_counter()
        ranks: list[int] = []
        for number, order in enumerate(rank(index, [str(item["question"]) for item in items])):
            wanted = there[str(number)]
            ranks.append(order.index(wanted) if wanted in order else len(items))
        seconds = (perf_counter() - begun) / len(items)
    found = {most: sum(place < most for place in ranks) for most in (1, 3, 5, 8, 12)}
    print(f"{place.name}: the right one of {len(items)} among the first {found}, {seconds:.3f} s")


def find_reworded(place: Path) -> None:
    items: list[dict[str, Any]] = [raw for _, raw in read_lines(place)]
    wanted = [raw for _, raw in read_lines(ROOT / "benchmarks" / "questions" / "reworded.jsonl")]
    encode = MeaningEncoder(folder_of(part("all-minilm-l6-v2"), cache_folder())).encode
    with open_index(None, ignore) as index:
        for item, text in zip(items, texts_of(place), strict=True):
            index.add(str(item["id"]), transcript(sentences_of(text)), "balanced")
        there = index.recordings_of(str(item["id"]) for item in items)
        shelf = Shelf({number: audio for audio, number in there.items()}, [])
        index.want(shelf.heard)
        begun = perf_counter()
        find_meant(index, encode, Query.parse("anything"), 1)
        print(f"{len(index.meanings())} passages read in {perf_counter() - begun:.1f} s")
        for way in ("words", "meaning", "both"):
            right = [way_of(index, shelf, encode, str(each["query"]), way) for each in wanted]
            places = [
                found.index(str(each["item"])) if str(each["item"]) in found else len(items)
                for each, found in zip(wanted, right, strict=True)
            ]
            first = {most: sum(place < most for place in places) for most in (1, 3, 10)}
            print(f"{way}: the right recording of {len(wanted)} among the first {first}")


def way_of(
    index: Index, shelf: Shelf[str], encode: Encode, text: str, way: str, most: int = 10
) -> list[str]:
    """Recordings of what is found, best first."""
    query, many = Query.parse(text), most * 5
    hits = [] if way == "meaning" else find(index, shelf, query, many, some=way == "words")
    meant = [] if way == "words" else find_meant(index, encode, query, many)
    return list(dict.fromkeys(hit.source for hit in fused(hits, meant, shelf, most)))


def find_names(texts: Sequence[str]) -> None:
    from vocabulary import NAMES, VOICES, Ear, read_aloud

    from fls_models.audio.whisper.wording import PLAIN

    ear = Ear(PLAIN)
    with TemporaryDirectory() as name, open_index(None, ignore) as index:
        # Among other talks, in which nobody is called so.
        for number, text in enumerate(texts):
            index.add(f"other {number}", transcript(sentences_of(text)), "balanced")
        spoken = read_aloud(Path(name))
        for voice, places in spoken.items():
            for called, place in places:
                heard = transcript(sentences_of(ear.heard(place, PLAIN)))
                index.add(f"{voice} {called}", heard, "balanced")
        everything = [f"other {number}" for number in range(len(texts))]
        for voice in VOICES:
            there = index.recordings_of([*everything, *(f"{voice} {name}" for name in NAMES)])
            shelf = Shelf({number: audio for audio, number in there.items()}, [])
            exact = sum(is_found(index, shelf, voice, name, f'"{name}"') for name in NAMES)
            found = sum(is_found(index, shelf, voice, name, name) for name in NAMES)
            print(
                f"{voice}: found as written {exact}, with other spellings {found} of {len(NAMES)}"
            )


def is_found(index: Index, shelf: Shelf[str], voice: str, name: str, wanted: str) -> bool:
    hits = find(index, shelf, Query.parse(wanted), _FIRST)
    return f"{voice} {name}" in [hit.source for hit in hits]


if __name__ == "__main__":
    main()
