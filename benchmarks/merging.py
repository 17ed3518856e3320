"""Frames merged between the layers of Whisper's encoder: what that saves, and what it costs.

    python benchmarks/merging.py --manifests ljspeech-by-tens.jsonl spoken.jsonl \\
        --items spoken/dev.jsonl --json FILE

After a layer of six, frames are merged into their neighbours: those most alike, into spans of any
length (as Token Merging, arXiv 2210.09461) or of two at most, or every four or, as `--budget fast`
does, every two, whatever they are. A span is attended to as its frames are. Nothing is trained for
it.

Of each way to merge: its operations, how many words of the manifests (those of `fls bench asr`)
Whisper and the connector's CTC head get wrong, how many choices of the items (those of `fls bench
qa`) `mini` gets right that reads fused frames at balanced, and, in turns, the encoder's seconds
for a window. What is in FILE is not measured again.

Recordings have to fill their windows: in the silence behind a short one frames are alike, and
merging them costs nothing.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from checkout import located
from ctc import transcript as read_by_ctc
from torch import Tensor

from fls_cli.sources.decode import decode
from fls_models.audio.whisper.load import Whisper
from fls_models.audio.whisper.network import WhisperNetwork
from fls_models.bench.asr import Utterance, compare, load_manifest
from fls_models.bench.caches.frames import FrameCache
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.qa.conditions import FrameInputs
from fls_models.bench.qa.items import load_items
from fls_models.bench.qa.qa import QaBench
from fls_models.pipelines.cascade import CascadeModel
from fls_models.pipelines.mini import MiniFrameModel
from fls_models.planning.flops import EncoderDims, encoder_flops

BASE = EncoderDims(mel_bins=80, width=512, feed_forward=2048, layers=6)
ROUNDS = 10


@dataclass(frozen=True)
class Way:
    """Which frames are merged after `depth` layers, so that `share` of them is gone.

    Spans of the most alike neighbours are of `longest` frames at most; where `alike` is False,
    spans are all of one length. A share of 0 is the encoder as it is.
    """

    share: float = 0.0
    depth: int = 0
    longest: int = 1500
    alike: bool = True

    @property
    def name(self) -> str:
        if not self.share:
            return "none"
        if not self.alike:
            return f"every {round(1 / (1 - self.share))} after layer {self.depth}"
        pairs = " in twos" if self.longest == 2 else ""
        return f"{self.share:.0%} alike{pairs} after layer {self.depth}"

    def sizes(self, hidden: Tensor) -> Tensor:
        """How many of (T, D) frames each span is of, (S,) int64."""
        count = len(hidden)
        if not self.alike:
            size = round(1 / (1 - self.share))
            return torch.full((count // size,), size)
        likeness = F.cosine_similarity(hidden[:-1].float(), hidden[1:].float(), dim=-1)
        start, length = list(range(count)), [1] * count
        left = round(count * self.share)
        for last in likeness.sort(descending=True, stable=True).indices.tolist():
            first, after = start[last], last + 1
            if not left:
                break
            if length[first] + length[after] > self.longest:
                continue
            # Only of spans' first frames the length counts; of the others, where they begin.
            start[after : after + length[after]] = [first] * length[after]
            length[first] += length[after]
            left -= 1
        opens = torch.tensor([start[frame] == frame for frame in range(count)]).nonzero()
        return torch.diff(opens.squeeze(-1), append=torch.tensor([count]))

    def encode(self, network: WhisperNetwork, features: Tensor, _: int | None = None) -> Tensor:
        """As `network.encode`, which it stands for; merged frames are repeated."""
        inside: Any = network
        hidden, attend = inside._convolve(features), inside._attend
        sizes: Tensor | None = None
        for depth, layer in enumerate(inside._encoder):
            if self.share and depth == self.depth:
                sizes = self.sizes(hidden[0])
                hidden = _means(hidden[0], sizes)[None]
                if self.alike:
                    inside._attend = partial(_attend, sizes.log().to(hidden.dtype))
            hidden = inside._encode(hidden, layer)
        inside._attend = attend
        encoded: Tensor = inside._norm(hidden, "encoder")[0]
        return encoded if sizes is None else encoded.repeat_interleave(sizes, dim=0)

    @property
    def flops(self) -> int:
        """Of a window, without what merging takes."""
        before = encoder_flops(replace(BASE, layers=self.depth))
        merged = replace(BASE, positions=round(BASE.positions * (1 - self.share)))
        behind = replace(merged, layers=BASE.layers - self.depth)
        return before + encoder_flops(behind) - encoder_flops(replace(merged, layers=0))


def _means(hidden: Tensor, sizes: Tensor) -> Tensor:
    """(T, D) -> (S, D), summed in float32."""
    span = torch.arange(len(sizes)).repeat_interleave(sizes)
    sums = torch.zeros(len(sizes), hidden.shape[1]).index_add_(0, span, hidden.float())
    return (sums / sizes[:, None]).to(hidden.dtype)


def _attend(bias: Tensor, queries: Tensor, keys: Tensor, values: Tensor) -> Tensor:
    """Attention of (1, H, S, D / H), with `bias` (S,) on all scores."""
    attended = torch.empty_like(queries)
    for head in range(queries.shape[1]):
        scores = queries[0, head] * queries.shape[-1] ** -0.5 @ keys[0, head].T
        torch.mm(scores.add_(bias).softmax(dim=-1), values[0, head], out=attended[0, head])
    return attended


WAYS = (
    Way(),
    *(Way(share, depth) for depth in (1, 3) for share in (0.25, 0.5, 0.75)),
    *(Way(0.5, depth, longest=2) for depth in (1, 3)),
    *(Way(share, depth, alike=False) for depth in (1, 3) for share in (0.5, 0.75)),
)


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames merged within Whisper's encoder.")
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, metavar="MANIFEST")
    parser.add_argument("--items", type=Path, required=True, metavar="ITEMS.jsonl")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    found = json.loads(arguments.json.read_text("utf-8")) if arguments.json.is_file() else {}

    def measured(way: Way, what: str, measure: Callable[[], Any]) -> None:
        own = found.setdefault(way.name, {})
        if what not in own:
            own[what] = measure()
            print(way.name, what, own[what], flush=True)
            arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")

    utterances = {path.name: load_manifest(path) for path in arguments.manifests}
    for way in WAYS:
        measured(way, "tflops", partial(round, way.flops / 1e12, 4))
        for name, spoken in utterances.items():
            measured(way, f"whisper {name}", partial(_words, way, spoken))
            measured(way, f"ctc {name}", partial(_ctc_words, way, spoken))
        measured(way, "choices", partial(_choices, way, arguments.items))
    if any("seconds" not in found.get(way.name, {}) for way in WAYS):
        seconds = _seconds(next(iter(utterances.values())))
        for way in WAYS:
            measured(way, "seconds", partial(seconds.__getitem__, way))


def _merge_in(whisper: Whisper, way: Way) -> None:
    network: Any = whisper._engine._network
    network.encode = partial(way.encode, network)


def _cascade(way: Way) -> CascadeModel:
    model = CascadeModel(located("mini"))
    _merge_in(model.transcriber._whisper, way)
    return model


def _framed(way: Way) -> MiniFrameModel:
    model = MiniFrameModel(located("mini"))
    _merge_in(model.language_model._whisper._whisper, way)
    return model


@torch.inference_mode()
def _seconds(utterances: Sequence[Utterance]) -> dict[Way, float]:
    """The median of a window's."""
    whisper = CascadeModel(located("mini")).transcriber._whisper
    network: Any = whisper._engine._network
    audio = np.concatenate([block for each in utterances for block in decode(each.audio)])
    windows = [audio[first : first + 480_000] for first in range(0, ROUNDS * 480_000, 480_000)]
    spent: dict[Way, list[float]] = {way: [] for way in WAYS}
    for window in [windows[0], *windows]:
        features = torch.from_numpy(whisper.features(window))
        for way in WAYS:
            begun = time.perf_counter()
            way.encode(network, features)
            spent[way].append(time.perf_counter() - begun)
    # The first is to warm up.
    return {way: round(statistics.median(times[1:]), 4) for way, times in spent.items()}


def _words(way: Way, utterances: Sequence[Utterance]) -> float:
    model = _cascade(way)
    errors = words = 0
    for utterance in utterances:
        sentences = model.transcriber.sentences(decode(utterance.audio), "fast", language="en")
        found = compare(utterance.name, utterance.text, " ".join(each.text for each in sentences))
        errors, words = errors + found.errors, words + found.words
    return round(errors / words, 4)


def _ctc_words(way: Way, utterances: Sequence[Utterance]) -> float:
    model = _framed(way).language_model
    errors = words = 0
    for utterance in utterances:
        found = compare(utterance.name, utterance.text, read_by_ctc(model, utterance.audio))
        errors, words = errors + found.errors, words + found.words
    return round(errors / words, 4)


def _choices(way: Way, items: Path) -> float:
    with TemporaryDirectory() as work:
        model = _framed(way)
        inputs = FrameInputs(model, FrameCache(model, decode, Path(work)))
        choices = QaBench(inputs, load_items(items), ResultCache(None)).likelihood("balanced")
    return round(sum(choices.right) / len(choices.right), 4)


if __name__ == "__main__":
    main()
