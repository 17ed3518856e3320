"""Items for `fls bench summary` from QMSum's meetings and SPIRAL's recordings.

    python benchmarks/summaries.py qmsum/val.jsonl spiral/dev.jsonl --out FOLDER

`qmsum-measured.jsonl`: twelve of QMSum's validation meetings (arXiv 2104.05938), those whose text
has the lowest SHA-256, which `results/qmsum-measured.json` names; nothing is trained on them.
`qmsum-training.jsonl` has the others. What a summary should say is the answer to the meeting's
first general question. `spiral-joined.jsonl`: SPIRAL dev's recordings (arXiv 2412.12009), eight one
after the other; a summary should say each one's key sentence.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from checkout import ROOT

from fls_models.core.jsonl import read_lines
from fls_models.core.text.sentence_ends import sentences_of

MEASURED = 12
JOINED = 8
SPLIT = ROOT / "benchmarks" / "results" / "qmsum-measured.json"
# What transcribers of AMI and ICSI noted beside the words.
_NOTE = re.compile(r"\{[^}]*\}")
_SPACE = re.compile(r"\s+([.,?!;:%])|\s+('\s?(?:s|re|ve|ll|d|m|t)\b|n't\b)")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("qmsum", type=Path)
    parser.add_argument("spiral", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    meetings = sorted(
        (meeting(raw) for _, raw in read_lines(arguments.qmsum)), key=lambda m: m["id"]
    )
    measured = [each["id"] for each in meetings[:MEASURED]]
    if measured != json.loads(SPLIT.read_text("utf-8")):
        raise SystemExit(f"{arguments.qmsum} is not the file that {SPLIT} was made of")
    write(arguments.out / "qmsum-measured.jsonl", meetings[:MEASURED])
    write(arguments.out / "qmsum-training.jsonl", meetings[MEASURED:])
    recordings = [raw for _, raw in read_lines(arguments.spiral)]
    groups = [recordings[first : first + JOINED] for first in range(0, len(recordings), JOINED)]
    write(arguments.out / "spiral-joined.jsonl", map(joined, groups))


def meeting(raw: dict[str, Any]) -> dict[str, Any]:
    turns = [
        {"speaker": turn["speaker"], "text": plain(turn["content"])}
        for turn in raw["meeting_transcripts"]
    ]
    text = "\n".join(f"{turn['speaker']}: {turn['text']}" for turn in turns)
    answer = plain(raw["general_query_list"][0]["answer"])
    topics = [
        {"name": topic["topic"], "turns": [int(first), min(int(last), len(turns) - 1)]}
        for topic in raw["topic_list"]
        for first, last in topic["relevant_text_span"][:1]
        if int(first) < len(turns)
    ]
    return {
        "id": hashlib.sha256(text.encode()).hexdigest()[:16],
        "turns": turns,
        "facts": sentences_of(answer),
        "topics": topics,
    }


def joined(items: list[dict[str, Any]]) -> dict[str, Any]:
    turns: list[dict[str, str]] = []
    topics = []
    for item in items:
        first = len(turns)
        turns += item["turns"]
        topics.append({"name": item["topic"], "turns": [first, len(turns) - 1]})
    return {
        "id": " + ".join(item["id"] for item in items[:: len(items) - 1]),
        "turns": turns,
        "facts": [item["key_sentence"] for item in items],
        "topics": topics,
    }


def plain(text: str) -> str:
    """QMSum's tokens as they are written: no space before what ends a word."""
    text = _SPACE.sub(lambda found: (found[1] or found[2]).replace(" ", ""), _NOTE.sub("", text))
    return " ".join(text.split())


def write(path: Path, items: Iterable[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items), "utf-8")


if __name__ == "__main__":
    main()
