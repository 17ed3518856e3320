"""Which language a question is in, so that the answer can be asked for in the same.

Many scripts tell; among languages in Latin letters the language model chooses.
"""

import unicodedata

from fls_models.lslm.base import Context, LanguageModel

_BY_SCRIPT = {
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CJK": "Chinese",
    "CYRILLIC": "Russian",
    "GREEK": "Greek",
    "ARABIC": "Arabic",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "Hindi",
    "THAI": "Thai",
}
# The first token of each name is no other's.
_LATIN = (
    "English",
    "German",
    "French",
    "Spanish",
    "Italian",
    "Portuguese",
    "Dutch",
    "Polish",
    "Turkish",
    "Swedish",
    "Czech",
    "Vietnamese",
)
# So few letters are more often a name or a word that many languages share.
_TOO_SHORT = 8


def language_of(question: str, llm: LanguageModel, nothing: Context) -> str:
    """The English name of a question's language; `nothing` is a context without a recording."""
    # Names tell nothing: who asks what happened in Spain asks in English.
    first, *rest = question.split() or [""]
    question = " ".join([first, *(word for word in rest if not word[:1].isupper())])
    letters = [letter for letter in question if letter.isalpha()]
    scripts = {unicodedata.name(letter, "").split(" ")[0].split("-")[0] for letter in letters}
    for script, language in _BY_SCRIPT.items():
        if script in scripts:
            return language
    if len(letters) < _TOO_SHORT:
        return "English"
    return llm.choose(
        nothing,
        f'\n\nIn which language is this sentence written? "{question}"\n'
        "Reply with the name of the language only.",
        _LATIN,
    )
