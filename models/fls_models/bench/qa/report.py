"""All that the question bench found about one model and one set of items."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fls_models.bench.qa.conditions import NO_AUDIO, TRUE
from fls_models.bench.qa.qa import Choices, QaBench, Refusals, Replies


@dataclass(frozen=True)
class QaReport:
    """What was measured; parts that were not are empty.

    `listening` holds seconds of work and of audio by the budget at whose effort was heard; `reader`
    says what the model read at budgets, and `never` under which conditions it refuses nothing.
    """

    model: str
    items: int
    choices: tuple[Choices, ...]
    free: tuple[Replies, ...] = ()
    refusals: tuple[Refusals, ...] = ()
    listening: dict[str, tuple[float, float]] = field(default_factory=dict)
    reader: str = "text"
    never: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "reader": self.reader,
            "items": self.items,
            "likelihood": {
                result.condition: {
                    **result.share.as_json(),
                    "seconds": round(result.seconds, 2),
                    "wrong": [
                        item.name
                        for item, right in zip(result.items, result.right, strict=True)
                        if not right
                    ],
                }
                for result in self.choices
            },
            "listening": {
                budget: {"seconds": round(work, 2), "audio_seconds": round(audio, 2)}
                for budget, (work, audio) in self.listening.items()
            },
            "free": {
                result.condition: {
                    **result.share.as_json(),
                    "refused": result.refused if result.refuses else None,
                    "answers": [
                        {
                            "id": reply.item.name,
                            "question": reply.item.question,
                            "correct": reply.item.correct,
                            "answer": reply.text,
                            "answered": reply.answered,
                            "right": reply.right,
                            "seconds": {s: round(v, 3) for s, v in reply.seconds.items()},
                        }
                        for reply in result.replies
                    ],
                }
                for result in self.free
            },
            # null where the model has no thresholds and refuses nothing.
            "refusals": {
                **dict.fromkeys(self.never),
                **{
                    result.condition: {
                        "caught": result.caught.as_json(),
                        "lost": result.lost.as_json(),
                        "foreign_answered": list(result.slipped),
                        "own_lost": list(result.missed),
                    }
                    for result in self.refusals
                },
            },
        }


def run(
    bench: QaBench, model: str, items: int, budgets: Sequence[str], free: int, refusals: bool
) -> QaReport:
    """Everything, cheapest first: no audio, the budgets in their order, the true transcript.

    Questions are answered freely, and refused, where there is something to read: at the budgets,
    and freely from the true transcript; without budgets, both from the true transcript. A model
    without thresholds is not asked for what it refuses.
    """
    efforts = dict.fromkeys(bench.effort(budget) for budget in budgets)
    listening = {effort: bench.listening(effort) for effort in efforts}
    read = [*budgets, TRUE]
    choices = tuple(bench.likelihood(condition) for condition in [NO_AUDIO, *read])
    replies = tuple(bench.free(condition, free) for condition in read) if free else ()
    refusal_conditions = (budgets or [TRUE]) if refusals else []
    return QaReport(
        model,
        items,
        choices,
        replies,
        tuple(
            bench.refusals(condition)
            for condition in refusal_conditions
            if bench.refuses(condition)
        ),
        listening,
        bench.reader,
        tuple(condition for condition in refusal_conditions if not bench.refuses(condition)),
    )
