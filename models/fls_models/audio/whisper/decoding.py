"""Whisper's tokens, one by one, of several windows together: the likeliest, or drawn.

With OpenAI's rules for timestamps (openai/whisper, decoding.py, `ApplyTimestampRules`), by which
CTranslate2 decodes, too: they come in pairs, never go back, and are written where all of them
together are likelier than any word.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from fls_models.audio.whisper.network import WhisperNetwork

# Finished windows are dropped once they are this share: dropping copies what stays.
_DROPPED = 0.25
# So much speech behind the last timestamp, in 20 ms, is not left out.
_LEFT_OUT = 50
# Nats a token, below which text is doubted, as in openai/whisper's `logprob_threshold`.
_DOUBTED = -1.0


@dataclass(frozen=True)
class SpecialTokens:
    """Ids of a vocabulary: its end of text, what says that nobody speaks, the first timestamp."""

    end: int
    no_speech: int
    first_timestamp: int


@dataclass(frozen=True)
class Sampling:
    """Tokens are drawn, and of so many texts of a window the likeliest is taken."""

    temperature: float
    texts: int


@dataclass
class Decoded:
    """The tokens of a window without the end, the sum of their log-probabilities with it (nats),
    and how likely it is that nobody speaks."""

    no_speech: float
    tokens: list[int] = field(default_factory=list)
    log_probability: float = 0.0
    # Where it would have ended, and the log-probabilities up to there and of the end.
    ends: list[tuple[int, float, float]] = field(default_factory=list)

    @property
    def score(self) -> float:
        """Nats a token."""
        return self.log_probability / max(1, len(self.tokens))

    def cut_doubted(self) -> None:
        """Lets it end where it would have, if what was written instead is doubted."""
        stops = [*self.ends, (len(self.tokens), self.log_probability, 0.0)]
        for (begin, before, of_end), (end, after, _) in pairwise(stops):
            if after - before < _DOUBTED * (end - begin):
                del self.tokens[begin:]
                self.log_probability = before + of_end
                break


@torch.inference_mode()
def decode_windows(
    network: WhisperNetwork,
    encoded: Sequence[Tensor],
    prompts: Sequence[Sequence[int]],
    special: SpecialTokens,
    *,
    suppressed: Sequence[int],
    max_tokens: int,
    max_initial_timestamp: int,
    speech_ends: Sequence[int],
    sampling: Sampling | None = None,
) -> list[Decoded]:
    """What is said in windows, each (T, D), after prompts of one length.

    `suppressed` are never written, and `max_initial_timestamp` is the latest first timestamp, of
    20 ms. A text that ends at a timestamp more than a second before its `speech_ends`, of 20 ms,
    goes on instead: Whisper was trained on speech that is cut off, and leaves its last sentence to
    the next window. The same window draws the same, whatever the others are.
    """
    copies = sampling.texts if sampling else 1
    tokens = torch.tensor(prompts).repeat_interleave(copies, dim=0)
    state = network.begin(encoded, tokens.shape[1] + max_tokens, copies)
    chances = [torch.Generator().manual_seed(0) for _ in encoded]
    # One by one: products of more rows differ in the last bit.
    hidden = [network.decode(column[:, None], state) for column in tokens.T]
    silence = network.logits(hidden[0][:, 0]).softmax(dim=-1)[:, special.no_speech]
    results = [Decoded(float(probability)) for probability in silence]
    active, last = list(range(len(results))), hidden[-1]
    for _ in range(max_tokens):
        logits = network.logits(last[:, 0])
        logits[:, list(suppressed)] = -torch.inf
        for row, index in enumerate(active):
            _apply_rules(logits[row], results[index].tokens, special, max_initial_timestamp)
            _go_on(logits[row], results[index], special, speech_ends[index // copies])
        totals = _leave_what_is_next(logits, special.first_timestamp)
        # Texts that have ended draw nothing: how long they stay depends on the other windows.
        going = [row for row, i in enumerate(active) if results[i].tokens[-1:] != [special.end]]
        if sampling:
            points = torch.zeros(len(active))
            for row in going:
                points[row] = torch.rand((), generator=chances[active[row] // copies])
            chosen = _drawn(logits, sampling.temperature, points)
        else:
            chosen = logits.argmax(dim=-1)
        log_probabilities = logits.gather(1, chosen[:, None])[:, 0] - totals
        running = []
        for row in going:
            result, token = results[active[row]], int(chosen[row])
            result.log_probability += float(log_probabilities[row])
            result.tokens.append(token)
            if token != special.end:
                running.append(row)
        if not running:
            break
        if len(running) <= (1 - _DROPPED) * len(active):
            state.select(running)
            active, chosen = [active[row] for row in running], chosen[running]
        last = network.decode(chosen[:, None], state)
    for result in results:
        if result.tokens[-1:] == [special.end]:
            result.tokens.pop()
        result.cut_doubted()
    return [
        max(results[first : first + copies], key=lambda result: result.score)
        for first in range(0, len(results), copies)
    ]


def _go_on(logits: Tensor, result: Decoded, special: SpecialTokens, speech_end: int) -> None:
    """Sets the end to -inf, in place, where a pair of timestamps leaves speech behind; (V,)."""
    begin = special.first_timestamp
    pair = result.tokens[-2:]
    is_left = len(pair) == 2 and min(pair) >= begin and pair[1] - begin < speech_end - _LEFT_OUT
    if is_left and int(logits.argmax()) == special.end:
        log_probability = float(logits.log_softmax(dim=-1)[special.end])
        result.ends.append((len(result.tokens), result.log_probability, log_probability))
        logits[special.end] = -torch.inf


def _apply_rules(
    logits: Tensor, written: Sequence[int], special: SpecialTokens, max_initial: int
) -> None:
    """Sets to -inf what may not follow, in place; (V,)."""
    begin = special.first_timestamp
    if not written:
        logits[:begin] = -torch.inf
        logits[begin + max_initial + 1 :] = -torch.inf
        return
    if written[-1] >= begin:
        if len(written) < 2 or written[-2] >= begin:
            logits[begin:] = -torch.inf
        else:
            logits[: special.end] = -torch.inf
    latest = max((token for token in written if token >= begin), default=begin)
    # A pair may be twice the same time; a new one is later than the last.
    open_pair = written[-1] >= begin and len(written) >= 2 and written[-2] < begin
    logits[begin : latest + (not open_pair)] = -torch.inf


def _leave_what_is_next(logits: Tensor, begin: int) -> Tensor:
    """Sets words to -inf, in place, where all timestamps together are likelier than any of them;
    (B, V) -> the logsumexp of what is left, (B,)."""
    words, times = logits[:, :begin], logits[:, begin:].logsumexp(dim=-1)
    is_time = times > words.max(dim=-1).values
    totals = torch.where(is_time, times, torch.logaddexp(words.logsumexp(dim=-1), times))
    words.masked_fill_(is_time[:, None], -torch.inf)
    return totals


def _drawn(logits: Tensor, temperature: float, points: Tensor) -> Tensor:
    """(B, V) -> the tokens in which `points` (B,), 0 to 1, lie when all stand side by side, each as
    wide as it is likely."""
    edges = (logits / temperature).softmax(dim=-1).cumsum(dim=-1)
    places = points[:, None] * edges[:, -1:] * (1 - 1e-6)
    return torch.searchsorted(edges, places, right=True)[:, 0]
