"""What a language model has read, kept for the next question about the same recording.

Reading is nearly all that a second question would cost. What was read is found again by the
embeddings themselves, so that no other recording, prompt or model can be mistaken for it.
"""

import hashlib
from collections import OrderedDict

import torch
from torch import Tensor

from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.lslm.base import Context, LanguageModel
from fls_models.lslm.prompts import Prompt

KIND = "states"
# Of this process's own, in bytes: some 16 000 tokens of `mini`. The memory has its own limit.
_MAX_BYTES = 400_000_000


class ContextCache:
    """Contexts of one language model. `identity` tells its weights from others'."""

    def __init__(self, llm: LanguageModel, identity: str = "", memory: Cache = NULL_CACHE) -> None:
        self.llm = llm
        self._identity = identity
        self._memory = memory
        self._contexts: OrderedDict[str, Context] = OrderedDict()

    def read(
        self, prompt: Prompt, recording: Tensor, rope_scale: float = 1.0, text: str = ""
    ) -> Context:
        """The context of a prompt and a recording's embeddings (L, H), read now or before.

        `text` is what they stand for, if that is known.
        """
        raw = recording.cpu().contiguous().view(torch.uint8).numpy().data
        content = f"{recording.dtype} {hashlib.sha256(raw).hexdigest()}"
        parts = {
            "form": self.llm.context_form,
            "model": self._identity,
            "prompt": [prompt.system, prompt.opening, prompt.audio],
            "recording": content,
            "stretch": rope_scale,
        }
        name = str(parts)
        if name in self._contexts:
            self._contexts.move_to_end(name)
            return self._contexts[name]
        cached = self._memory.get(KIND, parts)
        if cached is not None:
            context: Context = self.llm.unpack(cached, prompt, text)
        else:
            self._make_room(len(recording))
            context = self.llm.read(prompt, recording, rope_scale=rope_scale, text=text)
            if self._memory is not NULL_CACHE:
                self._memory.put(KIND, parts, self.llm.pack(context))
        self._contexts[name] = context
        self._make_room(0)
        return context

    def _make_room(self, tokens: int) -> None:
        """Forgets what was used longest ago, before so many tokens more would be too many."""
        while len(self._contexts) > (0 if tokens else 1):
            contexts = self._contexts.values()
            token_bytes = max(context.bytes / max(1, context.tokens) for context in contexts)
            if sum(context.bytes for context in contexts) + tokens * token_bytes <= _MAX_BYTES:
                break
            self._contexts.popitem(last=False)
