"""What is timed: the program's own engine, the same by way of a question, and a plain loop.

Each listens to blocks of audio, reads what it heard with the same language model and takes a fixed
number of tokens from it. Stages are timed in runs of their own, as waiting for the device between
them costs time.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from time import perf_counter
from types import SimpleNamespace
from typing import Any

import torch
from common import Array, Ticks, synchronize
from torch import Tensor

from fls_models.answering.answerability import Answerability
from fls_models.answering.answerer import Answerer
from fls_models.answering.generation import GenerationConfig
from fls_models.answering.map_reduce import merged
from fls_models.answering.readers.frames import FrameReader, FusedFrames
from fls_models.answering.readers.text import ModelInput
from fls_models.core.budget import Budget
from fls_models.core.constants import WINDOW_SAMPLES, frame_count
from fls_models.core.progress import ignore
from fls_models.extractor import extract as frame_listening
from fls_models.extractor.density import CtcHead
from fls_models.extractor.frames import Frames
from fls_models.extractor.fused_recording import FusedRecording
from fls_models.lslm import decoder
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.large import LargeSpeechLM
from fls_models.lslm.prompts import ASK, question

QUESTION = "What is the main argument, and who disagrees with it?"


@dataclass(frozen=True)
class Method:
    """A way to an answer: `fused`, `uncompressed` (NTK-RoPE) or `loop`, at a budget.

    `piece`: so many positions go through the language model at once, if not as the program has it.
    """

    name: str
    kind: str
    budget: Budget
    piece: int | None = None

    @contextmanager
    def pieces(self) -> Iterator[None]:
        before = decoder._AT_ONCE
        decoder._AT_ONCE = self.piece or before
        try:
            yield
        finally:
            decoder._AT_ONCE = before


@dataclass
class Run:
    """One answer. `first` and `total`: seconds from the first sample to the first token of the
    answer that is shown, and to its last."""

    first: float
    total: float
    listened: float
    before: int
    after: int
    sections: int
    tokens: int
    usage: dict[str, float] | None = None


class Stages:
    """Seconds by stage, each without what others take within it; threads have a stack each."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self.calls: dict[str, int] = {}
        self._local = threading.local()

    @contextmanager
    def stage(self, name: str, *, device: bool = True) -> Iterator[None]:
        stack: list[float] = self._local.__dict__.setdefault("stack", [])
        if device:
            synchronize()
        begun = perf_counter()
        stack.append(0.0)
        try:
            with torch.profiler.record_function(f"stage:{name}"):
                yield
                if device:
                    synchronize()
        finally:
            took = perf_counter() - begun
            within = stack.pop()
            if stack:
                stack[-1] += took
            self.seconds[name] = self.seconds.get(name, 0.0) + took - within
            self.calls[name] = self.calls.get(name, 0) + 1

    def around(self, name: str, work: Callable[..., Any], *, device: bool = True) -> Any:
        def timed(*args: Any, **how: Any) -> Any:
            with self.stage(name, device=device):
                return work(*args, **how)

        return timed


@contextmanager
def staged(model: LargeSpeechLM, stages: Stages) -> Iterator[None]:
    """Within it, the stages of listening and reading are timed."""
    names = {
        "features": "log-mel",
        "encode": "encode",
        "blank_probability": "density",
        "project": "project",
        "read": "prefill",
    }
    fuse = frame_listening.fuse
    for method, name in names.items():
        # Features are made in a thread beside the device: it is not waited for.
        timed = stages.around(name, getattr(model, method), device=method != "features")
        setattr(model, method, timed)
    frame_listening.fuse = stages.around("fusion", fuse)
    try:
        yield
    finally:
        frame_listening.fuse = fuse
        for method in names:
            delattr(model, method)


