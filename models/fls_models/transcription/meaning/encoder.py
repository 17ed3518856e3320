"""Texts as vectors by all-MiniLM-L6-v2: the mean of its hidden states, of length 1.

Reimers and Gurevych, "Sentence-BERT" (arXiv 1908.10084). The cosine of two is their product.
"""

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fls_models.errors import DamagedWeights

WIDTH = 384
# Word pieces that it was trained for; the rest of a text is not read.
_LONGEST = 256
_BATCH = 16


class MeaningEncoder:
    """The network, on the CPU.

    `folder` holds `model.onnx`; raises DamagedWeights where that cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        import onnxruntime  # type: ignore[import-untyped]
        from tokenizers import Tokenizer

        own = files("fls_models") / "transcription" / "meaning" / "weights" / "tokenizer.json"
        self._tokenizer = Tokenizer.from_str(own.read_text("utf-8"))
        self._tokenizer.enable_truncation(_LONGEST)
        self._tokenizer.no_padding()
        options = onnxruntime.SessionOptions()
        # Warnings of a graph that was quantised are no matter of the user's.
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(
                str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # onnxruntime's own kinds, by what is wrong
            raise DamagedWeights(
                f"{folder / 'model.onnx'} cannot be read ({error}); remove the folder, and it is "
                "fetched again."
            ) from error

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """n texts -> (n, WIDTH) of length 1 each."""
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        # Texts of about one length: what is padded is computed in vain.
        order = sorted(range(len(texts)), key=lambda place: len(texts[place]))
        for first in range(0, len(order), _BATCH):
            places = order[first : first + _BATCH]
            vectors[places] = self._batch([texts[place] for place in places])
        return vectors

    def _batch(self, texts: Sequence[str]) -> NDArray[np.float32]:
        pieces = [encoding.ids for encoding in self._tokenizer.encode_batch(list(texts))]
        ids = np.zeros((len(pieces), max(map(len, pieces))), np.int64)
        mask = np.zeros_like(ids)
        for row, of_text in enumerate(pieces):
            ids[row, : len(of_text)] = of_text
            mask[row, : len(of_text)] = 1
        inputs = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        [hidden] = self._session.run(None, inputs)
        sums = (hidden * mask[..., None]).sum(axis=1)
        vectors: NDArray[np.float32] = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors
