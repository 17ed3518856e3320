"""What `fls bench speakers` found, as a table or JSON. Pure functions."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from fls_cli.writers.bench_report import Table

if TYPE_CHECKING:
    from fls_models.bench.scoring.diarization import DiarizationErrors
    from fls_models.bench.speakers import SpeakersReport


def speakers_table(report: SpeakersReport, name: str) -> Table:
    """One row a recording, and one of all; errors with a collar of 0.25 s but for the last."""
    title = (
        f"{name}: {len(report.items)} recordings, {report.audio_seconds:.0f} s, the right number "
        f"of speakers in {report.right_count(0):.0%}, within one in {report.right_count(1):.0%}, "
        f"{report.real_time_factor:.3f} of real time"
    )
    headings = (
        "recording",
        *("speakers", "found", "DER", "missed", "put in", "confused"),
        *("DER, no collar", "one for all", "words wrong"),
    )
    rows = [
        (item.name, *map(str, item.counts), *_row(item.collar, item.exact, item.one_speaker))
        for item in report.items
    ]
    words = [item.words for item in report.items]
    if len(rows) > 1:
        rows.append(("all", "", "", *_row(report.collar, report.exact, report.one_speaker)))
        words.append(report.words)
    wrong = [f"{100 * each.wrong / each.words:.1f} %" if each.words else "-" for each in words]
    return Table(
        title, headings, tuple((*row, share) for row, share in zip(rows, wrong, strict=True))
    )


def _row(
    collar: DiarizationErrors, exact: DiarizationErrors, one: DiarizationErrors
) -> tuple[str, ...]:
    total = collar.total or float("nan")
    parts = (collar.missed, collar.false_alarm, collar.confused)
    shares = (collar.rate, *(part / total for part in parts), exact.rate, one.rate)
    return tuple(f"{100 * share:.1f} %" for share in shares)


def speakers_json(report: SpeakersReport, name: str) -> str:
    payload = {"manifest": name, **report.as_json()}
    return json.dumps(payload, ensure_ascii=False, indent=2) + "\n"
