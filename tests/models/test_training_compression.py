"""Dynamic compression training from a manifest to an adapter that installs, on tiny models."""

from __future__ import annotations

import json
import shutil
import wave
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from tiny_checkpoints import write_omni, write_qwen2_audio
from tiny_hearing import assert_close, babble, loaded
from torch import Tensor

from fls_models.core.constants import SAMPLE_RATE
from fls_models.errors import UsageError
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, training_schedule
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import TRANSCRIBE
from fls_models.lslm.registry import load
from fls_models.training.compression import train_answers as answering
from fls_models.training.compression.lora import Settings
from fls_models.training.compression.train_answers import Losses, Result
from fls_models.training.compression.train_large import train_compression
from fls_models.training.core.encoded_dataset import Encoded, encode
from fls_models.training.core.run import Run
from fls_models.training.core.trainer import Plan, Step
from fls_models.training.data.manifests import Spoken, read_spoken

ANSWERS = ("The red one.", "No.", "At noon, by train.", "Ada.", "In a week.")
LENGTHS = (750, 50, 12)
PLAN = Plan(steps=6, learning_rate=0.01, eval_every=2, seed=1)


def write_corpus(folder: Path) -> Path:
    """A manifest and five recordings of 1 to 3 s, the last of them asked about twice."""
    lines = []
    for number, answer in enumerate(ANSWERS):
        samples = (babble(1 + number / 2, seed=number) * 32767).astype("<i2")
        with wave.open(str(folder / f"{number}.wav"), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(SAMPLE_RATE)
            file.writeframes(samples.tobytes())
        lines.append(
            {"audio": f"{number}.wav", "question": f"Which of {number}?", "answer": answer}
        )
    lines.append({"audio": "4.wav", "question": "Who says so?", "answer": "A teacher."})
    manifest = folder / "data.jsonl"
    manifest.write_text("".join(f"{json.dumps(line)}\n" for line in lines), "utf-8")
    return manifest


def decode(audio: Path) -> Iterator[NDArray[np.float32]]:
    with wave.open(str(audio), "rb") as file:
        while block := file.readframes(4000):
            yield np.frombuffer(block, "<i2").astype(np.float32) / 32768


@dataclass
class Set:
    """A model, and what it is trained on."""

    released: Path
    model: LargeSpeechLM
    encoded: Encoded
    spoken: list[Spoken]

    def train(self, folder: Path, plan: Plan = PLAN, **settings: object) -> Result:
        usual: dict[str, object] = {
            "identity": "tiny",
            "base": "Qwen/Tiny",
            "lengths": LENGTHS,
            "lora": Settings(8, 16),
        }
        size = int(settings.pop("batch_size", 2))
        told = {name: settings.pop(name) for name in {"report", "processes"} & settings.keys()}
        run = Run(self.spoken[:4], self.spoken[4:], plan, folder, self.encoded, size, **told)
        return train_compression(self.model, run, **(usual | settings))

    @property
    def weights(self) -> dict[str, Tensor]:
        parts = [self.model.body, self.model._projector, self.model._tower, self.model._parts.head]
        return {
            f"{at}.{name}": value.clone()
            for at, part in enumerate(parts)
            for name, value in part.state_dict().items()
        }


@pytest.fixture(scope="module", params=["qwen2_audio", "qwen2_5_omni"])
def given(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Set:
    folder = tmp_path_factory.mktemp("given")
    if request.param == "qwen2_audio":
        write_qwen2_audio(folder / "released", ctc=True)
    else:
        write_omni(folder / "released")
    model = loaded(folder / "released", folder / "model")
    spoken = read_spoken(write_corpus(folder))
    kept = encode(
        model, [one.audio for one in spoken], decode, folder / "kept", identity=request.param
    )
    assert len(kept) == len(ANSWERS)
    return Set(folder / "released", model, kept, spoken)


@torch.no_grad()
def said_of(model: LargeSpeechLM, given: Set, length: int) -> float:
    """Nats a token of the held out answers, by the model's own reading and scoring."""

    def density(hidden: Tensor) -> Tensor:
        return 1 - model.blank_probability(hidden)

    found, tokens = 0.0, 0
    for one in given.spoken[4:]:
        hidden = given.encoded[one.audio]
        spans = torch.arange(len(hidden), dtype=torch.float64)[:, None] + torch.tensor([0.0, 1.0])
        frames = Frames(hidden, density(hidden), spans)
        done = fuse(frames, length, density, training_schedule)
        context = model.read(TRANSCRIBE, model.project(done.frames.hidden))
        scored = model.scores(context, one.question, [one.answer])[0]
        said = [
            model.request(context.prompt, one.question),
            model.embed(model.tokenize(one.answer)),
        ]
        with torch.inference_mode():
            logits = model._forward(context, context.cache(), torch.cat(said), logits=1)[-1]
        end = model._tokenizer.convert_tokens_to_ids("<|im_end|>")
        found -= float(scored.sum() + logits.log_softmax(-1)[end])
        tokens += len(scored) + 1
    return found / tokens


def test_from_a_manifest_to_a_model_that_answers_better(given: Set, tmp_path: Path) -> None:
    frozen = given.weights
    told: list[tuple[Step, Losses]] = []
    result = given.train(
        tmp_path / "run", replace(PLAN, steps=12), report=lambda *one: told.append(one)
    )
    for length in LENGTHS:
        expected = said_of(given.model, given, length)
        assert result.before[length] == pytest.approx(expected, rel=1e-5)
        assert result.after[length] < result.before[length]
    assert [step.number for step, _ in told] == list(range(1, 13))
    evaluated = {step.number: losses for step, losses in told if losses}
    assert list(evaluated) == [2, 4, 6, 8, 10, 12]
    assert evaluated[result.steps] == pytest.approx(result.after, rel=1e-6)
    means = {number: sum(losses.values()) / 3 for number, losses in evaluated.items()}
    assert means[result.steps] == min(means.values())
    # Bit for bit, and nothing of the adapter is left on it.
    after = given.weights
    assert after.keys() == frozen.keys()
    assert all(torch.equal(after[name], value) for name, value in frozen.items())

    settings = json.loads((result.folder / "adapter_config.json").read_text("utf-8"))
    assert settings["base_model_name_or_path"] == "Qwen/Tiny"
    # As it is used: beside the base, and installed with it.
    shutil.copytree(given.released, tmp_path / "both")
    shutil.copytree(result.folder, tmp_path / "both" / "adapter")
    trained = loaded(tmp_path / "both", tmp_path / "installed")
    for length in LENGTHS:
        expected = said_of(trained, given, length)
        assert result.after[length] == pytest.approx(expected, rel=1e-5)


def test_the_loss_falls_on_four_clips(given: Set, tmp_path: Path) -> None:
    losses: list[float] = []
    given.train(
        tmp_path,
        Plan(steps=40, learning_rate=0.02, eval_every=40),
        batch_size=4,
        report=lambda step, _: losses.append(step.loss),
    )
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])


