"""Frames merged between the layers of Whisper's encoder: what that saves, and what it costs.

    python benchmarks/merging.py --manifests ljspeech.jsonl speech.jsonl --items spoken/dev.jsonl \\
        --json FILE

After layer `depth` of six, a `share` of a window's 1500 frames is merged into the neighbours that
they are most like, as `extractor.fusion` joins frames. Later layers attend to a merged frame as to
as many as it was made of (Token Merging, arXiv 2210.09461), and behind the last one it stands in
all their places again. Nothing is trained for it.

Of each way to merge: its operations, how many words of the manifests (those of `fls bench asr`)
Whisper and the connector's CTC head get wrong, how many choices of the items (those of `fls bench
qa`) `mini` gets right that reads fused frames at balanced, and, in turns, the encoder's seconds
for a window. What is in FILE is not measured again.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
from fls_models.bench.asr import Utterance, compare, load_manifest
from fls_models.bench.caches.frames import FrameCache
from fls_models.bench.caches.results import ResultCache
from fls_models.bench.qa.conditions import FrameInputs
from fls_models.bench.qa.items import load_items
from fls_models.bench.qa.qa import QaBench
from fls_models.extractor.fusion import adjacent_similarity
from fls_models.pipelines.cascade import CascadeModel
from fls_models.pipelines.mini import MiniFrameModel
from fls_models.planning.flops import EncoderDims, encoder_flops

BASE = EncoderDims(mel_bins=80, width=512, feed_forward=2048, layers=6)
ROUNDS = 10


@dataclass(frozen=True)
class Merging:
    """`share` 0 is the encoder as it is."""

    depth: int = 0
    share: float = 0.0

    @property
    def name(self) -> str:
        return f"{self.share:.0%} after layer {self.depth}" if self.share else "none"

    def left(self, count: int) -> int:
        return round(count * (1 - self.share))

    @property
    def flops(self) -> int:
        """Of a window, without what merging takes."""
        layers = BASE.layers - self.depth
        return encoder_flops(BASE) - layers * (_layer(BASE.positions) - _layer(self.left(1500)))

    def encode(self, network: Any, features: Tensor) -> Tensor:
        """(80, 3000) log-mel features of a window -> (1500, D), as `WhisperNetwork.encode`."""
        weights = network._weights
        mel = features[None].to(network._dtype)
        for name, stride in (("conv1", 1), ("conv2", 2)):
            kernel, bias = (weights[f"encoder/{name}/{side}"] for side in ("weight", "bias"))
            mel = F.gelu(F.conv1d(mel, kernel, bias, stride=stride, padding=1))
        positions = weights["encoder/position_encodings/encodings"]
        hidden = (mel.transpose(1, 2) + positions).contiguous()
        sizes, mask = torch.ones(hidden.shape[1], dtype=torch.long), None
        for index, layer in enumerate(network._encoder):
            if index == self.depth and self.share:
                sizes = _sizes(hidden[0], self.left(hidden.shape[1]))
                hidden = _means(hidden[0], sizes)[None]
                mask = sizes.log().to(network._dtype)[None, None, None]
            queries, keys, values = network._self_projections(hidden, layer)
            attended = F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
            attended = attended.transpose(1, 2).flatten(2)
            hidden = hidden + network._linear(attended, f"{layer}/self_attention/linear_1")
            hidden = network._feed_forward(hidden, layer)
        normed: Tensor = network._norm(hidden, "encoder")[0]
        return normed.repeat_interleave(sizes, dim=0)


WAYS = (Merging(), *(Merging(depth, share) for depth in (1, 3) for share in (0.25, 0.5, 0.75)))


def main() -> None:
    parser = argparse.ArgumentParser(description="Frames merged within Whisper's encoder.")
    parser.add_argument("--manifests", type=Path, nargs="+", required=True, metavar="MANIFEST")
    parser.add_argument("--items", type=Path, required=True, metavar="ITEMS.jsonl")
    parser.add_argument("--json", type=Path, required=True, metavar="FILE")
    arguments = parser.parse_args()
    found = json.loads(arguments.json.read_text("utf-8")) if arguments.json.is_file() else {}

    def measured(way: Merging, what: str, measure: Callable[[], Any]) -> None:
        own = found.setdefault(way.name, {})
        if what not in own:
            own[what] = measure()
            print(way.name, what, own[what], flush=True)
            arguments.json.write_text(json.dumps(found, indent=1) + "\n", "utf-8")

    utterances = {path.name: load_manifest(path) for path in arguments.manifests}
    for way in WAYS:
        measured(way, "tflops", lambda way=way: round(way.flops / 1e12, 4))
        for name, spoken in utterances.items():
            measured(way, f"whisper {name}", partial(_words, way, spoken))
            measured(way, f"ctc {name}", partial(_ctc_words, way, spoken))
        measured(way, "choices", partial(_choices, way, arguments.items))
    if any("seconds" not in found.get(way.name, {}) for way in WAYS):
        seconds = _seconds(next(iter(utterances.values())))
        for way in WAYS:
            measured(way, "seconds", partial(seconds.__getitem__, way))


def _layer(positions: int) -> int:
    width = BASE.width
    return positions * (8 * width**2 + 4 * width * BASE.feed_forward) + 4 * positions**2 * width


def _sizes(hidden: Tensor, length: int) -> Tensor:
    """How many frames of (T, D) each span is of, so that there are so many spans."""
    ranked = adjacent_similarity(hidden).sort(descending=True, stable=True).indices
    opens = torch.ones(len(hidden), dtype=torch.bool)
    opens[1 + ranked[: len(hidden) - length]] = False
    starts = opens.nonzero().squeeze(-1)
    return torch.diff(starts, append=torch.tensor([len(hidden)]))


def _means(hidden: Tensor, sizes: Tensor) -> Tensor:
    span = torch.arange(len(sizes)).repeat_interleave(sizes)
    sums = torch.zeros(len(sizes), hidden.shape[1]).index_add_(0, span, hidden.float())
    return (sums / sizes[:, None]).to(hidden.dtype)


def _merge_in(whisper: Whisper, way: Merging) -> None:
    network: Any = whisper._engine._network
    network.encode = partial(way.encode, network)


def _cascade(way: Merging) -> CascadeModel:
    model = CascadeModel(located("mini"))
    _merge_in(model.transcriber._whisper, way)
    return model


def _framed(way: Merging) -> MiniFrameModel:
    model = MiniFrameModel(located("mini"))
    _merge_in(model.language_model._whisper._whisper, way)
    return model


@torch.inference_mode()
def _seconds(utterances: Sequence[Utterance]) -> dict[Merging, float]:
    """The median of a window's."""
    whisper = CascadeModel(located("mini")).transcriber._whisper
    network: Any = whisper._engine._network
    plain = network.encode
    audio = np.concatenate([block for each in utterances for block in decode(each.audio)])
    windows = [audio[first : first + 480_000] for first in range(0, ROUNDS * 480_000, 480_000)]
    spent: dict[Merging, list[float]] = {way: [] for way in WAYS}
    for window in [windows[0], *windows]:
        features = torch.from_numpy(whisper.features(window))
        for way in WAYS:
            begun = time.perf_counter()
            way.encode(network, features) if way.share else plain(features)
            spent[way].append(time.perf_counter() - begun)
    # The first is to warm up.
    return {way: round(statistics.median(times[1:]), 4) for way, times in spent.items()}


def _words(way: Merging, utterances: Sequence[Utterance]) -> float:
    model = _cascade(way)
    errors = words = 0
    for utterance in utterances:
        sentences = model.transcriber.sentences(decode(utterance.audio), "balanced", language="en")
        found = compare(utterance.name, utterance.text, " ".join(each.text for each in sentences))
        errors, words = errors + found.errors, words + found.words
    return round(errors / words, 4)


def _ctc_words(way: Merging, utterances: Sequence[Utterance]) -> float:
    model = _framed(way).language_model
    errors = words = 0
    for utterance in utterances:
        found = compare(utterance.name, utterance.text, read_by_ctc(model, utterance.audio))
        errors, words = errors + found.errors, words + found.words
    return round(errors / words, 4)


def _choices(way: Merging, items: Path) -> float:
    with TemporaryDirectory() as work:
        model = _framed(way)
        inputs = FrameInputs(model, FrameCache(model, decode, Path(work)))
        choices = QaBench(inputs, load_items(items), ResultCache(None)).likelihood("balanced")
    return round(sum(choices.right) / len(choices.right), 4)


if __name__ == "__main__":
    main()
