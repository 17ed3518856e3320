"""Settings: which source wins, what is wrong with one, and `fls config`, which shows them."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
import typer.main
from tiny_model import Played, TinyModel, play

from fls_cli.app import app
from fls_cli.options import common as options
from fls_cli.storage import settings

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the file of settings would lie, for a user who has set nothing yet."""
    for name in [name for name in os.environ if name.startswith("FLS_")]:
        monkeypatch.delenv(name)
    # Set, so that what the file makes of it is undone.
    monkeypatch.setenv("FLS_CACHE_SIZE", "")
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "settings"))
    place = tmp_path / "settings" / "fls" / "config.toml"
    place.parent.mkdir(parents=True)
    return place


def shown(capfd: Capture) -> dict[str, tuple[object, str]]:
    """Value and source of every setting."""
    played = play(capfd, "config", "--json")
    assert (played.code, played.err) == (0, "")
    return {row["name"]: (row["value"], row["source"]) for row in json.loads(played.out)}


def all_options(command: Any = None, path: str = "") -> dict[str, Any]:
    """Every option of every command that is a setting, by the words that lead to it."""
    command = command or typer.main.get_command(app)
    found = {}
    for name, inner in getattr(command, "commands", {}).items():
        found |= all_options(inner, f"{path} {name}")
    for option in command.params:
        if str(option.envvar).startswith("FLS_"):
            found[f"{path} {option.name}"] = option
    return found


def test_without_any_file_all_is_default(capfd: Capture, file: Path) -> None:
    found = shown(capfd)
    assert list(found) == [setting.name for setting in settings.SETTINGS]
    assert found == {one.name: (one.default, "default") for one in settings.SETTINGS}
    assert not file.exists()


