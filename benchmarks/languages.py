"""Whether words are written in the language in which they are said, for long, with names of others.

    apt install espeak-ng sox
    python benchmarks/languages.py [--minutes 60] [--language CODE,...]

By espeak-ng's voices: so many minutes of German, Spanish and French with foreign names in them,
each time said otherwise; English after a minute of made music, and after a minute of silence; an
English talk with German sentences in it; three languages in ten minutes. Of the words of each: in
which language they are written by the model's own account, and how many of that language's
commonest words are among them, which a translation would not have.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator
from itertools import count, cycle
from pathlib import Path

import numpy as np
from checkout import located
from numpy.typing import NDArray
from repetitions import RATE, sounds, sox

from fls_models.pipelines.cascade import CascadeModel

Samples = NDArray[np.float32]

TEXTS = {
    "de": (
        "Gestern hat Siobhan Gallagher aus Wolverhampton im Rathaus über den Bahnhof gesprochen.",
        "Die Firma Northbridge Analytics will in Leipzig ein Werk bauen, und viele fragen warum.",
        "Wir haben mit Thomas Underwood und mit Jessica Brightman lange über das Wetter geredet.",
        "In New York und in San Francisco sind die Mieten höher als bei uns, sagte er danach.",
        "Der Bürgermeister dankte allen, die im Winter geholfen haben, die Straßen frei zu halten.",
        "Niemand wusste, ob der Zug um acht Uhr fährt oder erst am Abend.",
        "Am Ende war der Saal fast leer, und das Licht ging aus.",
    ),
    "es": (
        "Ayer Siobhan Gallagher habló en el ayuntamiento sobre la nueva estación de tren.",
        "La empresa Northbridge Analytics quiere construir una fábrica, y muchos preguntan qué.",
        "Hablamos mucho tiempo con Thomas Underwood y con Jessica Brightman sobre el tiempo.",
        "En New York y en San Francisco los alquileres son más altos que aquí, dijo después.",
        "El alcalde dio las gracias a todos los que ayudaron en el invierno.",
        "Nadie sabía si el tren sale a las ocho o por la tarde.",
    ),
    "fr": (
        "Hier Siobhan Gallagher a parlé à la mairie de la nouvelle gare.",
        "L'entreprise Northbridge Analytics veut construire une usine, et on demande pourquoi.",
        "Nous avons parlé longtemps avec Thomas Underwood et Jessica Brightman du temps.",
        "À New York et à San Francisco les loyers sont plus hauts que chez nous, a-t-il dit.",
        "Le maire a remercié tous ceux qui ont aidé pendant l'hiver.",
        "Personne ne savait si le train part à huit heures ou le soir.",
    ),
    "en": (
        "Yesterday the council met to talk about the new station and what it would cost.",
        "Many people asked why the old one could not be repaired.",
        "The mayor thanked everybody who had helped to keep the roads open in the winter.",
        "In the end the hall was almost empty, and somebody turned off the lights.",
        "Nobody knew whether the train leaves at eight or in the evening.",
    ),
}
COMMON = {
    "de": "der die das und in ist nicht mit den ein eine im über sich hat war am um oder aus bei",
    "es": "el la los las de en y que con por un una al del a dio son más",
    "fr": "le la les de et à en que qui des du un une nous ou pas a est",
    "en": "the of and in to was it that could what who had at or about why",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--language", metavar="CODE,...", help="those that may be spoken")
    arguments = parser.parse_args()
    ear = CascadeModel(located("mini")).transcriber
    with tempfile.TemporaryDirectory() as work:
        folder = Path(work)
        for name, blocks in recordings(folder, arguments.minutes * 60).items():
            words: Counter[str] = Counter()
            common: Counter[str] = Counter()
            for sentence in ear.sentences(blocks, "balanced", language=arguments.language):
                for word in sentence.words:
                    code = word.language or "?"
                    words[code] += 1
                    text = word.text.strip(" .,?!").casefold()
                    common[code] += text in COMMON.get(code, "").split()
            total = sum(words.values())
            shares = ", ".join(
                f"{code} {number / total:.1%} ({common[code] / number:.0%} common)"
                for code, number in words.most_common()
            )
            print(f"{name}: {total} words in {ear.until / 60:.1f} minutes: {shares}", flush=True)


def recordings(folder: Path, seconds: float) -> dict[str, Iterator[Samples]]:
    melody = sounds(folder)["a melody"]
    silence = np.zeros(60 * RATE, np.float32)
    return {
        **{f"{code}, long": talk(folder, [code], seconds) for code in ("de", "es", "fr")},
        "en, after music": chained([melody, melody], talk(folder, ["en"], 180)),
        "en, after silence": chained([silence], talk(folder, ["en"], 180)),
        "de, after music": chained([melody, melody], talk(folder, ["de"], 180)),
        "en with sentences in de": talk(folder, ["en", "en", "en", "de"], 600),
        "en, de, es by turns": talk(
            folder, [c for c in ("en", "de", "es") for _ in range(12)], 600
        ),
    }


def chained(first: list[Samples], rest: Iterator[Samples]) -> Iterator[Samples]:
    yield from first
    yield from rest


def talk(folder: Path, codes: list[str], seconds: float) -> Iterator[Samples]:
    """So many seconds of sentences in these languages by turns, never twice the same sound."""
    texts = {code: cycle(TEXTS[code]) for code in codes}
    place = folder / "said.wav"
    for code, number in zip(cycle(codes), count(), strict=False):
        speed, pitch = 140 + number * 7 % 40, 40 + number * 11 % 30
        command = ["espeak-ng", "-v", code, "-s", str(speed), "-p", str(pitch), "-w", str(place)]
        subprocess.run([*command, next(texts[code])], check=True)
        sound = sox([str(place)], folder / "heard.wav", ["pad", "0", "0.6"])
        yield sound
        seconds -= len(sound) / RATE
        if seconds <= 0:
            return


if __name__ == "__main__":
    main()
