"""`--vocabulary`, `--replace`, `--initial-prompt`, `--task`: what the user says of words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_model import SAID, TinyModel, play

from fls_cli.sources.wording import parse_wording
from fls_models.audio.whisper.wording import Wording
from fls_models.errors import UsageError

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    (tmp_path / "config.toml").touch()
    monkeypatch.setenv("FLS_CONFIG", str(tmp_path / "config.toml"))
    return tmp_path / "config.toml"


def wrote(place: Path, text: str) -> Path:
    place.write_text(text, "utf-8")
    return place


def test_the_decoder_gets_what_was_said_of_words(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    names = wrote(tmp_path / "names.txt", "\ufeffAnna  Wells\r\n\n  Oak Hill\nAnna Wells\n")
    asked = ["transcribe", str(talk), "--vocabulary", str(names), "--task", "translate"]
    assert play(capfd, *asked, "--initial-prompt", " So,\nwell: ").code == 0
    assert tiny.transcriber.wordings == [Wording(("Anna Wells", "Oak Hill"), "So, well:", True)]
    play(capfd, "transcribe", str(talk), "--vocabulary", "Bo; C++ ,Bo")
    assert tiny.transcriber.wordings[1] == Wording(("Bo", "C++"))


def test_what_is_heard_so_is_kept_so(tiny: TinyModel, talk: Path, capfd: Capture) -> None:
    ways: list[list[str]] = [
        [],
        ["--vocabulary", "Bo"],
        ["--vocabulary", "Cy"],
        ["--task", "translate"],
        ["--initial-prompt", "So."],
    ]
    for _ in range(2):
        for way in ways:
            assert play(capfd, "transcribe", str(talk), "--cache", *way).lines == list(SAID)
    assert len(tiny.transcriber.wordings) == len(ways)


def test_replacements_are_made_of_what_is_known(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    rules = wrote(tmp_path / "rules.txt", "# names\n\ncopper = Gold\n")
    heard = ["transcribe", str(talk), "--cache"]
    assert play(capfd, *heard).lines[0].startswith("Copper")
    played = play(capfd, *heard, "--replace", str(rules), "-f", "json", "--words")
    payload = json.loads(played.out)
    assert payload["sentences"][0]["text"] == SAID[0].replace("Copper", "Gold")
    assert payload["sentences"][0]["words"][0]["text"].strip() == "Gold"
    assert len(tiny.transcriber.wordings) == 1
    # Streamed, too; and what is kept is what was heard.
    assert play(capfd, *heard, "--replace", str(rules)).lines[0].startswith("Gold")
    assert play(capfd, *heard).lines == list(SAID)


def test_the_model_reads_what_was_replaced(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    rules = wrote(tmp_path / "rules.txt", "copper=Silver")
    asked = ["ask", str(talk), "Who?", "--json", "--max-tokens", "2", "--evidence", "9"]
    told = json.loads(play(capfd, *asked, "--replace", str(rules)).out)
    texts = " ".join(passage["text"] for passage in told["evidence"])
    assert "Copper" not in texts


def test_settings_are_for_all_commands(
    tiny: TinyModel, talk: Path, settings: Path, tmp_path: Path, capfd: Capture
) -> None:
    # Files that settings name lie beside them.
    wrote(tmp_path / "rules.txt", "copper=Silver")
    wrote(tmp_path / "So.", "a file that is not meant")
    settings.write_text('vocabulary = "Bo, Cy"\nreplace = "rules.txt"\ninitial_prompt = "So."\n')
    assert play(capfd, "transcribe", str(talk)).lines[0].startswith("Silver")
    assert tiny.transcriber.wordings[0].vocabulary == ("Bo", "Cy")
    assert tiny.transcriber.wordings[0].prompt == "So."
    play(capfd, "transcribe", str(talk), "--vocabulary", "Di")
    assert tiny.transcriber.wordings[1].vocabulary == ("Di",)


def test_finished_results_are_of_the_same_words(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    rules = wrote(tmp_path / "rules.txt", "copper=Silver")
    asked = ["transcribe", str(talk), "-o", f"{tmp_path}/out/", "--replace", str(rules)]
    play(capfd, *asked)
    assert "1 of 1 were finished before" in play(capfd, *asked).err
    rules.write_text("copper=Gold")
    play(capfd, *asked)
    [result] = (tmp_path / "out").glob("*.txt")
    assert result.read_text("utf-8").startswith("Gold")


@pytest.mark.parametrize(
    ("vocabulary", "reason"),
    [
        ("no.txt", "is no file; --vocabulary takes words or a file"),
        ("no/such", "is no file"),
        (" , ,", "there is no word in it"),
        ("...,!", "there is no word in it"),
        ("x" * 61, "is longer than 60 characters"),
    ],
)
def test_vocabularies_that_are_none(vocabulary: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        parse_wording(vocabulary)


def test_lists_that_are_none(tmp_path: Path) -> None:
    latin = tmp_path / "latin.txt"
    latin.write_bytes("Müller".encode("latin-1"))
    with pytest.raises(UsageError, match="no text in UTF-8; if it is in LATIN1, save it anew"):
        parse_wording(str(latin))
    with pytest.raises(UsageError, match="no text in UTF-8"):
        parse_wording(replace=str(latin))
    latin.write_bytes("Müller".encode("utf-16"))
    with pytest.raises(UsageError, match="iconv -f UTF-16 -t UTF-8"):
        parse_wording(str(latin))
    with pytest.raises(UsageError, match="is no file; --vocabulary takes words or a file of them"):
        parse_wording(str(tmp_path))
    many = wrote(tmp_path / "many.txt", "\n".join(f"w{n}" for n in range(20_001)))
    with pytest.raises(UsageError, match="20001 words are more than 20000"):
        parse_wording(str(many))
    with pytest.raises(UsageError, match=r"line 2: a line is wrong=right, not 'nothing'"):
        parse_wording(replace=str(wrote(tmp_path / "r.txt", "a=b\nnothing")))
    rules = wrote(tmp_path / "two.txt", "a=b\nA=b\nA=c")
    with pytest.raises(UsageError, match="line 3: 'A' is replaced otherwise before"):
        parse_wording(replace=str(rules))
    with pytest.raises(UsageError, match="there is no line of wrong=right in it"):
        parse_wording(replace=str(wrote(tmp_path / "r.txt", "# none\n")))
    with pytest.raises(UsageError, match="line 1"):
        parse_wording(replace=str(wrote(tmp_path / "r.txt", "=b")))
    with pytest.raises(UsageError, match="cannot be read"):
        parse_wording(replace=str(tmp_path))
    with pytest.raises(UsageError, match="not there; --replace takes a file with lines of wrong="):
        parse_wording(replace="ferry=boat")
    with pytest.raises(UsageError, match="over 4 MB"):
        parse_wording(replace=str(wrote(tmp_path / "r.txt", "a=b\n" * 1_000_001)))
    with pytest.raises(UsageError, match="--task takes transcribe or translate"):
        parse_wording(task="sing")


def test_rules_that_would_loop_are_made_once(
    tiny: TinyModel, talk: Path, tmp_path: Path, capfd: Capture
) -> None:
    rules = wrote(tmp_path / "rules.txt", "copper=copper copper\nbay=copper\ncopper copper=bay")
    first = play(capfd, "transcribe", str(talk), "--replace", str(rules)).lines[0]
    assert first.startswith("copper copper copper")


def test_models_that_hear_by_themselves_take_no_words(
    tiny: TinyModel, talk: Path, capfd: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TinyModel, "reads_by", "frames")
    played = play(capfd, "ask", str(talk), "Who?", "--vocabulary", "Bo")
    assert played.code == 2
    assert "are for models that hear with Whisper" in played.err
