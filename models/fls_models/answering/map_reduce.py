"""One reply from several passes: notes are taken of each, then notes of notes until one is left."""

from collections.abc import Callable, Sequence
from itertools import chain

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

    Replies come when they are called. Notes of them are read together, `max_tokens` tokens at a
    time.
    """
    if len(replies) == 1:
        return replies[0](show)
    notes = []
    progress("answer", 0, len(replies) + 1)
    for done, reply in enumerate(replies, 1):
        notes.append(llm.tokenize(f"- {reply(ignore)}\n"))
        progress("answer", done, len(replies) + 1)
    while True:
        groups = grouped(notes, max_tokens)
        contexts = (llm.read(prompts.NOTES, llm.embed(list(chain(*group)))) for group in groups)
        if len(groups) == 1:
            break
        notes = [llm.tokenize(f"- {decode(context, ignore)}\n") for context in contexts]
    text = decode(next(contexts), show)
    progress("answer", len(replies) + 1, len(replies) + 1)
    return text


def grouped(notes: Sequence[list[int]], max_tokens: int) -> list[list[list[int]]]:
    """Notes in order, in groups of two or more that one pass reads together."""
    groups: list[list[list[int]]] = [[]]
    for note in notes:
        if len(groups[-1]) >= 2 and sum(map(len, groups[-1])) + len(note) > max_tokens:
            groups.append([])
        groups[-1].append(note)
    return groups
