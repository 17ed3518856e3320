"""Languages by their English names."""

import re
from difflib import get_close_matches

from fls_models.errors import UsageError

_CODE = re.compile(r"([a-z]{2,3})(?:[-_][a-z0-9]{2,8})*")
# Deutsch is not Dutch.
_CLOSE = 0.85


def language_codes(languages: str) -> str:
    """Codes for codes or names with commas between; raises as `language_code` does."""
    names = [name.strip().lower() for name in languages.split(",")]
    if "auto" in names:
        raise UsageError("--language auto is any language; name auto alone, or those spoken.")
    # A comma at the end names nothing.
    names = [name for name in names if name] or [""]
    return ",".join(dict.fromkeys(map(language_code, names)))


def language_code(language: str) -> str:
    """The ISO 639-1 code of a language that Whisper knows, by its English name in small letters.

    A code is returned without its region, whether there is such a language or not. Raises
    UsageError for an unknown name.
    """
    if not language:
        raise UsageError("--language is empty; it takes codes or names: de or german.")
    if (code := _CODE.fullmatch(language)) and language != "lao":
        return code[1]
    from transformers.models.whisper.tokenization_whisper import TO_LANGUAGE_CODE

    if language in TO_LANGUAGE_CODE:
        return str(TO_LANGUAGE_CODE[language])
    close = get_close_matches(language, TO_LANGUAGE_CODE, n=1, cutoff=_CLOSE)
    hint = f"; did you mean {close[0]}?" if close else "; it takes codes or names: de or german."
    raise UsageError(f"No language is called {language!r}, as --language has it{hint}")