@pytest.mark.parametrize("stopped", [1, 3, 4])
def test_an_interrupted_run_ends_with_the_same_numbers(
    given: Set, tmp_path: Path, stopped: int
) -> None:
    whole = given.train(tmp_path / "whole")

    def stop(step: Step, losses: Losses) -> None:
        if step.number == stopped:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        given.train(tmp_path / "parts", report=stop)
    assert not any("lora_" in name for name, _ in given.model.body.named_parameters())
    steps: list[int] = []
    torch.manual_seed(stopped)
    again = given.train(tmp_path / "parts", report=lambda step, _: steps.append(step.number))
    assert steps[-1] == 6
    assert stopped <= steps[0] <= stopped + 1
    assert (again.steps, again.loss) == (whole.steps, whole.loss)
    assert (again.before, again.after) == (whole.before, whole.after)
    one, other = (
        result.folder.joinpath("adapter_model.safetensors").read_bytes()
        for result in (whole, again)
    )
    assert one == other


def test_every_length_is_drawn(given: Set, tmp_path: Path, monkeypatch) -> None:
    drawn: list[int] = []

    def watch(self: object, batch: object, length: int) -> Tensor:
        drawn.append(length)
        return sum(one.sum() for one in self.trainee.parameters.values())

    monkeypatch.setattr(answering._Stage, "loss", watch)
    given.train(tmp_path, replace(PLAN, steps=60, accumulate=2, eval_every=60))
    assert len(drawn) == 120
    # 40 each, five standard deviations of a binomial are 26.
    assert all(abs(drawn.count(length) - 40) < 26 for length in LENGTHS)


@pytest.mark.parametrize("dtype", ["bf16", "nf4"])
def test_it_trains_on_weights_of_fewer_bits(given: Set, tmp_path: Path, dtype: str) -> None:
    model = loaded(given.released, tmp_path / "model", dtype)
    result = replace(given, model=model).train(tmp_path / "run", checkpointing=False)
    assert sum(result.after.values()) < 0.98 * sum(result.before.values())


def test_another_run_in_the_folder_is_refused(given: Set, tmp_path: Path) -> None:
    plan = replace(PLAN, steps=2)
    first = given.train(tmp_path, plan)
    again = given.train(tmp_path, plan)
    assert again.after == first.after
    for changed in ({"lengths": (750, 12)}, {"lora": Settings(4, 16)}, {"identity": "other"}):
        with pytest.raises(UsageError, match="another folder keeps both"):
            given.train(tmp_path, plan, **changed)
    assert not any("lora_" in name for name, _ in given.model.body.named_parameters())


def test_clips_that_were_not_encoded_are_left_out(given: Set, tmp_path: Path) -> None:
    lost = replace(given.spoken[0], audio=tmp_path / "too-long.wav")
    one = replace(given, spoken=[*given.spoken[:3], lost, *given.spoken[4:]])
    other = replace(given, spoken=given.spoken[:3] + given.spoken[4:])
    plan = replace(PLAN, steps=2)
    with_lost = one.train(tmp_path / "one", plan)
    run = Run(other.spoken[:3], other.spoken[3:], plan, tmp_path / "other", other.encoded, 2)
    how = {"lengths": LENGTHS, "lora": Settings(8, 16)}
    without = train_compression(other.model, run, identity="tiny", **how)
    assert with_lost.after == without.after
    nothing = replace(given, spoken=[lost] * 6)
    with pytest.raises(UsageError, match="0 questions to train on and 0 held out"):
        nothing.train(tmp_path / "nothing")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("dtype", ["bf16", "nf4", "int8"])
def test_on_a_gpu_the_losses_are_those_of_the_cpu(given: Set, tmp_path: Path, dtype: str) -> None:
    model = loaded(given.released, tmp_path / "model", dtype)
    there = load(tmp_path / "model", device="cuda")
    plan = replace(PLAN, steps=2)
    here = replace(given, model=model).train(tmp_path / "cpu", plan)
    result = replace(given, model=there).train(tmp_path / "cuda", plan)
    found, expected = (torch.tensor(list(one.before.values())) for one in (result, here))
    assert_close(found, expected, 0.02)
    assert sum(result.after.values()) < sum(result.before.values())
