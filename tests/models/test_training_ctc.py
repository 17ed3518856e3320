"""A CTC head trained on what tiny random encoders make of four signals."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tiny_checkpoints import HIDDEN, WIDTH, write_omni, write_qwen2_audio
from tiny_hearing import blocks_of, converted, loaded
from torch import Tensor

from fls_models.core.budget import Budget
from fls_models.errors import UsageError
from fls_models.extractor.ctc_decoding import greedy
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.registry import load
from fls_models.pipelines.large import LargeFrameModel, RuntimeConfig
from fls_models.training.core.encoded_dataset import Encoded, encode
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Plan, Step
from fls_models.training.ctc.train_head import (
    Result,
    batch_loss,
    new_head,
    train_head,
    usable,
    write_down,
)
from fls_models.training.ctc.vocabulary import Characters, Pieces
from fls_models.training.data.manifests import Utterance
from fls_models.weights import card
from fls_models.weights.store import InstalledFrames

PITCH = {"low": 300.0, "mid": 800.0, "high": 2000.0, "hiss": None}
PLAN = Plan(700, 2e-2, eval_every=50)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def signal(word: str) -> NDArray[np.float32]:
    """Half a second of nothing, three quarters of the signal that the word names, and nothing."""
    dice = np.random.default_rng(0)
    pitch, count = PITCH[word], 12_000
    heard = dice.standard_normal(count)
    if pitch is not None:
        heard = np.sin(2 * np.pi * pitch * np.arange(count) / 16_000)
    samples = np.concatenate([np.zeros(8_000), 0.3 * heard, np.zeros(8_000)])
    return (samples + 0.001 * dice.standard_normal(len(samples))).astype(np.float32)


def sound(path: Path) -> Iterator[NDArray[np.float32]]:
    return blocks_of(signal(path.read_text()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-Audio as it is installed, at `model`."""
    place = tmp_path_factory.mktemp("ctc")
    write_qwen2_audio(place / "hub")
    converted(place / "hub", place / "model")
    return place


@pytest.fixture(scope="module")
def model(folder: Path) -> LargeSpeechLM:
    return load(folder / "model")


@pytest.fixture(scope="module")
def corpus(folder: Path) -> list[Utterance]:
    found = []
    for word in PITCH:
        (folder / f"{word}.wav").write_text(word)
        found.append(Utterance(folder / f"{word}.wav", word.capitalize() + "!"))
    return found


@pytest.fixture(scope="module")
def encoded(model: LargeSpeechLM, corpus: list[Utterance], folder: Path) -> Encoded:
    recordings = [one.audio for one in corpus]
    return encode(model, recordings, sound, folder / "encoded", identity="tiny")


@pytest.fixture(scope="module")
def letters() -> Characters:
    return Characters.of(PITCH)


class Training:
    """The same training, time after time."""

    def __init__(
        self, model: LargeSpeechLM, corpus: list[Utterance], encoded: Encoded, letters: Characters
    ) -> None:
        self.model, self.corpus, self.encoded, self.letters = model, corpus, encoded, letters
        self.steps: list[Step] = []
        self.stop = 0

    def report(self, step: Step) -> None:
        self.steps.append(step)
        if step.number == self.stop:
            raise KeyboardInterrupt

    def __call__(self, place: Path, plan: Plan = PLAN, batch_size: int = 4) -> Result:
        self.steps = []
        size, report = batch_size, self.report
        run = Run(self.corpus, self.corpus, plan, place, self.encoded, size, report=report)
        return train_head(self.model, run, self.letters, identity="tiny")


@pytest.fixture
def training(
    model: LargeSpeechLM, corpus: list[Utterance], encoded: Encoded, letters: Characters
) -> Training:
    return Training(model, corpus, encoded, letters)


@pytest.fixture(scope="module")
def trained(
    model: LargeSpeechLM,
    corpus: list[Utterance],
    encoded: Encoded,
    letters: Characters,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Result, list[Step]]:
    training = Training(model, corpus, encoded, letters)
    result = training(tmp_path_factory.mktemp("trained"))
    return result, training.steps


