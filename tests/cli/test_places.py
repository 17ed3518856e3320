"""Where things are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from fls_cli.storage.paths import cache_folder, state_folder
from fls_models.errors import EnvironmentLacks


@pytest.mark.parametrize(
    ("own", "xdg", "expected"),
    [
        ("/data/fls", "/xdg", "/data/fls"),
        ("~/weights", None, "/home/me/weights"),
        ("", "/xdg", "/xdg/fls"),
        (None, "/xdg", "/xdg/fls"),
        (None, "not/absolute", "/home/me/.cache/fls"),
        (None, "", "/home/me/.cache/fls"),
        (None, None, "/home/me/.cache/fls"),
    ],
)
def test_the_cache_folder(
    own: str | None, xdg: str | None, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in (("FLS_CACHE", own), ("XDG_CACHE_HOME", xdg)):
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    assert cache_folder() == Path(expected)


def test_a_relative_folder_stays_where_it_was_meant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FLS_CACHE", "here")
    assert cache_folder() == tmp_path / "here"


def test_no_home_is_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    def homeless() -> Path:
        raise RuntimeError

    monkeypatch.setattr(Path, "home", homeless)
    monkeypatch.delenv("FLS_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    with pytest.raises(EnvironmentLacks, match="set FLS_CACHE"):
        cache_folder()


@pytest.mark.parametrize(
    ("xdg", "expected"),
    [
        ("/xdg", "/xdg/fls"),
        ("not/absolute", "/home/me/.local/state/fls"),
        ("", "/home/me/.local/state/fls"),
    ],
)
def test_the_state_folder(xdg: str, expected: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/me")
    monkeypatch.setenv("XDG_STATE_HOME", xdg)
    assert state_folder() == Path(expected)
