"""Whether names are written right that a vocabulary holds, and none that nobody said.

    pip install hibari-tts==0.2.1 && apt install flite
    python benchmarks/vocabulary.py --others SPEECH.jsonl... [--fill FILE] [--json FILE]

Sixty rare names and words are read aloud in a sentence each, by hibari-tts and two voices of flite,
and heard without a vocabulary and with one of all sixty; then, in the speech of manifests (those of
`fls bench asr` or `fls bench qa`), entries are counted that are written with it and not without it.
--fill makes the vocabulary longer, by the lines of a file.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import wave
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from checkout import located
from hibari import Hibari

from fls_cli.sources.decode import decode
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.pipelines.cascade import CascadeModel

NAMES = """
Ravensworth Kilmarnock Szczepanik Odegaard Mikkelsen Iwasaki Fitzwalter Abernathy
Cholmondeley Drummond Eszterhazy Ferragamo Gallagher Hochstein Ibarruri Jankowski
Kuznetsov Lagerfeld Montague Nakamura Obermeier Pashinyan Quintero Rasmussen Shevchenko
Takahashi Underhill Vasquez Winterbourne Xenakis Yevtushenko Zimmermann Amoxilan Brontide
Calyptra Dexolite Envorra Fluvanol Glyptex Hydramax Inverloch Juvenor Kaltrex Lumidyne
Morvanta Neuralis Optivance Parexium Quantello Rivastor Selkirk Tavoris Umbrella Vintora
Westphal Xylander Yarrow Zentrix Bellerophon Castellane
""".split()  # noqa: SIM905
SENTENCES = (
    "The report was signed by {} before lunch on Tuesday.",
    "We asked {} about the new bridge and what it would cost.",
    "In the second year {} became the name that everybody knew.",
    "Nobody had heard of {} until the letter came.",
    "The committee thanked {} for the work of the last months.",
    "According to {} the numbers were never checked.",
    "She told me that {} would be ready by the end of the week.",
    "After the break {} was mentioned three times in the discussion.",
    "They moved from the old system to {} in the spring.",
    "Please send a copy to {} and one to the archive.",
)
VOICES = ("hibari", "slt", "rms")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--others", type=Path, nargs="+", default=[], metavar="MANIFEST")
    parser.add_argument("--fill", type=Path, metavar="FILE")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    fill = arguments.fill.read_text("utf-8").split("\n") if arguments.fill else []
    wording = Wording(vocabulary=tuple(dict.fromkeys([*NAMES, *filter(None, fill)])))
    ear = Ear(wording)
    with TemporaryDirectory() as folder:
        spoken = read_aloud(Path(folder))
        found = {voice: ear.names(places) for voice, places in spoken.items()}
    for voice, (without, with_it) in found.items():
        print(f"{voice}: right without {without}, with {with_it} of {len(NAMES)}")
    without, with_it = (sum(column) for column in zip(*found.values(), strict=True))
    total = len(NAMES) * len(VOICES)
    print(f"all: {without} and {with_it} of {total}, {with_it / without:.2f} times as many")
    invented, seconds, spent = ear.others(arguments.others)
    print(f"invented in {seconds / 60:.0f} minutes of other speech: {invented}")
    print(f"seconds for these: without {spent[0]:.1f}, with {spent[1]:.1f}")
    if arguments.json:
        payload = {"right": found, "invented": invented, "seconds": seconds, "spent": spent}
        arguments.json.write_text(json.dumps(payload, indent=1) + "\n", "utf-8")


class Ear:
    """Whisper of `mini`, with a vocabulary and without."""

    def __init__(self, wording: Wording) -> None:
        self._transcriber = CascadeModel(located("mini")).transcriber
        self._wording = wording

    def names(self, places: Sequence[tuple[str, Path]]) -> tuple[int, int]:
        """How many are written right, without and with it."""
        right = [0, 0]
        for name, place in places:
            for column, wording in enumerate((PLAIN, self._wording)):
                right[column] += name in self.heard(place, wording)
        return right[0], right[1]

    def others(self, manifests: Sequence[Path]) -> tuple[list[str], float, list[float]]:
        """Entries that only the vocabulary writes; seconds of speech, and of work both ways."""
        invented: list[str] = []
        seconds, spent = 0.0, [0.0, 0.0]
        for manifest in manifests:
            for line in manifest.read_text("utf-8").splitlines():
                place = manifest.parent / json.loads(line)["audio"]
                texts = []
                for column, wording in enumerate((PLAIN, self._wording)):
                    begun = perf_counter()
                    texts.append(self.heard(place, wording))
                    spent[column] += perf_counter() - begun
                seconds += self._transcriber.until
                words = (set(text.replace(",", " ").replace(".", " ").split()) for text in texts)
                without, with_it = words
                entries = {part for entry in self._wording.vocabulary for part in entry.split()}
                invented += sorted((with_it - without) & entries)
        return invented, seconds, spent

    def heard(self, place: Path, wording: Wording) -> str:
        """What is written of a recording."""
        sentences = self._transcriber.sentences(
            decode(place), "balanced", language="en", wording=wording
        )
        return " ".join(sentence.text for sentence in sentences)


def read_aloud(folder: Path) -> dict[str, list[tuple[str, Path]]]:
    """By voice, each name and where it is said."""
    hibari = Hibari()
    spoken: dict[str, list[tuple[str, Path]]] = {voice: [] for voice in VOICES}
    for number, name in enumerate(NAMES):
        text = SENTENCES[number % len(SENTENCES)].format(name)
        for voice in VOICES:
            place = folder / f"{voice}-{name}.wav"
            if voice == "hibari":
                sound = np.asarray(hibari(text, seed=0), np.float32)
                with wave.open(str(place), "wb") as file:
                    file.setnchannels(1)
                    file.setsampwidth(2)
                    file.setframerate(24_000)
                    peak = float(np.abs(sound).max())
                    file.writeframes((sound / peak * 16_000).astype("<i2").tobytes())
            else:
                subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(place)], check=True)
            spoken[voice].append((name, place))
    return spoken


if __name__ == "__main__":
    main()
