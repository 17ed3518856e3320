"""Of many recordings, those that are read for a question: where its words were said most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from fls_cli.library.hearing import hear_unheard
from fls_cli.library.index import WHOLE, user_index
from fls_cli.library.ranking import rank
from fls_cli.media.source import Source
from fls_cli.session.request import AudioRange, Request
from fls_cli.session.session import Session
from fls_cli.storage.cache import open_cache

FEW = 10
"""So many recordings are read without choosing."""
READ = 8
"""Read for a question: of 120 texts of SPIRAL's dev part, the right one is among them for 97 %."""


@dataclass
class Choosing:
    """Chooses of more than `FEW` recordings what is read for questions, the most promising first.

    All are read where only parts are asked about, where a model reads frames, where something is
    no file, and where no word of the questions was said. What was not heard yet is heard first.

    Attributes:
        read: how many recordings were chosen, `of` so many; None where nothing was to choose.
    """

    session: Session
    request: Request
    questions: Sequence[str]
    read: int | None = None
    of: int | None = None

    def __call__(self, sources: list[Source]) -> list[Source]:
        if not self._may_choose(sources):
            return sources
        heard, chosen = self._ranked(sources)
        if chosen:
            self.session.say(
                f"reading {len(chosen)} of {len(heard)} recordings, where most words of the "
                "question were said; --all reads every one"
            )
        else:
            self.session.say(
                "no word of the question was said in any recording; all of them are read"
            )
        self.read, self.of = len(chosen or heard), len(heard)
        return chosen or heard

    def _may_choose(self, sources: Sequence[Source]) -> bool:
        request = self.request
        return (
            len(sources) > FEW
            and all(source.kind == "file" for source in sources)
            and request.audio_range == self._whole
            and self.session.keep
            and open_cache().limit > 0
            and self.session.model(request.engine).reads_by == "text"
        )

    @property
    def _whole(self) -> AudioRange:
        return replace(WHOLE, language=self.request.audio_range.language)

    def _ranked(self, sources: Sequence[Source]) -> tuple[list[Source], list[Source]]:
        """Those that were heard, and of them those that promise an answer."""
        session, request = self.session, self.request
        with user_index(session.say, session.bars) as index:
            files = {source: source.local for source in sources if source.local is not None}
            shelf = hear_unheard(session, index, files, request.engine, request.budget, self._whole)
            index.want(shelf.heard)
            chosen = {
                shelf.heard[number]: None
                for ranked in rank(index, self.questions)
                for number in ranked[:READ]
            }
        return list(shelf.heard.values()), list(chosen)
