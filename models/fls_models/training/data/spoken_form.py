"""Texts as they are spoken: sentences of plain words, and what cannot be read aloud left out.

`On Jan. 5, 1945, 12% (about $3.5 million) was lost` becomes `On January fifth, nineteen forty five,
twelve percent, about three point five million dollars, was lost`. Markup goes, numbers, signs and
abbreviations become words (`spoken_numbers`), long sentences are cut at a comma. Sentences that no
voice would read as they are written are left out and counted by why: markup or addresses, formulas,
other languages and scripts. English only. Recordings and transcripts are others' work.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from fls_models.training.data.spoken_numbers import in_words, table

MARKUP = "markup"
FORMULA = "formula"
LANGUAGE = "language"
WORDLESS = "no words"

# Words in a sentence, and where a longer one may be cut.
_LONGEST, _SHORTEST = 32, 12
_PLAIN = str.maketrans(
    {"’": "'", "‘": "'", "ʼ": "'", "`": "'", "“": '"', "”": '"', "„": '"', "«": '"', "»": '"'}
    | {"\u00a0": " ", "\u2009": " ", "\u202f": " ", "−": "-", "‐": "-", "‑": "-", "\u00ad": None}
)
_MARKUP = (
    (re.compile(r"^(```|~~~).*?^\1[^\n]*$", re.M | re.S), "\n\n"),
    (re.compile(r"<!--.*?-->|<(script|style)\b.*?</\1\s*>", re.S | re.I), " "),
    (re.compile(r"</?(?:p|br|div|li|h[1-6]|tr|td)\b[^<>]*>", re.I), "\n\n"),
    (re.compile(r"</?[a-z][^<>\n]*>", re.I), " "),
    (re.compile(r"!\[[^\]\n]*\]\([^)\n]*\)"), " "),
    (re.compile(r"\[([^\]\n]+)\]\([^)\s]*\)"), r"\1"),
    # Notes of who wrote it down ({laughs}, [applause], [12]) are not said.
    (re.compile(r"\{[\w\s.,']*\}|\[[^\[\]\n]*\]"), " "),
    # Tables and rules are nothing to read aloud.
    (re.compile(r"^\s*(\|.*|[-=*_#\s]+)$", re.M), "\n"),
    (re.compile(r"^[ \t]*#{1,6}[ \t]+([^\n]*?)#*[ \t]*$", re.M), r"\n\n\1\n\n"),
    (re.compile(r"^[ \t]*(?:[-*+•]|\d{1,3}[.)])[ \t]+", re.M), r"\n\n"),
    (re.compile(r"^[ \t]*>[ \t]?", re.M), ""),
    (re.compile(r"(\*\*|__)(?=\S)(.+?)(?<=\S)\1"), r"\2"),
    (re.compile(r"(?<![\w*_])([*_])(?=\S)([^*_\n]+?)(?<=\S)\1(?![\w*_])"), r"\2"),
)
_ABBREVIATIONS = table("""
Mr Mister, Mrs Missus, Ms Miss, Dr Doctor, Prof Professor, Rev Reverend, Hon Honorable,
Capt Captain, Col Colonel, St Saint, Gen General, Lt Lieutenant, Sgt Sergeant, Gov Governor,
Sen Senator, Rep Representative, Jr Junior, Sr Senior, Mt Mount, vs versus, etc et cetera,
approx approximately, dept department, e.g for example, i.e that is, cf compare
""")
_MONTHS = table("""
Jan January, Feb February, Mar March, Apr April, Aug August, Sept September, Sep September,
Oct October, Nov November, Dec December
""")
_WRITTEN_OUT = re.compile(r"\b(" + "|".join(map(re.escape, _ABBREVIATIONS)) + r")\.(?!\w)")
_MONTH = re.compile(r"\b(" + "|".join(_MONTHS) + r")\.?(?=\s\d)")
_AFTER = (
    (re.compile(r"\s*&\s*"), " and "),
    (re.compile(r"\.{2,}|…"), ","),
    (re.compile(r"\s*[—–]\s*|\s+-+\s+|--+"), ", "),
    # What stands between brackets is said between pauses.
    (re.compile(r"\s*\(\s*"), ", "),
    (re.compile(r"\s*\)(?=\s*[.,;:?!])"), ""),
    (re.compile(r"\s*\)\s*"), ", "),
    (re.compile(r"\"|(?<!\w)'(?=\w)|(?<=[.,?!;:])'|(?<=\w)'(?=[.,?!;:]?(?:\s|$))(?<!s')"), ""),
    (re.compile(r"\s+(?=[.,?!;:])"), ""),
    (re.compile(r"([,;:])(?:\s*[,;:])+"), r"\1"),
    (re.compile(r"[,;:]\s*(?=[.?!])"), ""),
    (re.compile(r"([.?!])[.?!,]+"), r"\1"),
    (re.compile(r"\s+"), " "),
)
_INITIALS = re.compile(r"\b(?:[A-Za-z]\.\s?){2,}")
# As transcripts of meetings write what is spelled (L_C_D_), and words that were cut apart (we 're).
_SPELLED = re.compile(r"\b(?:[A-Za-z]_)+(?!\w)")
_APART = re.compile(r"(?<=\w)\s+(n?'(?:ve|re|s|m|ll|d|t))\b")
_BEGINS = re.compile(r"\s*$|(?:The|Then|This|That|These|He|She|It|We|They|But|And|In|I|On|At)\b")
_INITIAL = re.compile(r"\b([A-HJ-Z])\.(?=\s[A-Z][a-z])")
_END = re.compile(r"(?<=[.?!;:])\s+|(?<=[。！？])\s*")
_SPEAKABLE = re.compile(r"[A-Za-z .,?!;:'\-]+")
_IN_MARKUP = re.compile(r"[<>{}\[\]|\\`#@_]|//|www\.")
_LETTER_WORD = re.compile(r"[^\W\d_]+")
# Frequent words that hardly occur in the other languages' sentences.
_ENGLISH_WORDS = """
the of and to that is was for it with as his he be are this have had not but from they you which we
she at by on an there their what would will when who been has were all so if do my your our can no
how about more like just know well yeah okay
"""
_FOREIGN_WORDS = """
der die das und ist nicht ein eine mit auf für von zu den dem des sich auch wird ich wir sie
le la les et est une dans que qui pour pas sur avec plus je nous vous el los las una por con para
como del y en il di che non sono della het een van niet dat zijn voor op os uma não com mais och
att som inte det
"""
_ENGLISH = frozenset(_ENGLISH_WORDS.split())
_FOREIGN = frozenset(_FOREIGN_WORDS.split())


@dataclass(frozen=True)
class SpokenForm:
    """Sentences as they are spoken, in order, and how many were left out, by why."""

    sentences: tuple[str, ...]
    left_out: Mapping[str, int]


def spoken_form(text: str) -> SpokenForm:
    """The sentences of a text, each of at most 32 words."""
    sentences: list[str] = []
    left_out: Counter[str] = Counter()
    for paragraph in _paragraphs(text):
        for sentence in filter(None, _END.split(spoken(paragraph))):
            why = unspeakable(sentence)
            if why is None:
                sentences += _cut(_ascii(sentence))
            else:
                left_out[why] += 1
    return SpokenForm(tuple(sentences), dict(left_out))


def spoken(text: str) -> str:
    """One paragraph without markup, in words; what has no spoken form stays as it is."""
    text = unicodedata.normalize("NFC", text).translate(_PLAIN)
    text = _WRITTEN_OUT.sub(_written_out, text)
    text = _MONTH.sub(lambda match: _MONTHS[match[1]], text)
    text = _SPELLED.sub(lambda match: match[0].replace("_", "").upper(), _APART.sub(r"\1", text))
    text = _INITIALS.sub(_joined, text)
    text = _INITIAL.sub(r"\1", text)
    # An address or a formula is not read aloud: its numbers stay for it to be told by.
    text = in_words(text)
    for pattern, plain in _AFTER:
        text = pattern.sub(plain, text)
    return text.strip(" ,;:")


def unspeakable(sentence: str) -> str | None:
    """Why a sentence in spoken form cannot be read aloud; None when it can."""
    words = _LETTER_WORD.findall(sentence.lower())
    if not words:
        return WORDLESS
    if _IN_MARKUP.search(sentence):
        return MARKUP
    # A lone Greek letter is a formula's; words in another script are a language's.
    if alien := [word for word in words if any(map(_is_alien, word))]:
        return LANGUAGE if len("".join(alien)) > 2 * len(alien) else FORMULA
    if not _SPEAKABLE.fullmatch(_ascii(sentence)):
        return FORMULA
    if sum(len(word) == 1 and word not in "aio" for word in words) * 2 > len(words) > 1:
        return FORMULA
    return LANGUAGE if _is_foreign(words) else None


def _is_alien(letter: str) -> bool:
    return "LATIN" not in unicodedata.name(letter, "LATIN")


def _is_foreign(words: list[str]) -> bool:
    """Whether words are rather of another language; short and unclear ones are taken as English."""
    english = sum(word in _ENGLISH for word in words)
    foreign = sum(word in _FOREIGN for word in words)
    accented = sum(not word.isascii() for word in words)
    return foreign + accented > max(2, english) and 5 * (foreign + accented) >= len(words)


def _paragraphs(text: str) -> Iterator[str]:
    text = text.replace("\r\n", "\n").translate(_PLAIN.copy() | {ord("`"): "`"})
    for pattern, plain in _MARKUP:
        text = pattern.sub(plain, text)
    for paragraph in re.split(r"\n\s*\n", text):
        if joined := " ".join(paragraph.replace("`", "").split()):
            yield joined


def _cut(sentence: str) -> list[str]:
    """Pieces of at most so many words, ending at a comma where there is one."""
    words, pieces = sentence.split(), []
    while len(words) > _LONGEST:
        commas = [
            at + 1
            for at in range(_SHORTEST, _LONGEST)
            if words[at].endswith(",") and words[at + 4 :]
        ]
        end = commas[-1] if commas else 3 * _LONGEST // 4
        pieces.append(" ".join(words[:end]))
        words = words[end:]
    return [*pieces, " ".join(words)]


def _written_out(match: re.Match[str]) -> str:
    """An abbreviation in words; where its full stop ended a sentence, one stays."""
    rest = match.string[match.end() :]
    ends = match[1] in ("etc", "Jr", "Sr") and (not rest.strip() or re.match(r"\s+[A-Z]", rest))
    return _ABBREVIATIONS[match[1]] + "." * bool(ends)


def _joined(match: re.Match[str]) -> str:
    """`U.S.` as US, `a.m.` as AM; where a sentence ended with it, it still does."""
    letters = re.sub(r"[.\s]", "", match[0])
    ends = _BEGINS.match(match.string, match.end())
    return letters.upper() + "." * bool(ends) + " " * match[0].endswith(" ")


def _ascii(text: str) -> str:
    """Latin letters without their accents."""
    decomposed = unicodedata.normalize("NFKD", text)
    return "".join(sign for sign in decomposed if not unicodedata.combining(sign))
