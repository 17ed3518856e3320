"""A language model over any decoder that takes embeddings.

It reads a prompt and a recording once and answers any number of requests about it. Where weights
come from, in which precision they are and what embeds the recording is the model's own file.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn

from fls_models.lslm.decoder_inputs import DecoderInputs
from fls_models.lslm.drafts import Drafts
from fls_models.lslm.kv_cache import KVCache, KVContext
from fls_models.lslm.prompts import Prompt

# A reply whose last 3 x n tokens are one n-gram three times over says nothing new.
_LOOP_LENGTHS = range(4, 33)
# Positions that go through the layers at once: bounds what one pass keeps besides its result.
_AT_ONCE = 2048


class DecoderLanguageModel(DecoderInputs):
    """A `LanguageModel` made of `DecoderComponents`."""

    @property
    def width(self) -> int:
        return int(self._parts.body.config.hidden_size)

    @property
    def body(self) -> nn.Module:
        """The layers between embeddings and logits: what adapters are put on."""
        return self._parts.body.module

    @property
    def context_form(self) -> str:
        return self._parts.form

    @torch.inference_mode()
    def read(
        self, prompt: Prompt, recording: Tensor, *, rope_scale: float = 1.0, text: str = ""
    ) -> KVContext:
        opening = self.opening(prompt)
        embeddings = torch.cat([opening, recording.to(opening.device, opening.dtype)])
        layers = int(self._parts.body.config.num_hidden_layers)
        cache = KVCache.empty(layers, len(embeddings))
        self._forward(KVContext((), prompt, rope_scale), cache, embeddings, logits=0)
        return KVContext.of(cache, prompt, rope_scale, text)

    def pack(self, context: KVContext) -> bytes:
        return context.pack()

    def unpack(self, packed: bytes, prompt: Prompt, text: str = "") -> KVContext:
        return KVContext.unpack(packed, prompt, self.device, text)

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
        if max_tokens < 1:
            return
        embeddings = self.request(context.prompt, request, exchanges)
        generator = torch.Generator().manual_seed(seed)
        reply: list[int] = []
        written = 0
        for token in self._tokens(context, embeddings, temperature, generator):
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
            if len(reply) == max_tokens:
                break

    def _tokens(
        self, context: KVContext, request: Tensor, temperature: float, generator: torch.Generator
    ) -> Iterator[int]:
        """The tokens that follow a request's embeddings (n, H), without end."""
        cache = context.cache()
        # A LoRA's products, where frames are read, depend on how many rows there are.
        length = self._parts.draft_length if context.text else 0
        drafts = Drafts(self.tokenize(context.text) if length else (), length)
        guess: list[int] = []
        logits = self._forward(context, cache, request, logits=1)
        while True:
            # A row for the token that was there, and one behind each that was guessed.
            confirmed = 0
            while True:
                token = _pick(logits[confirmed], temperature, generator)
                yield token
                drafts.append(token)
                if confirmed == len(guess) or token != guess[confirmed]:
                    break
                confirmed += 1
            if confirmed < len(guess):
                cache.truncate(cache.length - (len(guess) - confirmed))
            guess = drafts.guess()
            embeddings = self.embed([token, *guess])
            logits = self._forward(context, cache, embeddings, logits=len(embeddings))

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
        seen = self._parts.body.attention(writing, cache, context.rope_scale)
        first = len(self.opening(context.prompt))
        return torch.stack([layer[:, first : context.tokens] for layer in seen])

    def through(self, embeddings: Tensor, positions: Tensor, mask: Tensor) -> Tensor:
        """What the layers make of a batch, with gradients where they are wanted.

        Args:
            embeddings: (B, n, H).
            positions: (B, n) int64.
            mask: (B, n) bool, False for padding.

        Returns:
            (B, n, H), which `logits` takes.
        """
        return self._parts.body.through(embeddings, positions, mask)

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
        self, context: KVContext, cache: KVCache, embeddings: Tensor, *, logits: int
    ) -> Tensor:
        """Runs (n, H) after what the cache holds, as the context was read; the last `logits` rows
        of (n, V), float32, CPU.

        More positions than `_AT_ONCE` go through in pieces.
        """
        states: list[Tensor] = []
        for first in range(0, len(embeddings), _AT_ONCE):
            piece = embeddings[first : first + _AT_ONCE]
            hidden = self._parts.body.read(piece, cache, context.rope_scale)
            rows = min(len(piece), logits - (len(embeddings) - first - len(piece)))
            if rows > 0:
                states.append(hidden[len(piece) - rows :])
        if not states:
            return torch.zeros(0)
        return self._parts.head(torch.cat(states)).float().cpu()


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
