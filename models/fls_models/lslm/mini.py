"""The language model of `mini` and `small`: Qwen2.5 in 8 bits on any CPU.

Stock transformers with its linear layers replaced by `int8.Int8Linear`. Loading maps the file and
copies nothing. It always reads embeddings, whoever made them: a transcript's or fused frames'.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load, load_file, save
from torch import Tensor, nn
from transformers import AutoTokenizer, DynamicCache, Qwen2Config, Qwen2ForCausalLM

from fls_models.errors import DamagedWeights
from fls_models.lslm.int8 import Int8Embedding, Int8Linear
from fls_models.prompts import Prompt

_RECORDING = "\x00recording\x00"
_REQUEST = "\x00request\x00"
_REPLY = "\x00reply\x00"
# A reply whose last 3 x n tokens are one n-gram three times over says nothing new.
_LOOP_LENGTHS = range(4, 33)


@dataclass(frozen=True)
class ReadContext:
    """Keys and values of everything up to the end of the recording, layer by layer."""

    keys_values: tuple[tuple[Tensor, Tensor], ...]
    prompt: Prompt

    @property
    def tokens(self) -> int:
        return int(self.keys_values[0][0].shape[2])

    @property
    def bytes(self) -> int:
        """Memory it takes."""
        return sum(part.nbytes for layer in self.keys_values for part in layer)

    def cache(self) -> DynamicCache:
        """A cache to continue from. It grows by concatenation: these tensors stay as they are."""
        cache = DynamicCache()
        for layer, (keys, values) in enumerate(self.keys_values):
            cache.update(keys, values, layer)
        return cache


@dataclass(frozen=True)
class _Markup:
    """The chat template around a recording, by the tokenizer's own template."""

    head: str
    before_request: str
    before_reply: str
    after_reply: str


