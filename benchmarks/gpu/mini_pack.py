"""Collects what training mini's connector takes, as pieces for a machine without a network.

    python benchmarks/gpu/mini_pack.py PIECES --texts spiral.jsonl talks/ --real reader.jsonl \\
        --test held.jsonl --wheels wheels --programs unpacked

Two groups: `base` (Whisper's encoder in float16, texts as lines that are spoken, the head's tokens,
recordings, wheels, programs), with which speaking and stage 1 begin, and `llm` (the language model
in 8 bits, as `fls` keeps it). Texts are those of `fls train data`; manifests have lines
`{"audio": PATH, "text": WORDS}` with recordings of 30 s at most. `--init` goes on with a connector.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

import common
import mini_encoder
import mini_pieces
import numpy as np
import torch
from mini_takes import DOCUMENTS, Said, Take, as_int16, write_documents, write_take
from safetensors.torch import save_file

from fls_cli.sources.decode import decode
from fls_cli.storage.paths import cache_folder
from fls_cli.training import connector as connector_training
from fls_models.core.constants import WINDOW_SAMPLES
from fls_models.lslm.mini import connector_weights
from fls_models.lslm.mini.connector import Shape
from fls_models.lslm.mini.connector_weights import Config
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.training.ctc.unigram_vocabulary import Spelling
from fls_models.training.ctc.vocabulary import Characters
from fls_models.training.data.documents import Document, read_documents
from fls_models.training.data.manifests import read_utterances
from fls_models.weights import card
from fls_models.weights import store as weights


def main() -> int:
    parser = common.plain_parser(__doc__)
    parser.add_argument("folder", type=Path, help="for the pieces")
    parser.add_argument("--texts", type=Path, nargs="+", required=True, help="files and folders")
    parser.add_argument("--real", type=Path, nargs="*", default=[], help="manifests to train on")
    parser.add_argument("--test", type=Path, nargs="*", default=[], help="manifests to test on")
    parser.add_argument("--wheels", type=Path, help="folder; see README.md for which")
    parser.add_argument("--programs", type=Path, help="folder with unpacked Debian packages")
    parser.add_argument("--init", type=Path, help="connector to go on with")
    parser.add_argument("--speech", type=Path, help="Whisper's folder, mini's own unless given")
    parser.add_argument("--llm", type=Path, help="the language model's, mini's own unless given")
    parser.add_argument("--vocab", type=int, default=connector_training.TOKENS)
    parser.add_argument("--blocks", type=int, default=connector_training.BLOCKS)
    parser.add_argument("--width", type=int, default=connector_training.WIDTH)
    parser.add_argument("--piece-mb", type=float, default=40.0)
    arguments = parser.parse_args()
    mini: Any = card.load("mini")
    if arguments.speech is None or arguments.llm is None:
        installed = weights.store_of(mini, cache_folder()).pull()
        arguments.speech = arguments.speech or installed.speech
        arguments.llm = arguments.llm or installed.llm
    with tempfile.TemporaryDirectory() as made_in:
        base = Path(made_in)
        documents = read_documents(arguments.texts)
        write_documents(documents, base / DOCUMENTS)
        mini_encoder.convert(arguments.speech / "model.bin", base / mini_encoder.WEIGHTS)
        for name, manifests in (("real", arguments.real), ("tests", arguments.test)):
            (base / name).mkdir()
            for manifest in manifests:
                write_take(base / name / f"{manifest.stem}.safetensors", recorded(manifest))
        write_connector(base, documents, arguments, (mini.speech.name, mini.llm.name))
        for name in ("wheels", "programs"):
            if source := getattr(arguments, name):
                # What links point to within the folder stays a link.
                shutil.copytree(source, base / name, symlinks=True)
        groups = [("base", sorted(base.iterdir())), ("llm", sorted(arguments.llm.iterdir()))]
        max_bytes = round(arguments.piece_mb * 1e6)
        packing = mini_pieces.pack(groups, arguments.folder, max_bytes)
    for group in packing["groups"]:
        print(f"{group['name']}: {group['size'] / 1e6:.1f} MB in {len(group['pieces'])} pieces")
    print(f"{len(documents)} documents, {sum(len(document.lines) for document in documents)} lines")
    return 0


def recorded(manifest: Path) -> Take:
    """Recordings of a manifest as one take, a clip each; those above 30 s are left out."""
    clips, sound = [], []
    for utterance in read_utterances(manifest):
        samples = np.concatenate(list(decode(str(utterance.audio.absolute()))))
        if len(samples) > WINDOW_SAMPLES:
            print(f"{utterance.audio} lasts longer than 30 s and is left out", file=sys.stderr)
            continue
        clips.append(Said((utterance.text,), (len(samples),), len(samples)))
        sound.append(as_int16(samples))
    return Take(manifest.stem, tuple(clips), whole=False, held=False, sound=tuple(sound))


def write_connector(
    base: Path, documents: list[Document], arguments: argparse.Namespace, parts: tuple[str, str]
) -> None:
    """What the head reads, its tokens' embeddings, and how large the connector is."""
    from transformers import AutoTokenizer

    lines = [line.text for document in documents for line in document.lines]
    manifests = [utterance for file in arguments.real for utterance in read_utterances(file)]
    texts = lines + [utterance.text for utterance in manifests]
    model = MiniLanguageModel(arguments.llm)
    tokenizer: Any = AutoTokenizer.from_pretrained(arguments.llm, local_files_only=True)
    if arguments.init:
        config = connector_weights.read_config(arguments.init)
        spelling = Spelling.again(config.tokens, texts, tokenizer)
        shutil.copytree(arguments.init, base / "init")
    else:
        spelling = Spelling.of(texts, arguments.vocab, tokenizer)
        # As `fls train ctc --model mini` makes it.
        shape = Shape(
            encoder_width=encoder_width(base / mini_encoder.WEIGHTS),
            width=arguments.width,
            blocks=arguments.blocks,
            heads=0,
            kernel=31,
            inner_width=3 * arguments.width,
            tokens=spelling.size,
            model_width=model.width,
        )
        body: Any = model.body
        window = int(body.config.max_position_embeddings)
        config = Config(shape, spelling.ids, *parts, window=window)
    payload = {**config.as_json(), "lora": None}
    (base / "connector.json").write_text(json.dumps(payload), "utf-8")
    spelling.save(base)
    Characters.of(texts).save(base)
    table = model.embed(config.tokens).to(torch.float16).contiguous()
    save_file({"table": table}, base / "table.safetensors")


def encoder_width(file: Path) -> int:
    from safetensors import safe_open

    with safe_open(file, "pt") as opened:
        return int(json.loads(opened.metadata()["shape"])["d_model"])


if __name__ == "__main__":
    sys.exit(main())
