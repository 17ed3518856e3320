"""The documents: what their console blocks show is printed, and what they link to is there.

`python tests/console_blocks.py DOCUMENT` writes what is printed now over what is shown. Answers
are the likeliest words, so the same everywhere but for rounding: with another processor's
arithmetic, or another ffmpeg than the tested one, words may differ. There, documents need only be
nearly right.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from console_blocks import (
    AT_ONCE,
    HOME,
    PRINTED_WITH,
    ROOT,
    Machine,
    arithmetic,
    console_blocks,
    differences,
    renewed,
    weights_folders,
)

DOCUMENTS = [
    *("README.md", "CONTRIBUTING.md", "examples/README.md"),
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs").rglob("*.md")),
]
WITH_BLOCKS = [name for name in DOCUMENTS if "```console\n" in (ROOT / name).read_text("utf-8")]


@pytest.fixture(scope="session")
def found(
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Mapping[str, Future[str]]]:
    """What is different in each document that is asked for.

    They share what is kept of recordings, so that each recording is heard once.
    """
    installed = weights_folders()
    folder = tmp_path_factory.mktemp("documents")
    items = (getattr(item, "callspec", None) for item in request.session.items)
    wanted = {item.params.get("name") for item in items if item is not None}

    exact = arithmetic() == PRINTED_WITH

    def run(name: str) -> str:
        machine = Machine(folder / name.replace("/", "-"), installed, folder / "heard")
        return differences(name, (ROOT / name).read_text("utf-8"), machine, exact=exact)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        yield {name: pool.submit(run, name) for name in WITH_BLOCKS if name in wanted}


@pytest.mark.weights
@pytest.mark.parametrize("name", WITH_BLOCKS)
def test_what_is_shown_is_printed(name: str, found: Mapping[str, Future[str]]) -> None:
    blocks = console_blocks((ROOT / name).read_text("utf-8"))
    typed = " ".join(one.typed for block in blocks for one in block.commands)
    required = os.environ.get("TEST_JQ") == "required"
    if "| jq " in typed and shutil.which("jq") is None and not required:
        pytest.skip("jq is not installed")
    if different := found[name].result():
        pytest.fail(f"{different}\n\nIf it is meant: python tests/console_blocks.py {name}", False)


WRONG = """\
Text.

```console
$ echo "The ground was 52 degrees."
The ground was 51 degrees.
$ echo right
right
```
"""


def test_a_wrong_answer_fails_and_is_shown(tmp_path: Path) -> None:
    assert differences("a.md", WRONG, Machine(tmp_path)).splitlines() == [
        "--- a.md:4 shows",
        "+++ a.md:4 prints",
        "@@ -1,4 +1,4 @@",
        ' $ echo "The ground was 52 degrees."',
        "-The ground was 51 degrees.",
        "+The ground was 52 degrees.",
        " $ echo right",
        " right",
    ]


def test_with_other_rounding_a_document_is_nearly_right(tmp_path: Path) -> None:
    assert differences("a.md", WRONG, Machine(tmp_path / "one"), exact=False) == ""
    other = WRONG.replace("ground was 51 degrees.\n$", "recording does not say.\n$")
    assert differences("a.md", other, Machine(tmp_path / "other"), exact=False) != ""


def test_a_document_is_renewed_where_it_is_wrong(tmp_path: Path) -> None:
    assert renewed(WRONG, Machine(tmp_path)) == WRONG.replace("51", "52")


@pytest.mark.parametrize(
    "content",
    [
        "$ cat <<'END' | tr -d '$ '\naa\n$ a\nEND\naa\na\n",
        "$ echo one \\\n    two\none two\n",
        "$ printf 'a\\n\\nb'; printf 'c\\n' >&2\na\n\nbc\n",
        "$ export A=1\n$ false; echo $? $A\n1 1\n",
        f"$ echo ~ $HOME/a\n{HOME} {HOME}/a\n",
        "$ cat > a.txt\n$ ls -d *\na.txt\nexamples\n",
    ],
    ids=["here-document", "backslash", "both streams", "one session", "home", "folder"],
)
def test_a_block_is_a_session(content: str, tmp_path: Path) -> None:
    assert differences("a.md", f"```console\n{content}```\n", Machine(tmp_path)) == ""


def test_an_answer_that_goes_missing_is_noticed(tmp_path: Path) -> None:
    document = "```console\n$ exit 3\n$ echo a\na\n```\n"
    assert "-a" in differences("a.md", document, Machine(tmp_path)).splitlines()


def test_a_block_begins_with_a_prompt() -> None:
    with pytest.raises(ValueError, match="line 2"):
        list(console_blocks("```console\nfls doctor\n```\n"))


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ('{"start": 34.68, "seconds": {"load": 4.3}}', '{"start": 34.69, "seconds": {"load": 4}}'),
        ("[1:28-1:33] 52 degrees", "[1:28-1:34] 52 degrees"),
        ("cues: 15", "cues: 16"),
        ("pieces  1  0.1 MB\ntotal  1  0.1 MB", "pieces  1  0.1 MB"),
        ("ok  torch  2.13.0, 2 threads", "!!  torch  2.13.0, 2 threads"),
        ("ok  memory  9.0 GB of 9.1 GB available; mini takes 2 GB", "ok  memory  unknown"),
    ],
)
def test_what_varies_hides_nothing_else(shown: str, printed: str, tmp_path: Path) -> None:
    document = f"```console\n$ cat <<'END'\n{printed}\nEND\n{shown}\n```\n"
    assert differences("a.md", document, Machine(tmp_path)) != ""


@pytest.mark.parametrize(
    ("shown", "printed"),
    [
        ('"seconds": {"load": 4.375, "check": 1.9}', '"seconds": {"load": 12.0, "check": 0.5}'),
        ("pieces            21      0.1 MB", "pieces             5     10.1 MB"),
        ("ok  torch          2.13.0+cpu, 2 threads", "ok  torch          2.14.1, 1 thread"),
        ("--  cuda    none found", "ok  cuda    NVIDIA H100 with 85.0 GB"),
    ],
)
def test_what_varies_is_let_be(shown: str, printed: str, tmp_path: Path) -> None:
    document = f"```console\n$ cat <<'END'\n{printed}\nEND\n{shown}\n```\n"
    assert differences("a.md", document, Machine(tmp_path)) == ""
