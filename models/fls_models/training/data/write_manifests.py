"""What is written about clips once they are made: manifests to train on, and what they are made of.

`train-asr.jsonl` and `dev-asr.jsonl` are for a CTC head, `train.jsonl` and `dev.jsonl` for reading
fused frames (`corpus` has the forms); `data.json` and `README.md` are for whoever finds the folder.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

from fls_models.training.data import instructions as exercises
from fls_models.training.data.clip_folder import FACTS, write
from fls_models.training.data.documents import Document
from fls_models.training.data.instructions import Exercise, Request
from fls_models.training.data.schedule import Made

Answer = Callable[[str, Request], str]
"""A language model's own answer about a transcript; "" for none."""


def write_manifests(
    folder: Path,
    made: Sequence[Made],
    documents: Sequence[Document],
    seed: int,
    answer: Answer | None,
) -> list[Path]:
    """Writes the manifests, those of what is held out only where anything is; their places.

    Lines are in the order of the clips. The same for the same clips and seed.
    """
    asked = {one.source: one for one in documents}
    spoken = [one for one in made if one.audio]
    manifests: dict[str, list[dict[str, Any]]] = {"train-asr": [], "train": []}
    if any(one.held for one in spoken):
        manifests |= {"dev-asr": [], "dev": []}
    for one in spoken:
        side = "dev" if one.held else "train"
        manifests[f"{side}-asr"].append(
            {
                "audio": one.audio,
                "text": one.text,
                "source": one.source,
                "voice": ", ".join(one.voices),
                "distortions": one.distortions,
            }
        )
        manifests[side] += _exercises(one, asked[one.source], seed, answer)
    places = []
    for name, lines in manifests.items():
        places.append(folder / f"{name}.jsonl")
        write(places[-1], "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    return places


def write_facts(
    folder: Path,
    made: Sequence[Made],
    documents: Sequence[Document],
    recipe: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """`data.json`, which has numbers, and `README.md`, which has the same in words.

    `about` has the versions of what made it, and `answers`: the model whose own there are, or none.
    """
    facts = _facts(made, documents)
    told = {"recipe": recipe, "about": about, "made": facts}
    write(folder / FACTS, json.dumps(told, indent=1, ensure_ascii=False) + "\n")
    own = "" if about["answers"] == "none" else f", and those that {about['answers']} gives"
    versions = ", ".join(f"{name} {one}" for name, one in about["versions"].items())
    lines = [
        "# Synthetic speech to train on",
        "",
        f"Made by `fls train data` with the seed {recipe['seed']}; no person was recorded.",
        "",
        f"- Versions: {versions}.",
        f"- {facts['clips']} clips of {facts['documents']} documents: {facts['hours']} h to train "
        f"on, {facts['held_out_hours']} h held out (other documents).",
        f"- Voices: {_listed(facts['voices'], 'times')}.",
        f"- Distortions: {_listed(facts['distortions'], 'clips')}; the rest is only louder or "
        "softer.",
        f"- Sentences left out of the texts: {_listed(facts['left_out'], '')}; "
        f"{facts['skipped']} more that a voice could not say.",
        f"- Answers: those that came with the texts, and what is said{own}.",
        "",
        "`train-asr.jsonl` and `dev-asr.jsonl` are for `fls train ctc`, `train.jsonl` and "
        "`dev.jsonl` for",
        "`fls train compress`. `clips.jsonl` is what the same command goes on from. The recordings "
        "are",
        "16 kHz, mono, 16 bits. Texts and voices keep their licences.",
        "",
    ]
    write(folder / "README.md", "\n".join(lines))


def _exercises(
    one: Made, document: Document, seed: int, answer: Answer | None
) -> Iterator[dict[str, Any]]:
    chance = Random(f"{seed} exercises {one.audio}")

    def line(audio: str | None, found: Exercise, said: str) -> dict[str, Any]:
        told = {"audio": audio, "question": found.question, "answer": found.answer}
        return told | {"transcript": said, "source": one.source}

    yield line(one.audio, exercises.transcription(one.lines, chance), one.text)
    if one.part:
        audio, count = one.part
        heard = " ".join(one.lines[:count])
        yield line(audio, exercises.continuation(one.lines, count, chance), heard)
    # Also where a line was skipped, the whole document was asked about.
    whole = one.at == 0 and one.first == 0 and one.after == len(document.lines)
    for found in exercises.own_questions(document.questions, one.lines, chance, whole=whole):
        yield line(one.audio, found, one.text)
    if answer is not None:
        asked = exercises.request(document.questions, one.lines, chance, whole=whole)
        if text := answer(one.text, asked):
            yield line(one.audio, Exercise(asked.question, text), one.text)


def _facts(made: Sequence[Made], documents: Sequence[Document]) -> dict[str, Any]:
    spoken = [one for one in made if one.audio]
    seconds = {
        side: sum(one.seconds for one in spoken if one.held == side) for side in (False, True)
    }
    voices = Counter(name.partition(":")[0] for one in spoken for name in one.voices)
    kinds = Counter(name for one in spoken for name in one.distortions or {})
    left_out: Counter[str] = Counter()
    for document in documents:
        left_out.update(document.left_out)
    return {
        "clips": len(spoken),
        "documents": len({one.source for one in spoken}),
        "hours": round(seconds[False] / 3600, 3),
        "held_out_hours": round(seconds[True] / 3600, 3),
        "voices": dict(sorted(voices.items())),
        "distortions": {name: kinds[name] for name in ("reverb", "band", "noise")},
        "left_out": dict(sorted(left_out.items())),
        "skipped": sum(one.skipped for one in made),
    }


def _listed(counts: Mapping[str, int], unit: str) -> str:
    told = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
    return f"{told} ({unit})" if unit else told
