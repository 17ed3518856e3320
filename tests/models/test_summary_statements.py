"""Summaries that are true: what is written is borne out, or written again, or left out."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scribe import Reply, Scribe
from tiny_talk import Verdicts, model, transcript

from fls_models.answering.generation import GenerationConfig
from fls_models.answering.readers.text import Phrase
from fls_models.answering.summaries.actions import TaskFinder
from fls_models.answering.summaries.roles import keeps_roles
from fls_models.answering.summaries.specifics import (
    is_fluent,
    most_specific,
    specificity,
    with_subjects,
)
from fls_models.answering.summaries.summarize import summarise
from fls_models.answering.summaries.support import is_in_place, is_said, keeps_order
from fls_models.core.budget import Budget
from fls_models.core.results import NO_TASKS, NOTHING_TO_TELL, Span, Statement, Summary, Transcript
from fls_models.core.text.exact import ExactWords
from fls_models.errors import UsageError
from fls_models.lslm.context_cache import ContextCache

SAID = [
    "Good evening to all of you at the meeting of the gardeners.",
    "Last year Copper Bay planted 2,400 trees along 31 streets.",
    "The roots lift the pavement now and then.",
    "I'll call the mayor about the broken fence by Friday.",
]
NAMES = ["Anna", "Bela", "Carla", "Dora", "Emma", "Frida"]
FACT = "Copper Bay planted 2,400 trees along 31 streets last year."


def told(reply: Reply, said: Transcript | None = None, **how: Any) -> Summary:
    settings: dict[str, Any] = {
        "heard_in": {},
        "style": "brief",
        "budget": Budget("accurate"),
        "generation": GenerationConfig(),
        **how,
    }
    return summarised(Scribe(reply), said or transcript(SAID), **settings)


def summarised(scribe: Scribe, said: Transcript, **settings: Any) -> Summary:
    return summarise(
        model(scribe, Verdicts(scribe), 5000),  # type: ignore[arg-type]
        "talk.wav",
        said,
        **settings,
    )


def texts(summary: Summary) -> list[str]:
    return [statement.text for statement in summary.statements]


def test_a_fact_is_told_once_with_the_place_where_it_is_said() -> None:
    summary = told(lambda said, request: FACT)
    assert texts(summary) == [FACT]
    [statement] = summary.statements
    assert statement.evidence[0].span.start == 10.0
    assert statement.evidence[0].text == SAID[1]
    assert not statement.quoted


@pytest.mark.parametrize("lead", ["The most important fact is that", "The main point is that"])
def test_what_leads_up_to_a_fact_is_left_out(lead: str) -> None:
    lead = f"{lead} the roots lift the pavement now and then."
    assert "The roots lift the pavement now and then." in texts(told(lambda said, request: lead))


@pytest.mark.parametrize(
    "wrong",
    [
        "Copper Bay planted 2,500 trees along 31 streets last year.",
        "Copper Hill planted 2,400 trees along 31 streets last year.",
        "The speaker tells of 2,400 trees along 31 streets of Copper Bay.",
        "Lions and elephants wander through the savannah all night.",
        "",
    ],
)
def test_what_is_not_borne_out_is_written_again_and_then_left_out(wrong: str) -> None:
    first = told(lambda said, request: wrong if "Question" in request else FACT)
    assert texts(first)[0] == FACT
    # Nothing else being true, what was said stands for it.
    asked: list[str] = []

    def reply(said: str, request: str) -> str:
        asked.extend([request] * (said == " ".join(SAID)))
        return wrong

    summary = told(reply)
    [statement] = summary.statements
    assert statement == Statement(f"“{SAID[1]}”", statement.evidence, quoted=True)
    # Its main point and what comes of it, each twice.
    assert len(asked) == len(set(asked)) == 4


def test_what_somebody_says_of_themselves_is_quoted() -> None:
    def reply(said: str, request: str) -> str:
        return said if said == SAID[3] else "Nothing."

    only = transcript([SAID[3]])
    assert texts(told(reply, only)) == [f"“{SAID[3]}”"]


@pytest.mark.parametrize(("budget", "tries"), [("fast", 2), ("balanced", 8)])
def test_the_budget_says_how_often_a_sentence_is_written_anew(budget: str, tries: int) -> None:
    asked: list[str] = []

    def reply(said: str, request: str) -> str:
        asked.extend([request] * (said == SAID[1]))
        return "Copper Hill planted 9 trees."

    told(reply, budget=Budget(budget))
    assert len(asked) == tries


@pytest.mark.parametrize("own", [FACT, "Copper Hill planted 9 trees."])
def test_words_of_its_own_are_taken_before_a_copy(own: str) -> None:
    def reply(said: str, request: str) -> str:
        if said != SAID[1]:
            return ""
        return own if "of your own" in request else said

    [statement] = told(reply).statements
    # A copy is better than what is wrong.
    assert statement.text == (FACT if own == FACT else SAID[1])
    assert not statement.quoted


def test_nothing_is_told_twice() -> None:
    twice = transcript([SAID[1], *SAID[:2], SAID[1]])
    assert texts(told(lambda said, request: FACT, twice)) == [FACT]


def test_quotes_are_word_for_word_and_in_order() -> None:
    def reply(said: str, request: str) -> str:
        raise AssertionError("nothing is written")

    summary = told(reply, style="quotes", length=2)
    assert texts(summary) == [f"“{SAID[1]}”", f"“{SAID[3]}”"]
    assert all(statement.quoted for statement in summary.statements)


def test_a_quote_that_is_cut_off_ends_in_an_ellipsis() -> None:
    for text, shown in (
        (
            "In Copper Bay they planted 2,400 trees and,",
            "In Copper Bay they planted 2,400 trees and…",
        ),
        ("Did Copper Bay plant 2,400 trees?", "Did Copper Bay plant 2,400 trees?"),
    ):
        [statement] = told(lambda said, request: "", transcript([text]), style="quotes").statements
        assert statement.text == f"“{shown}”"


def test_quotes_say_who_speaks() -> None:
    said = transcript(SAID[1:2])
    words = tuple(replace(word, speaker="Anna") for word in said.sentences[0].words)
    said = replace(said, sentences=(replace(said.sentences[0], words=words),))
    [statement] = told(lambda said, request: "", said, style="quotes").statements
    assert statement.text == f"Anna: “{SAID[1]}”"
    assert statement.evidence[0].text == f"Anna: {SAID[1]}"


def test_statements_come_in_the_order_of_the_recording() -> None:
    lines = [f"The garden of {name} grew {10 * n} rows of beans." for n, name in enumerate(NAMES)]
    lines[2] = "In Copper Bay the garden of Carla grew 2,400 rows of 31 kinds of beans."

    def reply(said: str, request: str) -> str:
        return said if len(said) < 200 else lines[3]

    statements = told(reply, transcript(lines)).statements
    # The main point is written first, then the most specific: neither is the first that was said.
    assert {lines[2], lines[3]} <= {each.text for each in statements}
    starts = [each.evidence[0].span.start for each in statements]
    assert len(starts) == 4
    assert starts == sorted(starts)


def test_a_length_is_kept() -> None:
    garden = [f"In 19{i} the garden of Anna grew {i} rows of green beans." for i in range(10, 22)]
    engine = [f"The engine of Peter burnt {i} litres of diesel oil." for i in range(10, 22)]
    said = transcript(garden + engine)

    def reply(said: str, request: str) -> str:
        return f"{said.split('.')[0]}."

    assert len(told(reply, said).statements) == 4
    for length in (1, 2, 3, 7):
        assert len(told(reply, said, length=length).statements) == length
    # More is not to be had.
    assert len(told(reply, transcript(SAID[1:2]), length=10).statements) == 1


def test_actions_are_who_does_what() -> None:
    task = "Call the mayor about the broken fence by Friday."
    summary = told(lambda said, request: task, style="actions")
    [statement] = summary.statements
    assert statement.text == task
    assert statement.evidence[0].span.start == 30.0
    # What cannot be told otherwise is quoted.
    quoted = told(lambda said, request: "Call Sofia on 9 May.", style="actions")
    assert texts(quoted) == [f"“{SAID[3]}”"]
    none = told(lambda said, request: task, transcript(SAID[:3]), style="actions")
    assert (none.brief, none.answered) == (NO_TASKS, False)


@pytest.mark.parametrize(
    ("language", "promise", "other"),
    [
        (
            "English",
            "I will call the printer tomorrow.",
            "I will never forget that day.",
        ),
        ("German", "Ich rufe morgen die Druckerei an.", "Ich werde den Tag nie vergessen."),
        ("French", "Je vais appeler Sofia avant lundi.", "Je vais bien, il faut le dire."),
        ("Spanish", "Voy a llamar a Sofia antes del lunes.", "Tengo que decir que estoy bien."),
    ],
)
def test_a_promise_in_plain_words_need_not_look_like_a_task(
    monkeypatch: pytest.MonkeyPatch, language: str, promise: str, other: str
) -> None:
    ratio = 0.0
    monkeypatch.setattr(TaskFinder, "ratio", lambda self, text: ratio)
    scribe = Scribe(lambda said, request: "")
    finder = TaskFinder(ContextCache(scribe), ExactWords([promise]), language)  # type: ignore[arg-type]
    phrases = [Phrase(range(1), Span(0, 1), text) for text in (promise, other)]
    found = {}
    for ratio in (0.1, -0.3, -1.0):
        found[ratio] = [phrase.text for phrase in finder.find(phrases)]
    assert (promise in found[0.1], found[-0.3], found[-1.0]) == (True, [promise], [])


def test_a_wish_is_asked_of_each_topic_and_wrong_names_are_left_out() -> None:
    summary = told(
        lambda said, request: f"{request.strip()}\n\nTrees: 2,400\nTrees: 9\n",
        wish="List trees.",
    )
    assert texts(summary) == ["List trees.", "Trees: 2,400"]
    empty = told(lambda said, request: " ", wish="List trees.")
    assert (empty.brief, empty.answered) == (NOTHING_TO_TELL, False)


def test_titles_are_of_what_is_said() -> None:
    def titled(title: str) -> str:
        summary = told(
            lambda said, request: title if "title" in request else FACT, style="chapters"
        )
        return summary.chapters[0].title

    assert titled("Trees Along Streets") == "Trees Along Streets"
    assert titled("9 Trees of Copper Bay") == FACT.rstrip(".")
    assert titled("Lions of the Savannah") == FACT.rstrip(".")


@pytest.mark.parametrize("style", ["quotes", "actions"])
def test_frames_have_no_words_to_quote(style: str) -> None:
    scribe = Scribe(lambda said, request: "")
    hearing = model(scribe, Verdicts(scribe))  # type: ignore[arg-type]
    hearing.reads_by = "frames"
    with pytest.raises(UsageError, match=f"--style {style}: .* reads frames"):
        summarise(
            hearing,
            "talk.wav",
            transcript(SAID),
            heard_in={},
            style=style,
            budget=Budget("accurate"),
            generation=GenerationConfig(),
        )


def test_what_is_specific() -> None:
    exact = ExactWords(SAID)
    ranked = sorted(SAID, key=lambda text: -specificity(text, exact))
    assert ranked[0] == SAID[1]
    stumbling = "Um last last year uh Copper Bay planted planted 2,400 trees along 31 streets."
    assert specificity(stumbling, exact) < specificity(SAID[1], exact) - 0.3
    assert is_fluent(SAID[1])
    assert not is_fluent(stumbling)
    assert not is_fluent("and so on " * 12)
    asked = SAID[1].replace(".", "?")
    assert specificity(asked, exact) < specificity(SAID[1], exact)
    short = Phrase(range(1), Span(0, 1), "Copper Bay.")
    long = Phrase(range(1, 2), Span(1, 5), SAID[0])
    assert most_specific([short, long], exact) == [long]
    assert most_specific([short], exact) == [short]


def test_words_are_said_near_each_other() -> None:
    apart = [
        Phrase(range(1), Span(0, 1), text) for text in ["Anna bakes.", *["So."] * 9, "Bread rests."]
    ]
    assert not is_said("Anna bakes bread that rests.", apart)
    assert is_said("Anna bakes bread that rests.", [apart[0], apart[-1]])
    # Of few words, one that is new changes all.
    river = [Phrase(range(1), Span(0, 1), "She stood by the river with five students.")]
    assert not is_said("The river was full of students.", river)
    assert is_said("She counted five students by the river all day.", river)
    assert is_said("Helen stood by the river.", [replace(river[0], speaker="Helen")])


def test_people_do_not_change_places() -> None:
    said = "My guest is Martin Reed, who has run a bakery in Oak Hill for 19 years."
    assert keeps_order("Martin Reed has run a bakery in Oak Hill for 19 years.", said)
    assert not keeps_order("A bakery in Oak Hill has run Martin Reed for 19 years.", said)
    assert keeps_order("", said)
    rests = "Martin: We let our bread rest for 14 hours in a cold room before it is baked."
    assert keeps_order("Martin lets his bread rest for 14 hours in a cold room.", rests)
    assert not keeps_order("Martin baked bread for 14 hours in a cold room.", rests)
    anna = "I'm Anna Wells, and my guest is Martin Reed, who has run a bakery for 19 years."
    assert keeps_order("Anna Wells speaks with Martin Reed, running a bakery for 19 years.", anna)
    assert not keeps_order("Anna Wells speaks with Martin Reed, who ran 190 bakeries.", anna)
    # What stands first may stand last.
    planted = "Last year the town of Copper Bay planted 2,400 trees."
    assert keeps_order("Copper Bay planted 2,400 trees last year.", planted)
    assert not keeps_order("Last year 2,400 trees planted Copper Bay.", planted)
    lends = "Daniel Price tells why the library in West Harbor lends more than books."
    assert keeps_order("The library in West Harbor lends more than books.", lends)
    assert not keeps_order("The library in West Harbor lends more books than tools.", lends)


def test_what_is_denied_stays_denied() -> None:
    said = "He said that people do not come here to save time, and that beds are taken."
    assert keeps_order("People do not come here to save time.", said)
    assert not keeps_order("People come here to save time.", said)
    # Of another part of it.
    assert keeps_order("He said that beds are taken.", said)
    taken = "Beds are taken on this train."
    assert not keeps_order("No beds are taken on this train.", taken)
    assert not keeps_order("Ohne Betten fährt der Zug.", "Mit Betten fährt der Zug.")


def test_numbers_are_of_what_they_were_said_of() -> None:
    said = ["Before the trees came, the drains flooded 11 times a year.", "Now it is four times."]
    phrases = [Phrase(range(1), Span(0, 1), text) for text in ["Well.", *said, "So."]]
    for exact, sentence, expected in (
        (["11"], "The drains flooded 11 times a year before the trees came.", True),
        (["11"], "Before the trees, the drains flooded 11 times a year.", True),
        (["11", "4"], "The drains flooded 11 times, and now it is four times.", True),
        (["11"], "The planting of trees reduced flooding by 11 times.", False),
        (["Anna"], "Anna counted the drains that flooded.", False),
        ([], "Trees help.", True),
    ):
        assert is_in_place(sentence, exact, phrases) == expected, sentence
    speaks = Phrase(range(1), Span(0, 1), "I counted the drains that flooded.", "Anna")
    assert is_in_place("Anna counted the drains that flooded.", ["Anna"], [speaks])


def test_what_speaks_of_somebody_says_of_whom() -> None:
    said = [
        "The drains flooded 11 times a year.",
        "Eight years later, they flooded four times a year.",
        "Then Anna told us about her plan for 20 streets.",
    ]
    phrases = [
        Phrase(range(place, place + 1), Span(2 * place, 2 * place + 2), text, "S1")
        for place, text in enumerate(said)
    ]
    found = with_subjects(phrases, ExactWords(said))
    # Anna is named.
    assert [each.text for each in found] == [said[0], f"{said[0]} {said[1]}", said[2]]
    assert (found[1].span, found[1].rows, found[1].speaker) == (Span(0, 4), range(2), "S1")
    others = [replace(phrases[0], speaker="S2"), *phrases[1:]]
    assert with_subjects(others, ExactWords(said)) == others


def test_greetings_say_nothing() -> None:
    said = ["Anna, welcome back to Small Trades, season two of ten.", "Bees live on 12 roofs."]
    phrases = [Phrase(range(1), Span(0, 5), text) for text in said]
    assert [each.text for each in most_specific(phrases, ExactWords(said))] == said[1:]


def test_people_keep_the_parts_that_they_had() -> None:
    def said(speaker: str | None, *texts: str) -> list[Phrase]:
        return [Phrase(range(1), Span(0, 1), text, speaker) for text in texts]

    guest = said("Anna", "I'm Anna Wells, and my guest is Martin Reed, who has run a bakery.")
    bread = said("Martin", "Everyone wants to know about the flour. We let our bread rest.")
    city = said("Peter", "Because the city is a better garden.", "Our honey comes from trees.")
    train = said(None, "The guard knows.", "His name is Walter.", "It was his father's lamp.")
    told = said("Martin", "People tell me I could sell twice as many.")
    flour = said("Martin", "Jeder will über das Mehl reden.", "Wir lassen unser Brot ruhen.")
    for phrases, sentence, expected in (
        (guest, "Anna Wells, Martin Reed, has run a bakery.", False),
        (guest, "Anna Wells, whose guest is Martin Reed, has a bakery.", True),
        (guest, "Anna Wells, Martin Reed, and a bakery are heard.", True),
        (guest, "Anna Wells and Martin Reed have run a bakery.", False),
        (guest, "Anna Wells and Martin Reed talk of a bakery.", True),
        (guest, "Anna Wells is Martin Reed, a baker.", False),
        (said(None, "The guard is called Walter; he was Paul."), "Walter was Paul.", False),
        (said(None, "Northport is Oak Hill now."), "Northport is Oak Hill.", True),
        (
            said(None, "Anna Wells and Martin Reed run a bakery."),
            "Anna Wells and Martin Reed bake.",
            True,
        ),
        (said(None, "In Oak Hill, Martin Reed, a baker, rests."), "Oak Hill, Martin, bakes.", True),
        (bread, "Martin wants to know about the flour.", False),
        (bread, "Martin says that everyone wants to know about the flour.", True),
        (bread, "Martin lets his bread rest.", True),
        (bread, "Everyone wants to know about the flour.", True),
        (said("Martin", "Martin wants to know."), "Martin wants to know.", True),
        (said(None, "Everyone wants to know."), "Martin wants to know.", True),
        (city, "Peter's city is a better garden.", False),
        (city, "Peter's honey comes from trees.", True),
        (train, "Walter's guard knows.", False),
        (train, "Walter's father had a lamp.", True),
        (train, "The lamp was Walter's.", True),
        (flour, "Martin will über das Mehl reden.", False),
        (flour, "Martin lässt sein Brot ruhen.", True),
        (bread, "", True),
        (told, "Martin told people he could sell twice as many.", False),
        (told, "Martin is told that he could sell twice as many.", True),
        (told, "People told Martin that he could sell twice as many.", True),
        (told, "Martin says that people told him that he could sell twice as many.", True),
        (said("Martin", "I tell people to wait."), "Martin tells people to wait.", True),
        (said("spk_1", "It's a wide field."), "Spk_1 is a wide field.", False),
        (said("Tom", "Thank you Anna, I will call."), "Anna will call.", False),
        (said("Tom", "Thank you Anna, I will call."), "Tom will call.", True),
        (said(None, "So Anna, you call."), "Anna will call.", True),
        (said("Paul", "Merci Anna, j'appelle Sofia."), "Anna appelle Sofia.", False),
    ):
        assert keeps_roles(sentence, phrases) == expected, sentence
    # A Spanish verb says by itself who does it.
    rests = said("Martín", "Dejamos reposar el pan catorce horas.")
    assert keeps_roles("Martín deja reposar el pan.", rests, "Spanish")
