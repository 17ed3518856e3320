"""A language model over any decoder of transformers that takes embeddings.

It reads a prompt and a recording once and answers any number of requests about it. Where weights
come from, in which precision they are and what embeds the recording is the model's own file.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from fls_models.lslm.decoder_inputs import DecoderComponents, DecoderInputs
from fls_models.lslm.kv_cache import KVContext, cache_argument, new_cache
from fls_models.lslm.prompts import Prompt

# A reply whose last 3 x n tokens are one n-gram three times over says nothing new.
_LOOP_LENGTHS = range(4, 33)
# Positions that go through the layers at once: bounds what one pass keeps besides its result.
_AT_ONCE = 2048


class DecoderLanguageModel(DecoderInputs):
    """A `LanguageModel` made of `DecoderComponents`."""

    def __init__(self, parts: DecoderComponents) -> None:
        super().__init__(parts)
        body: Any = parts.body
        self._rotary = body.rotary_emb
        self._layers = int(body.config.num_hidden_layers)
        self._cache_argument = cache_argument(parts.body)
        self._rope_scale = 1.0

    @property
    def width(self) -> int:
        body: Any = self._parts.body
        return int(body.config.hidden_size)

    @property
    def body(self) -> nn.Module:
        """The layers between embeddings and logits: what adapters are put on."""
        return self._parts.body

    @property
    def context_form(self) -> str:
        return self._parts.form

    @torch.inference_mode()
    def read(self, prompt: Prompt, recording: Tensor, *, rope_scale: float = 1.0) -> KVContext:
        opening = self.opening(prompt)
        embeddings = torch.cat([opening, recording.to(opening.device, opening.dtype)])
        cache = new_cache(self._layers, len(embeddings))
        self._forward(KVContext((), prompt, rope_scale), cache, embeddings, logits=0)
        return KVContext.of(cache, prompt, rope_scale)

    def pack(self, context: KVContext) -> bytes:
        return context.pack()

    def unpack(self, packed: bytes, prompt: Prompt) -> KVContext:
        return KVContext.unpack(packed, prompt, self.device)

    @torch.inference_mode()
    def generate(
        self,
        context: KVContext,
        request: str,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        exchanges: Sequence[tuple[str, str]] = (),
    ) -> Iterator[str]:
        cache, generator = context.cache(), torch.Generator().manual_seed(seed)
        embeddings = self.request(context.prompt, request, exchanges)
        reply: list[int] = []
        written = 0
        while len(reply) < max_tokens:
            logits = self._forward(context, cache, embeddings, logits=1)[-1]
            token = _pick(logits, temperature, generator)
            if token in self._parts.ends:
                break
            reply.append(token)
            if _loops(reply):
                break
            text = str(self._tokenizer.decode(reply, skip_special_tokens=True))
            # An unfinished character decodes to U+FFFD: wait for the token that completes it.
            if not text.endswith("\ufffd"):
                yield text[written:]
                written = len(text)
            embeddings = self.embed([token])

    @torch.inference_mode()
    def scores(self, context: KVContext, request: str, replies: Sequence[str]) -> list[Tensor]:
        cache, embeddings = context.cache(), self.request(context.prompt, request)
        first = self._forward(context, cache, embeddings, logits=1)
        continued = KVContext.of(cache, context.prompt, context.rope_scale)
        return [-self._reply_surprisal(continued, first, self.tokenize(text)) for text in replies]

    @torch.inference_mode()
    def choose(self, context: KVContext, request: str, options: Sequence[str]) -> str:
        embeddings = self.request(context.prompt, request)
        logits = self._forward(context, context.cache(), embeddings, logits=1)[-1]
        first = [self.tokenize(option)[0] for option in options]
        return options[int(logits[first].argmax())]

    @torch.inference_mode()
    def surprisal(self, context: KVContext, text: str, lead: str = "") -> Tensor:
        tokens = self.tokenize(text)
        if not tokens:
            return torch.zeros(0)
        opening = self.question_opening(context.prompt, lead)
        embeddings = torch.cat([opening, self.embed(tokens[:-1])])
        logits = self._forward(context, context.cache(), embeddings, logits=len(tokens))
        return nn.functional.cross_entropy(logits, torch.tensor(tokens), reduction="none")

    @torch.inference_mode()
    def attention(
        self,
        context: KVContext,
        request: str,
        reply: str,
        exchanges: Sequence[tuple[str, str]] = (),
    ) -> Tensor:
        embeddings, cache = self.request(context.prompt, request, exchanges), context.cache()
        self._forward(context, cache, embeddings[:-1], logits=0)
        writing = torch.cat([embeddings[-1:], self.embed(self.tokenize(reply)[:-1])])
        attentions: list[Tensor] = []
        first = len(self.opening(context.prompt))

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            # (1, heads, n, positions)
            weights = output[1][0, :, :, first : context.tokens]
            attentions.append(weights.float().mean(1).cpu())

        body: Any = self._parts.body
        hooks = [layer.self_attn.register_forward_hook(look) for layer in body.layers]
        implementation = body.config._attn_implementation
        # Others never have the weights as such.
        body.set_attn_implementation("eager")
        try:
            self._forward(context, cache, writing, logits=0)
        finally:
            body.set_attn_implementation(implementation)
            for hook in hooks:
                hook.remove()
        return torch.stack(attentions)

    def through(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """What the layers make of a batch, with gradients where they are wanted.

        Args:
            embeddings: (B, n, H).
            positions: (B, n) int64.
            mask: (B, n) bool, False for padding.

        Returns:
            (B, n, H), which `logits` takes.
        """
        self._scale_rope(1.0)
        hidden: Tensor = self._parts.body(
            inputs_embeds=embeddings,
            attention_mask=mask.long(),
            position_ids=positions,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """(n, H) -> (n, V), in the precision of the layers."""
        return self._parts.head(hidden)

    def _reply_surprisal(self, context: KVContext, first: Tensor, tokens: list[int]) -> Tensor:
        """-log p of tokens that follow a context, whose own last logits are `first`, (1, V)."""
        if not tokens:
            return torch.zeros(0)
        logits, rest = first, tokens[:-1]
        if rest:
            more = self._forward(context, context.cache(), self.embed(rest), logits=len(rest))
            logits = torch.cat([first, more])
        return nn.functional.cross_entropy(logits, torch.tensor(tokens), reduction="none")

    def _forward(
        self, context: KVContext, cache: Cache, embeddings: Tensor, *, logits: int
    ) -> Tensor:
        """Runs (n, H) after what the cache holds, as the context was read; the last `logits` rows
        of (n, V), float32, CPU.

        More positions than `_AT_ONCE` go through in pieces.
        """
        self._scale_rope(context.rope_scale)
        hidden: list[Tensor] = []
        for first in range(0, len(embeddings), _AT_ONCE):
            piece = embeddings[first : first + _AT_ONCE]
            output = self._parts.body(
                inputs_embeds=piece.unsqueeze(0), use_cache=True, **{self._cache_argument: cache}
            )
            rows = min(len(piece), logits - (len(embeddings) - first - len(piece)))
            if rows > 0:
                hidden.append(output.last_hidden_state[0, len(piece) - rows :])
        if not hidden:
            return torch.zeros(0)
        return self._parts.head(torch.cat(hidden)).float().cpu()

    def _scale_rope(self, factor: float) -> None:
        """Makes the rotary window `factor` times as long: NTK-aware scaling.

        base' = base x factor ^ (d / (d - 2)): the slowest frequency is divided by the factor, the
        fastest stays (bloc97, "NTK-aware scaled RoPE", 2023).
        """
        if factor == self._rope_scale:
            return
        slower = torch.linspace(0.0, 1.0, len(self._frequencies), device=self.device)
        self._rotary.inv_freq = self._frequencies * factor**-slower
        self._rope_scale = factor


def _pick(logits: Tensor, temperature: float, generator: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    probabilities = torch.softmax(logits / temperature, dim=-1)
    return int(torch.multinomial(probabilities, 1, generator=generator))


def _loops(tokens: list[int]) -> bool:
    return any(
        tokens[-n:] == tokens[-2 * n : -n] == tokens[-3 * n : -2 * n]
        for n in _LOOP_LENGTHS
        if len(tokens) >= 3 * n
    )
