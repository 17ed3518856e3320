"""The cards that come with the program."""

from __future__ import annotations

import re

import pytest

from fls_models import card
from fls_models.card import Part
from fls_models.errors import UsageError

PARTS = [part for name in card.names() for part in card.load(name).parts]


def test_the_default_comes_first() -> None:
    assert card.names()[0] == "mini"
    assert card.names()[1:] == sorted(card.names()[1:])


@pytest.mark.parametrize("name", card.names())
def test_a_card_says_what_a_person_needs(name: str) -> None:
    found = card.load(name)
    assert found.name == name
    assert found.summary
    assert found.limits
    assert found.runs_on
    assert found.memory_gb > 0
    assert found.max_frames >= 12
    assert found.parts == (found.speech, found.llm)


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.name)
def test_a_part_is_pinned_and_open(part: Part) -> None:
    assert part.form in ("ctranslate2", "gguf")
    assert part.licence in ("MIT", "Apache-2.0")
    assert part.origin.startswith("https://")
    assert part.bytes == sum(file.bytes for file in part.files) > 0
    assert len(part.files) == 1 or part.form != "gguf"
    for file in part.files:
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert re.fullmatch(r"[\w-][\w.-]*", file.path), "a plain name, not hidden, in no folder"
        assert file.pieces
        assert file.hub.repo in part.origin
        for piece in file.pieces:
            assert re.fullmatch(r"[\w.]+", piece.version)
            assert piece.member.startswith(piece.package.replace("-", "_") + "/")


def test_no_two_parts_share_a_folder() -> None:
    by_name = {part.name: part for part in PARTS}
    assert all(by_name[part.name] == part for part in PARTS)


@pytest.mark.parametrize("name", ["nope", "parts", "", "../mini", "mini.toml"])
def test_an_unknown_name_gets_the_known_ones(name: str) -> None:
    with pytest.raises(UsageError, match=r"There is no model .*; there are: mini, "):
        card.load(name)


def test_a_card_is_read_once() -> None:
    assert card.load("mini") is card.load("mini")
