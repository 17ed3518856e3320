"""Does a recording speak of what a question asks? Decided by likelihood, before anything is said.

A small language model told to admit what it does not know does not; but it knows what it expects.
A question q = (q_1 ... q_n) becomes likelier after a recording that answers it: its names and terms
were just heard. Three log likelihood ratios, each a mean over tokens, in nats per token; the tokens
before q_i in the question are always given, too:

    gain    = 1/n sum_i  log p(q_i | recording)        - log p(q_i | nothing)
    general = 1/n sum_i  log p(q_i | questions of any) - log p(q_i | questions of one)
    follow  = 1/m sum_i  log p(t_i | recording, turn)  - log p(t_i | nothing, turn)

`nothing` is the prompt with "..." for a recording; "questions of any" lists some that suit any
recording, "questions of one" some that suit only one. To rank texts by log p(q | text) is the query
likelihood of Ponte and Croft ("A language modeling approach to information retrieval", SIGIR 1998);
less what the question has without the text, it is their pointwise mutual information.

A recording makes every question likelier that is in its language, and one in another unlikelier. So
where a question is not English, something that could be asked of any recording in the question's
language stands before it, on both sides: of 30 French questions about other French recordings,
`mini` passed 16 without, and passes none so.

A question passes on `gain`, or, as "what is the main argument?" gains nothing from any recording,
on `general`. The thresholds are each model's own (its card), calibrated on the training part of
SPIRAL by `benchmarks/calibrate.py`.

In a conversation, "and on Bridge Street?" means little by itself. There a question passes on
`follow`, too: t is the question, and the turn before it stands on both sides, so that repeating its
words earns nothing. "Why?" has no words of its own to be judged by: q is then the question before
it and it, t the turn before it and it, and no turn stands before t.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from math import inf

from fls_models.core.results import Turn
from fls_models.lslm.base import Context, LanguageModel
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.prompts import ASK, Prompt, before_question
from fls_models.weights.thresholds import Thresholds

_NOTHING = "..."
# Letters, in bytes: "why", "for how long", "为什么", but not "who is the mayor".
_BARE = 10
_LEADS = {
    "German": ("Worum geht es hier, und wer spricht darüber?", "Das sagt die Aufnahme."),
    "French": ("De quoi parle-t-on ici, et qui en parle ?", "L'enregistrement le dit."),
    "Spanish": ("¿De qué se habla aquí y quién habla?", "La grabación lo dice."),
    "Italian": ("Di che cosa si parla qui, e chi ne parla?", "Lo dice la registrazione."),
    "Portuguese": ("De que se fala aqui, e quem fala?", "A gravação o diz."),
    "Dutch": ("Waar gaat dit over, en wie spreekt erover?", "Dat zegt de opname."),
}
_STUDY = Prompt(system="You study questions.", opening="")
_OF_ANY = (
    "What is it about?",
    "What is the main point?",
    "Who is talking, and to whom?",
    "Summarise what was said.",
    "Give me a short list of what matters most.",
    "What conclusion do they reach?",
    "Which examples, names and numbers are mentioned?",
    "What is the most interesting fact?",
    "What was decided, and what are the next steps?",
    "What is the mood like?",
    "How does it begin and how does it end?",
    "Worum geht es hier?",
    "De quoi parle-t-on ?",
)
_OF_ONE = (
    "What did Marie Curie discover in 1898?",
    "How deep is the lake near the old mill?",
    "Which medicine did the vet give the horse?",
    "When did the factory in Leeds close?",
    "Why did the pilot turn back?",
    "Tell me the price of the blue bicycle.",
    "What percentage of the patients recovered?",
    "Who painted the ceiling of the chapel?",
    "What does the new law say about rents?",
    "What is the nurse's phone number?",
    "According to the study, how many seats are empty?",
    "Wie heißt der Bürgermeister von Köln?",
    "Quel vin sert-on avec le poisson ?",
)


@dataclass(frozen=True)
class AnswerabilityScore:
    """How strongly one pass over a recording speaks of a question: the three ratios, in nats per
    token. -inf is what was not asked for. `is_abroad`: question or recording are not in English.
    """

    gain: float
    general: float
    follow: float = -inf
    is_abroad: bool = False

    def over(self, thresholds: Thresholds | None) -> float:
        """Above 0: answerable. The gain alone for a model without thresholds."""
        if thresholds is None:
            return self.gain
        needed = thresholds.gain
        if self.is_abroad and thresholds.abroad is not None:
            needed = thresholds.abroad
        return max(
            self.gain - needed,
            self.general - thresholds.general,
            self.follow - thresholds.follow,
        )


class Answerability:
    """Judges questions for one language model. What it compares with is read once.

    `prompt` is the prompt that recordings are read with.
    """

    def __init__(self, reads: ContextCache, prompt: Prompt = ASK) -> None:
        self.reads = reads
        self._prompt = prompt
        self._llm = reads.llm

    def judge(
        self,
        question: str,
        turn: Turn | None = None,
        *,
        general: bool = True,
        language: str = "English",
        spoken: str = "English",
    ) -> Judge:
        """Everything about a question that does not depend on what a recording says.

        `language` is the question's, `spoken` the recording's, by their English names. `turn` is
        the one before it in a conversation, if the recording answered that. Without `general`, it
        is not asked whether the question suits any recording.
        """
        text, lead = question, "" if turn is None else before_question(turn)
        if turn is not None and is_bare(question):
            # The question before it may be no better: "And eight years later?"
            text, lead = f"{turn.question} {turn.answer} {question}", ""
            question = f"{turn.question} {question}"
        opening = ""
        if language in _LEADS:
            opening = before_question(Turn(*_LEADS[language]))
        is_abroad = bool(opening) or (language == "English" != spoken)
        before = float(self._llm.surprisal(self.nothing, question, opening).mean())
        suits, follow = -inf, None
        if general:
            of_one = self._llm.surprisal(self._of_one, question)
            suits = float((of_one - self._llm.surprisal(self._of_any, question)).mean())
        if turn is not None:
            likelihoods = self._llm.surprisal(self.nothing, text, lead)
            follow = FollowUp(text, lead, float(likelihoods.mean()))
        return Judge(self._llm, question, before, suits, follow, opening, is_abroad)

    @cached_property
    def nothing(self) -> Context:
        """What a question is held against: a prompt without a recording."""
        return self._read(self._prompt, _NOTHING)

    @cached_property
    def _of_any(self) -> Context:
        return self._questions("Questions that suit any recording, whatever it is about:", _OF_ANY)

    @cached_property
    def _of_one(self) -> Context:
        return self._questions("Questions that suit only one particular recording:", _OF_ONE)

    def _questions(self, title: str, questions: Sequence[str]) -> Context:
        return self._read(_STUDY, "\n\nQuestion: ".join([title, *questions]))

    def _read(self, prompt: Prompt, text: str) -> Context:
        return self.reads.read(prompt, self._llm.embed(self._llm.tokenize(text)))


@dataclass(frozen=True)
class FollowUp:
    """A question in its conversation: the text t to judge, the turn that stands before it, and the
    mean of -log p(t_i | nothing, turn).
    """

    text: str
    lead: str
    before: float


@dataclass(frozen=True)
class Judge:
    """A question q, ready to be held against passes over a recording: `before` is the mean of
    -log p(q_i | nothing), `general` that ratio or -inf. `opening` stands before q on both sides.
    """

    llm: LanguageModel
    question: str
    before: float
    general: float
    follow_up: FollowUp | None = None
    opening: str = ""
    is_abroad: bool = False

    def evidence(self, context: Context) -> AnswerabilityScore:
        gain, follow = self.before - self._after(context, self.question, self.opening), -inf
        if self.follow_up is not None:
            after = self._after(context, self.follow_up.text, self.follow_up.lead)
            follow = self.follow_up.before - after
        return AnswerabilityScore(gain, self.general, follow, self.is_abroad)

    def _after(self, context: Context, text: str, lead: str = "") -> float:
        return float(self.llm.surprisal(context, text, lead).mean())


def is_bare(question: str) -> bool:
    """Whether a question is too short to hold words of its own subject."""
    return sum(len(letter.encode()) for letter in question if letter.isalpha()) <= _BARE