def parameters_of(model: LargeSpeechLM) -> dict[str, Tensor]:
    parts = {
        "tower": model._tower,
        "projector": model._projector,
        "norm": model._norm,
        "body": model.body,
    }
    return {
        f"{part}.{name}": value.clone()
        for part, module in parts.items()
        for name, value in module.state_dict().items()  # type: ignore[attr-defined]
    }


def test_four_signals_are_learnt(trained: tuple[Result, list[Step]]) -> None:
    result, steps = trained
    losses = [step.loss for step in steps]
    assert losses[0] > 2
    assert losses[-1] < 0.2
    rates = [step.value for step in steps if step.value is not None]
    assert rates[0] == 1.0
    assert rates[-1] == result.word_error_rate == 0.0
    assert result.loss == losses[-1]


def test_the_models_own_parts_stay_as_they_are(
    training: Training, model: LargeSpeechLM, tmp_path: Path
) -> None:
    before = parameters_of(model)
    result = training(tmp_path, Plan(20, 1e-2))
    after = parameters_of(model)
    assert before.keys() == after.keys()
    for name, value in before.items():
        assert torch.equal(value, after[name]), name
    assert set(load_file(result.path)) == {
        "ctc_decoder.projector.weight",
        "ctc_decoder.projector.bias",
        "ctc_decoder.linear.weight",
    }


def test_a_model_hears_with_the_head(
    trained: tuple[Result, list[Step]], folder: Path, corpus: list[Utterance], letters: Characters
) -> None:
    result, _ = trained
    tensors = load_file(result.path)
    assert tensors["ctc_decoder.projector.weight"].shape == (HIDDEN, WIDTH)
    assert tensors["ctc_decoder.linear.weight"].shape == (letters.size + 1, HIDDEN)
    made = card.load("qwen2-audio")
    assert isinstance(made, card.FrameCard)
    installed = InstalledFrames(made, folder / "model", "float32")
    with_head = LargeFrameModel(installed, running=RuntimeConfig(head=result.path))
    model = with_head.language_model
    assert model.ctc_tokens == letters.size
    for one in corpus:
        heard = with_head.hear(sound(one.audio), Budget(target_length=10**6))
        [section] = heard.sections
        assert heard.speaks
        # Letters are read where the signal is, not in the silence before it.
        assert section.density[:10].max() < 0.5
        assert section.density.max() > 0.9
        ids = torch.arange(letters.size)
        read = model.token_log_probabilities(section.hidden, ids)
        assert read is not None
        assert letters.decode(greedy(read)) == one.text.lower().rstrip("!")


def test_after_an_interruption_the_same_head_comes_out(
    training: Training, trained: tuple[Result, list[Step]], tmp_path: Path
) -> None:
    plan = Plan(60, 1e-2, eval_every=25, seed=5)
    whole = training(tmp_path / "whole", plan, 3)
    expected = training.steps
    for stop in (7, 25, 33):
        place = tmp_path / f"cut {stop}"
        training.stop = stop
        with pytest.raises(KeyboardInterrupt):
            training(place, plan, 3)
        assert not (place / "head.safetensors").exists()
        told, training.stop = training.steps, 0
        found = training(place, plan, 3)
        assert told + training.steps == expected
        assert found.path.read_bytes() == whole.path.read_bytes()
        assert replace(found, path=whole.path) == whole


@pytest.mark.parametrize("changed", ["corpus", "vocabulary", "batch", "plan"])
def test_another_training_is_not_gone_on_with(
    training: Training, tmp_path: Path, changed: str
) -> None:
    plan = Plan(4, 1e-2)
    training(tmp_path, plan)
    kept = (tmp_path / "vocab.json").read_bytes()
    batch_size = 4
    if changed == "corpus":
        first, *rest = training.corpus
        training.corpus = [replace(first, text="wow"), *rest]
    elif changed == "vocabulary":
        training.letters = Characters.of([*PITCH, "x"])
    elif changed == "batch":
        batch_size = 2
    else:
        plan = replace(plan, steps=5)
    with pytest.raises(UsageError, match="--fresh"):
        training(tmp_path, plan, batch_size)
    assert (tmp_path / "vocab.json").read_bytes() == kept


