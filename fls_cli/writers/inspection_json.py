"""An inspection as JSON: a public form, which `SCHEMA` names; it changes when a field changes
meaning or goes away.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from fls_cli.console.text import clean

if TYPE_CHECKING:
    from fls_models.extractor.inspection.inspection import InspectedSection, Inspection

SCHEMA = "fls.inspection/1"
STEP = 1.0
"""Seconds from one number of a column to the next."""


def inspection_json(inspection: Inspection, source: str) -> dict[str, Any]:
    """Totals, sections, numbers for every second, words. All times are seconds of the recording.

    `rounds` are frames left after each round of fusion; in `columns`, `joined` has a list for each
    round: how many frames stand behind each one that is left there.
    """
    import numpy as np

    from fls_models.extractor.inspection.columns import columns

    count = int(np.ceil((inspection.end - inspection.start) / STEP - 1e-6))
    values = columns(inspection, inspection.start + STEP * np.arange(count + 1))
    # The last second may hold too little sound for a frame.
    has_frames = ~np.isnan(values.density)
    before, *rounds = inspection.lengths
    return {
        "schema": SCHEMA,
        "source": clean(source),
        "start": round(inspection.start, 2),
        "end": round(inspection.end, 2),
        "model": inspection.model,
        "budget": inspection.budget,
        "has_head": inspection.has_head,
        "frames_before": before,
        "frames_after": inspection.frames_after,
        "rounds": rounds,
        "mean_density": round(inspection.mean_density, 4),
        "sections": [_section(section) for section in inspection.sections],
        "columns": {
            "step": STEP,
            "peak": values.peaks[has_frames].round(3).tolist(),
            "density": values.density[has_frames].round(3).tolist(),
            "joined": values.joined[:, has_frames].round(2).tolist(),
        },
        "words": [
            {
                "start": round(word.start, 2),
                "end": round(word.end, 2),
                "text": clean(word.text).strip(),
                "probability": round(word.probability, 3),
            }
            for word in inspection.words
        ],
    }


def _section(section: InspectedSection) -> dict[str, Any]:
    return {
        "start": round(float(section.times[0, 0]), 2),
        "end": round(float(section.times[-1, 1]), 2),
        "frames_before": section.frames_before,
        "frames_after": section.frames_after,
        "rounds": [len(starts) for starts in section.rounds],
        "mean_density": round(float(section.density.mean()), 4),
    }
