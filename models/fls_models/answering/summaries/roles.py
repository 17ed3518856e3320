"""Whether people have the part in a sentence that they had in what was said.

Small models put the name of whoever speaks, or the first that they find, where somebody else
belongs: "Martin wants to know" for Martin's "everyone wants to know". Three kinds can be told by
words alone: names side by side of which only a comma makes one person, something that is somebody's
for which nothing was said to be, and a speaker who does what nobody said "I" or "we" of.
"""

import re
from collections.abc import Sequence

from fls_models.answering.readers.text import Phrase
from fls_models.core.text.sentence_ends import sentences_of
from fls_models.core.text.words import content_words, covered, words_of, words_of_each

_NAME = r"[^\W\d_a-zß-öø-ÿ][\w.-]+"
_SIDE_BY_SIDE = re.compile(
    rf"({_NAME}), ({_NAME}(?: {_NAME})*), (?!(?:and|or|und|oder|et|ou|y|o)\b)"
)
# Two who do something together, other than what people do in any conversation.
_TOGETHER = re.compile(
    rf"({_NAME}(?: {_NAME})*) (?:and|und|et|y) ({_NAME}(?: {_NAME})*) (?!(?:\w+ )?(?:discuss|talk"
    r"|speak|spoke|meet|met|agree|argue|disagree|sprechen|reden|parlent|discutent|hablan))"
)
# Somebody who is said to be somebody else.
_SAME = re.compile(rf"({_NAME}) (is|was|ist|war|est|était|es|era) ({_NAME})")
_OWNER = re.compile(rf"({_NAME})['’]s? ((?:[\w-]+\W+){{0,2}}[\w-]+)")
_OWN = r"(?:my|our|your|his|her|their|its|whose|[\w-]+['’]s?)\s+(?:[\w-]+\s+){0,2}"
# Where a verb cannot do without such a word.
_WITH_PRONOUNS = ("English", "German", "French")
_FIRST_PERSON = re.compile(
    r"\b(I|me|my|mine|we|us|ours?|let['’]s|ich|mich|mir|mein\w*|wir|uns|unser\w*"
    r"|je|j['’]|moi|mon|ma|mes|nous|notre|nos)\b",
    re.IGNORECASE,
)
# Whoever is called by name there is not who does it.
_THEN_I = r"[,.!?]\s+(?:(?:I|we|ich|wir|je|nous)\b|j['’])"
# What is told of what others do, or of what is so.
_REPORTS = re.compile(
    rf"(?:{_NAME} )+(?:also |then |\w+ly )?(?:says?|said|tells?|told|think|thought|believe"
    r"|explain|mention|note|argue|ask|wonder|suggest|describe|discuss|adds?\b|point|agree"
    r"|recommend|knows?\b|knew|calls?\b|called|finds?\b|found|answer|warn|state|stress"
    r"|sagt|meint|glaubt|erklärt|fragt|findet|weiß|dit|pense|explique|croit|demande|trouve|sait)"
)
# Who is told something does not tell it.
_TELLS = re.compile(rf"(?:{_NAME} )+(?:tells?|told|asks?|asked|sagt|fragt|dit|demande)\b")
_IS_TOLD = re.compile(
    r"\b(?:tells?|told|asks?|asked|say to|said to) (?:me|us)\b"
    r"|\b(?:sag\w+|frag\w+) (?:mir|uns|mich)\b|\b(?:me|nous) (?:di[st]\w*|demand\w+)\b",
    re.IGNORECASE,
)


def keeps_roles(sentence: str, phrases: Sequence[Phrase], language: str = "English") -> bool:
    """Whether the names of a sentence stand where phrases in a language bear them out."""
    said = " ".join(phrase.text for phrase in phrases)
    return (
        _is_said_side_by_side(sentence, said)
        and _is_owned(sentence, said)
        and (language not in _WITH_PRONOUNS or _does_what_is_said(sentence, phrases))
    )


def _is_said_side_by_side(sentence: str, said: str) -> bool:
    if not all(_has(said, " ".join(same)) for same in _SAME.findall(sentence)):
        return False
    together = _TOGETHER.match(sentence)
    return all(f"{one}, {other}" in said for one, other in _SIDE_BY_SIDE.findall(sentence)) and (
        together is None or _has(said, rf"{together[1]}\W+(?:\w{{1,3}} ){{0,2}}{together[2]}")
    )


def _is_owned(sentence: str, said: str) -> bool:
    """What is written to be somebody's: "Peter's city", where only "the city" was said."""
    for owner, owned in _OWNER.findall(sentence):
        spoken = [word for word in re.findall(r"[\w-]+", owned) if _has(said, re.escape(word))]
        is_said = _has(said, rf"{re.escape(owner)}['’]s?")
        if spoken and not is_said and not _has(said, _OWN + re.escape(spoken[0])):
            return False
    return True


def _has(said: str, pattern: str) -> bool:
    return re.search(rf"\b{pattern}(?!\w)", said, re.IGNORECASE) is not None


def _does_what_is_said(sentence: str, phrases: Sequence[Phrase]) -> bool:
    """Whether a sentence that begins with who speaks tells of what is said in the first person."""
    subject = re.match(_NAME, sentence)
    if subject is None or (_REPORTS.match(sentence) and not _TELLS.match(sentence)):
        return True
    said = [(text, phrase.speaker) for phrase in phrases for text in sentences_of(phrase.text)]
    content = content_words(words_of(sentence))
    shares = [covered(content, words) for words in words_of_each([text for text, _ in said])]
    if not any(shares):
        return True
    text, speaker = said[shares.index(max(shares))]
    speaks = subject[0].casefold() in (speaker or "").casefold().split()
    if _TELLS.match(sentence):
        return not (speaks and _IS_TOLD.search(text))
    if re.search(rf"\b{re.escape(subject[0])}{_THEN_I}", text):
        return False
    is_named = _has(text, re.escape(subject[0]))
    return not speaks or is_named or _FIRST_PERSON.search(text) is not None