def test_pieces_and_another_family(tmp_path: Path, corpus: list[Utterance]) -> None:
    write_omni(tmp_path / "hub")
    omni = loaded(tmp_path / "hub", tmp_path / "model", "bf16")
    recordings = [one.audio for one in corpus]
    encoded = encode(omni, recordings, sound, tmp_path / "encoded", identity="omni")
    pieces = Pieces.of([one.text for one in corpus] * 10, 12)
    training = Training(omni, corpus, encoded, pieces)  # type: ignore[arg-type]
    result = training(tmp_path / "out", Plan(60, 1e-2))
    assert (tmp_path / "out" / "spm.model").read_bytes() == pieces.as_bytes()
    assert training.steps[-1].loss < training.steps[0].loss / 2
    again = load(tmp_path / "model", head=result.path)
    assert again.ctc_tokens == pieces.size == 12


def plain_ctc(log_probabilities: NDArray[np.float64], ids: list[int]) -> float:
    """-log p of a text: all ways to write it, one after the other."""
    frames, classes = log_probabilities.shape
    total = 0.0
    for path in product(range(classes), repeat=frames):
        joined = [one for at, one in enumerate(path) if at == 0 or one != path[at - 1]]
        if [one for one in joined if one != classes - 1] == ids:
            total += float(np.exp(sum(log_probabilities[at, one] for at, one in enumerate(path))))
    return -float(np.log(total))


def test_the_loss_is_that_of_all_ways_to_write_the_text() -> None:
    torch.manual_seed(0)
    head = new_head(torch.nn.LayerNorm(4), 5, 2)
    hidden = [torch.randn(5, 4), torch.randn(3, 4), torch.randn(4, 4)]
    texts = [[0, 0], [1], [0, 1]]
    expected = []
    for frames, ids in zip(hidden, texts, strict=True):
        with torch.no_grad():
            found = head(frames).double().log_softmax(-1).numpy()
        expected.append(plain_ctc(found, ids) / len(ids))
    loss = batch_loss(head, hidden, texts)
    assert loss.item() == pytest.approx(sum(expected) / 3, rel=1e-5)
    loss.backward()  # type: ignore[no-untyped-call]
    assert head.layer_norm.weight.grad is None
    assert head.projector.weight.grad is not None


def test_a_new_head_depends_on_its_seed_and_on_nothing_else() -> None:
    norm = torch.nn.LayerNorm(4, eps=1e-3).to(torch.bfloat16)
    torch.nn.init.normal_(norm.weight)
    before = torch.get_rng_state()
    one, same, other = (new_head(norm, 8, 3, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(one.linear.weight, same.linear.weight)
    assert not torch.equal(one.linear.weight, other.linear.weight)
    assert torch.equal(one.layer_norm.weight, norm.weight.float())
    assert one.layer_norm.eps == 1e-3
    assert write_down(one, torch.zeros(0, 4), Characters("abc")) == ""


def test_texts_too_long_for_their_frames_are_left_out(
    corpus: list[Utterance], encoded: Encoded, letters: Characters, model: LargeSpeechLM
) -> None:
    frames = encoded.frames(corpus[0].audio)
    fits = replace(corpus[0], text="low" * (frames // 3))
    crowded = replace(corpus[0], text="low" * (frames // 3 + 1))
    doubled = replace(corpus[0], text="l" * (frames // 2 + 1))
    unknown = replace(corpus[0], text="zzz")
    absent = Utterance(Path("nowhere.wav"), "low")
    taken, left = usable([fits, crowded, doubled, unknown, absent], encoded, letters)
    assert taken == [fits]
    assert left == [crowded, doubled, unknown]
    run = Run([crowded], corpus, PLAN, Path("unused"), encoded, 4)
    with pytest.raises(UsageError, match="0 recordings to train on and 4 held out"):
        train_head(model, run, letters, identity="x")
