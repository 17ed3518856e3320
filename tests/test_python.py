"""The library as the guide shows it, word for word."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from fls_cli.sources.decode import decode
from fls_models.errors import UsageError

ROOT = Path(__file__).parents[1]
GUIDE = ROOT / "docs" / "guides" / "from-python.md"
EXAMPLE = re.compile(r"```python\n(.*?)```\n\n```text\n(.*?)```", re.DOTALL)


@pytest.mark.weights
def test_the_example_prints_what_the_guide_says(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    [(code, printed)] = EXAMPLE.findall(GUIDE.read_text("utf-8"))
    monkeypatch.chdir(ROOT)
    exec(compile(code, str(GUIDE), "exec"), {})
    assert capsys.readouterr().out == printed


def test_a_folder_is_no_recording(tmp_path: Path) -> None:
    for name in ("one.mp3", "two.mp3"):
        (tmp_path / name).write_bytes(b"ID3")
    with pytest.raises(UsageError, match="one recording"):
        next(decode(str(tmp_path)))
