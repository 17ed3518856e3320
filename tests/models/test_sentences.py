"""Which full stops end a sentence, in several languages; words as Whisper parts them."""

from __future__ import annotations

import re

import pytest

from fls_models.core.results import Sentence, Word
from fls_models.transcription.sentences import split_sentences


def words(
    text: str, start: float = 0.0, each: float = 0.5, language: str | None = None
) -> list[Word]:
    """Words of 0.5 s without a gap; `_` is a pause of 0.5 s, and `|` parts a word in two."""
    found: list[Word] = []
    for spaced in text.split():
        if spaced == "_":
            start += 0.5
            continue
        for place, part in enumerate(spaced.split("|")):
            found.append(Word(start, start + each, ("" if place else " ") + part, 0.9, language))
            start += each
    return found


def texts(sentences: list[Sentence]) -> list[str]:
    return [sentence.text for sentence in sentences]


def split(found: list[Word]) -> tuple[list[str], str]:
    complete, rest = split_sentences(found)
    return texts(complete), "".join(word.text for word in rest).strip()


def test_sentences_end_at_stops() -> None:
    heard = words("It rained. Did it? It did! So what… “Nothing.” And then")
    assert split(heard) == (
        ["It rained.", "Did it?", "It did!", "So what…", "“Nothing.”"],
        "And then",
    )


def test_a_number_is_no_stop() -> None:
    assert split(words("It cost 2,400.50 in all. Then")) == (["It cost 2,400.50 in all."], "Then")


@pytest.mark.parametrize("stop", "。？！।؟")
def test_other_scripts_stop_too(stop: str) -> None:
    assert split(words(f"天气很好{stop} 我们")) == ([f"天气很好{stop}"], "我们")


@pytest.mark.parametrize(
    "text",
    [
        # Each is one sentence.
        "Dr. Smith met Mr. Jones on St. Mark's Street",
        "I saw Mrs. Brown and Ms. Green with Prof. Black",
        "It was Gen. Lee and Capt. Cook, then Sgt. Pepper and Lt. Dan",
        "He works for the U.S. government",
        "He works for the U|.S. government",
        "The U.S. Senate met in Washington, D.C. on Monday",
        "Meet me at 5 p.m. on Friday or at 9 a.m. sharp",
        "Meet me at 5 p|.m. Eastern time",
        "It was 5 p.m. _ when she came",
        "Some fruit, e.g. _ Apples, i.e. _ Cox",
        "Turn to No. 5 and to no. _ 6",
        "See fig. 3, vol. 2, ch. 7 and pp. 10 to 12",
        "A novel by J. Smith and J. R. R. Tolkien",
        "It rose by 3.5 million or 0.25 percent",
        "It rose by 3|.5 million",
        "It rose by 3.|5 million",
        "Write to info@example.|com or www.|example.|org",
        "Smith vs. Jones is approx. Five years old",
        "Apple Inc. of Cupertino and Smith Ltd. of Leeds",
        "Pens, paper etc. lay there",
        "Martin Luther King Jr. spoke on Jan. 5",
        # German
        "Am 3. Oktober feiern wir die 5. große Feier am 21. Mai",
        "Hr. Müller und Fr. Schmidt, z.B. _ Anna, d.h. _ Niemand",
        "Es kostet ca. Fünf Mio. Euro bzw. Sechs Mrd. Dollar",
        "Siehe Nr. 5, Abs. 2, Kap. 3 und evtl. Bd. 4",
        "Brot, Milch usw. kaufen wir ein",
        # Spanish, Portuguese
        "El Sr. García y la Sra. López llaman al Dr. Ruiz",
        "La Dra. Dña. María y Ud. viven en Sta. Cruz, p.ej. _ Ana",
        "El núm. 5 de los EE.UU. está aquí",
        # French, Italian, Dutch
        "M. Dupont et Mme. Durand, Mlle. Petit",
        "Il sig. Rossi, il Dott. Bianchi e la Dott.ssa Verdi",
        "De heer bijv. Jansen en dhr. Smit",
        # Polish, Czech, and what no table lists
        "Kupił np. chleb i tzv. masło",
        "Viz např. str. osm a tj. tady, Main blvd. tam",
    ],
)
def test_a_stop_within_a_sentence_ends_none(text: str) -> None:
    heard = words(f"{text}. _ Then")
    assert split(heard) == (["".join(word.text for word in heard[:-1]).strip()], "Then")


@pytest.mark.parametrize(
    "text",
    [
        # A bar is where one ends.
        "She came at 5 p.m. _ / He left. / Then",
        "She came at 5 p|.m. _ / He left. / Then",
        "He lives in the U.S. _ / She does not. / Then",
        "Is it so? / No. / It is not. / Then",
        "He said no. / And left. / Then",
        "It is number 5. _ / They counted. / Then",
        "He was born in 1961. / He died in 2004. / Then",
        "This is plan B. _ / It works. / Then",
        "So did I. _ / We all did. / Then",
        "He works for Apple Inc. _ / She does not. / Then",
        "Pens, paper, etc. _ / Nobody came. / Then",
        "He likes it, too. / streets come first. / Then",
        "Er kam am 3. _ / Sie kam später. / Then",
        "Wir kaufen Brot usw. _ / Dann gehen wir. / Then",
        "He saw the doctor. / He was ill. / Then",
        "“It is late.” / She left. / Then",
        "And so... / He left. / Then",
        "He called Dr. Who. / He came. / Then",
    ],
)
def test_a_stop_at_the_end_of_one_ends_it(text: str) -> None:
    heard = words(text.replace("/", ""))
    expected = [re.sub(r"[|_]", "", part).strip() for part in text.split("/")]
    assert split(heard) == (expected[:-1], expected[-1])


def test_what_is_unclear_waits_for_what_follows() -> None:
    assert split(words("She came at 5 p.m.")) == ([], "She came at 5 p.m.")
    assert split(words("She came late.")) == (["She came late."], "")


def test_a_long_pause_ends_a_sentence() -> None:
    assert split([*words("one two"), *words("three", start=3.0)]) == (["one two"], "three")
    assert split([*words("one two"), *words("three", start=2.0)]) == ([], "one two three")
    assert split([*words("at 5 p.m."), *words("on", start=4.0)]) == (["at 5 p.m."], "on")


def test_another_language_is_another_sentence() -> None:
    heard = [*words("one two", language="en"), *words("drei", start=1.0, language="de")]
    assert split(heard) == (["one two"], "drei")
    assert split([*words("one"), *words("two", start=0.5, language="en")]) == ([], "one two")


def test_speech_without_stops_is_cut_somewhere() -> None:
    complete, rest = split_sentences(words("word " * 150))
    assert [len(sentence.words) for sentence in complete] == [60, 60]
    assert len(rest) == 30


def test_nothing_is_lost() -> None:
    heard = words("A b. " * 40 + "c " * 70 + "d? e Dr. U.S. 5. ok. f")
    complete, rest = split_sentences(heard)
    assert [word for sentence in complete for word in sentence.words] + rest == heard
