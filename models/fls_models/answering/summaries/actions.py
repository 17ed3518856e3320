"""What somebody has to do, and until when, as it was said.

A sentence s = (s_1 ... s_n) is about something to do where it is likelier among tasks than among
what has happened or is thought:

    ratio = 1/n sum_i  log p(s_i | tasks) - log p(s_i | statements)

in nats per token, with a list of examples of each for a context. A small model takes a wish for a
task now and then; so in the languages of the lists, one of the words that tasks are given with has
to be there, too. It also takes "I will call the printer" for a statement: what is promised in such
plain words needs less.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from fls_models.answering.readers.text import ModelInput, Phrase, Reader
from fls_models.answering.summaries.specifics import most_specific
from fls_models.answering.summaries.writing import Writer
from fls_models.core.results import Statement
from fls_models.core.text.exact import ExactWords
from fls_models.lslm.base import Context
from fls_models.lslm.context_cache import ContextCache
from fls_models.lslm.prompts import Prompt

_MINUTES = Prompt(system="You take the minutes of meetings.", opening="")
_MORE = "\n\nWrite one more of these."
_TASKS = (
    "What somebody has to do, and until when:",
    "I'll send you the report by Friday.",
    "Anna will call the plumber tomorrow morning.",
    "Could you please book the room for next week?",
    "We need to order two more chairs before the opening.",
    "So Peter, you prepare the slides until Monday.",
    "Then I write to the landlord about the heating.",
    "Let's each bring one idea to the next meeting.",
    "Ich schicke Ihnen das Angebot bis Mittwoch.",
    "Tu peux réserver les billets avant jeudi ?",
)
_STATEMENTS = (
    "What has happened, or what somebody thinks:",
    "I sent the report last Friday.",
    "Anna called the plumber, and it took all morning.",
    "The room was much too small for so many people.",
    "Two chairs broke on the day of the opening.",
    "Peter showed us his slides, which were blue.",
    "The landlord says that heating is expensive.",
    "An idea is worth little at the wrong time.",
    "Das Angebot war viel zu teuer für uns.",
    "Les billets coûtent cher en été.",
)
# Nats per token.
_RATIO, _PROMISED_RATIO = 0.0, -0.7
_CUES = {
    "English": r"\w+['’]ll|will|shall|going to|gonna|should|must|needs?( to)?|ha(ve|s) to|please|"
    r"let['’]s|make sure|remember to|want you to|like you to|can you|could you|would you|until|"
    r"by \w+day",
    "German": r"werde[nt]?|wird|soll(en|te|ten|t|st)?|muss|müss(en|t)|bitte|lass(t|en)? uns|bis|"
    r"kannst|könn(en|t|te|test|ten)|brauch(e|en|t)|machst?|kümmer(e|n|t|st)",
    "French": r"\w+er(ai|as|a|ons|ez|ont)|va[is]?|vont|allons|doi[st]|dev(ons|ez|rait|rais)|faut|"
    r"prière|pourrais|pourriez|peux|peut|avant|s['’]il (te|vous) plaît",
    "Spanish": r"\w+(ré|rás|rá|remos|rán)|voy a|va[ns]? a|vamos a|deb(o|es|e|emos|en|ería)|"
    r"tien(e|es|en) que|tengo que|tenemos que|hay que|por favor|puedes?|podrías|antes",
}


# What somebody takes on in plain words, with a verb of things that are done between meetings.
_PROMISES = {
    "English": r"(I|we)( will| shall|['’]ll| promise| am going to|['’]m going to) (\w+ ){0,6}?"
    r"(send|bring|call|write|prepare|check|book|order|ask|draft|update|fix|mail|email|arrange"
    r"|organi[sz]e|contact|finish|circulate|share|buy|pay|sign|print|review|set up|look into"
    r"|follow up|talk to|speak to|take care)\b",
    "German": r"(ich|wir) (\w+ ){0,6}?(schick\w*|bring\w*|schreib\w*|bestell\w*|buch\w*|prüf\w*"
    r"|kümmer\w*|organisier\w*|melde|besorg\w*|kauf\w*|unterschreib\w*|anrufen|rufe?n?)\b",
    "French": r"((je vais|on va|nous allons) ((vous|te|lui|leur|le|la|les) |l['’])?(envoyer|appeler"
    r"|apporter|écrire|réserver|préparer|vérifier|demander|commander|acheter|contacter|finir"
    r"|organiser)|je m['’]en occupe|j['’](enverrai|appellerai|apporterai|écrirai))\b",
    "Spanish": r"((voy|vamos) a (enviar|mandar|llamar|traer|escribir|reservar|preparar|comprobar"
    r"|pedir|comprar|contactar|terminar|organizar)\w*|me encargo|enviaré|llamaré|traeré|escribiré"
    r"|reservaré)\b",
}


@dataclass(frozen=True)
class TaskFinder:
    """Finds phrases that give somebody something to do, in a language by its English name."""

    reads: ContextCache
    exact: ExactWords
    language: str

    def find(self, phrases: Sequence[Phrase]) -> list[Phrase]:
        """Those of the phrases, in order."""
        able = most_specific(phrases, self.exact)
        found = [phrase for phrase in able if self._is_task(phrase.text)]
        return sorted(found, key=lambda phrase: phrase.span.start)

    def ratio(self, text: str) -> float:
        """By how much likelier a sentence is as a task, in nats per token."""
        llm = self.reads.llm
        [task] = llm.scores(self._tasks, _MORE, [text])
        [statement] = llm.scores(self._statements, _MORE, [text])
        return float((task - statement).mean())

    def _is_task(self, text: str) -> bool:
        cues, promises = _CUES.get(self.language, ""), _PROMISES.get(self.language, "(?!)")
        if re.search(rf"\b({promises})", text, re.IGNORECASE):
            return self.ratio(text) > _PROMISED_RATIO
        return bool(re.search(rf"\b({cues})\b", text, re.IGNORECASE)) and self.ratio(text) > _RATIO

    @cached_property
    def _tasks(self) -> Context:
        return self._listed(_TASKS)

    @cached_property
    def _statements(self) -> Context:
        return self._listed(_STATEMENTS)

    def _listed(self, lines: Sequence[str]) -> Context:
        llm = self.reads.llm
        return self.reads.read(_MINUTES, llm.embed(llm.tokenize("\n- ".join(lines))))


@dataclass(frozen=True)
class Actions:
    """Tells what somebody has to do, and until when, each from the phrase that says so."""

    finder: TaskFinder
    writer: Writer

    def topic(
        self, reader: Reader, readings: Sequence[ModelInput], count: int
    ) -> tuple[str, list[Statement]]:
        """No title, and the tasks of one topic."""
        with self.writer.clock.stage("check"):
            phrases = [phrase for reading in readings for phrase in reading.phrases]
            found = self.finder.find(phrases)[:count]
        return "", self.writer.tasks(found)
