"""Planned recordings on disk: made once each, and what is written about them when all are there.

A folder holds `recordings/NUMBER.flac` with `NUMBER.json` beside it, which tells what is said in it
and appears last, so that a run that was interrupted goes on with the next; `manifest.jsonl` for
`fls bench longspeech-eval`; `data.json` with the recipe, and `README.md`. How samples become files
is given from outside.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from fls_models.bench.dataset.plan import Plan, entries
from fls_models.bench.dataset.synthesize import SpokenRecording, speak_recording
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.files import replacing
from fls_models.core.progress import Progress, ignore
from fls_models.errors import EnvironmentLacks, UsageError
from fls_models.training.data.augmentation import Samples
from fls_models.training.data.clip_folder import write
from fls_models.training.data.clips import Cast
from fls_models.training.data.documents import Document

FACTS = "data.json"
MANIFEST = "manifest.jsonl"
_RECORDINGS = "recordings"
SUFFIX = ".flac"

Save = Callable[[Samples, Path], None]
"""Writes samples at 16 kHz to a file, whatever it is called."""


class RecordingsFolder:
    """A folder for the recordings of one recipe."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def record(self, number: int) -> dict[str, Any] | None:
        """What is said in a recording; None when it was not made yet."""
        try:
            record: dict[str, Any] = json.loads(self._file(number, ".json").read_text("utf-8"))
        except (OSError, ValueError):
            return None
        # A recording in which nothing could be said has no file.
        is_complete = not record["parts"] or self._file(number, SUFFIX).is_file()
        return record if is_complete else None

    def make(
        self,
        plan: Plan,
        cast: Cast,
        save: Save,
        *,
        seed: int,
        max_seconds: float,
        distorts: bool,
        progress: Progress = ignore,
    ) -> list[dict[str, Any]]:
        """Makes the recordings of a plan that are not there yet; what is said in all of them.

        Raises EnvironmentLacks when no voice says anything, UsageError and DiskFull when they
        cannot be written.
        """
        records = []
        total = len(plan.recordings)
        for number, documents in enumerate(plan.recordings, 1):
            progress("speak", number - 1, total)
            record = self.record(number)
            if record is None:
                recording = speak_recording(
                    documents, cast, f"{seed} {number}", max_seconds=max_seconds, distorts=distorts
                )
                record = self._keep(number, recording, save)
            records.append(record)
        progress("speak", total, total)
        if not any(record["parts"] for record in records):
            raise EnvironmentLacks("No voice could say any of these texts; try others (--voices).")
        return records

    def write_manifest(
        self, plan: Plan, records: Sequence[Mapping[str, Any]], tasks: Sequence[str]
    ) -> list[dict[str, Any]]:
        """Writes and returns the manifest's lines.

        Raises UsageError when there is nothing to ask.
        """
        entries_written = []
        for number, (documents, record) in enumerate(zip(plan.recordings, records, strict=True), 1):
            parts = spoken_parts(documents, record)
            if parts:
                name = f"{_RECORDINGS}/{number:04d}{SUFFIX}"
                entries_written += entries(f"{number:04d}", name, parts, tasks)
        if not entries_written:
            raise UsageError(
                f"No question of these texts is of the tasks {', '.join(tasks)} and answered by "
                "what is said; give texts with questions, or --tasks asr."
            )
        lines = "".join(f"{json.dumps(entry, ensure_ascii=False)}\n" for entry in entries_written)
        write(self.place / MANIFEST, lines)
        return entries_written

    def _keep(self, number: int, recording: SpokenRecording, save: Save) -> dict[str, Any]:
        file = self._file(number, SUFFIX)
        if recording.parts:
            with replacing(file, file.with_name(f"{file.stem}.{os.getpid()}.part")) as part:
                save(recording.samples, part)
        record = {
            "seconds": round(len(recording.samples) / SAMPLE_RATE, 3),
            "parts": [
                asdict(part)
                | {"distortion": None if part.distortion is None else part.distortion.as_json()}
                for part in recording.parts
            ],
            "dropped": list(recording.dropped),
        }
        write(self._file(number, ".json"), json.dumps(record, ensure_ascii=False) + "\n")
        return record

    def _file(self, number: int, suffix: str) -> Path:
        return self.place / _RECORDINGS / f"{number:04d}{suffix}"


