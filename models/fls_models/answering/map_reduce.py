"""One reply from several passes: notes are taken of each, then notes of notes until one is left."""

from collections.abc import Callable, Sequence
from itertools import chain

from fls_models.core.progress import Progress, ignore
from fls_models.lslm import prompts
from fls_models.lslm.base import Context, LanguageModel

Show = Callable[[str], None]


def merged(
    llm: LanguageModel,
    passes: Sequence[Callable[[], Context]],
    decode: Callable[[Context, Show], str],
    *,
    max_tokens: int,
    show: Show,
    progress: Progress,
) -> str:
    """The reply that `decode` gives to what was read in one pass or more; `show` sees it come.

    `passes` read when they are called. Notes are read together, `max_tokens` tokens at a time.
    """
    if len(passes) == 1:
        return decode(passes[0](), show)
    notes = []
    progress("answer", 0, len(passes) + 1)
    for done, read in enumerate(passes, 1):
        notes.append(llm.tokenize(f"- {decode(read(), ignore)}\n"))
        progress("answer", done, len(passes) + 1)
    while True:
        groups = grouped(notes, max_tokens)
        contexts = (llm.read(prompts.NOTES, llm.embed(list(chain(*group)))) for group in groups)
        if len(groups) == 1:
            break
        notes = [llm.tokenize(f"- {decode(context, ignore)}\n") for context in contexts]
    text = decode(next(contexts), show)
    progress("answer", len(passes) + 1, len(passes) + 1)
    return text


def grouped(notes: Sequence[list[int]], max_tokens: int) -> list[list[list[int]]]:
    """Notes in order, in groups of two or more that one pass reads together."""
    groups: list[list[list[int]]] = [[]]
    for note in notes:
        if len(groups[-1]) >= 2 and sum(map(len, groups[-1])) + len(note) > max_tokens:
            groups.append([])
        groups[-1].append(note)
    return groups
