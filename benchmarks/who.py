"""Questions about who said something: answered with speakers, and without.

    python benchmarks/who.py conversations.jsonl --model small

A line of conversations.jsonl is `{"id": NAME, "audio": PATH, "turns": [{"voice": NAME, "start":
SECONDS, "end": SECONDS, "text": WORDS}]}`: SPIRAL's conversations, spoken. Of each, a sentence is
drawn, and it is asked who says it. The voices get names as a user gives them (`--speaker-name
TIME=NAME`), by the middle of their longest turn. An answer is right that holds the right name and
none of the others'.
"""

from __future__ import annotations

import argparse
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from checkout import located

from fls_cli.session.hearing.speaker_names import FoundSpeakers
from fls_cli.sources.decode import decode
from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.core.budget import Budget
from fls_models.core.jsonl import read_lines
from fls_models.core.results import Transcript
from fls_models.pipelines.cascade import CascadeModel
from fls_models.speakers.assignment import with_speakers
from fls_models.speakers.diarizer import diarize
from fls_models.speakers.turn import SpeakerTurn

NAMES = ("Anna", "Ben", "Carla", "David", "Emma", "Frank", "Greta", "Henry")
# So many words of the sentence are quoted, and it has at least so many.
QUOTED, LEAST = 12, 7


def main() -> None:
    parser = argparse.ArgumentParser(description="Questions about who said something.")
    parser.add_argument("conversations", type=Path)
    parser.add_argument("--model", default="small")
    parser.add_argument("--limit", type=int, default=40)
    arguments = parser.parse_args()
    model = CascadeModel(located(arguments.model))
    draw = random.Random(0)
    right = {"with speakers": 0, "without": 0}
    count = 0
    for _, item in read_lines(arguments.conversations)[: arguments.limit]:
        names = named_voices(item["turns"])
        voice, question = drawn(item["turns"], draw)
        samples = np.concatenate(list(decode(arguments.conversations.parent / item["audio"])))
        transcriber = model.transcriber
        sentences = tuple(transcriber.sentences([samples], "balanced", language="en"))
        transcript = Transcript("en", sentences, transcriber.until)
        named = with_speakers(transcript, called(diarize([samples]), item["turns"], names))
        count += 1
        for way, heard in (("with speakers", named), ("without", transcript)):
            reply = answered(model, heard, question)
            found = {name for name in names.values() if re.search(rf"\b{name}\b", reply)}
            right[way] += found == {names[voice]}
            print(f"{item['id']} {way}: {names[voice]}? {question} {reply}", flush=True)
    for way, number in right.items():
        print(f"{arguments.model}, {way}: {number} of {count} right")


def named_voices(turns: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """A name for each voice, of nobody that is spoken of."""
    said = " ".join(turn["text"] for turn in turns)
    free = [name for name in NAMES if not re.search(rf"\b{name}\b", said)]
    return dict(zip(dict.fromkeys(turn["voice"] for turn in turns), free, strict=False))


def drawn(turns: Sequence[Mapping[str, Any]], draw: random.Random) -> tuple[str, str]:
    """Whose sentence it is, and the question."""
    sentences = [
        (turn["voice"], sentence.split())
        for turn in turns
        for sentence in re.split(r"(?<=[.?!]) ", turn["text"])
        if len(sentence.split()) >= LEAST
    ]
    voice, words = draw.choice(sentences)
    quoted = " ".join(words[:QUOTED]).rstrip(".?!,")
    return voice, f'Who says "{quoted}"?'


def called(
    found: Sequence[SpeakerTurn], turns: Sequence[Mapping[str, Any]], names: Mapping[str, str]
) -> list[SpeakerTurn]:
    """The turns that were found, under the names of those who speak in the longest ones."""
    speakers, labels = FoundSpeakers(tuple(found), {}, 0), {}
    for voice, name in names.items():
        own = (turn for turn in turns if turn["voice"] == voice)
        longest = max(own, key=lambda turn: turn["end"] - turn["start"])
        if turn := speakers.at((longest["start"] + longest["end"]) / 2):
            labels[turn.speaker] = name
    return [replace(turn, speaker=labels.get(turn.speaker, turn.speaker)) for turn in found]


def answered(model: CascadeModel, heard: Transcript, question: str) -> str:
    answerer = Answerer(
        model,
        "conversation",
        heard,
        heard_in={},
        budget=Budget("balanced"),
        generation=GenerationConfig(40),
        evidence=0,
    )
    return answerer.answer(question).answer


if __name__ == "__main__":
    main()
