"""Many recordings, one answer: which of them speak, and when the model is needed at all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from tiny_talk import Verdicts, model, tiny_language_model

from fls_models.answering.across_recordings import RecordingAnswer, gather
from fls_models.answering.generation import GenerationConfig
from fls_models.core.results import NONE_SAYS
from fls_models.lslm.mini.language_model import MiniLanguageModel

WHAT = "What stands along the streets?"
TREES = RecordingAnswer("trees.mp3", True, "Trees stand there.", 1.5)
LAMPS = RecordingAnswer("lamps.mp3", True, "Lamps, on tall\nposts.", 2.5)
SILENT = RecordingAnswer("opera.mp3", False, "The recording does not say.", -1.0)


def needed() -> Any:
    raise AssertionError("there is nothing to put together")


def test_nobody_says() -> None:
    found = gather(needed, WHAT, [SILENT, SILENT], generation=GenerationConfig())
    assert (found.answered, found.answer, found.sources) == (False, NONE_SAYS, ())


def test_one_says_and_its_answer_is_the_answer() -> None:
    shown: list[str] = []
    found = gather(needed, WHAT, [SILENT, TREES], generation=GenerationConfig(), show=shown.append)
    assert (found.answered, found.answer) == (True, TREES.answer)
    assert found.sources == ("trees.mp3",)
    assert shown == [TREES.answer]


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> MiniLanguageModel:
    return tiny_language_model(tmp_path_factory.mktemp("gathering"))


def test_several_are_put_together_the_clearest_first(
    llm: MiniLanguageModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    original = MiniLanguageModel.read

    def watch(self: MiniLanguageModel, prompt: Any, recording: torch.Tensor, **how: Any) -> Any:
        table = llm.embed(range(llm._parts.body.config.vocab_size))
        ids = [int((table - row).abs().sum(dim=1).argmin()) for row in recording]
        read.append(str(llm._tokenizer.decode(ids)))
        assert how["text"] == "".join(read[-1:])
        return original(self, prompt, recording, **how)

    loaded = model(llm, Verdicts(llm, 1.0))
    loaded.answerability.nothing  # noqa: B018  (read once, before the watch begins)
    monkeypatch.setattr(MiniLanguageModel, "read", watch)
    found = gather(lambda: loaded, WHAT, [SILENT, TREES, LAMPS], generation=GenerationConfig(8))
    assert found.answered
    assert found.answer
    assert found.sources == ("lamps.mp3", "trees.mp3")
    [notes] = read
    assert notes == "- lamps.mp3: Lamps, on tall posts.\n- trees.mp3: Trees stand there.\n"


def test_a_recording_that_only_brushes_the_question_is_not_named() -> None:
    faint = RecordingAnswer("bread.mp3", True, "A bee flew in.", 0.2)
    found = gather(needed, WHAT, [faint, TREES], generation=GenerationConfig())
    assert (found.answer, found.sources) == (TREES.answer, ("trees.mp3",))


def test_more_answers_than_one_pass_holds_leave_the_faintest_out(llm: MiniLanguageModel) -> None:
    many = [RecordingAnswer(f"{i}.mp3", True, "Trees. " * 20, 2.0 + i / 50) for i in range(30)]
    found = gather(
        lambda: model(llm, Verdicts(llm, 1.0), most=400), WHAT, many, generation=GenerationConfig(4)
    )
    assert found.sources == tuple(f"{i}.mp3" for i in reversed(range(30)))
    assert found.answered
