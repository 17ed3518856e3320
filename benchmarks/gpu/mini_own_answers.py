"""What a language model answers about transcripts, many at a time, greedily.

`training.own_answers` asks them one after the other, as `fls` does; on a GPU a batch takes as long
as one. What is asked, and what becomes of the answers, is others' work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from transformers.cache_utils import DynamicCache

from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.kv_cache import cache_argument

_TOGETHER = 64
_ENDS = (".", "!", "?")


@torch.no_grad()
def answers(
    model: DecoderLanguageModel, asked: Sequence[tuple[Tensor, Tensor]], most: int
) -> list[str]:
    """Of conversations with an empty reply (`conversation`), the replies: whole sentences.

    "" where no sentence ends within so many tokens.
    """
    found = []
    # Of like length together: they are padded to the longest.
    order = sorted(range(len(asked)), key=lambda one: len(asked[one][0]))
    for first in range(0, len(order), _TOGETHER):
        found += _batch(model, [asked[one] for one in order[first : first + _TOGETHER]], most)
    by_place = dict(zip(order, found, strict=True))
    return [by_place[one] for one in range(len(asked))]


def _batch(
    model: DecoderLanguageModel, asked: Sequence[tuple[Tensor, Tensor]], most: int
) -> list[str]:
    end = int(asked[0][1][-1])
    # An empty reply is the token that ends it.
    prefixes = [embeddings[:-1] for embeddings, _ in asked]
    longest, device = max(map(len, prefixes)), prefixes[0].device
    rows = torch.zeros(len(asked), longest, prefixes[0].shape[1], device=device)
    mask = torch.zeros(len(asked), longest + most, dtype=torch.long, device=device)
    for row, own, prefix in zip(rows, mask, prefixes, strict=True):
        row[longest - len(prefix) :] = prefix
        own[longest - len(prefix) :] = 1
    places = (mask.cumsum(1) - 1).clamp_min(0)
    body: Any = model.body
    cache = DynamicCache()
    heard, first, replies = rows, 0, []
    over = torch.zeros(len(asked), dtype=torch.bool, device=device)
    for number in range(most):
        until = longest + number
        hidden = body(
            inputs_embeds=heard,
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
        heard = model.embed(tokens.tolist())[:, None]
    written = torch.stack(replies, 1).tolist()
    return [_told(model, row, end) for row in written]


def _told(model: Any, tokens: list[int], end: int) -> str:
    said = tokens[: tokens.index(end)] if end in tokens else tokens
    text = str(model._tokenizer.decode(said, skip_special_tokens=True)).strip()
    if end in tokens:
        return text
    last = max(text.rfind(one) for one in _ENDS)
    return text[: last + 1]