def test_variables_win_over_the_file_and_the_file_over_defaults(
    capfd: Capture, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('budget = "fast"\njobs = 3\nquiet = true\ncache_size = "500MB"\n')
    monkeypatch.setenv("FLS_JOBS", "5")
    monkeypatch.setenv("FLS_QUIET", "no")
    monkeypatch.setenv("FLS_BUDGET", "")
    found = shown(capfd)
    assert found["budget"] == ("fast", str(file))
    assert found["jobs"] == (5, "FLS_JOBS")
    assert found["quiet"] == (False, "FLS_QUIET")
    assert found["cache_size"] == ("500MB", str(file))
    assert found["model"] == ("auto", "default")


def test_one_aligned_line_a_setting(
    capfd: Capture, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('budget = "fast"\n')
    monkeypatch.setenv("FLS_OFFLINE", "1")
    lines = play(capfd, "config").lines
    assert lines[0] == f"budget          fast   {file}"
    assert lines[6:8] == ["offline         true   FLS_OFFLINE", "quiet           false  default"]
    assert len(lines) == len(settings.SETTINGS)


def test_flags_win_over_variables_over_the_file_over_the_default(
    tiny: TinyModel,
    talk: Path,
    capfd: Capture,
    file: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def budget(*flags: str) -> str:
        played = play(capfd, "ask", str(talk), "Who counted them?", "--json", *flags)
        assert played.code == 0
        return str(json.loads(played.out)["usage"]["budget"])

    assert budget() == "balanced"
    file.write_text('budget = "fast"\nlanguage = "de"\n')
    assert budget() == "fast"
    assert budget("--language", "auto") == "fast"
    monkeypatch.setenv("FLS_BUDGET", "accurate")
    monkeypatch.setenv("FLS_LANGUAGE", "fr")
    assert budget() == "accurate"
    assert budget("-b", "balanced", "--language", "it") == "balanced"
    assert tiny.transcriber.asked == [None, "de", None, "fr", "it"]


def tool() -> Any:
    """A command that takes every setting there is an option for."""
    made = typer.Typer()

    @made.command()
    def work(
        budget: options.Budget = "balanced",
        model: options.Model = "auto",
        language: options.Language = None,
        offline: options.Offline = False,
        quiet: options.Quiet = False,
        jobs: options.Jobs = 1,
        kept: options.Cache = True,
    ) -> None: ...

    made.command()(lambda: None)
    inner = typer.Typer()
    inner.command("deep")(work)
    inner.command()(lambda: None)
    made.add_typer(inner, name="inner")
    return typer.main.get_command(made)


def parsed(*words: str) -> dict[str, Any]:
    """What `work` gets from these flags, the variables and the file."""
    group = tool()
    defaults = options.defaults(group, settings.take_effect())
    assert defaults["inner"]["deep"] == defaults["work"]
    context = group.commands["work"].make_context("work", list(words), default_map=defaults["work"])
    return dict(context.params)


def test_every_option_that_is_a_setting_gets_it(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert parsed() == {
        "budget": "balanced",
        "model": "auto",
        "language": None,
        "offline": False,
        "quiet": False,
        "jobs": 1,
        "kept": True,
    }
    file.write_text(
        'budget = "fast"\nmodel = "~/mine"\nlanguage = "de"\noffline = true\nquiet = true\n'
        "jobs = 3\nkeep = false\n"
    )
    monkeypatch.setenv("HOME", "/home/me")
    assert parsed() == {
        "budget": "fast",
        "model": "/home/me/mine",
        "language": "de",
        "offline": True,
        "quiet": True,
        "jobs": 3,
        "kept": False,
    }
    flags = ["--no-offline", "--no-quiet", "-j", "4", "--cache", "-m", "mini"]
    assert parsed("--language", "DE, en,de")["language"] == "de,en"
    found = parsed(*flags, "--language", "auto")
    assert found == {
        "budget": "fast",
        "model": "mini",
        "language": None,
        "offline": False,
        "quiet": False,
        "jobs": 4,
        "kept": True,
    }


def test_options_and_settings_agree() -> None:
    """Each option names the variable of a setting and has its default, in every command."""
    known = {setting.variable: setting for setting in settings.SETTINGS}
    found = all_options()
    assert {" ask budget", " transcribe quiet", " bench asr model"} <= set(found)
    for words, option in found.items():
        expected = known[option.envvar].default
        assert option.default == expected or (option.default, expected) == (None, "auto"), words
    defined = [get_args(one)[1] for one in vars(options).values() if len(get_args(one)) == 2]
    variables = {one.envvar for one in defined if getattr(one, "envvar", None)}
    assert variables == set(known) - {"FLS_CACHE_SIZE"}


@pytest.mark.parametrize("word", ["1", "true", "T", "yes", "ON", "0", "false", "f", "No", "off"])
def test_words_for_yes_and_no_are_those_that_options_take(
    word: str, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setenv("FLS_KEEP", word)
    assert shown(capfd)["keep"] == (parsed()["kept"], "FLS_KEEP")


def test_the_size_of_the_cache_is_a_setting(
    capfd: Capture, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def limit() -> object:
        return json.loads(play(capfd, "cache", "info", "--json").out)["limit"]

    assert limit() == 4_000_000_000
    file.write_text('cache_size = "500MB"\n')
    assert limit() == 500_000_000
    monkeypatch.setenv("FLS_CACHE_SIZE", "1GB")
    assert limit() == 1_000_000_000


WRONG = [
    ("budget = fast\n", ", line 1: this is no TOML (Invalid value)"),
    ('\n\nbudget "fast"\n', ", line 3: this is no TOML"),
    ("budget = [", ": this is no TOML"),
    ('bugdet = "fast"\n', ": there is no setting 'bugdet'; there are: budget, model,"),
    ('[ask]\nbudget = "fast"\n', ": there is no setting 'ask'; there are: budget, model,"),
    ('budget = "lavish"\n', ': budget takes fast, balanced or accurate, not "lavish".'),
    ("model = 3\n", ": model takes auto, a name that `fls models list` shows, or a folder, not 3."),
    ('model = " "\n', ": model takes auto,"),
    ('language = "en;de"\n', ": language takes auto, which detects it, a code or name"),
    ('offline = "yes"\n', ': offline takes true or false, not "yes".'),
    ("quiet = 1\n", ": quiet takes true or false, not 1."),
    ("jobs = 0\n", ": jobs takes a whole number from 1 up, not 0."),
    ("jobs = true\n", ": jobs takes a whole number from 1 up, not true."),
    ("jobs = 2.5\n", ": jobs takes a whole number from 1 up, not 2.5."),
    ("keep = 1979-05-27\n", ': keep takes true or false, not "1979-05-27".'),
    ("cache_size = 4\n", ": cache_size takes a size such as 500MB or 4GB, or 0 for nothing, not 4"),
    ('cache_size = "huge"\n', ": cache_size takes a size"),
]


@pytest.mark.parametrize(("text", "said"), WRONG, ids=[text.strip() for text, _ in WRONG])
def test_what_is_wrong_in_the_file_is_one_sentence_and_2(
    text: str, said: str, capfd: Capture, file: Path
) -> None:
    file.write_text(text)
    for words in (["config"], ["ask", "gone.mp3", "Who?", "-b", "fast"], ["models", "list"]):
        played = play(capfd, *words)
        assert (played.code, played.out) == (2, "")
        [line] = played.err.splitlines()
        assert line.startswith(f"fls: {file}{said}")


def test_a_file_of_bytes_and_a_folder_are_2(capfd: Capture, file: Path) -> None:
    file.write_bytes(b"\xff\xfe")
    assert "no text in UTF-8" in told(play(capfd, "config"), 2)
    file.unlink()
    file.mkdir()
    assert f"{file} cannot be read (Is a directory)" in told(play(capfd, "models", "list"), 2)


def test_help_and_the_path_are_there_whatever_the_file_holds(capfd: Capture, file: Path) -> None:
    file.write_text("budget = fast\n")
    for words in (["-h"], ["ask", "--help"], ["config", "-h"], ["models", "pull", "--help"]):
        played = play(capfd, *words)
        assert (played.code, played.err) == (0, "")
        assert played.out.startswith("Usage: fls ")
    assert play(capfd, "config", "--path").out == f"{file}\n"


@pytest.mark.parametrize(
    ("variable", "text", "takes"),
    [
        ("FLS_BUDGET", "lavish", "fast, balanced or accurate"),
        (
            "FLS_LANGUAGE",
            "en;de",
            "auto, which detects it, a code or name (de, german), or those that may be spoken "
            "(de,en)",
        ),
        ("FLS_JOBS", "0", "a whole number from 1 up"),
        ("FLS_JOBS", "many", "a whole number from 1 up"),
        ("FLS_OFFLINE", "maybe", "true or false"),
        ("FLS_CACHE_SIZE", "huge", "a size such as 500MB or 4GB, or 0 for nothing"),
    ],
)
def test_a_wrong_variable_is_named(
    variable: str, text: str, takes: str, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, text)
    assert told(play(capfd, "config"), 2) == f"fls: {variable} takes {takes}, not '{text}'."


@pytest.mark.parametrize(
    ("variable", "text", "flags"),
    [
        ("FLS_BUDGET", "lavish", ["-b", "fast"]),
        ("FLS_LANGUAGE", "en;de", ["--language", "en"]),
        ("FLS_LANGUAGE", "klingon", ["--language", "en"]),
        ("FLS_OFFLINE", "maybe", ["--offline"]),
    ],
)
def test_commands_name_a_wrong_variable_unless_a_flag_wins(
    variable: str,
    text: str,
    flags: list[str],
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, text)
    played = play(capfd, "transcribe", "gone.mp3")
    assert (played.code, played.out) == (2, "")
    assert variable in played.err
    assert "there is no such file" in told(play(capfd, "transcribe", "gone.mp3", *flags), 1)


def told(played: Played, code: int) -> str:
    """The one line on stderr."""
    assert (played.code, played.out) == (code, "")
    [line] = played.err.splitlines()
    return line


def test_init_writes_a_file_that_sets_nothing_once(capfd: Capture, file: Path) -> None:
    file.parent.rmdir()
    played = play(capfd, "config", "--init")
    assert (played.code, played.out, played.err) == (0, f"{file}\n", "")
    text = file.read_text("utf-8")
    assert tomllib.loads(text) == {}
    assert {source for _, source in shown(capfd).values()} == {"default"}
    assert told(play(capfd, "config", "--init"), 2) == (
        f"fls: {file} is there already and stays as it is."
    )
    assert file.read_text("utf-8") == text


def test_the_template_without_its_marks_holds_the_defaults(capfd: Capture, file: Path) -> None:
    play(capfd, "config", "--init")
    text = re.sub(r"^# (?=[a-z_]+ = )", "", file.read_text("utf-8"), flags=re.MULTILINE)
    assert tomllib.loads(text) == {one.name: one.default for one in settings.SETTINGS}
    assert all(one.takes in text for one in settings.SETTINGS)
    assert max(map(len, text.splitlines())) <= 100
    file.write_text(text)
    assert {source for _, source in shown(capfd).values()} == {str(file)}


def test_init_where_nothing_can_be_written_is_2(
    capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "taken" / "config.toml"))
    assert f"{tmp_path / 'taken'} cannot be made" in told(play(capfd, "config", "--init"), 2)


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("/data/my.toml", "/xdg", "/data/my.toml"),
        ("~/my.toml", None, "/home/me/my.toml"),
        ("", "/xdg", "/xdg/fls/config.toml"),
        (None, "not/absolute", "/home/me/.config/fls/config.toml"),
        (None, None, "/home/me/.config/fls/config.toml"),
    ],
)
def test_where_the_file_lies(
    own: str | None,
    xdg: str | None,
    expected: str,
    capfd: Capture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("FLS_CONFIG", own), ("XDG_CONFIG_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert play(capfd, "config", "--path").out == f"{expected}\n"


def test_a_named_file_must_be_there(
    capfd: Capture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "mine.toml"))
    for words in (["config"], ["models", "list"]):
        assert "`fls config --init` creates it" in told(play(capfd, *words), 2)
    assert play(capfd, "config", "--init").code == 0
    assert play(capfd, "models", "list").code == 0
    monkeypatch.setenv("FLS_CONFIG", os.devnull)
    assert {source for _, source in shown(capfd).values()} == {"default"}


def test_without_a_home_there_is_no_file(capfd: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("XDG_CONFIG_HOME")
    assert {source for _, source in shown(capfd).values()} == {"default"}
    assert "set FLS_CONFIG to a file" in told(play(capfd, "config", "--path"), 3)


def test_one_thing_at_a_time(capfd: Capture, file: Path) -> None:
    assert "--path, --init" in told(play(capfd, "config", "--init", "--path"), 2)
    assert not file.exists()


def test_reading_settings_loads_nothing_heavy(file: Path) -> None:
    file.write_text('budget = "fast"\n')
    code = (
        "import sys\n"
        "from fls_cli.app import app\n"
        "app(['config'], standalone_mode=False)\n"
        "heavy = {'torch', 'transformers', 'numpy', 'tqdm', 'huggingface_hub'} & set(sys.modules)\n"
        "sys.exit(str(heavy) if heavy else 0)\n"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr
    assert "fast" in done.stdout


def test_a_language_in_the_file_is_looked_up_where_it_is_shown(
    file: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text('language = "klingon"\n')
    assert "language takes auto, which detects it" in told(play(capfd, "config"), 2)
    # Names are transformers', which takes a second to import: not for every command.
    monkeypatch.setattr(settings, "language_codes", lambda text: pytest.fail("looked up"))
    assert play(capfd, "cache", "info").code == 0
    assert settings.read_file() == {"language": "klingon"}
