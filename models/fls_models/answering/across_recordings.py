"""One answer from many recordings: each was asked alone; those that speak of it are put together.

Which recordings these are is a matter of evidence, not of the language model's words: they are
listed whatever it makes of their answers.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.model import Model
from fls_models.answering.question_language import language_of
from fls_models.core.progress import ignore
from fls_models.core.results import NONE_SAYS, AggregateAnswer
from fls_models.lslm import prompts

# A recording that speaks of the question this much less than the clearest one only brushes it: the
# baker who once says "bee", beside an episode about bees.
_FAINT = 0.5


@dataclass(frozen=True)
class RecordingAnswer:
    """What one recording answered; `strength` as in `results.Answer`."""

    name: str
    answered: bool
    answer: str
    strength: float | None


def gather(
    model: Callable[[], Model],
    question: str,
    voices: Sequence[RecordingAnswer],
    *,
    generation: GenerationConfig,
    show: Callable[[str], None] = ignore,
) -> AggregateAnswer:
    """The answer over all recordings; `show` gets its text piece by piece.

    The model is asked for only when several recordings have something to say. Of so many that
    their answers do not fit into one pass, the clearest are read.
    """
    speaking = sorted(
        (voice for voice in voices if voice.answered),
        key=lambda voice: -(voice.strength or 0.0),
    )
    clearest = speaking[0].strength or 0.0 if speaking else 0.0
    # Below 0 where a model has no thresholds: then half of it would be more than all.
    enough = min(_FAINT * clearest, clearest)
    speaking = [voice for voice in speaking if (voice.strength or 0.0) >= enough]
    names = tuple(voice.name for voice in speaking)
    if len(speaking) < 2:
        text = speaking[0].answer if speaking else NONE_SAYS
        show(text)
        return AggregateAnswer(question, bool(speaking), text, names)
    loaded_model = model()
    llm = loaded_model.language_model
    notes: list[int] = []
    text = ""
    for voice in speaking:
        line = f"- {voice.name}: {' '.join(voice.answer.split())}\n"
        note = llm.tokenize(line)
        if notes and len(notes) + len(note) > loaded_model.card.max_frames:
            break
        notes += note
        text += line
    context = llm.read(prompts.RECORDINGS, llm.embed(notes), text=text)
    language = language_of(question, llm, loaded_model.answerability.nothing)
    text = generation.decode(llm, context, prompts.over_all(question, language), show)
    return AggregateAnswer(question, True, text or speaking[0].answer, names)
