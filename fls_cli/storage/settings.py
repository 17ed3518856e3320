"""What a user sets once for all commands: in a file of theirs or in environment variables.

Flags win over variables, variables over the file, the file over the defaults. The choosing is
click's, whose options name their variables and take the file's values for defaults (`options/`).
An empty variable counts as unset.

Where things lie on a machine is no setting but has a variable only: `FLS_CACHE` and `FLS_CONFIG`
(`paths.py`), the latter for the file itself, and `FLS_FFMPEG` (`locate.py`).
"""

import json
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from fls_cli.console.sizes import parse_size
from fls_cli.storage.cache import DEFAULT_LIMIT
from fls_cli.storage.paths import config_file
from fls_models.core import budget
from fls_models.errors import UsageError
from fls_models.transcription.language_names import language_codes

Value: TypeAlias = str | int | bool

# The words for yes and no that click takes from variables.
_WORDS = dict.fromkeys(("1", "true", "t", "yes", "y", "on"), True)
_WORDS |= dict.fromkeys(("0", "false", "f", "no", "n", "off"), False)
_LANGUAGE = re.compile(r"[a-z _-]+(,[a-z _-]*)*", re.IGNORECASE)
_LINE = re.compile(r" \(at line (\d+), column \d+\)$")


@dataclass(frozen=True)
class Setting:
    """One thing to set. The default gives the type, `takes` says which values there are.

    `is_known` is what takes too long to ask of a file's value at the start of every command: it is
    asked where settings are shown, and of variables.
    """

    name: str
    default: Value
    what: str
    takes: str
    fits: Callable[[Any], bool] = lambda value: True
    names_file: bool = False
    is_known: Callable[[Any], bool] = lambda value: True

    @property
    def variable(self) -> str:
        return f"FLS_{self.name.upper()}"

    def from_file(self, value: object, file: Path, *, shown: bool = False) -> Value:
        """A value of the file, if it is allowed; UsageError names the file and the key."""
        # Not isinstance, for which true is a whole number.
        is_right = type(value) is type(self.default) and self.fits(value)
        if is_right and (not shown or self.is_known(value)):
            assert isinstance(value, str | int)
            if self.names_file and (beside := file.parent / str(value)).is_file():
                return str(beside)
            return os.path.expanduser(value) if isinstance(value, str) else value
        text = json.dumps(value, ensure_ascii=False, default=str)
        raise UsageError(f"{file}: {self.name} takes {self.takes}, not {text}.")

    def from_variable(self, text: str) -> Value:
        """What the variable's text means, if it is allowed; UsageError names the variable."""
        value: Value | None = text
        if isinstance(self.default, bool):
            value = _WORDS.get(text.strip().lower())
        elif isinstance(self.default, int):
            value = int(text) if text.strip().isdecimal() else None
        if value is None or not (self.fits(value) and self.is_known(value)):
            raise UsageError(f"{self.variable} takes {self.takes}, not {text!r}.")
        return value


@dataclass(frozen=True)
class Chosen:
    """A setting's value, and where it comes from: `default`, the file or the variable."""

    setting: Setting
    value: Value
    source: str


def _is_size(text: str) -> bool:
    try:
        return parse_size(text) >= 0
    except UsageError:
        return False


def _is_language(text: str) -> bool:
    try:
        return text == "auto" or bool(language_codes(text))
    except UsageError:
        return False


SETTINGS = (
    Setting(
        "budget",
        "balanced",
        "How much of a recording is read.",
        "fast, balanced or accurate",
        lambda value: value in budget.NAMES,
    ),
    Setting(
        "model",
        "auto",
        "Which model answers.",
        "auto, a name that `fls models list` shows, or a folder",
        lambda value: bool(value.strip()),
    ),
    Setting(
        "language",
        "auto",
        "The language spoken.",
        "auto, which detects it, a code or name (de, german), or those that may be spoken (de,en)",
        lambda value: bool(_LANGUAGE.fullmatch(value)),
        is_known=_is_language,
    ),
    Setting(
        "vocabulary",
        "",
        "Names and words that are written where they are heard.",
        "a file of them, one a line, or words with commas",
        names_file=True,
    ),
    Setting(
        "replace",
        "",
        "What is written is changed so.",
        "a file with lines of wrong=right",
        names_file=True,
    ),
    Setting(
        "initial_prompt",
        "",
        "Text as it might stand before what is said.",
        "a text",
    ),
    Setting("offline", False, "Never fetch model weights.", "true or false"),
    Setting("quiet", False, "No progress and notes.", "true or false"),
    Setting(
        "jobs",
        1,
        "Decode so many recordings ahead while the model works.",
        "a whole number from 1 up",
        lambda value: value >= 1,
    ),
    Setting("keep", True, "Keep what was heard, for the next question.", "true or false"),
    Setting(
        "cache_size",
        f"{DEFAULT_LIMIT // 10**9}GB",
        "What is kept of recordings may take this much of the disk.",
        "a size such as 500MB or 4GB, or 0 for nothing",
        _is_size,
    ),
)
# Further requests for summaries, by name.
PROMPTS = "prompts"
# The one that no option has: `fls_cli.storage.cache` reads its variable.
_SIZE = SETTINGS[-1]


