"""Frames merged between the layers of Whisper's encoder: what that saves, and what it costs.

    python benchmarks/merging.py --manifests ljspeech.jsonl speech.jsonl --items spoken/dev.jsonl \\
        --json FILE

After a layer of six, a share of a window's 1500 frames is merged into the neighbours that they are
most like (`fls_models.audio.whisper.merging`). Nothing is trained for it.

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
from checkout import located
from ctc import transcript as read_by_ctc
from torch import Tensor

from fls_cli.sources.decode import decode
from fls_models.audio.whisper.effort import Merging
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
    """`merging` None is the encoder as it is."""

    merging: Merging | None = None

    @property
    def name(self) -> str:
        merging = self.merging
        return f"{merging.share:.0%} after layer {merging.depth}" if merging else "none"

    @property
    def flops(self) -> int:
        """Of a window, without what merging takes."""
        return encoder_flops(BASE, merging=self.merging)

    def encode(self, network: WhisperNetwork, features: Tensor, _: None = None) -> Tensor:
        """As `network.encode`, which it stands for."""
        return WhisperNetwork.encode(network, features, self.merging)


WAYS = (Way(), *(Way(Merging(depth, share)) for depth in (1, 3) for share in (0.25, 0.5, 0.75)))


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
        measured(way, "tflops", lambda way=way: round(way.flops / 1e12, 4))
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
        sentences = model.transcriber.sentences(decode(utterance.audio), "balanced", language="en")
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
