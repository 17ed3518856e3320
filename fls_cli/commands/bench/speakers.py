"""`fls bench speakers`: who speaks when, against who did."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fls_cli.console.text import clean
from fls_cli.options import bench as bench_options
from fls_cli.options.bench import MeasuredModel, form_of, work_folder
from fls_cli.options.choices import Manners
from fls_cli.options.groups import grouped
from fls_cli.sources.decode import decode
from fls_cli.storage.files import write_atomically
from fls_cli.writers.speakers_report import speakers_json, speakers_table

if TYPE_CHECKING:
    from fls_models.core.results import Transcript


@grouped
def speakers(
    *,
    manifest: Annotated[
        Path,
        typer.Argument(
            metavar="MANIFEST",
            help='JSON lines {"audio": PATH, "rttm": PATH}, paths relative to the manifest.',
            show_default=False,
        ),
    ],
    words: Annotated[
        bool, typer.Option("--words", help="Hear the words as well, and count those given wrong.")
    ] = False,
    target: MeasuredModel,
    limit: bench_options.Limit = None,
    work: bench_options.Work = None,
    as_json: bench_options.Json = False,
    output: bench_options.Report = None,
    manners: Manners,
) -> None:
    """Measure who is said to speak when.

    The diarization error rate, with a collar of 0.25 s around each turn's ends and without, what it
    would be with one speaker for all, and how many words are given to the wrong speaker.

    Example: fls bench speakers meetings.jsonl --words
    """
    form = form_of(output)
    work = work_folder(work)
    with manners.session() as session:
        from fls_models.bench.caches.transcripts import TranscriptCache
        from fls_models.bench.speakers import load_conversations, measure

        conversations = load_conversations(manifest, limit)
        transcript = None
        if words:
            model = session.model(target.engine)
            hearing = TranscriptCache(
                lambda: model.transcriber, decode, model.card.name, rates=model.rates, work=work
            )

            def transcript(audio: Path) -> Transcript:
                return hearing.hear(audio, "balanced").transcript

        report = measure(conversations, decode, transcript, session.bars)
        table = speakers_table(report, manifest.name)
        payload = speakers_json(report, manifest.name)
        session.show(payload if as_json else clean(table.as_text()))
        if output is not None:
            text = f"# Speakers\n\n{table.as_markdown()}" if form == ".md" else payload
            write_atomically(output, clean(text))
        session.finish()
