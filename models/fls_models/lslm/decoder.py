"""A language model over any decoder of transformers that takes embeddings.

It reads a prompt and a recording once and answers any number of requests about it. Where weights
come from, in which precision they are and what embeds the recording is the model's own file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from transformers.cache_utils import Cache

from fls_models.errors import DamagedWeights
from fls_models.lslm.kv_cache import KVContext, cache_argument, new_cache
from fls_models.lslm.prompts import Prompt

_RECORDING = "\x00recording\x00"
_REQUEST = "\x00request\x00"
_REPLY = "\x00reply\x00"
UNTAUGHT = -100
"""The label of a position that nothing is learned from, as everywhere in transformers."""
# A reply whose last 3 x n tokens are one n-gram three times over says nothing new.
_LOOP_LENGTHS = range(4, 33)
# Positions that go through the layers at once: bounds what one pass keeps besides its result.
_AT_ONCE = 2048


@dataclass(frozen=True)
class _Markup:
    """The chat template around a recording, by the model's own template."""

    head: str
    before_request: str
    before_reply: str
    after_reply: str


@dataclass(frozen=True)
class DecoderComponents:
    """What a decoder is made of.

    Attributes:
        body: takes `inputs_embeds` (1, n, H) and a cache, gives `last_hidden_state` (1, n, H); has
            `rotary_emb.inv_freq` and `config.num_hidden_layers`.
        head: (n, H) -> logits (n, V).
        table: the input embeddings; it may lie on another device than the body.
        tokenizer: a tokenizer of transformers.
        template: has `apply_chat_template`: the tokenizer, or the processor of a model that hears.
        ends: tokens that end a reply.
        audio: the template's placeholder for a recording that is heard; empty if there is none.
        form: changes when contexts of the same weights are computed otherwise.
    """

    body: nn.Module
    head: Callable[[Tensor], Tensor]
    table: nn.Module
    tokenizer: Any
    template: Any
    ends: Collection[int]
    audio: str
    form: str


