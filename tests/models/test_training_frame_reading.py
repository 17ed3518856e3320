"""`mini` trained to read frames: tiny random parts, frames that are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_gguf import write_tiny_gguf
from tiny_hearing import assert_close
from tiny_whisper import WIDTH
from torch import Tensor

from fls_models.core.progress import ignore
from fls_models.errors import UsageError
from fls_models.lslm.mini.connector import Connector, Shape
from fls_models.lslm.mini.connector_weights import Config, read, read_config, read_lora, write
from fls_models.lslm.mini.speech_model import MiniSpeechLM
from fls_models.lslm.prompts import ASK
from fls_models.training.compression.dynamic import fused, surprisals
from fls_models.training.compression.lora import Settings
from fls_models.training.compression.train_answers import Losses, Result
from fls_models.training.compression.train_mini import train_frame_reading
from fls_models.training.compression.trainable_mini import TrainableHearing
from fls_models.training.core.encoded_dataset import Encoded
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Plan, Step
from fls_models.training.data.manifests import Spoken
from fls_models.weights.conversion.gguf import convert

HIDDEN, TOKENS = 64, tuple(range(30, 50))
ANSWERS = ("The red one.", "No.", "At noon.")
PLAN = Plan(steps=3, learning_rate=0.02, eval_every=2, seed=1)
LENGTHS = (750, 50)


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Kept(dict[Path, Tensor]):
    """What is encoded, without any sound: frames of one clip are not those of another."""

    def key(self, audio: Path) -> str:
        return str(audio)

    digest = Encoded.digest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`llm`, and a `connector` with random weights."""
    place = tmp_path_factory.mktemp("mini")
    write_tiny_gguf(place / "model.gguf", seed=8)
    (place / "llm").mkdir()
    convert(place / "model.gguf", place / "llm", ignore)
    shape = Shape(WIDTH, 16, 1, 0, 3, 32, len(TOKENS), HIDDEN)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        connector = Connector(shape)
        torch.nn.init.normal_(connector.projector.blank, std=0.1)
    config = Config(shape, TOKENS, "tiny-speech", "tiny-llm", 2048)
    write(connector, config, place / "connector", int8=False)
    return place


@pytest.fixture(scope="module")
def kept() -> Kept:
    dice = torch.Generator().manual_seed(0)
    return Kept(
        {Path(f"{at}.wav"): torch.randn(60 + 20 * at, 2 * WIDTH, generator=dice) for at in range(3)}
    )


SPOKEN = [Spoken(Path(f"{at}.wav"), "Which?", answer) for at, answer in enumerate(ANSWERS)]


def model_in(folder: Path, connector: Path | None = None, **how: str) -> TrainableHearing:
    # No sound is heard here, so that no Whisper is needed.
    place = connector or folder / "connector"
    return TrainableHearing(folder / "speech", folder / "llm", place, **how)


def train(
    folder: Path, kept: Kept, place: Path, plan: Plan = PLAN, **settings: object
) -> tuple[Result, TrainableHearing]:
    connector = settings.pop("connector", folder / "connector")
    model = model_in(folder, connector)
    usual: dict[str, object] = {"identity": "tiny", "lengths": LENGTHS}
    size = int(settings.pop("batch_size", 2))
    told = {name: settings.pop(name) for name in {"report", "processes"} & settings.keys()}
    run = Run(SPOKEN, SPOKEN, plan, place, kept, size, **told)
    return train_frame_reading(model, connector, run, **(usual | settings)), model


def test_it_is_the_model_that_runs(folder: Path, kept: Kept) -> None:
    trained = model_in(folder)
    runs = MiniSpeechLM(folder / "speech", folder / "llm", folder / "connector")
    hidden = trained.heard(kept[Path("0.wav")])
    recording = trained.embedded(hidden)
    with torch.no_grad():
        expected = runs.project(hidden.detach())
        assert_close(recording.detach(), expected, 1e-6)
        said = runs.scores(runs.read(ASK.heard(), expected), "Which?", ["The red one."])[0]
        asked = trained.conversation(ASK.heard(), recording.detach(), "Which?", "The red one.")
        [found] = surprisals(trained, [asked])
    # One token more: that which ends the reply. 8 bits round what comes into each layer.
    assert_close(found[:-1], -said, 0.05)