class Engines:
    """All methods over one model."""

    def __init__(self, model: LargeSpeechLM, card: Any, tokens: int) -> None:
        self.model = model
        self.card = card
        self.tokens = tokens
        self.ticks = Ticks(model)
        self._head: CtcHead | None = None

    def run(
        self,
        method: Method,
        blocks: Sequence[Array],
        stages: Stages | None = None,
        tokens: int | None = None,
    ) -> Run:
        """Listens, reads, answers, without asking first whether there is an answer."""
        stages = stages or Stages()
        max_tokens = tokens or self.tokens
        synchronize()
        begun = perf_counter()
        recording = self.hear(method, blocks, stages)
        listened = perf_counter() - begun
        readings = self.readings(method, recording)

        def decode(context: Any, show: Callable[[str], None]) -> str:
            with stages.stage("decode"):
                return GenerationConfig(max_tokens).decode(
                    self.model, context, question(QUESTION), show
                )

        def reply(reading: Any, show: Callable[[str], None]) -> str:
            scale = reading.rope_scale
            context = self.model.read(ASK.heard(), reading.embeddings, rope_scale=scale)
            return decode(context, show)

        replies = [partial(reply, reading) for reading in readings]
        del readings
        self.ticks.times.clear()
        with self.ticks, method.pieces():
            merged(
                self.model,
                replies,
                decode,
                max_tokens=self.card.max_frames,
                show=ignore,
                progress=ignore,
            )
        return self._run(begun, listened, recording, max_tokens)

    def ask(self, method: Method, blocks: Sequence[Array]) -> Run:
        """The same as a user has it: by way of `Answerer`, which judges the question first.

        A new conversation: nothing was read before.
        """
        synchronize()
        begun = perf_counter()
        recording = self.hear(method, blocks, Stages())
        listened = perf_counter() - begun
        reads = ContextCache(self.model)
        stub: Any = SimpleNamespace(
            card=self.card,
            language_model=self.model,
            reader=lambda recording: FrameReader(self.model, recording, self.card.window),
            reads=reads,
            reads_by="frames",
            answerability=Answerability(reads, ASK.heard()),
        )
        recording = replace(recording, speaks=True)
        asking = Answerer(
            stub,
            "speech.wav",
            FusedFrames(recording),
            heard_in={"listen": listened},
            budget=method.budget,
            generation=GenerationConfig(self.tokens),
        )
        self.ticks.times.clear()
        with self.ticks, method.pieces():
            answer = asking.answer(QUESTION)
        run = self._run(begun, listened, recording, self.tokens)
        run.usage = dict(answer.usage.seconds)
        return run

    def _run(self, begun: float, listened: float, recording: FusedRecording, tokens: int) -> Run:
        # The answer's own tokens are the last ones; those before them are of notes.
        first = self.ticks.times[-tokens] - begun
        total = self.ticks.times[-1] - begun
        return Run(
            first,
            total,
            listened,
            recording.frames_before,
            recording.frames_after,
            len(recording.sections),
            len(self.ticks.times),
        )

    def hear(self, method: Method, blocks: Sequence[Array], stages: Stages) -> FusedRecording:
        budget = method.budget.by(self.card.budgets)
        if method.kind == "loop":
            return self._loop(budget, blocks, stages)
        return frame_listening.listen_to_frames(
            self.model,
            iter(blocks),
            budget,
            max_frames=self.card.max_frames,
            total=sum(map(len, blocks)) / 16_000,
            compress=method.kind != "uncompressed",
        )

    def readings(self, method: Method, recording: FusedRecording) -> list[ModelInput]:
        reader = FrameReader(self.model, FusedFrames(recording), self.card.window)
        return reader.readings(method.budget, None)

    @torch.inference_mode()
    def _loop(self, budget: Budget, blocks: Sequence[Array], stages: Stages) -> FusedRecording:
        """Listening from the description of the method, as one would first write it down.

        Window by window, features and all; float32 copies of all hidden states; the projector on
        all frames, for nothing; the CTC head as two layers; a mean for each span in a Python loop.
        One section, whatever its length.
        """
        samples = torch.cat([torch.from_numpy(block) for block in blocks])
        seconds = len(samples) / 16_000
        windows: list[Tensor] = []
        for window in samples.split(WINDOW_SAMPLES):
            encoded = self.model.encode([self.model.features(window)])[0]
            windows.append(encoded[: frame_count(len(window))].float())
            self.model.project(windows[-1])
        hidden = torch.cat(windows)
        before, length = len(hidden), budget.frames(seconds)
        with stages.stage("fusion"):
            while len(hidden) > length:
                target = len(hidden) // 2 if len(hidden) > 2 * length else length
                hidden = self._loop_round(hidden, target)
        edges = torch.linspace(0.0, seconds, len(hidden) + 1, dtype=torch.float64)
        spans = torch.stack([edges[:-1], edges[1:]], dim=-1)
        density = torch.zeros(len(hidden))
        hidden = hidden.to(torch.bfloat16).cpu()
        section = Frames(hidden, density, spans)
        return FusedRecording((section,), before, seconds, budget.label, True)

    def _loop_round(self, hidden: Tensor, target: int) -> Tensor:
        density = torch.cat([self._loop_density(piece) for piece in hidden.split(750)])
        left, right = hidden[:-1], hidden[1:]
        similarity = (left * right).sum(-1) / (left.norm(dim=-1) * right.norm(dim=-1))
        joined = torch.zeros(len(hidden), dtype=torch.bool)
        joined[similarity.topk(len(hidden) - target).indices.cpu()] = True
        together = joined.tolist()
        fused = []
        first = 0
        while first < len(hidden):
            last = first
            while together[last]:
                last += 1
            weights = density[first : last + 1]
            total = (weights[:, None] * hidden[first : last + 1]).sum(0)
            fused.append(total / (weights.sum() + 1e-7))
            first = last + 1
        return torch.stack(fused)

    def _loop_density(self, hidden: Tensor) -> Tensor:
        return 1.0 - self.head(hidden).softmax(-1)[:, -1]

    @property
    def head(self) -> CtcHead:
        """The CTC head as it is released: two layers, float32."""
        assert self._head is not None, "the loop needs a head: give_head"
        return self._head

    def give_head(self, folder: Path | None) -> None:
        """Reads the loop's head from an installed model, or forgets it."""
        self._head = None
        if folder is None:
            return
        from fls_models.weights.conversion.install import open_tensors

        tensors = open_tensors(folder)
        linear, inner, bias = (
            tensors[f"ctc_decoder.{name}"].float()
            for name in ("linear.weight", "projector.weight", "projector.bias")
        )
        norm = self.model._norm
        with torch.device(self.model.device):
            head = CtcHead(inner.shape[1], len(inner), len(linear) - 1, norm.eps)
        with torch.no_grad():
            head.layer_norm.weight.copy_(norm.weight)
            head.layer_norm.bias.copy_(norm.bias)
            head.projector.weight.copy_(inner)
            head.projector.bias.copy_(bias)
            head.linear.weight.copy_(linear)
        self._head = head
