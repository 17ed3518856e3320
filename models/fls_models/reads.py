"""What a language model has read, kept for the next question about the same recording.

Reading is nearly all that a second question would cost. What was read is found again by the
embeddings themselves, so that no other recording, prompt or model can be mistaken for it.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from torch import Tensor

from fls_models.lslm.mini import MiniLanguageModel, ReadContext
from fls_models.memory import FORGETFUL, Memory
from fls_models.prompts import Prompt

KIND = "states"
# Of this process's own, in bytes: some 16 000 tokens of `mini`. The memory has its own limit.
_MOST = 400_000_000


class Reads:
    """Contexts of one language model. `identity` tells its weights from others'."""

    def __init__(
        self, llm: MiniLanguageModel, identity: str = "", memory: Memory = FORGETFUL
    ) -> None:
        self.llm = llm
        self._identity = identity
        self._memory = memory
        self._here: OrderedDict[str, ReadContext] = OrderedDict()

    def read(self, prompt: Prompt, recording: Tensor) -> ReadContext:
        """The context of a prompt and a recording's embeddings (L, H), read now or before."""
        content = hashlib.sha256(recording.float().contiguous().numpy().data).hexdigest()
        parts = {
            "form": self.llm.context_form,
            "model": self._identity,
            "prompt": [prompt.system, prompt.opening],
            "recording": content,
        }
        name = str(parts)
        if name in self._here:
            self._here.move_to_end(name)
            return self._here[name]
        kept = self._memory.get(KIND, parts)
        if kept is not None:
            context = self.llm.unpack(kept, prompt)
        else:
            context = self.llm.read(prompt, recording)
            if self._memory is not FORGETFUL:
                self._memory.put(KIND, parts, self.llm.pack(context))
        self._here[name] = context
        while len(self._here) > 1 and sum(one.bytes for one in self._here.values()) > _MOST:
            self._here.popitem(last=False)
        return context
