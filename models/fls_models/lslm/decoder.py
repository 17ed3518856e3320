"""A language model over any decoder that takes embeddings.

It reads a prompt and a recording once and answers any number of requests about it. Where weights
come from, in which precision they are and what embeds the recording is the model's own file.
"""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor, nn

from fls_models.lslm.base import Draw
from fls_models.lslm.decoder_inputs import DecoderInputs
from fls_models.lslm.kv_cache import KVCache, KVContext
from fls_models.lslm.prompts import Prompt
from fls_models.lslm.replies.drafts import Drafts
from fls_models.lslm.replies.reply import Reply

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
    def rows_at_once(self) -> int:
        return self._parts.draft_length + 1

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
        reply = self._reply(max_tokens, temperature, seed)
        if reply.is_over:
            return
        for token in self._tokens(context, self.request(context.prompt, request, exchanges), reply):
            yield reply.append(token)
            if reply.is_over:
                break

    @torch.inference_mode()
    def generate_all(
        self,
        context: KVContext,
        draws: Sequence[Draw],
        *,
        max_tokens: int,
        is_whole: Callable[[str], bool],
    ) -> Iterator[str]:
        if max_tokens < 1:
            yield from ("" for _ in draws)
            return
        # Each request is read once, then a token of each reply at a time.
        read: dict[str, tuple[KVCache, KVContext, Tensor]] = {}
        for request in dict.fromkeys(draw.request for draw in draws):
            cache, embeddings = context.cache(), self.request(context.prompt, request)
            logits = self._forward(context, cache, embeddings, logits=1)
            continued = KVContext.of(cache, context.prompt, context.rope_scale)
            # The cache is named, so that the next one gets buffers of its own.
            read[request] = cache, continued, logits
        replies = [self._reply(max_tokens, draw.temperature, draw.seed) for draw in draws]
        caches = [read[draw.request][1].cache() for draw in draws]
        logits = torch.cat([read[draw.request][2] for draw in draws])
        written, rows = 0, list(range(len(draws)))
        while rows:
            tokens = {row: replies[row].pick(logits[place]) for place, row in enumerate(rows)}
            for row, token in tokens.items():
                reply = replies[row]
                if reply.append(token) and is_whole(reply.text):
                    reply.is_over = True
            rows = [row for row in rows if not replies[row].is_over]
            while written < (rows[0] if rows else len(draws)):
                yield replies[written].text
                written += 1
            if rows:
                embeddings = self.embed([tokens[row] for row in rows])
                behind = [caches[row] for row in rows]
                hidden = self._parts.body.read_each(embeddings, behind, context.rope_scale)
                logits = self._parts.head(hidden).float().cpu()

    def _reply(self, max_tokens: int, temperature: float, seed: int) -> Reply:
        return Reply(self._tokenizer, self._parts.ends, max_tokens, temperature, seed)

    def _tokens(self, context: KVContext, request: Tensor, reply: Reply) -> Iterator[int]:
        """The tokens of a reply to a request's embeddings (n, H), without end."""
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
                token = reply.pick(logits[confirmed])
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