class MiniLanguageModel:
    """A `LanguageModel` over a folder that `fls_models.convert` wrote."""

    context_form = "float32-1"

    def __init__(self, folder: Path) -> None:
        try:
            raw: dict[str, Any] = json.loads((folder / "config.json").read_text("utf-8"))
            tensors = load_file(folder / "model.safetensors")
        except (OSError, ValueError, SafetensorError) as error:
            raise DamagedWeights(
                f"{folder} holds no whole model ({error}); remove it and pull it again."
            ) from error
        self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        self._model = _assemble(Qwen2Config.from_dict(raw), tensors)
        self._end = int(raw["eos_token_id"])

    @property
    def width(self) -> int:
        return int(self._model.config.hidden_size)

    def tokenize(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer.encode(
            text, add_special_tokens=False, split_special_tokens=True
        )
        return ids

    def embed(self, tokens: Sequence[int]) -> Tensor:
        table = self._model.get_input_embeddings()
        embedded: Tensor = table(torch.tensor(list(tokens), dtype=torch.long))
        return embedded

    @torch.inference_mode()
    def read(self, prompt: Prompt, recording: Tensor) -> ReadContext:
        head = self._markup(prompt).head
        before = torch.cat([self._marked(head), self.embed(self.tokenize(prompt.opening))])
        cache = DynamicCache()
        self._forward(torch.cat([before, recording.to(before.dtype)]), cache, logits=1)
        layers: Any = cache.layers
        return ReadContext(tuple((layer.keys, layer.values) for layer in layers), prompt)

    def pack(self, context: ReadContext) -> bytes:
        """A context as safetensors: what `unpack` makes of it is the same to the last bit."""
        keys, values = zip(*context.keys_values, strict=True)
        return save({"keys": torch.cat(keys), "values": torch.cat(values)})

    def unpack(self, packed: bytes, prompt: Prompt) -> ReadContext:
        """The context that was packed; `prompt` is the one that it was read with."""
        tensors = load(packed)
        keys, values = tensors["keys"], tensors["values"]
        layers = tuple((keys[i : i + 1], values[i : i + 1]) for i in range(len(keys)))
        return ReadContext(layers, prompt)

    @torch.inference_mode()
    def generate(
        self,
        context: ReadContext,
        request: str,
        *,
        max_tokens: int = 256,
        temperature: float = 0.0,
        seed: int = 0,
        earlier: Sequence[tuple[str, str]] = (),
    ) -> Iterator[str]:
        cache = context.cache()
        dice = torch.Generator().manual_seed(seed)
        logits = self._forward(self._asked(context, request, earlier), cache, logits=1)[-1]
        reply: list[int] = []
        shown = ""
        while len(reply) < max_tokens:
            token = _pick(logits, temperature, dice)
            if token == self._end:
                break
            reply.append(token)
            if _loops(reply):
                break
            text = str(self._tokenizer.decode(reply))
            # An unfinished character decodes to U+FFFD: wait for the token that completes it.
            if not text.endswith("\ufffd"):
                yield text[len(shown) :]
                shown = text
            logits = self._forward(self.embed([token]), cache, logits=1)[-1]

    @torch.inference_mode()
    def score(self, context: ReadContext, request: str, reply: str) -> Tensor:
        asked = self._asked(context, request)
        return -self._surprisal(context, asked, self.tokenize(reply))

    @torch.inference_mode()
    def choose(self, context: ReadContext, request: str, options: Sequence[str]) -> str:
        """The option whose first token is the likeliest beginning of a reply."""
        logits = self._forward(self._asked(context, request), context.cache(), logits=1)[-1]
        first = [self.tokenize(option)[0] for option in options]
        return options[int(logits[first].argmax())]

    @torch.inference_mode()
    def surprisal(self, context: ReadContext, text: str, lead: str = "") -> Tensor:
        lead_in = self.embed(self.tokenize(f"{lead}\n\nQuestion:"))
        return self._surprisal(context, lead_in, self.tokenize(text))

    def _surprisal(self, context: ReadContext, lead: Tensor, tokens: list[int]) -> Tensor:
        if not tokens:
            return torch.zeros(0)
        heard = torch.cat([lead, self.embed(tokens[:-1])])
        logits = self._forward(heard, context.cache(), logits=len(tokens))
        targets = torch.tensor(tokens)
        return nn.functional.cross_entropy(logits, targets, reduction="none")

    def _asked(
        self, context: ReadContext, request: str, earlier: Sequence[tuple[str, str]] = ()
    ) -> Tensor:
        """What follows a recording: requests with their replies, then the request, in markup."""
        markup = self._markup(context.prompt)
        parts: list[Tensor] = []
        for number, (asked, replied) in enumerate([*earlier, (request, None)]):
            # The first goes on in the message that holds the recording; others begin theirs.
            words = asked.lstrip() if number else markup.before_request.strip(" ") + asked
            parts += [self.embed(self.tokenize(words)), self._marked(markup.before_reply)]
            if replied is not None:
                parts += [self.embed(self.tokenize(replied)), self._marked(markup.after_reply)]
        return torch.cat(parts)

    def _forward(self, embeddings: Tensor, cache: DynamicCache, logits: int) -> Tensor:
        """Runs (n, H) embeddings after what the cache holds; the last `logits` rows of (n, V)."""
        output = self._model(
            inputs_embeds=embeddings.unsqueeze(0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=logits,
        )
        result: Tensor = output.logits[0]
        return result

    def _marked(self, markup: str) -> Tensor:
        """Embeddings of the template's own text, in which control tokens are control tokens."""
        return self.embed(self._tokenizer.encode(markup, add_special_tokens=False))

    @lru_cache  # noqa: B019  (a model lives as long as the process)
    def _markup(self, prompt: Prompt) -> _Markup:
        rendered: Any = self._tokenizer.apply_chat_template(
            [
                {"role": "system", "content": prompt.system},
                {"role": "user", "content": _RECORDING + _REQUEST},
                {"role": "assistant", "content": _REPLY},
                {"role": "user", "content": _REQUEST},
            ],
            tokenize=False,
            add_generation_prompt=True,
        )
        head, rest = rendered.split(_RECORDING)
        before_request, between, tail = rest.split(_REQUEST)
        before_reply, after_reply = between.split(_REPLY)
        assert before_reply == tail, "the template marks a first reply as any other"
        return _Markup(head, before_request, before_reply, after_reply)


def _assemble(config: Qwen2Config, tensors: dict[str, Tensor]) -> Qwen2ForCausalLM:
    with torch.device("meta"):
        model = Qwen2ForCausalLM(config)
    try:
        for name, module in list(model.named_modules()):
            if isinstance(module, nn.Linear):
                weight, scale = tensors.pop(f"{name}.weight"), tensors.pop(f"{name}.scale")
                if weight.shape != (module.out_features, module.in_features):
                    raise DamagedWeights(f"{name} has shape {tuple(weight.shape)}; pull it again.")
                linear = Int8Linear(weight, scale, tensors.pop(f"{name}.bias", None))
                model.set_submodule(name, linear)
    except KeyError as missing:
        raise DamagedWeights(
            f"The weights lack {missing}; remove the model, pull it again."
        ) from None
    head = model.get_submodule("lm_head")
    assert isinstance(head, Int8Linear)
    model.set_input_embeddings(Int8Embedding(head.weight, head.scale))
    model.load_state_dict(tensors, assign=True, strict=False)
    # The rotary frequencies are no weights: they are computed, here on the real device.
    model.model.rotary_emb = type(model.model.rotary_emb)(config)
    left = [name for name, value in model.named_parameters() if value.is_meta]
    if left:
        raise DamagedWeights(_lacking(left[0]))
    model.train(False)
    return model


def _lacking(name: str) -> str:
    return f"The weights lack {name}; remove the model with `fls models remove`, pull it again."


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