def find(name: str) -> Setting:
    """The setting of that name, which must be one."""
    return next(setting for setting in SETTINGS if setting.name == name)


def read_file(*, shown: bool = False) -> dict[str, Value]:
    """What the file sets, by name; nothing when there is no file. `shown` is for `is_known`.

    Raises UsageError for a file that cannot be read, is no TOML, or has other keys and values than
    the ones there are; and when FLS_CONFIG names a file that is not there.
    """
    file, content = config_file(), _content()
    return {
        name: _known(name, file or Path()).from_file(value, file or Path(), shown=shown)
        for name, value in content.items()
        if name != PROMPTS
    }


def prompts() -> dict[str, str]:
    """What the file's table `[prompts]` has, by name; raises as `read_file` does."""
    table = _content().get(PROMPTS, {})
    if not isinstance(table, dict) or not all(
        isinstance(text, str) and text.strip() for text in table.values()
    ):
        raise UsageError(
            f'{config_file()}: [{PROMPTS}] is a table of texts, such as minutes = "List what was '
            'decided."'
        )
    return table


def _content() -> dict[str, Any]:
    file = config_file()
    if file is None:
        return {}
    try:
        text = file.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        if os.environ.get("FLS_CONFIG"):
            raise UsageError(
                f"{file}, which FLS_CONFIG names, is not there; `fls config --init` creates it."
            ) from None
        return {}
    except OSError as failure:
        raise UsageError(
            f"{file} cannot be read ({failure.strerror}); set FLS_CONFIG to another file."
        ) from None
    except UnicodeDecodeError:
        raise UsageError(f"{file} is no text in UTF-8; `fls config` takes TOML.") from None
    return _toml(text, file)


def chosen() -> list[Chosen]:
    """Every setting as a command without flags gets it.

    Raises UsageError for a file or a variable that holds something else than what is allowed.
    """
    in_file, file = read_file(shown=True), str(config_file())
    choices = []
    for setting in SETTINGS:
        if text := os.environ.get(setting.variable):
            choices.append(Chosen(setting, setting.from_variable(text), setting.variable))
        elif setting.name in in_file:
            choices.append(Chosen(setting, in_file[setting.name], file))
        else:
            choices.append(Chosen(setting, setting.default, "default"))
    return choices


def take_effect() -> dict[str, Value]:
    """Reads the file; what it sets, by the variable that would set the same.

    The size of the cache becomes its variable. Raises UsageError as `read_file` does.
    """
    values = {find(name).variable: value for name, value in read_file().items()}
    if _SIZE.variable in values and not os.environ.get(_SIZE.variable):
        os.environ[_SIZE.variable] = str(values[_SIZE.variable])
    return values


def origin(complaint: str, arguments: Sequence[str]) -> str:
    """The end of a complaint about flags that nobody typed: what sets them."""
    for setting in SETTINGS:
        flag = f"--{setting.name.replace('_', '-')}"
        is_meant = re.search(rf"{flag}\b", complaint) and flag not in " ".join(arguments)
        if is_meant and os.environ.get(setting.variable):
            return f" ({setting.variable} is set.)"
    return ""


def template() -> str:
    """A file that sets nothing: every setting with its default, all commented out."""
    lines = [
        "# Settings of fls. Take away the # before a setting to change it; `fls config` shows what",
        "# applies. Flags win over variables (FLS_BUDGET, ...), and variables over this file.",
    ]
    for setting in SETTINGS:
        lines += [
            "",
            f"# {setting.what}",
            f"# Takes {setting.takes}.",
            f"# {setting.name} = {json.dumps(setting.default)}",
        ]
    lines += [
        "",
        "# What `fls summarize --prompt NAME` asks of each topic.",
        f"# [{PROMPTS}]",
        '#   minutes = "List what was decided, and by whom."',
    ]
    return "\n".join(lines) + "\n"


def _known(name: str, file: Path) -> Setting:
    if name not in (names := [setting.name for setting in SETTINGS]):
        raise UsageError(f"{file}: there is no setting {name!r}; there are: {', '.join(names)}.")
    return find(name)


def _toml(text: str, file: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        reason, at = str(error), ""
        if match := _LINE.search(reason):
            reason, at = reason[: match.start()], f", line {match[1]}"
        raise UsageError(
            f'{file}{at}: this is no TOML ({reason}); lines look like `budget = "fast"`.'
        ) from None
