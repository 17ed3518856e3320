"""How often a voice that is known is known again: samples of each speaker, against all recordings.

    python benchmarks/known_voices.py conversations.jsonl [--plain]

A manifest is that of `fls bench speakers`; a speaker's name is one person, in all of its files.
The sample is the first half of somebody's turns in one recording, as it is and, unless --plain,
through a telephone, in another room and from a dull microphone (by sox); looked for in the other
half, and in all other recordings. Turns are the reference's: nothing but voices is judged.
"""

from __future__ import annotations

import argparse
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fls_cli.sources.decode import decode
from fls_models.bench.speakers import Conversation, load_conversations
from fls_models.speakers.diarization import Diarization
from fls_models.speakers.diarizer import Diarizer
from fls_models.speakers.identification import Voice, identify
from fls_models.speakers.turn import SpeakerTurn

WAYS = {
    "as it is": [],
    "telephone": ["rate", "8k", "highpass", "300", "lowpass", "3400", "rate", "16k"],
    "another room": ["gain", "-6", "reverb", "40"],
    "a dull microphone": ["treble", "-10"],
}
_RAW = ("-t", "f32", "-r", "16000", "-c", "1", "-")

Samples = NDArray[np.float32]


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path, metavar="MANIFEST")
    parser.add_argument("--plain", action="store_true")
    arguments = parser.parse_args()
    conversations = load_conversations(arguments.manifest)
    sounds = {each.name: np.concatenate(list(decode(each.audio))) for each in conversations}
    whole: dict[str, dict[str, Voice]] = {}
    later: dict[str, dict[str, Voice]] = {}
    for way, effects in WAYS.items():
        if arguments.plain and effects:
            continue
        samples: dict[str, dict[str, Voice]] = {}
        for conversation in conversations:
            sound = sounds[conversation.name]
            diarizer = heard(through(sound, effects) if effects else sound)
            first, rest = halves(conversation)
            samples[conversation.name] = diarizer.voices(first)
            if not effects:
                whole[conversation.name] = diarizer.voices(conversation.turns)
                later[conversation.name] = diarizer.voices(rest)
        print(f"{way}: {counted(samples, whole, later)}", flush=True)


def counted(
    samples: dict[str, dict[str, Voice]],
    whole: dict[str, dict[str, Voice]],
    later: dict[str, dict[str, Voice]],
) -> str:
    counts: Counter[tuple[bool, str]] = Counter()
    for name, known in samples.items():
        for speaker, sample in known.items():
            for other, voices in whole.items():
                there = later[name] if other == name else voices
                found = identify(there, {speaker: [sample]})
                outcome = "nobody"
                if found:
                    outcome = "right" if speaker in found else "wrong"
                counts[speaker in there, outcome] += 1
    parts = []
    for is_there, text in ((True, "who speaks"), (False, "who does not speak")):
        total = sum(count for (there, _), count in counts.items() if there is is_there)
        right, wrong = counts[is_there, "right"], counts[is_there, "wrong"]
        named = f"known in {right}, " if is_there else ""
        parts.append(f"{text}, {total} times: {named}taken for another in {wrong}")
    return "; ".join(parts)


def heard(sound: Samples) -> Diarization:
    diarizer = Diarizer()
    diarizer.add(sound)
    return diarizer.finish()


def halves(conversation: Conversation) -> tuple[Sequence[SpeakerTurn], Sequence[SpeakerTurn]]:
    """Of each speaker's turns the first half, and the others."""
    first: list[SpeakerTurn] = []
    rest: list[SpeakerTurn] = []
    for speaker in dict.fromkeys(turn.speaker for turn in conversation.turns):
        own = [turn for turn in conversation.turns if turn.speaker == speaker]
        first += own[: len(own) // 2]
        rest += own[len(own) // 2 :]
    return first, rest


def through(sound: Samples, effects: Sequence[str]) -> Samples:
    """What sox makes of it, as long as it is."""
    done = subprocess.run(
        ["sox", "-V1", "-R", *_RAW, *_RAW, *effects],
        input=sound.tobytes(),
        capture_output=True,
        check=True,
    )
    return np.resize(np.frombuffer(done.stdout, np.float32), len(sound)).copy()


if __name__ == "__main__":
    main()
