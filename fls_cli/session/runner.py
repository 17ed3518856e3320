"""The sources of a command, one after the other.

One failed source does not stop the others; they are named at the end. With a folder for results,
each source has a file of its own there, and what is finished is not done again (`ledger`).
"""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fls_cli.media.source import Source, check_apart
from fls_cli.session.job import Job
from fls_cli.session.ledger import claimed, seems_finished
from fls_cli.session.output_tree import place_all
from fls_cli.session.request import Request
from fls_cli.session.session import Session
from fls_cli.sources.lists import all_names
from fls_cli.sources.patterns import is_pattern
from fls_cli.sources.resolve import open_sources
from fls_cli.sources.shard import Shard
from fls_models.errors import InputError, UsageError

Task = Callable[[Job], Any]
"""Writes the result for one source; what it returns (JSON) is kept with a finished result."""
Selection = Callable[[list[Source]], list[Source]]
"""Those of some sources that are worked on, in the order in which they are."""


@dataclass
class Runner:
    """Works through sources; `ahead` is how many are decoded before their turn.

    `force` does finished results again. Of a `shard`, only its sources are done.
    """

    session: Session
    ahead: int = 0
    force: bool = False
    shard: Shard | None = None
    _folder: Path | None = None
    _skipped: int = 0
    _coming: Sequence[Job] = ()
    _sources: Sequence[Source] = ()
    _places: dict[tuple[Path, str], dict[Source, Path]] = field(default_factory=dict)

    def run(
        self,
        arguments: Sequence[str],
        listed: Path | None,
        request: Request,
        task: Task,
        select: Selection | None = None,
    ) -> list[tuple[Source, Any]]:
        """Does the task for every source, in order; what it returned for those that went well.

        `listed` is a file that names more sources. Where results go to no folder, `select` may
        leave out some of the sources that are there. What is wrong with a source is said at once
        and again at the end (`finish`).
        """
        names = all_names(arguments, listed)
        if not names:
            raise UsageError("No recording is named; name files, folders, addresses or -.")
        self._folder = self.session.folder = self._folder_for(names)
        if self.shard is not None:
            if self._folder is None:
                raise UsageError("--shard needs a folder for the results: -o results/")
            self.shard.pin(self._folder)

        with open_sources(
            names,
            failed=self.session.fail,
            note=self.session.say,
            progress=self.session.bars,
        ) as self._sources:
            self.session.source_count = len(self._sources) + self.session.failures
            folder = self._folder
            if self.session.output is not None and folder is None:
                check_apart(Path(self.session.output), self._sources)
            # All are checked before a model is loaded for the first.
            sources = [source for source in self._sources if self.session.is_there(source)]
            if select is not None and folder is None:
                sources = select(sources)
                self.session.source_count = len(sources) + self.session.failures
            places = place_all(sources, folder, request.suffix) if folder else {}
            many = self.session.source_count > 1
            if request.speakers is not None:
                request.speakers.check(self.session.source_count, self.session.say)
            if self.shard is not None:
                sources = [source for source in sources if self.shard.has(source)]
                self.session.say(f"{len(sources)} of {len(places)} are in this part")
            jobs = [self._job(request, source, many, places.get(source)) for source in sources]
            try:
                return self._all(jobs, folder, task)
            finally:
                for job in jobs:
                    job.close()

    def _all(
        self, jobs: Sequence[Job], folder: Path | None, task: Task
    ) -> list[tuple[Source, Any]]:
        results: dict[Source, Any] = {}
        occupied: list[Job] = []
        self.session.bars.files(0, len(jobs))
        for turn, job in enumerate(jobs):
            self._coming = jobs[turn + 1 :]
            if not self._work_on(job, folder, task, results, wait=False):
                occupied.append(job)
                continue
            self.session.bars.files(turn + 1 - len(occupied), len(jobs))
        for turn, job in enumerate(occupied):
            self._coming = occupied[turn + 1 :]
            self.session.say(f"{job.source.name}: another fls is at work on it; waiting")
            self._work_on(job, folder, task, results, wait=True)
            self.session.bars.files(len(jobs) - len(occupied) + turn + 1, len(jobs))
        if self._skipped:
            self.session.say(f"{self._skipped} of {len(jobs)} were finished before")
        return [(job.source, results[job.source]) for job in jobs if job.source in results]

    def _work_on(
        self, job: Job, folder: Path | None, task: Task, results: dict[Source, Any], *, wait: bool
    ) -> bool:
        """Whether it was this process's turn; the result goes to `done`."""
        source, request = job.source, job.request
        try:
            if folder is None or job.output is None:
                results[source] = task(job)
                self.session.is_whole(source)
            else:
                with claimed(folder, job.output, source, request.key, wait=wait) as claim:
                    if claim is None:
                        return False
                    if claim.is_finished and not self.force:
                        self._skipped += 1
                        results[source] = claim.record
                        if claim.lacks_sound:
                            self.session.warn_again(source)
                    else:
                        more = [
                            self._place(source, folder, suffix) for suffix in request.more_suffixes
                        ]
                        claim.begin(force=self.force, beside=more)
                        record = task(job)
                        whole = self.session.is_whole(source)
                        lacking = any(flaw.is_loss for flaw in job.flaws)
                        text = "".join(job.written)
                        claim.finish(
                            text, record, whole=whole, lacks_sound=lacking, beside=job.beside
                        )
                        results[source] = record
        except InputError as error:
            self.session.blame(source, error)
        finally:
            job.close()
        # Copies of what lies at many addresses would pile up.
        source.discard()
        return True

    def _look_ahead(self) -> None:
        """Begins to decode the sources whose turn comes next; the model is loaded by now."""
        count = 0
        for job in self._coming:
            if count == self.ahead:
                return
            if self.force or not self._seems_finished(job):
                job.prepare()
                count += 1

    def _seems_finished(self, job: Job) -> bool:
        if self._folder is None or job.output is None:
            return False
        try:
            return seems_finished(self._folder, job.output, job.source, job.request.key)
        except InputError:
            # Said when its turn comes.
            return False

    def _place(self, source: Source, folder: Path, suffix: str) -> Path:
        """A file for one of the sources below a folder, no other's (`place_all`)."""
        if (folder, suffix) not in self._places:
            self._places[folder, suffix] = place_all(self._sources, folder, suffix)
        return self._places[folder, suffix][source]

    def _job(self, request: Request, source: Source, many: bool, output: Path | None) -> Job:
        return Job(self.session, request, source, many, self._look_ahead, self._place, output)

    def _folder_for(self, names: Sequence[str]) -> Path | None:
        """The folder for results, if `output` is one: it is there, or ends in /, or has no suffix
        where several sources may be named. Does not depend on how many there are now.
        """
        if self.session.output is None:
            return None
        place = Path(self.session.output)
        if self.session.output.endswith("/") or place.is_dir():
            return place
        several = len(names) > 1 or os.path.isdir(names[0]) or is_pattern(names[0])
        return place if several and not place.suffix and not place.exists() else None
