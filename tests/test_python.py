"""The library as README.md shows it, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fls_cli.media import decode
from fls_models.errors import UsageError

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.weights
def test_the_example_prints_what_the_readme_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [(code, printed)] = EXAMPLE.findall((ROOT / "README.md").read_text("utf-8"))
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})
    assert capsys.readouterr().out == printed


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    for name in ("one.mp3", "two.mp3"):
        (tmp_path / name).write_bytes(b"ID3")
    with pytest.raises(UsageError, match="one recording"):
        next(decode(str(tmp_path)))
