"""What `examples/pipelines.sh` says without a recording; what its pipelines print stands in
`examples/README.md`, which `test_documents` runs.

`test_readme` checks the command lines of all of them.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
SCRIPT = ROOT / "examples" / "pipelines.sh"
BASH = shutil.which("bash") or "bash"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [BASH, str(SCRIPT), *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
    )


def test_list_names_them_all() -> None:
    done = run("--list")
    assert done.returncode == 0
    functions = {
        line.partition("()")[0] for line in SCRIPT.read_text("utf-8").splitlines() if "() " in line
    }
    assert set(done.stdout.split()) == {name for name in functions if name.isidentifier()}
    assert done.stderr == ""


def test_an_unknown_name_is_refused() -> None:
    done = run("nothing")
    assert (done.returncode, done.stdout) == (2, "")
    assert "--list" in done.stderr
