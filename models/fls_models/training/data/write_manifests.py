"""What is written about clips once they are made: manifests to train on, and what they are made of.

`train-asr.jsonl` and `dev-asr.jsonl` are for a CTC head, `train.jsonl` and `dev.jsonl` for reading
fused frames (`manifests` has the forms); `data.json` and `README.md` are for people.
"""

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
from fls_models.training.data.schedule import JournalEntry

Answer = Callable[[str, Request], str]
"""A language model's own answer about a transcript; "" for none."""


def write_manifests(
    folder: Path,
    entries: Sequence[JournalEntry],
    documents: Sequence[Document],
    seed: int,
    answer: Answer | None,
) -> list[Path]:
    """Writes the manifests, those of what is held out only where anything is; their places.

    Lines are in the order of the clips. The same for the same clips and seed.
    """
    by_source = {document.source: document for document in documents}
    clips = [entry for entry in entries if entry.audio]
    manifests: dict[str, list[dict[str, Any]]] = {"train-asr": [], "train": []}
    if any(clip.held for clip in clips):
        manifests |= {"dev-asr": [], "dev": []}
    for clip in clips:
        side = "dev" if clip.held else "train"
        manifests[f"{side}-asr"].append(
            {
                "audio": clip.audio,
                "text": clip.text,
                "source": clip.source,
                "voice": ", ".join(clip.voices),
                "distortions": clip.distortions,
            }
        )
        manifests[side] += _exercises(clip, by_source[clip.source], seed, answer)
    files = []
    for name, lines in manifests.items():
        files.append(folder / f"{name}.jsonl")
        write(files[-1], "".join(f"{json.dumps(line, ensure_ascii=False)}\n" for line in lines))
    return files


def write_facts(
    folder: Path,
    entries: Sequence[JournalEntry],
    documents: Sequence[Document],
    recipe: Mapping[str, Any],
    about: Mapping[str, Any],
) -> None:
    """`data.json`, which has numbers, and `README.md`, which has the same in words.

    `about` has the versions of what made it, and `answers`: the model whose own there are, or none.
    """
    facts = _facts(entries, documents)
    payload = {"recipe": recipe, "about": about, "made": facts}
    write(folder / FACTS, json.dumps(payload, indent=1, ensure_ascii=False) + "\n")
    own = "" if about["answers"] == "none" else f", and those that {about['answers']} gives"
    versions = ", ".join(f"{name} {number}" for name, number in about["versions"].items())
    text = f"""\
# Synthetic speech to train on

Made by `fls train data` with the seed {recipe["seed"]}; no person was recorded.

- Versions: {versions}.
- {facts["clips"]} clips of {facts["documents"]} documents: {facts["hours"]} h to train on, \
{facts["held_out_hours"]} h held out (other documents).
- Voices: {_listed(facts["voices"], "times")}.
- Distortions: {_listed(facts["distortions"], "clips")}; the rest is only louder or softer.
- Sentences left out of the texts: {_listed(facts["left_out"], "")}; {facts["skipped"]} more that \
a voice could not say.
- Answers: those that came with the texts, and what is said{own}.

`train-asr.jsonl` and `dev-asr.jsonl` are for `fls train ctc`, `train.jsonl` and `dev.jsonl` for
`fls train compress`. `clips.jsonl` is what the same command goes on from. The recordings are
16 kHz, mono, 16 bits. Texts and voices keep their licences.
"""
    write(folder / "README.md", text)


def _exercises(
    entry: JournalEntry, document: Document, seed: int, answer: Answer | None
) -> Iterator[dict[str, Any]]:
    rng = Random(f"{seed} exercises {entry.audio}")

    def line(audio: str | None, exercise: Exercise, transcript: str) -> dict[str, Any]:
        fields = {"audio": audio, "question": exercise.question, "answer": exercise.answer}
        return fields | {"transcript": transcript, "source": entry.source}

    yield line(entry.audio, exercises.transcription(entry.lines, rng), entry.text)
    if entry.part:
        audio, count = entry.part
        transcript = " ".join(entry.lines[:count])
        yield line(audio, exercises.continuation(entry.lines, count, rng), transcript)
    # Also where a line was skipped, the whole document was asked about.
    whole = entry.at == 0 and entry.first == 0 and entry.after == len(document.lines)
    for exercise in exercises.own_questions(document.questions, entry.lines, rng, whole=whole):
        yield line(entry.audio, exercise, entry.text)
    if answer is not None:
        request = exercises.request(document.questions, entry.lines, rng, whole=whole)
        if text := answer(entry.text, request):
            yield line(entry.audio, Exercise(request.question, text), entry.text)


def _facts(entries: Sequence[JournalEntry], documents: Sequence[Document]) -> dict[str, Any]:
    clips = [entry for entry in entries if entry.audio]
    seconds = {
        side: sum(clip.seconds for clip in clips if clip.held == side) for side in (False, True)
    }
    voices = Counter(name.partition(":")[0] for clip in clips for name in clip.voices)
    kinds = Counter(name for clip in clips for name in clip.distortions or {})
    left_out = sum((Counter(document.left_out) for document in documents), Counter[str]())
    return {
        "clips": len(clips),
        "documents": len({clip.source for clip in clips}),
        "hours": round(seconds[False] / 3600, 3),
        "held_out_hours": round(seconds[True] / 3600, 3),
        "voices": dict(sorted(voices.items())),
        "distortions": {name: kinds[name] for name in ("reverb", "band", "noise")},
        "left_out": dict(sorted(left_out.items())),
        "skipped": sum(entry.skipped for entry in entries),
    }


def _listed(counts: Mapping[str, int], unit: str) -> str:
    listing = ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"
    return f"{listing} ({unit})" if unit else listing
