"""One spelling for what was said: two transcripts of the same words become the same text.

In this order, on both sides alike:

1. lower case; typographic quotes and dashes become plain ones;
2. signs that are read aloud become words (`%` percent, `&` and, `$5` 5 dollars); initials lose
   their full stops (`U.S.` us, `H. G. Wells` hg wells);
3. titles and `etc.`, `vs.` are written out (mr mister, dr doctor, ...), with or without full stop;
4. apostrophes vanish (don't, dont); contractions stay ("it's" is not said "it is");
5. all other punctuation becomes a space, hyphens too (mother-in-law is three words);
6. number words become digits, thousands lose their commas (twenty-five, 25; nineteen oh five, 1905;
   1,000; $25 million, 25000000 dollars; first, 1st; zero point four, 0.4);
7. regular British spellings become American ones (colour, realise, centre, travelled, grey).

Nothing that is said is dropped, hesitations included. Steps 3, 6 and 7 are about English; other
languages go through them with hardly a change. Steps 6 and 7 may write words in ways that do not
exist (`promise` becomes `promize`): both sides do, so nothing is lost but the difference.
"""

from __future__ import annotations

import re
import unicodedata

from fls_models.transcription.numerals import in_digits

_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "–": "-", "—": "-", "−": "-"}
)
_AMOUNT = r"(\d(?:[\d,.]*\d)?(?:\s(?:thousand|million|billion|trillion)\b)?)"
_SIGNS = (
    (re.compile(r"\b([ap])\.\s?m\b\.?"), r"\1m"),
    (re.compile(r"\bper cent\b"), "percent"),
    (re.compile(r"%"), " percent "),
    (re.compile(r"&"), " and "),
    (re.compile(rf"[$]\s?{_AMOUNT}"), r"\1 dollars"),
    (re.compile(rf"£\s?{_AMOUNT}"), r"\1 pounds"),
    (re.compile(rf"€\s?{_AMOUNT}"), r"\1 euros"),
)
_WRITTEN_OUT = {
    "mr": "mister",
    "mrs": "missus",
    "dr": "doctor",
    "prof": "professor",
    "rev": "reverend",
    "hon": "honorable",
    "capt": "captain",
    "col": "colonel",
    "gen": "general",
    "lt": "lieutenant",
    "sgt": "sergeant",
    "jr": "junior",
    "sr": "senior",
    "esq": "esquire",
    "etc": "et cetera",
    "vs": "versus",
}
_INITIALS = re.compile(r"\b[a-z]\.(?:\s?[a-z]\.)+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}\b)")
# What is left: letters and marks of any script, digits, and the point inside a decimal number.
_NO_WORD = re.compile(r"[^\w\s.]|_|(?<!\d)\.|\.(?!\d)")
_IRREGULAR = {"grey": "gray", "gaol": "jail", "judgement": "judgment", "programme": "program"}
_DOUBLED = re.compile(r"^(travel|model|cancel|label|level|counsel|marvel|quarrel|signal)l(?=[ei])")
_BRITISH = (
    (re.compile(r"(?<=\w{2})our(s|ed|ing|ite|ites|able|ful|less|er|ers)?$"), r"or\1"),
    (re.compile(r"(?<=\w{3})is(e|es|ed|ing|er|ers|ation|ations)$"), r"iz\1"),
    (re.compile(r"(?<=\w{3})yse(s|d)?$"), r"yze\1"),
    (re.compile(r"(?<=\w{2}[^aeiou])re(s)?$"), r"er\1"),
)


def normalise(text: str) -> str:
    """Words in one spelling, separated by single spaces."""
    text = unicodedata.normalize("NFKC", text).translate(_PLAIN).lower()
    for pattern, spoken in _SIGNS:
        text = pattern.sub(spoken, text)
    text = _INITIALS.sub(lambda found: re.sub(r"[.\s]", "", found[0]) + " ", text)
    text = _THOUSANDS.sub("", text).replace("'", "")
    words = _NO_WORD.sub(" ", text).split()
    words = " ".join(_WRITTEN_OUT.get(word, word) for word in words).split()
    return " ".join(_american(word) for word in in_digits(words))


def _american(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    word = _DOUBLED.sub(r"\1", word)
    for pattern, american in _BRITISH:
        word = pattern.sub(american, word)
    return word
