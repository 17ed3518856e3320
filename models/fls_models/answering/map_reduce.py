"""One reply from several passes: notes are taken of each, then notes of notes until one is left."""

from collections.abc import Callable, Sequence
from itertools import chain, islice

from fls_models.core.progress import Progress, ignore
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, LanguageModel

Show = Callable[[str], None]


def merged(
    llm: LanguageModel,
    replies: Sequence[Callable[[Show], str]],
    decode: Callable[[Context, Show], str],
    *,
    max_tokens: int,
    show: Show,
    progress: Progress,
) -> str:
    """One of the `replies` to passes, or what `decode` makes of all of them; `show` sees it come.

    Replies come when they are called; empty ones say nothing, and with none left so does this.
    Notes of the others are read together, `max_tokens` tokens at a time.
    """
    if len(replies) == 1:
        return replies[0](show)
    texts = []
    progress("answer", 0, len(replies) + 1)
    for done, reply in enumerate(replies, 1):
        texts.append(reply(ignore))
        progress("answer", done, len(replies) + 1)
    # A pass may have nothing to say after all.
    texts = [text for text in texts if text]
    if len(texts) == 1:
        show(texts[0])
    while len(texts) > 1:
        notes = grouped([llm.tokenize(f"- {text}\n") for text in texts], max_tokens)
        see = show if len(notes) == 1 else ignore
        rest = iter(texts)
        texts = []
        for group in notes:
            first, *_ = islice(rest, len(group))
            text = decode(llm.read(prompts.NOTES, llm.embed(list(chain(*group)))), see)
            if not text:
                # What cannot be put together is left at its first part.
                text = first
                see(text)
            texts.append(text)
    progress("answer", len(replies) + 1, len(replies) + 1)
    return "".join(texts)


def grouped(notes: Sequence[list[int]], max_tokens: int) -> list[list[list[int]]]:
    """Notes in order, in groups of two or more that one pass reads together."""
    groups: list[list[list[int]]] = [[]]
    for note in notes:
        if len(groups[-1]) >= 2 and sum(map(len, groups[-1])) + len(note) > max_tokens:
            groups.append([])
        groups[-1].append(note)
    return groups
