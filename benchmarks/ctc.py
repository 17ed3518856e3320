"""Word error rate of a connector's CTC head: what `mini` hears before its language model reads it.

    python benchmarks/ctc.py manifest.jsonl [...] [--connector models/mini] [--json FILE]

Manifests are those of `fls bench asr`: JSON lines `{"audio": PATH, "text": WORDS}`. The head is
read greedily: the likeliest token of each frame, repeats joined, blanks left out. Both sides go
through the normaliser of `fls bench asr`. Recordings may have any length.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import jiwer
import torch

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "models")]

from fls_cli.sources.decode import decode  # noqa: E402
from fls_cli.storage.paths import cache_folder  # noqa: E402
from fls_models.audio.windows import cut  # noqa: E402
from fls_models.bench.scoring.estimates import rate  # noqa: E402
from fls_models.extractor.ctc_decoding import greedy  # noqa: E402
from fls_models.extractor.encoding import encode_windows  # noqa: E402
from fls_models.lslm.mini.speech_model import MiniSpeechLM  # noqa: E402
from fls_models.training.data.manifests import read_utterances  # noqa: E402
from fls_models.transcription.normalizer import normalise  # noqa: E402
from fls_models.weights.card import TextCard, load  # noqa: E402
from fls_models.weights.store import store_of  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description="Word error rate of a connector's CTC head.")
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    ours = ROOT / "models" / "mini"
    parser.add_argument("--connector", type=Path, default=ours, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found here, too")
    arguments = parser.parse_args()
    card = load("mini")
    assert isinstance(card, TextCard), "mini is made of parts"
    parts = store_of(card, cache_folder()).locate()
    model = MiniSpeechLM(parts.speech, parts.llm, arguments.connector)
    results = []
    for manifest in arguments.manifests:
        errors: list[float] = []
        words: list[float] = []
        for utterance in read_utterances(manifest):
            spoken, read = normalise(utterance.text), normalise(written(model, utterance.audio))
            compared = jiwer.process_words(spoken, read)
            errors.append(compared.substitutions + compared.deletions + compared.insertions)
            words.append(len(spoken.split()))
        rated = rate(errors, words)
        assert rated is not None, "a manifest holds recordings"
        print(
            f"{manifest}: {100 * rated.value:.1f} % [{100 * rated.low:.1f}, {100 * rated.high:.1f}]"
            f" of {sum(words):.0f} words in {rated.count} recordings"
        )
        results.append({"manifest": manifest.name, "words": sum(words), **rated.as_json()})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


@torch.inference_mode()
def written(model: MiniSpeechLM, audio: Path) -> str:
    """What the head reads in a recording, window by window."""
    tokens = torch.arange(model.ctc_tokens)
    ids: list[int] = []
    for _, frames in encode_windows(model, cut(decode(str(audio)))):
        logits = model.token_log_probabilities(frames.hidden, tokens)
        assert logits is not None, "a connector has a head"
        ids += greedy(logits)
    return model.ctc_text(ids)


if __name__ == "__main__":
    main()
