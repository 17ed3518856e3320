"""What shows that an answer is right: its passages as clips, and a page to hear them on."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fls_cli.console.text import printable
from fls_cli.media.clips.clips import STAMP, clip_place, save_clip
from fls_cli.media.source import check_apart
from fls_cli.session.job import Job
from fls_cli.storage.files import check_folder, check_place, make_folder, write_atomically
from fls_models.core.progress import ignore
from fls_models.core.results import Answer, Passage, Summary
from fls_models.errors import InputError, UsageError

_PAGE = ".html"
# Passages, where nobody says how many.
EVIDENCE = 3


@dataclass(frozen=True)
class Showing:
    """What was asked for besides answers: `evidence` passages at most with each of them.

    `printed` says that they follow the answers as text. `report` is a page, or a folder of pages if
    it ends in a slash or is one.
    """

    evidence: int = 0
    printed: bool = False
    clips: Path | None = None
    report: str | None = None

    @classmethod
    def parse(
        cls, evidence: int | None, clips: Path | None, report: str | None, *, as_json: bool
    ) -> Showing:
        """From the options; UsageError where nothing could be written."""
        if clips is not None:
            if os.path.exists(clips) and not os.path.isdir(clips):
                raise UsageError(f"--clips: {printable(str(clips))} is no folder; name one.")
            check_folder(clips)
        if report is not None and _is_folder(report):
            check_folder(Path(report))
        elif report is not None:
            page = Path(report)
            if page.suffix not in (_PAGE, ".htm"):
                raise UsageError(
                    f"--report writes a page: name it {page.name}{_PAGE}, or end the name of a "
                    "folder of pages with /."
                )
            check_place(page)
        printed = evidence is not None
        if evidence is None:
            evidence = EVIDENCE if as_json or clips or report else 0
        return cls(evidence, printed, clips, report)

    def as_json(self) -> list[Any]:
        """What a result depends on."""
        return [self.evidence, self.printed, str(self.clips), self.report]

    @property
    def in_folder(self) -> bool:
        """Whether there is a page for each recording."""
        return self.report is not None and _is_folder(self.report)

    def check(self, job: Job) -> None:
        """To be called before the work on a recording.

        UsageError where several would share a page, InputError where this one's clips or page
        could not be written.
        """
        session = job.session
        count = session.source_count
        if self.report is not None and count > 1 and not self.in_folder:
            raise UsageError(
                f"--report: {count} recordings have a page each; name a folder, with / at its end."
            )
        if self.report is not None and not self.in_folder:
            check_apart(Path(self.report), [job.source])
        try:
            if self.clips is not None:
                check_folder(job.place(self.clips, STAMP).parent)
            if self.report is not None and self.in_folder:
                page = job.place(Path(self.report), _PAGE)
                check_folder(page.parent)
                if os.path.lexists(page):
                    check_place(page)
        except UsageError as error:
            raise InputError(str(error)) from None

    def show(self, job: Job, result: Sequence[Answer] | Summary) -> None:
        """Writes the clips and the page of one recording."""
        if self.clips is not None:
            parts = result.statements if isinstance(result, Summary) else result
            self._cut(job, self.clips, [passage for part in parts for passage in part.evidence])
        if self.report is not None:
            place = Path(self.report)
            if self.in_folder:
                place = job.place(place, _PAGE)
                make_folder(place.parent)
            write_atomically(place, _page(job, result))
            job.session.say(f"wrote {place}")

    def _cut(self, job: Job, folder: Path, passages: Sequence[Passage]) -> None:
        place = job.place(folder, STAMP)
        for span in dict.fromkeys(passage.span for passage in passages):
            clip = clip_place(place, span)
            save_clip(job.decode(span), clip)
            job.session.say(f"wrote {clip}")


def _is_folder(report: str) -> bool:
    return report.endswith(os.sep) or os.path.isdir(report)


def _page(job: Job, result: Sequence[Answer] | Summary) -> str:
    from fls_cli.writers.pages.answer_page import PageOf, answer_page, summary_page
    from fls_cli.writers.pages.page_audio import page_audio

    extractor, inspection, request = job.model.extractor, None, job.listen_request
    if extractor is not None:
        # What is wrong with the recording was said when it was heard for the answers.
        bars, total = job.session.bars, request.seconds()
        inspection = request.inspect(extractor, total, warn=ignore, progress=bars)
    page_of = PageOf(
        audio=page_audio(job.decode()),
        inspection=inspection,
        offset=job.request.audio_range.start,
        flaws=[flaw.text for flaw in job.flaws],
        turns=job.turns,
    )
    if isinstance(result, Summary):
        return summary_page(result, name=job.source.name, **page_of)
    return answer_page(result, name=job.source.name, **page_of)