def open_recordings(place: Path, recipe: Mapping[str, Any], *, fresh: bool) -> RecordingsFolder:
    """The folder for recordings of a recipe, created if need be; with `fresh`, emptied of them.

    Raises UsageError when it holds recordings of another recipe or cannot be written.
    """
    inside = place / _RECORDINGS
    try:
        inside.mkdir(parents=True, exist_ok=True)
        files = [
            path for path in inside.iterdir() if re.fullmatch(r"\d{4,}\.(flac|json)", path.name)
        ]
        if fresh:
            for path in files:
                path.unlink()
            files = []
    except OSError as error:
        raise UsageError(f"{place} cannot be written: {error.strerror}.") from None
    target = json.loads(json.dumps(recipe))
    if files and _recipe(place / FACTS) != target:
        raise UsageError(
            f"{place} holds recordings of other texts, voices or options; choose another folder, "
            "or --fresh to make them anew."
        )
    if not files:
        write(place / FACTS, json.dumps({"recipe": target}, indent=1, ensure_ascii=False) + "\n")
    return RecordingsFolder(place)


def spoken_parts(
    documents: Sequence[Document], record: Mapping[str, Any]
) -> list[tuple[Document, list[str]]]:
    """The documents of a recording in order, with the lines of each that were said."""
    by_source = {document.source: document for document in documents}
    return [
        (document, [document.lines[index].text for index in part["lines"]])
        for part in record["parts"]
        for document in [by_source[part["source"]]]
    ]


def facts_of(
    plan: Plan,
    documents: Sequence[Document],
    records: Sequence[Mapping[str, Any]],
    lines: Sequence[Mapping[str, Any]],
) -> dict[str, Any]:
    """Numbers about a data set: what is in it, and what of the texts is not."""
    recordings = [record for record in records if record["parts"]]
    parts = [part for record in recordings for part in record["parts"]]
    seconds = [record["seconds"] for record in recordings]
    kinds = Counter(name.partition(":")[0] for part in parts for name in part["voices"])
    left_out: Counter[str] = Counter()
    for document in documents:
        left_out.update(document.left_out)
    by_source = {document.source: document for joined in plan.recordings for document in joined}
    question_count = sum(len(by_source[part["source"]].questions) for part in parts)
    asked_count = sum(1 for line in lines if line["task"] in ("qa", "dialogue"))
    return {
        "recordings": len(recordings),
        "hours": round(sum(seconds) / 3600, 3),
        "mean_seconds": round(sum(seconds) / len(seconds), 1),
        "longest_seconds": round(max(seconds), 1),
        "documents": len({part["source"] for part in parts}),
        "tasks": dict(sorted(Counter(str(line["task"]) for line in lines).items())),
        "questions_not_put": question_count - asked_count,
        "documents_left_out": {
            **plan.left_out,
            "dropped while speaking": sum(len(record["dropped"]) for record in records),
        },
        "sentences_left_out": dict(sorted(left_out.items())),
        "lines_no_voice_could_say": sum(
            len(by_source[part["source"]].lines) - len(part["lines"]) for part in parts
        ),
        "voices": dict(sorted(kinds.items())),
    }


def write_facts(
    place: Path, recipe: Mapping[str, Any], about: Mapping[str, str], facts: Mapping[str, Any]
) -> None:
    """`data.json`, which has numbers, and `README.md`, which has the same in words.

    `about` are versions of what made it, by name.
    """
    payload = {"recipe": recipe, "versions": about, "made": facts}
    write(place / FACTS, json.dumps(payload, indent=1, ensure_ascii=False) + "\n")
    text = [
        "# Long recordings with questions, synthetic",
        "",
        f"Made by `fls bench longspeech-data` with the seed {recipe['seed']}; no person was "
        "recorded.",
        "",
        f"- Versions: {_listed(about)}.",
        f"- {facts['recordings']} recordings of {facts['documents']} documents: {facts['hours']} h,"
        f" {facts['mean_seconds']} s on average, {facts['longest_seconds']} s at most.",
        f"- Lines of `{MANIFEST}`: {_listed(facts['tasks'])}; {facts['questions_not_put']} "
        "questions of these documents are not put.",
        f"- Voices: {_listed(facts['voices'])} (times); "
        f"{'with' if recipe['distort'] else 'without'} distortions.",
        f"- Documents left out: {_listed(facts['documents_left_out'])}.",
        f"- Sentences left out of the texts: {_listed(facts['sentences_left_out'])}; "
        f"{facts['lines_no_voice_could_say']} more that a voice could not say.",
        "",
        f"`fls bench longspeech-eval {MANIFEST}` measures models on it, and `fls bench qa` with",
        "those questions that have choices. Documents that are joined have nothing to do with each",
        "other. Recordings are 16 kHz, mono, FLAC; the file beside each tells who speaks when.",
        "Texts and voices keep their licences.",
        "",
    ]
    write(place / "README.md", "\n".join(text))


def _listed(counts: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items()) or "none"


def _recipe(facts: Path) -> object:
    try:
        return json.loads(facts.read_text("utf-8"))["recipe"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
