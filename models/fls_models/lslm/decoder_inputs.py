"""What a decoder reads, as embeddings: text, and the chat template around a recording and requests.

Control tokens are control tokens in the template's own text and nowhere else. What the layers make
of the embeddings is `decoder`'s affair.
"""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from fls_models.errors import DamagedWeights
from fls_models.lslm.base import Body
from fls_models.lslm.prompts import Prompt

_RECORDING = "\x00recording\x00"
_REQUEST = "\x00request\x00"
_REPLY = "\x00reply\x00"
IGNORE_INDEX = -100
"""The label of a position that nothing is learned from, as everywhere in transformers."""


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
        body: the layers.
        head: (n, H) -> logits (n, V).
        table: the input embeddings; it may lie on another device than the body.
        tokenizer: a tokenizer of transformers.
        template: has `apply_chat_template`: the tokenizer, or the processor of a model that hears.
        ends: tokens that end a reply.
        audio: the template's placeholder for a recording that is heard; empty if there is none.
        form: changes when contexts of the same weights are computed otherwise.
        draft_length: how many tokens of a reply are guessed at a time; 0 for none. As many and one
            that are read at once must each be what they are alone.
    """

    body: Body
    head: Callable[[Tensor], Tensor]
    table: nn.Module
    tokenizer: Any
    template: Any
    ends: Collection[int]
    audio: str
    form: str
    draft_length: int = 0


class DecoderInputs:
    """Embeddings by `DecoderComponents`."""

    def __init__(self, parts: DecoderComponents) -> None:
        self._parts = parts
        self._tokenizer = parts.tokenizer
        self._markups: dict[Prompt, _Markup] = {}

    @property
    def device(self) -> torch.device:
        """Where the recording's embeddings are read."""
        return self._parts.body.device

    def tokenize(self, text: str) -> list[int]:
        tokenizer = self._tokenizer
        return list(tokenizer.encode(text, add_special_tokens=False, split_special_tokens=True))

    def embed(self, tokens: Sequence[int]) -> Tensor:
        table: Any = self._parts.table
        ids = torch.tensor(list(tokens), dtype=torch.long, device=table.weight.device)
        embedded: Tensor = table(ids)
        return embedded.to(self.device)

    def opening(self, prompt: Prompt) -> Tensor:
        """What comes before a recording, (n, H)."""
        head = self._template_text(self._markup(prompt).head)
        return torch.cat([head, self.embed(self.tokenize(prompt.opening))])

    def question_opening(self, prompt: Prompt, lead: str) -> Tensor:
        """What comes between a recording and a question that nobody replies to, (n, H)."""
        opening = self.embed(self.tokenize(f"{lead}\n\nQuestion:"))
        if not prompt.audio:
            return opening
        return torch.cat([self._template_text(self._markup(prompt).before_request), opening])

    def request(
        self, prompt: Prompt, text: str, exchanges: Sequence[tuple[str, str]] = ()
    ) -> Tensor:
        """What follows a recording: requests with their replies, then the request, in markup."""
        markup = self._markup(prompt)
        parts: list[Tensor] = []
        for number, (request, reply) in enumerate([*exchanges, (text, None)]):
            # The first goes on in the message that holds the recording; others begin theirs.
            if number:
                words = request.lstrip()
            elif prompt.audio:
                parts.append(self._template_text(markup.before_request))
                words = request.lstrip()
            else:
                words = markup.before_request.strip(" ") + request
            parts += [self.embed(self.tokenize(words)), self._template_text(markup.before_reply)]
            if reply is not None:
                parts += [self.embed(self.tokenize(reply)), self._template_text(markup.after_reply)]
        return torch.cat(parts)

    def conversation(
        self, prompt: Prompt, recording: Tensor, request: str, reply: str
    ) -> tuple[Tensor, Tensor]:
        """A request and its reply: what `read`, `scores` and `generate` see, to be trained on.

        Args:
            recording: (L, H).

        Returns:
            Embeddings (n, H), and for each the token that stands there, (n,) int64 on the CPU:
            `IGNORE_INDEX` for all but the reply's own tokens and the one that ends it.
        """
        after_reply = self._markup(prompt).after_reply
        after = self._tokenizer.encode(after_reply, add_special_tokens=False)
        ends = [place for place, token in enumerate(after) if token in self._parts.ends]
        if not ends:
            raise DamagedWeights(
                "The model's chat template ends replies with a token that its generation_config "
                "does not stop at; pull the model again."
            )
        tokens = [*self.tokenize(reply), *after[: ends[0] + 1]]
        opening, question = self.opening(prompt), self.request(prompt, request)
        before = torch.cat([opening, recording.to(opening.device, opening.dtype), question])
        labels = torch.tensor([*[IGNORE_INDEX] * len(before), *tokens])
        return torch.cat([before, self.embed(tokens)]), labels

    def _template_text(self, markup: str) -> Tensor:
        """Embeddings of the template's own text, in which control tokens are control tokens."""
        return self.embed(self._tokenizer.encode(markup, add_special_tokens=False))

    def _markup(self, prompt: Prompt) -> _Markup:
        if prompt not in self._markups:
            self._markups[prompt] = self._rendered(prompt)
        return self._markups[prompt]

    def _rendered(self, prompt: Prompt) -> _Markup:
        recording: Any = _RECORDING + _REQUEST
        if prompt.audio:
            recording = [
                {"type": "audio", "audio_url": "recording"},
                {"type": "text", "text": _REQUEST},
            ]
        rendered = turns_in_markup(self._parts.template, prompt.system, recording)
        head, rest = rendered.split(self._parts.audio if prompt.audio else _RECORDING)
        before_request, between, before_reply = rest.split(_REQUEST)
        # What stands before the last reply may say more: that it was not thought about.
        _, after_reply = between.split(_REPLY)
        return _Markup(head, before_request, before_reply, after_reply)


def turns_in_markup(template: Any, system: str, recording: Any) -> str:
    """A system message, a recording, a reply and a request as a chat template has them.

    Where the template knows no system message, it stands at the front of the user's.
    """
    from jinja2 import TemplateError

    later = [{"role": "assistant", "content": _REPLY}, {"role": "user", "content": _REQUEST}]
    first = [{"role": "system", "content": system}, {"role": "user", "content": recording}]
    options = {"tokenize": False, "add_generation_prompt": True}
    try:
        return str(template.apply_chat_template([*first, *later], **options))
    except TemplateError:
        if not isinstance(recording, str):
            raise
        first = [{"role": "user", "content": f"{system}\n\n{recording}"}]
        return str(template.apply_chat_template([*first, *later], **options))


def turn_end(tokenizer: Any) -> int | None:
    """The control token by which a chat template ends a reply, if it has one."""
    rendered = turns_in_markup(tokenizer, "", _RECORDING + _REQUEST)
    _, after_reply = rendered.split(_REPLY)
    control = tokenizer.control_tokens
    tokens = tokenizer.encode(after_reply.partition(_REQUEST)[0])
    return next((token for token in tokens if token in control), None)
