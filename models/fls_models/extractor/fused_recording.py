"""A recording as the language model gets it from the extractor: fused frames, pass by pass.

What listening comes to, and small enough to be kept: it can be written as bytes and read again, the
same to the last bit. It knows nothing of how frames were fused, nor of who reads them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise

from safetensors.torch import load, save

from fls_models.extractor.frames import Frames


@dataclass(frozen=True, eq=False)
class FusedRecording:
    """What was heard.

    Attributes:
        sections: the fused frames (L, D) of each pass, in order; none for a recording without
            frames. Their hidden states are those before the encoder's final norm.
        frames_before: how many frames the encoder gave.
        duration: seconds that were heard.
        budget: the label of the budget they were fused for.
        speaks: False where nothing was said: the CTC head reads a token in no frame, or there is
            silence throughout.

    Raises:
        ValueError: a section begins before the one ahead of it has ended.
    """

    sections: tuple[Frames, ...]
    frames_before: int
    duration: float
    budget: str
    speaks: bool

    def __post_init__(self) -> None:
        for section, following in pairwise(self.sections):
            if following.spans[0, 0] < section.spans[-1, 1]:
                raise ValueError("sections must run forwards and must not overlap")

    @property
    def frames_after(self) -> int:
        """How many fused frames there are in all passes together."""
        return sum(map(len, self.sections))

    def pack(self) -> bytes:
        """All of it as safetensors: what `unpack` makes of it is the same to the last bit."""
        scalars = {
            "lengths": [len(section) for section in self.sections],
            "frames_before": self.frames_before,
            # Python writes as many digits as it takes to read the same number again.
            "duration": self.duration,
            "budget": self.budget,
            "speaks": self.speaks,
        }
        # Together: the library writes several in any order, and so not twice the same bytes.
        metadata = {"scalars": json.dumps(scalars)}
        if not self.sections:
            return save({}, metadata)
        frames = Frames.concatenate(self.sections)
        tensors = {"hidden": frames.hidden, "density": frames.density, "spans": frames.spans}
        return save({name: tensor.cpu().contiguous() for name, tensor in tensors.items()}, metadata)

    @classmethod
    def unpack(cls, packed: bytes) -> FusedRecording:
        """What was packed, on the CPU. Bytes that `pack` did not make are an error of any kind."""
        # The library reads the metadata of files only. It stands in the header: 8 bytes of length,
        # then JSON.
        header = int.from_bytes(packed[:8], "little")
        metadata = json.loads(packed[8 : 8 + header])["__metadata__"]
        scalars = json.loads(metadata["scalars"])
        sections: list[Frames] = []
        if lengths := scalars.pop("lengths"):
            frames, first = Frames(**load(packed)), 0
            for length in lengths:
                sections.append(frames[first : first + length])
                first += length
        return cls(tuple(sections), **scalars)
