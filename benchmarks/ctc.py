"""Word error rate of a connector's CTC head: what `mini` hears before its language model reads it.

    python benchmarks/ctc.py manifest.jsonl [...] [--connector models/mini] [--json FILE]

Manifests are those of `fls bench asr`: JSON lines `{"audio": PATH, "text": WORDS}`. The head is
read greedily: the likeliest token of each frame, repeats joined, blanks left out. Both sides go
through the normaliser of `fls bench asr`. Recordings may have any length.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import jiwer
import torch
from checkout import ROOT, located

from fls_cli.sources.decode import decode
from fls_models.audio.windows import cut
from fls_models.bench.scoring.estimates import rate
from fls_models.core.text.normalizer import normalise
from fls_models.extractor.ctc_decoding import greedy
from fls_models.extractor.encoding import encode_windows
from fls_models.lslm.mini.speech_model import MiniSpeechLM
from fls_models.training.data.manifests import read_utterances


def main() -> None:
    parser = argparse.ArgumentParser(description="Word error rate of a connector's CTC head.")
    parser.add_argument("manifests", type=Path, nargs="+", metavar="MANIFEST")
    shipped = ROOT / "models" / "mini"
    parser.add_argument("--connector", type=Path, default=shipped, metavar="FOLDER")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write what was found here, too")
    arguments = parser.parse_args()
    parts = located("mini")
    model = MiniSpeechLM(parts.speech, parts.llm, arguments.connector)
    results = []
    for manifest in arguments.manifests:
        errors: list[float] = []
        words: list[float] = []
        for utterance in read_utterances(manifest):
            reference = normalise(utterance.text)
            hypothesis = normalise(transcript(model, utterance.audio))
            alignment = jiwer.process_words(reference, hypothesis)
            errors.append(alignment.substitutions + alignment.deletions + alignment.insertions)
            words.append(len(reference.split()))
        wer = rate(errors, words)
        assert wer is not None, "a manifest holds recordings"
        print(
            f"{manifest}: {100 * wer.value:.1f} % [{100 * wer.low:.1f}, {100 * wer.high:.1f}]"
            f" of {sum(words):.0f} words in {wer.count} recordings"
        )
        results.append({"manifest": manifest.name, "words": sum(words), **wer.as_json()})
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n", "utf-8")


@torch.inference_mode()
def transcript(model: MiniSpeechLM, audio: Path) -> str:
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
