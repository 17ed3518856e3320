"""What a language model answers about transcripts, many at a time, greedily.

`training.data.distillation` asks them one after the other, as `fls` does; on a GPU a batch takes as
long as one. What is asked, and what becomes of the answers, is others' work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.transformers_body import cache_argument

_TOGETHER = 64
_ENDS = (".", "!", "?")


@torch.no_grad()
def answers(
    model: DecoderLanguageModel, prompts: Sequence[tuple[Tensor, Tensor]], max_tokens: int
) -> list[str]:
    """Of conversations with an empty reply (`conversation`), the replies: whole sentences.

    "" where no sentence ends within so many tokens.
    """
    replies = []
    # Of like length together: they are padded to the longest.
    order = sorted(range(len(prompts)), key=lambda index: len(prompts[index][0]))
    for first in range(0, len(order), _TOGETHER):
        replies += _batch(
            model, [prompts[index] for index in order[first : first + _TOGETHER]], max_tokens
        )
    by_place = dict(zip(order, replies, strict=True))
    return [by_place[index] for index in range(len(prompts))]


def _batch(
    model: DecoderLanguageModel, prompts: Sequence[tuple[Tensor, Tensor]], max_tokens: int
) -> list[str]:
    end = int(prompts[0][1][-1])
    # An empty reply is the token that ends it.
    prefixes = [embeddings[:-1] for embeddings, _ in prompts]
    max_length, device = max(map(len, prefixes)), prefixes[0].device
    rows = torch.zeros(len(prompts), max_length, prefixes[0].shape[1], device=device)
    mask = torch.zeros(len(prompts), max_length + max_tokens, dtype=torch.long, device=device)
    for row, mask_row, prefix in zip(rows, mask, prefixes, strict=True):
        row[max_length - len(prefix) :] = prefix
        mask_row[max_length - len(prefix) :] = 1
    places = (mask.cumsum(1) - 1).clamp_min(0)
    body: Any = model.body
    cache = DynamicCache()
    inputs, first, replies = rows, 0, []
    over = torch.zeros(len(prompts), dtype=torch.bool, device=device)
    for number in range(max_tokens):
        until = max_length + number
        hidden = body(
            inputs_embeds=inputs,
            attention_mask=mask[:, :until],
            position_ids=places[:, first:until],
            use_cache=True,
            **{cache_argument(body): cache},
        ).last_hidden_state[:, -1]
        tokens = model.logits(hidden).argmax(-1)
        over |= tokens == end
        replies.append(torch.where(over, end, tokens))
        if over.all():
            break
        first = until
        inputs = model.embed(tokens.tolist())[:, None]
    token_rows = torch.stack(replies, 1).tolist()
    return [_reply(model, row, end) for row in token_rows]


def _reply(model: Any, tokens: list[int], end: int) -> str:
    reply_tokens = tokens[: tokens.index(end)] if end in tokens else tokens
    text = str(model._tokenizer.decode(reply_tokens, skip_special_tokens=True)).strip()
    if end in tokens:
        return text
    last = max(text.rfind(mark) for mark in _ENDS)
    return text[: last + 1]
