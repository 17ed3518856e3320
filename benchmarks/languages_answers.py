"""Answers about recordings in German, French and Spanish, asked in these languages and in English.

    python benchmarks/languages_answers.py [--model mini] [--pairs de-de,...] [--work work/]

The recordings are ours and lie in `questions/languages.jsonl`: ten short talks, each written in
three languages with the same facts, and three questions about each, in four languages. A pair is
the recording's language and the question's. What is asked is the text as it is written; with
`--spoken`, what the model's Whisper hears, not told the language, of espeak-ng's voices (`apt
install espeak-ng`). That is little: Whisper base writes 9 of the 30 facts in German, 4 in French
and 14 in Spanish.

An answer is right when it has one of the spellings of each fact, in whatever language, accents or
not. It is in the question's language when it has as many small words of that as of any other, so
that a mere name or number always is; refusals are not counted there. What was answered is kept in
the folder `--work`, so that an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from checkout import located

from fls_cli.sources.decode import decode
from fls_models.answering.answerer import Answerer
from fls_models.bench.scoring.bootstrap import share
from fls_models.core.budget import Budget
from fls_models.core.results import Sentence, Transcript, Word
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.pipelines.cascade import CascadeModel

RECORDINGS = Path(__file__).with_name("questions") / "languages.jsonl"
PAIRS = "de-de,fr-fr,es-es,de-en,fr-en,es-en,fr-de,es-de,de-fr"
BUDGET = Budget("accurate")
# Both by espeak-ng and where the text is taken as it is written.
WORDS_A_SECOND = 2.5
SMALL_WORDS = {
    "de": "der die das den dem des ein eine einen einem einer und ist war sind waren hat haben "
    "wurde wurden es er sie wir nicht mit von vom im in am auf aus bei zu zum für über sich",
    "fr": "le la les l d un une des du de et est était sont a ont il elle on nous qui que ne "
    "pas dans sur avec pour par au aux en ce été",
    "es": "el la los las un una de del y es era son fue ha han se lo le que no en con por para al "
    "a su sus hay estuvo estaba",
    "en": "the a an of and is was were are has have had it he she they we not with in on at by "
    "for from to that this his her who",
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--model", default="mini")
    parser.add_argument("--pairs", type=pairs_of, default=PAIRS, metavar="de-en,...")
    parser.add_argument("--limit", type=int, metavar="N", help="only the first N recordings")
    parser.add_argument("--spoken", action="store_true", help="said by espeak-ng, and heard")
    parser.add_argument("--work", type=Path, help="where answers and sounds are kept")
    arguments = parser.parse_args()
    lines = RECORDINGS.read_text("utf-8").splitlines()
    recordings = [json.loads(line) for line in lines][: arguments.limit]
    model = CascadeModel(located(arguments.model))
    with TemporaryDirectory() as folder:
        work: Path = arguments.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)

        @cache
        def transcript(number: int, language: str) -> Transcript:
            recording = recordings[number]
            text = recording["texts"][language]
            if not arguments.spoken:
                return written(text, language)
            return heard(model, text, language, work / f"{recording['id']}-{language}.wav")

        print("| pair | right | refused | in the question's language | seconds a question |")
        print("| --- | ---: | ---: | ---: | ---: |", flush=True)
        way = "spoken" if arguments.spoken else "written"
        for pair in arguments.pairs:
            place = work / f"{arguments.model}-{way}-{pair}.jsonl"
            print(row_of(pair, list(answered(model, recordings, transcript, pair, place))))


def pairs_of(text: str) -> list[str]:
    possible = [f"{spoken}-{asked}" for spoken in ("de", "fr", "es") for asked in SMALL_WORDS]
    pairs = text.split(",")
    for pair in pairs:
        if pair not in possible:
            raise argparse.ArgumentTypeError(f"{pair}: there are {', '.join(possible)}")
    return pairs


def written(text: str, language: str) -> Transcript:
    """The text as if every word had been understood, at an even pace."""
    numbers = count()

    def word(text: str) -> Word:
        start = next(numbers) / WORDS_A_SECOND
        return Word(start, start + 1 / WORDS_A_SECOND, f" {text}", 1.0, language)

    sentences = [Sentence(tuple(map(word, each.split()))) for each in sentences_of(text)]
    return Transcript(language, tuple(sentences), sentences[-1].end)


def heard(model: CascadeModel, text: str, language: str, place: Path) -> Transcript:
    """The text as it is heard; where it is said already it is not said again."""
    if not place.exists():
        speed = str(round(60 * WORDS_A_SECOND))
        # Under another name first: what has its name is complete.
        part = place.with_suffix(".part")
        subprocess.run(["espeak-ng", "-v", language, "-s", speed, "-w", part, text], check=True)
        part.replace(place)
    ear = model.transcriber
    sentences = tuple(ear.sentences(decode(place), BUDGET.name))
    return Transcript(ear.language if sentences else None, sentences, ear.until)


def answered(
    model: CascadeModel,
    recordings: Sequence[dict[str, Any]],
    transcript: Callable[[int, str], Transcript],
    pair: str,
    place: Path,
) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Each question, and how it was answered."""
    place.touch()
    known = {row["question"]: row for row in map(json.loads, place.open(encoding="utf-8"))}
    spoken, asked = pair.split("-")
    for number, recording in enumerate(recordings):
        answerer: Answerer | None = None
        for question in recording["questions"]:
            if (row := known.get(question[asked])) is None:
                name, said = recording["id"], transcript(number, spoken)
                answerer = answerer or Answerer(model, name, said, heard_in={}, budget=BUDGET)
                answer = answerer.answer(question[asked])
                seconds = dict(answer.usage.seconds, load=0.0)
                row = {
                    "question": question[asked],
                    "answered": answer.answered,
                    "answer": answer.answer,
                    "seconds": sum(seconds.values()),
                }
                with place.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            yield question, row


def row_of(pair: str, pairs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> str:
    answers = [row["answer"] for _, row in pairs if row["answered"]]
    right = share([is_right(question, row) for question, row in pairs])
    own = sum(is_in(pair.split("-")[1], answer) for answer in answers)
    seconds = sum(row["seconds"] for _, row in pairs) / len(pairs)
    refused = len(pairs) - len(answers)
    return f"| {pair} | {right} | {refused} | {own} of {len(answers)} | {seconds:.1f} |"


def is_right(question: dict[str, Any], row: dict[str, Any]) -> bool:
    """Whether an answer has every fact."""
    answer = f" {plain(row['answer'])} "
    facts = question["facts"]
    return row["answered"] and all(any(f" {plain(w)} " in answer for w in fact) for fact in facts)


def is_in(language: str, answer: str) -> bool:
    """Whether no other language has more small words in an answer."""
    words = plain(answer).split()
    found = {code: sum(map(words.count, plain(own).split())) for code, own in SMALL_WORDS.items()}
    return found[language] == max(found.values())


def plain(text: str) -> str:
    """The words in small letters, without accents and whatever stands between them."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = (each for each in letters if not unicodedata.combining(each))
    return " ".join("".join(each if each.isalnum() else " " for each in bare).split())


if __name__ == "__main__":
    main()