def test_gradients_go_through_what_is_fused(folder: Path, kept: Kept) -> None:
    model = model_in(folder)
    hidden = model.heard(kept[Path("2.wav")]).detach().requires_grad_()
    kept_frames = fused(model, hidden, 200, by_share=True)
    assert len(kept_frames) == round(200 * 100 / 750)
    weights = torch.randn(kept_frames.shape, generator=torch.Generator().manual_seed(5))
    (kept_frames * weights).sum().backward()
    assert hidden.grad is not None
    assert hidden.grad.ne(0).any(-1).float().mean() > 0.9
    # The means' weights add up to one: what all frames share is what the fused ones share.
    assert torch.allclose(hidden.grad.sum(0), weights.sum(0), atol=1e-3)


def test_the_loss_falls_and_what_is_frozen_stays(folder: Path, kept: Kept, tmp_path: Path) -> None:
    result, model = train(folder, kept, tmp_path, replace(PLAN, steps=10, eval_every=5))
    assert all(result.after[length] < result.before[length] for length in LENGTHS)
    before, _ = read(folder / "connector")
    after, config = read(result.folder)
    assert (config.lora is not None, config.lora and config.lora.rank) == (True, 16)
    # LoRA and projector; of the rest, what 8 bits make of it.
    assert not torch.equal(after.projector.blank, before.projector.blank)
    for name, value in before.state_dict().items():
        if not name.startswith("projector."):
            # As it was trained with: on the model itself it is the same to the bit.
            assert torch.equal(model.connector.state_dict()[name], value), name
    assert set(read_lora(result.folder, config)) == {
        f"layers.{layer}.self_attn.{one}_proj" for layer in range(2) for one in "qkvo"
    }
    assert not any("lora" in name for name, _ in model.body.named_parameters())
    # It is what mini runs with.
    runs = MiniSpeechLM(folder / "speech", folder / "llm", result.folder)
    recording = runs.project(runs.connector.adapter(kept[Path("1.wav")].reshape(1, -1, WIDTH))[0])
    asked, said = SPOKEN[1].question, SPOKEN[1].answer
    plain = MiniSpeechLM(folder / "speech", folder / "llm", folder / "connector")
    there = plain.project(plain.connector.adapter(kept[Path("1.wav")].reshape(1, -1, WIDTH))[0])
    better = runs.scores(runs.read(ASK.heard(), recording), asked, [said])[0].sum()
    assert better > plain.scores(plain.read(ASK.heard(), there), asked, [said])[0].sum()


def test_the_adapter_is_trained_where_it_is_named(folder: Path, kept: Kept, tmp_path: Path) -> None:
    result, _ = train(folder, kept, tmp_path, parts=("adapter",))
    names = set(load_file(next(tmp_path.glob("best-*.safetensors"))))
    assert {name.split(".")[1] for name in names} == {"adapter", "norm", "ctc"}
    assert read_config(result.folder).lora is None


def test_an_interrupted_run_ends_with_the_same_bytes(
    folder: Path, kept: Kept, tmp_path: Path
) -> None:
    parts = ("lora", "projector", "adapter")
    whole, _ = train(folder, kept, tmp_path / "whole", parts=parts)

    def stop(step: Step, losses: Losses) -> None:
        if step.number == 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(folder, kept, tmp_path / "cut", parts=parts, report=stop)
    torch.manual_seed(9)
    again, _ = train(folder, kept, tmp_path / "cut", parts=parts)
    assert replace(again, folder=whole.folder) == whole
    for name in ("config.json", "connector.safetensors", "lora.safetensors"):
        assert (again.folder / name).read_bytes() == (whole.folder / name).read_bytes()
    with pytest.raises(UsageError, match="--fresh"):
        train(folder, kept, tmp_path / "cut", parts=("lora",))


def test_a_lora_that_is_there_is_gone_on_with(folder: Path, kept: Kept, tmp_path: Path) -> None:
    plan = replace(PLAN, steps=1)
    first, _ = train(folder, kept, tmp_path / "one", plan, lora=Settings(4, 8.0, 0.0))
    on, _ = train(
        folder, kept, tmp_path / "two", plan, connector=first.folder, parts=("projector",)
    )
    assert all(
        on.before[length] == pytest.approx(first.after[length], abs=0.02) for length in LENGTHS
    )
    lora = read_config(on.folder).lora
    assert lora is not None
    assert (lora.rank, lora.alpha) == (4, 8.0)
    kept_pairs, pairs = (read_lora(one.folder, read_config(one.folder)) for one in (first, on))
    assert all(torch.equal(pairs[name].up, pair.up) for name, pair in kept_pairs.items())
    with pytest.raises(UsageError, match="leave --rank and --alpha out"):
        train(folder, kept, tmp_path / "three", connector=first.folder, lora=Settings(8, 16.0, 0.0))