class DecoderLanguageModel:
    """A `LanguageModel` made of `DecoderComponents`."""

    def __init__(self, parts: DecoderComponents) -> None:
        self._parts = parts
        self._tokenizer = parts.tokenizer
        body: Any = parts.body
        self._rotary = body.rotary_emb
        self._frequencies: Tensor = body.rotary_emb.inv_freq.clone()
        self._layers = int(body.config.num_hidden_layers)
        self._cache_argument = cache_argument(parts.body)
        self._stretched = 1.0

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

    @property
    def device(self) -> torch.device:
        """Where the recording's embeddings are read."""
        return self._frequencies.device

    def tokenize(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True
        )
        return ids

    def embed(self, tokens: Sequence[int]) -> Tensor:
        table: Any = self._parts.table
        ids = torch.tensor(list(tokens), dtype=torch.long, device=table.weight.device)
        embedded: Tensor = table(ids)
        return embedded.to(self.device)

    @torch.inference_mode()
    def read(self, prompt: Prompt, recording: Tensor, *, stretch: float = 1.0) -> KVContext:
        head = self._marked(self._markup(prompt).head)
        before = torch.cat([head, self.embed(self.tokenize(prompt.opening))])
        everything = torch.cat([before, recording.to(before.device, before.dtype)])
        cache = new_cache(self._layers, len(everything))
        self._forward(everything, cache, logits=0, stretch=stretch)
        return KVContext.of(cache, prompt, stretch)

    def pack(self, context: KVContext) -> bytes:
        """A context as safetensors: what `unpack` makes of it is the same to the last bit."""
        return context.pack()

    def unpack(self, packed: bytes, prompt: Prompt) -> KVContext:
        """The context that was packed; `prompt` is the one that it was read with."""
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
        earlier: Sequence[tuple[str, str]] = (),
    ) -> Iterator[str]:
        cache, stretch = context.cache(), context.stretch
        dice = torch.Generator().manual_seed(seed)
        asked = self._asked(context, request, earlier)
        logits = self._forward(asked, cache, logits=1, stretch=stretch)[-1]
        reply: list[int] = []
        shown = ""
        while len(reply) < max_tokens:
            token = _pick(logits, temperature, dice)
            if token in self._parts.ends:
                break
            reply.append(token)
            if _loops(reply):
                break
            text = str(self._tokenizer.decode(reply, skip_special_tokens=True))
            # An unfinished character decodes to U+FFFD: wait for the token that completes it.
            if not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
            logits = self._forward(self.embed([token]), cache, logits=1, stretch=stretch)[-1]

    @torch.inference_mode()
    def scores(self, context: KVContext, request: str, replies: Sequence[str]) -> list[Tensor]:
        cache, stretch = context.cache(), context.stretch
        begun = self._forward(self._asked(context, request), cache, logits=1, stretch=stretch)
        asked = KVContext.of(cache, context.prompt, stretch)
        return [-self._behind(asked, begun, self.tokenize(reply)) for reply in replies]

    @torch.inference_mode()
    def choose(self, context: KVContext, request: str, options: Sequence[str]) -> str:
        """The option whose first token is the likeliest beginning of a reply."""
        asked = self._asked(context, request)
        logits = self._forward(asked, context.cache(), logits=1, stretch=context.stretch)[-1]
        first = [self.tokenize(option)[0] for option in options]
        return options[int(logits[first].argmax())]

    @torch.inference_mode()
    def surprisal(self, context: KVContext, text: str, lead: str = "") -> Tensor:
        lead_in = self.embed(self.tokenize(f"{lead}\n\nQuestion:"))
        if context.prompt.audio:
            before = self._markup(context.prompt).before_request
            lead_in = torch.cat([self._marked(before), lead_in])
        return self._surprisal(context, lead_in, self.tokenize(text))

    @torch.inference_mode()
    def attention(
        self,
        context: KVContext,
        request: str,
        reply: str,
        earlier: Sequence[tuple[str, str]] = (),
    ) -> Tensor:
        asked, said = self._asked(context, request, earlier), self.tokenize(reply)
        cache, stretch = context.cache(), context.stretch
        self._forward(asked[:-1], cache, logits=0, stretch=stretch)
        writing = torch.cat([asked[-1:], self.embed(said[:-1])])
        seen: list[Tensor] = []
        first = self.before_recording(context.prompt)

        def look(module: nn.Module, inputs: Any, output: Any) -> None:
            # (1, heads, n, positions)
            weights = output[1][0, :, :, first : context.tokens]
            seen.append(weights.float().mean(1).cpu())

        body: Any = self._parts.body
        hooks = [layer.self_attn.register_forward_hook(look) for layer in body.layers]
        usual = body.config._attn_implementation
        # Others never have the weights as such.
        body.set_attn_implementation("eager")
        try:
            self._forward(writing, cache, logits=0, stretch=stretch)
        finally:
            body.set_attn_implementation(usual)
            for hook in hooks:
                hook.remove()
        return torch.stack(seen)

    def before_recording(self, prompt: Prompt) -> int:
        """How many positions of a context come before the recording's."""
        return len(self._marked(self._markup(prompt).head)) + len(self.tokenize(prompt.opening))

    def conversation(
        self, prompt: Prompt, recording: Tensor, request: str, reply: str
    ) -> tuple[Tensor, Tensor]:
        """A request and its reply: what `read`, `scores` and `generate` see, to be trained on.

        Args:
            recording: (L, H).

        Returns:
            Embeddings (n, H), and for each the token that stands there, (n,) int64 on the CPU:
            `UNTAUGHT` for all but the reply's own tokens and the one that ends it.
        """
        markup = self._markup(prompt)
        head = [self._marked(markup.head), self.embed(self.tokenize(prompt.opening))]
        asked = self._asked(KVContext((), prompt), request)
        after = self._tokenizer.encode(markup.after_reply, add_special_tokens=False)
        ends = [place for place, token in enumerate(after) if token in self._parts.ends]
        if not ends:
            raise DamagedWeights(
                "The model's chat template ends replies with a token that its generation_config "
                "does not stop at; pull the model again."
            )
        said = [*self.tokenize(reply), *after[: ends[0] + 1]]
        before = torch.cat([*head, recording.to(asked.device, asked.dtype), asked])
        labels = torch.tensor([*[UNTAUGHT] * len(before), *said])
        return torch.cat([before, self.embed(said)]), labels

    def through(self, embeddings: Tensor, places: Tensor, own: Tensor) -> Tensor:
        """What the layers make of a batch, with gradients where they are wanted.

        Args:
            embeddings: (B, n, H).
            places: (B, n) int64, the positions.
            own: (B, n) bool, False for padding.

        Returns:
            (B, n, H), which `logits` takes.
        """
        self._stretch(1.0)
        hidden: Tensor = self._parts.body(
            inputs_embeds=embeddings,
            attention_mask=own.long(),
            position_ids=places,
            use_cache=False,
        ).last_hidden_state
        return hidden

    def logits(self, hidden: Tensor) -> Tensor:
        """(n, H) -> (n, V), in the precision of the layers."""
        return self._parts.head(hidden)

    def _surprisal(self, context: KVContext, lead: Tensor, tokens: list[int]) -> Tensor:
        if not tokens:
            return torch.zeros(0)
        heard = torch.cat([lead, self.embed(tokens[:-1])])
        logits = self._forward(heard, context.cache(), logits=len(tokens), stretch=context.stretch)
        targets = torch.tensor(tokens)
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    def _behind(self, context: KVContext, begun: Tensor, tokens: list[int]) -> Tensor:
        """-log p of tokens that follow a context, whose own last logits are `begun`, (1, V)."""
        if not tokens:
            return torch.zeros(0)
        logits, rest = begun, tokens[:-1]
        if rest:
            cache, stretch = context.cache(), context.stretch
            more = self._forward(self.embed(rest), cache, logits=len(rest), stretch=stretch)
            logits = torch.cat([begun, more])
        return nn.functional.cross_entropy(logits, torch.tensor(tokens), reduction="none")

    def _asked(
        self, context: KVContext, request: str, earlier: Sequence[tuple[str, str]] = ()
    ) -> Tensor:
        """What follows a recording: requests with their replies, then the request, in markup."""
        markup = self._markup(context.prompt)
        parts: list[Tensor] = []
        for number, (asked, replied) in enumerate([*earlier, (request, None)]):
            # The first goes on in the message that holds the recording; others begin theirs.
            if number:
                words = asked.lstrip()
            elif context.prompt.audio:
                parts.append(self._marked(markup.before_request))
                words = asked.lstrip()
            else:
                words = markup.before_request.strip(" ") + asked
            parts += [self.embed(self.tokenize(words)), self._marked(markup.before_reply)]
            if replied is not None:
                parts += [self.embed(self.tokenize(replied)), self._marked(markup.after_reply)]
        return torch.cat(parts)

    def _forward(self, embeddings: Tensor, cache: Cache, *, logits: int, stretch: float) -> Tensor:
        """Runs (n, H) after what the cache holds; the last `logits` rows of (n, V), float32, CPU.

        More positions than `_AT_ONCE` go through in pieces.
        """
        self._stretch(stretch)
        kept: list[Tensor] = []
        for first in range(0, len(embeddings), _AT_ONCE):
            piece = embeddings[first : first + _AT_ONCE]
            output = self._parts.body(
                inputs_embeds=piece.unsqueeze(0), use_cache=True, **{self._cache_argument: cache}
            )
            wanted = min(len(piece), logits - (len(embeddings) - first - len(piece)))
            if wanted > 0:
                kept.append(output.last_hidden_state[0, len(piece) - wanted :])
        if not kept:
            return torch.zeros(0)
        return self._parts.head(torch.cat(kept)).float().cpu()

    def _stretch(self, factor: float) -> None:
        """Makes the rotary window `factor` times as long: NTK-aware scaling.

        base' = base x factor ^ (d / (d - 2)): the slowest frequency is divided by the factor, the
        fastest stays (bloc97, "NTK-aware scaled RoPE", 2023).
        """
        if factor == self._stretched:
            return
        slower = torch.linspace(0.0, 1.0, len(self._frequencies), device=self.device)
        self._rotary.inv_freq = self._frequencies * factor**-slower
        self._stretched = factor

    def _marked(self, markup: str) -> Tensor:
        """Embeddings of the template's own text, in which control tokens are control tokens."""
        return self.embed(self._tokenizer.encode(markup, add_special_tokens=False))

    @lru_cache  # noqa: B019  (a model lives as long as the process)
    def _markup(self, prompt: Prompt) -> _Markup:
        recording: Any = _RECORDING + _REQUEST
        if prompt.audio:
            recording = [
                {"type": "audio", "audio_url": "recording"},
                {"type": "text", "text": _REQUEST},
            ]
        rendered: Any = self._parts.template.apply_chat_template(
            [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": recording},
                {"role": "assistant", "content": _REPLY},
                {"role": "user", "content": _REQUEST},
            ],
            tokenize=False,
            add_generation_prompt=True,
        )
        head, rest = rendered.split(self._parts.audio if prompt.audio else _RECORDING)
        before_request, between, tail = rest.split(_REQUEST)
        before_reply, after_reply = between.split(_REPLY)
        assert before_reply == tail, "the template marks a first reply as any other"
        return _Markup(head, before_request, before_reply, after_reply)


def _pick(logits: Tensor, temperature: float, dice: torch.Generator) -> int:
    if temperature <= 0:
        return int(logits.argmax())
    chances = torch.softmax(logits / temperature, dim=-1)
    return int(torch.multinomial(chances, 1, generator=dice))


def _loops(tokens: list[int]) -> bool:
    return any(
        tokens[-n:] == tokens[-2 * n : -n] == tokens[-3 * n : -2 * n]
        for n in _LOOP_LENGTHS
        if len(tokens) >= 3 * n
    )
