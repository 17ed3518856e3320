"""Words to sentences: which full stop ends one, and which belongs to an abbreviation or a number.

The text alone cannot tell ("at 5 p.m. Monday", "at 5 p.m. Then"); what comes after, its case and
the pause before it, can. Whatever is unclear does not end a sentence: two that hang together are
read more easily than one in pieces.
"""

from fls_models.core.results import Sentence, Word
from fls_models.core.text.abbreviations import (
    ABBREVIATED,
    ANYWHERE,
    BEFORE_NUMBERS,
    DOTTED,
    LEAN_ON_THE_NEXT,
    ORDINAL,
)

_ENDINGS = (".", "?", "!", "…", "。", "？", "！", "।", "؟")
_PAUSE_ENDS_SENTENCE = 1.5
_MAX_SENTENCE = 60
# Seconds between two words that is more than the gap within a phrase.
_BREATH = 0.3
_OPENING, _CLOSING = " \"'“‘«(¿¡", " \"'”’»)"


def split_sentences(words: list[Word]) -> tuple[list[Sentence], list[Word]]:
    """Complete sentences at the front of `words`, and the words of the one that is not."""
    sentences: list[Sentence] = []
    begin = 0
    for index, word in enumerate(words):
        last = index + 1 == len(words)
        pause = 0.0 if last else words[index + 1].start - word.end
        too_long = index + 1 - begin >= _MAX_SENTENCE
        codes = {word.language} if last else {word.language, words[index + 1].language}
        switches = len(codes - {None}) > 1
        if switches or too_long or pause > _PAUSE_ENDS_SENTENCE or _stops(words, index, pause):
            sentences.append(Sentence(tuple(words[begin : index + 1])))
            begin = index + 1
    return sentences, words[begin:]


def _stops(words: list[Word], index: int, pause: float) -> bool:
    """Whether the word at `index` ends its sentence; `pause` is the one after it."""
    word = _written_word(words, index)
    if not word.endswith(_ENDINGS):
        return False
    following = words[index + 1].text if index + 1 < len(words) else None
    if not word.endswith(".") or word.endswith(".."):
        return True
    if following is not None and not following.startswith(" ") and following[:1].isalnum():
        # Within a word: a decimal number, an address. Scripts without spaces have other stops.
        return not following[:1].isascii()
    stem = word[:-1]
    after = "" if following is None else following.lstrip(_OPENING)
    if stem in LEAN_ON_THE_NEXT:
        return False
    if stem.lower() in BEFORE_NUMBERS:
        return following is not None and not after[:1].isdigit() and not after[:1].islower()
    is_unclear = (
        len(stem) == 1
        or stem in ANYWHERE
        or DOTTED.fullmatch(stem) is not None
        or ORDINAL.fullmatch(stem) is not None
    )
    if is_unclear:
        return after[:1].isalpha() and not after[:1].islower() and pause >= _BREATH
    return not (ABBREVIATED.fullmatch(stem) and after[:1].islower() and pause < _BREATH)


def _written_word(words: list[Word], index: int) -> str:
    """The word at `index` as it stands in the text: recognisers part "U" and ".S."."""
    first = index
    while first > 0 and not words[first].text.startswith(" ") and index - first < 8:
        first -= 1
    joined = "".join(word.text for word in words[first : index + 1])
    return joined.strip().rstrip(_CLOSING).lstrip(_OPENING)
