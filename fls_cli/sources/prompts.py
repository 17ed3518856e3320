"""What a user asks of each topic of a summary: in a file, or by a name in the settings."""

from difflib import get_close_matches
from pathlib import Path

from fls_cli.console.text import clean, printable
from fls_cli.storage.settings import PROMPTS, prompts
from fls_models.errors import UsageError

# Characters; a small model follows much less.
_LONGEST = 4000


def parse_prompt(name: str | None, file: Path | None) -> str:
    """The text, or an empty one where none is wished; UsageError for what holds none."""
    if name is not None and file is not None:
        raise UsageError("Give --prompt or --prompt-file, not both.")
    if name is not None:
        return _named(name)
    if file is None:
        return ""
    label = printable(str(file))
    try:
        text = clean(file.expanduser().read_text("utf-8-sig")).strip()
    except UnicodeDecodeError:
        raise UsageError(f"{label} is no text in UTF-8; save the prompt as that.") from None
    except OSError as error:
        raise UsageError(f"{label} cannot be read: {error.strerror}.") from None
    if not text:
        raise UsageError(f"{label} is empty; write in it what is asked of each topic.")
    if len(text) > _LONGEST:
        raise UsageError(f"{label}: {len(text)} characters are more than {_LONGEST}; ask less.")
    return text


def _named(name: str) -> str:
    known = prompts()
    if name not in known:
        close = get_close_matches(name, known, n=1)
        there = f"there are: {', '.join(known)}" if known else f"the settings have no [{PROMPTS}]"
        hint = f"did you mean {close[0]}?" if close else f"{there}; see fls config --init."
        raise UsageError(f"There is no prompt {name!r}; {hint}")
    return clean(known[name]).strip()
