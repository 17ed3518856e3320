"""A connector trained on four signals, heard by an ear that tells pitches apart."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file
from tiny_hearing import babble, blocks_of
from tiny_whisper import WIDTH, write_tiny_whisper
from torch import Tensor, nn

from fls_models.audio.windows import Window
from fls_models.core.constants import WINDOW_SAMPLES
from fls_models.errors import UsageError
from fls_models.extractor.encoding import encode_windows
from fls_models.lslm.mini.connector import Connector, Shape
from fls_models.lslm.mini.connector_weights import Config, read
from fls_models.lslm.mini.whisper_encoder import WhisperFrames
from fls_models.training.core import checkpoints
from fls_models.training.core.encoded_dataset import Encoded, encode
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Plan, Step
from fls_models.training.ctc.train_connector import (
    ConnectorTrainee,
    train_connector,
)
from fls_models.training.ctc.train_head import Result
from fls_models.training.ctc.unigram_vocabulary import Spelling, Token
from fls_models.training.data.manifests import Utterance

PITCH = {"low": 300.0, "mid": 800.0, "high": 2000.0, "top": 5000.0}
PLAN = Plan(60, 6e-3, eval_every=30)
LETTERS = "abcdefghijklmnopqrstuvwxyz"
SPELLING = Spelling(
    [Token(one, 10 + at, 5.0) for at, one in enumerate([*LETTERS, " h", " l", " mid", " t"])]
)
CONFIG = Config(
    Shape(WIDTH, 32, 2, 0, 5, 64, SPELLING.size, 24), SPELLING.ids, "tiny", "tiny-llm", 128
)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def sound(path: Path) -> Iterator[NDArray[np.float32]]:
    """Half a second of nothing, three quarters of what the name says, and nothing."""
    word, turn = path.read_text().split()
    tone = np.sin(2 * np.pi * PITCH[word] * np.arange(12_000) / 16_000)
    rest = np.zeros(8_000 + 2_000 * int(turn))
    return blocks_of(np.concatenate([np.zeros(8_000), 0.3 * tone, rest]).astype(np.float32))


class Ear(WhisperFrames):
    """How loud each band of frequencies is: a Whisper with random weights hardly hears them."""

    hidden_width = 2 * WIDTH

    def __init__(self) -> None:
        pass

    def features(self, samples: Tensor) -> NDArray[np.float32]:
        whole = torch.zeros(WINDOW_SAMPLES)
        whole[: len(samples)] = samples
        bands = torch.fft.rfft(whole.reshape(-1, 320)).abs()[:, 1:].reshape(-1, 32, 5).amax(-1)
        return torch.cat([bands, bands.flip(-1)], -1).log1p().numpy()

    def encode(self, features: Sequence[NDArray[np.float32]]) -> Tensor:
        return torch.from_numpy(np.stack(features)).reshape(len(features), -1, 2 * WIDTH)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> list[Utterance]:
    folder = tmp_path_factory.mktemp("corpus")
    found = []
    for turn in range(2):
        for word in PITCH:
            audio = folder / f"{word}{turn}.wav"
            audio.write_text(f"{word} {turn}")
            found.append(Utterance(audio, f"{word.capitalize()}."))
    return found


@pytest.fixture(scope="module")
def encoded(corpus: list[Utterance], tmp_path_factory) -> Encoded:
    folder = tmp_path_factory.mktemp("encoded")
    return encode(Ear(), [one.audio for one in corpus], sound, folder, identity="tiny")


class Training:
    """The same training, time after time."""

    def __init__(self, corpus: list[Utterance], encoded: Encoded) -> None:
        self.corpus, self.encoded = corpus, encoded
        self.steps: list[Step] = []
        self.stop = 0
        self.table = torch.randn(SPELLING.size, 24, generator=torch.Generator().manual_seed(0))

    def report(self, step: Step) -> None:
        self.steps.append(step)
        if step.number == self.stop:
            raise KeyboardInterrupt

    def __call__(self, place: Path, plan: Plan = PLAN, **settings: object) -> Result:
        self.steps = []
        usual = {"identity": "tiny", "table": self.table}
        size = int(settings.pop("batch_size", 3))
        run = Run(self.corpus, self.corpus[:4], plan, place, self.encoded, size, report=self.report)
        spelling = settings.pop("spelling", SPELLING)
        return train_connector(CONFIG, run, spelling, **(usual | settings))


@pytest.fixture
def training(corpus: list[Utterance], encoded: Encoded) -> Training:
    return Training(corpus, encoded)


@pytest.fixture(scope="module")
def trained(
    corpus: list[Utterance], encoded: Encoded, tmp_path_factory
) -> tuple[Result, list[Step]]:
    training = Training(corpus, encoded)
    result = training(tmp_path_factory.mktemp("trained"))
    return result, training.steps


def test_frames_are_those_of_transformers(tmp_path: Path) -> None:
    plain = write_tiny_whisper(tmp_path)
    encoder = WhisperFrames(tmp_path)
    windows = [Window(torch.from_numpy(babble(seconds))) for seconds in (30, 3.2)]
    features = torch.stack([torch.from_numpy(encoder.features(one.samples)) for one in windows])
    with torch.no_grad():
        expected = plain.model.encoder(features).last_hidden_state.reshape(2, 750, 2 * WIDTH)
    found = [frames for _, frames in encode_windows(encoder, windows)]
    assert [len(one) for one in found] == [750, 80]
    assert encoder.hidden_width == 2 * WIDTH
    for one, other in zip(found, expected, strict=True):
        # Its matrices have 8 bits.
        difference = (one.hidden - other[: len(one)]).norm() / other[: len(one)].norm()
        assert difference < 0.05
        assert torch.equal(one.density, torch.ones(len(one)))


def test_the_loss_falls(trained: tuple[Result, list[Step]]) -> None:
    result, steps = trained
    losses = [step.loss for step in steps]
    assert losses[-1] < 0.2 * losses[0]
    rates = [step.value for step in steps if step.value is not None]
    assert min(rates) == result.word_error_rate
    assert result.loss == losses[-1]


def test_what_is_written_is_the_best_there_was(trained: tuple[Result, list[Step]]) -> None:
    result, _ = trained
    connector, config = read(result.path)
    assert config == CONFIG
    assert Spelling.read(result.path / "spelling.json").tokens == SPELLING.tokens
    place = result.path.parent
    best = load_file(place / f"best-{result.steps:07d}.safetensors")
    found = connector.state_dict()
    for name, value in best.items():
        if name.startswith("connector."):
            # In 16 bits, of which float16 keeps eleven.
            assert torch.allclose(found[name[10:]], value, rtol=1e-3, atol=1e-6), name


def test_the_projector_waits_for_the_language_model(
    trained: tuple[Result, list[Step]], training: Training
) -> None:
    connector, _ = read(trained[0].path)
    assert torch.allclose(connector.projector.blank, training.table.mean(0), atol=1e-6)
    assert not connector.projector.rest.weight.any()
    assert not connector.projector.rest.bias.any()


def test_after_an_interruption_the_same_connector_comes_out(
    training: Training, tmp_path: Path
) -> None:
    plan = Plan(8, 1e-3, eval_every=3, seed=5)
    whole = training(tmp_path / "whole", plan)
    expected = training.steps
    for stop in (2, 3):
        place = tmp_path / f"cut {stop}"
        training.stop = stop
        with pytest.raises(KeyboardInterrupt):
            training(place, plan)
        assert not (place / "connector").exists()
        told, training.stop = training.steps, 0
        torch.manual_seed(stop)
        found = training(place, plan)
        assert told + training.steps == expected
        for name in ("config.json", "connector.safetensors", "spelling.json"):
            written = (found.path / name).read_bytes()
            assert written == (whole.path / name).read_bytes()
        assert replace(found, path=whole.path) == whole


@pytest.mark.parametrize(
    "changed",
    [{"batch_size": 2}, {"identity": "other"}, {"precision": "bf16"}],
)
def test_another_training_is_not_gone_on_with(
    training: Training, tmp_path: Path, changed: dict[str, object]
) -> None:
    plan = Plan(1, 1e-3)
    training(tmp_path, plan)
    with pytest.raises(UsageError, match="--fresh"):
        training(tmp_path, plan, **changed)


def test_a_run_of_adamw_alone_is_not_gone_on_with(training: Training, tmp_path: Path) -> None:
    plan = Plan(1, 1e-3)
    training(tmp_path, plan)
    state = tmp_path / "state.json"
    told = json.loads(state.read_text())
    # As it was written before there was another optimiser.
    del told["identity"]["optimiser"]
    state.write_text(json.dumps(told))
    with pytest.raises(UsageError, match=r"optimiser None, not 'Muon for 9 matrices.*--fresh"):
        training(tmp_path, plan)
    checkpoints.forget(tmp_path)
    training(tmp_path, plan)


def test_muon_trains_the_linear_maps_of_the_adapter(
    trained: tuple[Result, list[Step]], training: Training
) -> None:
    reading = ConnectorTrainee(CONFIG, 5, training.table, dropout=0.0, seed=1)
    adapter = reading.connector.adapter
    linear = {
        f"connector.adapter.{name}.weight"
        for name, one in adapter.named_modules()
        if isinstance(one, nn.Linear)
    }
    assert set(reading.matrices) == linear
    kept = load_file(next(trained[0].path.parent.glob("state-*.safetensors")))
    moments = {kind: set[str]() for kind in ("momentum_buffer", "exp_avg", "parameter")}
    for name in kept:
        kind, parameter = name.split(".", 1)
        if kind in moments:
            moments[kind].add(parameter)
    assert moments["momentum_buffer"] == linear
    assert moments["exp_avg"] == moments["parameter"] - linear
    adapter.joined.weight.requires_grad_(False)
    assert set(reading.matrices) == linear - {"connector.adapter.joined.weight"}


def test_it_goes_on_from_a_connector(
    trained: tuple[Result, list[Step]], training: Training, tmp_path: Path
) -> None:
    start, _ = read(trained[0].path)
    with torch.no_grad():
        start.projector.blank.fill_(7.0)
    training(tmp_path, Plan(3, 1e-5), start=start)
    fresh, going_on = trained[1][0].loss, training.steps[0].loss
    assert going_on < 0.5 * fresh
    # What the language model was taught with it before stays.
    assert read(tmp_path / "connector")[0].projector.blank.eq(7.0).all()


def test_it_learns_in_sixteen_bits(training: Training, tmp_path: Path) -> None:
    training(tmp_path, Plan(15, 3e-3), precision="bf16")
    assert training.steps[-1].loss < 0.7 * training.steps[0].loss
    kept = load_file(next(tmp_path.glob("best-*.safetensors")))
    assert {one.dtype for one in kept.values()} == {torch.float32}
    assert {name.split(".")[0] for name in kept} == {"connector", "characters"}
    assert not any("projector" in name for name in kept)


def test_vocabulary_and_recordings_have_to_fit(training: Training, tmp_path: Path) -> None:
    other = Spelling([*SPELLING.tokens[:-1], Token(" q", 99, 1.0)])
    with pytest.raises(ValueError, match="vocabulary"):
        training(tmp_path, spelling=other)
    training.corpus = [replace(one, text="low" * 99) for one in training.corpus]
    with pytest.raises(UsageError, match="0 recordings to train on and 4 held out"):
        training(tmp_path)


def plain_loss(log_probabilities: Tensor, ids: list[int]) -> float:
    """-log p of a text by the forward recursion, without any library."""
    blank = log_probabilities.shape[1] - 1
    states = [blank] + [one for token in ids for one in (token, blank)]
    shares = log_probabilities.double().exp()
    now = [float(shares[0, one]) if at < 2 else 0.0 for at, one in enumerate(states)]
    for frame in shares[1:]:
        then = []
        for at, one in enumerate(states):
            total = now[at] + (now[at - 1] if at else 0.0)
            if at > 1 and one != blank and one != states[at - 2]:
                total += now[at - 2]
            then.append(total * float(frame[one]))
        now = then
    return -float(np.log(sum(now[-2:])))


def test_the_loss_is_that_of_tokens_and_half_that_of_characters() -> None:
    reading = ConnectorTrainee(CONFIG, 5, torch.ones(SPELLING.size, 24), dropout=0.0, seed=1)
    reading.train(False)
    dice = torch.Generator().manual_seed(2)
    # Of one length: padding is heard by the last frames' convolution.
    frames = [torch.randn(24, WIDTH, generator=dice) for _ in range(2)]
    tokens, characters = [[3, 3, 1], [29]], [[0, 1, 2], [4, 4]]
    with torch.no_grad():
        found = reading.loss(frames, tokens, characters)
        logits = reading(torch.stack(frames))
    expected = 0.0
    for weight, head, texts in zip((1.0, 0.5), logits, (tokens, characters), strict=True):
        for one, ids in zip(head.log_softmax(-1), texts, strict=True):
            expected += weight * plain_loss(one, ids) / 2 / 100
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_a_new_connector_depends_on_its_seed_and_on_nothing_else() -> None:
    before = torch.get_rng_state()
    table = torch.ones(SPELLING.size, 24)
    one, same, other = (
        ConnectorTrainee(CONFIG, 5, table, dropout=0.1, seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(torch.get_rng_state(), before)
    for name, value in one.state_dict().items():
        assert torch.equal(value, same.state_dict()[name])
    assert not torch.equal(one.connector.ctc.weight, other.connector.ctc.weight)
    assert isinstance(one.connector, Connector)
