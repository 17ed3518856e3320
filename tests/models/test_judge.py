"""What counts as a grade, and judges behind servers that answer, refuse, break down or vanish."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from tiny_talk import tiny_language_model

from fls_models.bench.caches.results import ResultCache
from fls_models.bench.longspeech.items import SpokenItem
from fls_models.bench.longspeech.measurement import Measurement, Row
from fls_models.bench.longspeech.methods import METHODS
from fls_models.bench.scoring.judge import (
    JudgeFailed,
    OwnJudge,
    grade_in,
    grading_prompt,
    judge_rows,
)
from fls_models.bench.scoring.judge_server import ServerJudge
from fls_models.errors import EnvironmentLacks, UsageError


@pytest.mark.parametrize(
    ("reply", "grade"),
    [
        ("Grade: 4", 4),
        ("4", 4),
        (" **3** \n", 3),
        ("4.5", 4.5),
        ("Score: 5/5", 5),
        ("grade is 2 out of 5.", 2),
        ("The two answers agree in 3 facts of 4.\nGrade: 2", 2),
        ("Rating = **1**", 1),
        ('{"score": 4, "why": "3 of 4 facts"}', 4),
        ("I would say 4/5, since a date is missing.", 4),
        ("Grade: 4. So my grade is 4.", 4),
        # None, several, another scale's.
        ("", None),
        ("A good answer.", None),
        ("Between 3 and 4.", None),
        ("Grade: 3 or 4? Grade: 4", None),
        ("Grade: 0", None),
        ("Grade: 6", None),
        ("7", None),
        ("Score: 8/10", None),
        ("Score: 3/10", None),
        ("90 %", None),
        ("Grade: 45", None),
        ("Grade: 4%", None),
        ("In 2021 there were 3 of them.", None),
    ],
)
def test_a_grade_is_what_is_plainly_said(reply: str, grade: float | None) -> None:
    assert grade_in(reply) == grade


def test_the_judge_reads_question_reference_and_answer() -> None:
    text = grading_prompt("Why?", "It rained.", "Rain.")
    assert text.index("Why?") < text.index("Reference: It rained.") < text.index("graded: Rain.")
    assert "What is said in the recording: It" in grading_prompt(
        "?", "It rained.", "", transcript=True
    )
    assert "(nothing)" in grading_prompt("?", "x", "")


def row(reply: str | None, *, task: str = "qa", **more: Any) -> Row:
    item = SpokenItem("a", Path("a.wav"), "Why?", task, **more)
    return Row(item, METHODS["fusion"], None, Measurement(True, 1.0, 25, text=reply))


class Says:
    """Replies by a rule, and remembers what it was asked."""

    identity = "somebody"

    def __init__(self, rule: Callable[[str], str]) -> None:
        self.rule = rule
        self.asked: list[str] = []

    def reply(self, text: str) -> str:
        self.asked.append(text)
        return self.rule(text)


def test_each_answer_is_graded_once_and_failures_are_told(tmp_path: Path) -> None:
    rows = [
        row("Rain.", answer="It rained."),
        row("Rain.", answer="It rained."),
        row("Snow.", answer="It rained."),
        row("Sun.", transcript="It rained all day."),
        row("Fog."),
        row("it rained", task="asr", transcript="it rained"),
        row(None, answer="It rained."),
    ]
    judge = Says(lambda text: "Hm." if "Snow" in text else "Grade: 4")
    found = judge_rows(judge, rows, ResultCache(tmp_path))
    assert found.grades == {
        ("Why?", "It rained.", "Rain."): 4.0,
        ("Why?", "It rained all day.", "Sun."): 4.0,
    }
    assert found.failed == (("Why?", "no grade from 1 to 5 in 'Hm.'"),)
    assert (found.ungradable, found.judge, len(judge.asked)) == (1, "somebody", 3)
    assert "said in the recording: It rained all day." in judge.asked[2]
    # Only what failed is asked again; another judge is asked everything.
    again = Says(lambda _: "5")
    assert (
        judge_rows(again, rows, ResultCache(tmp_path)).grades[("Why?", "It rained.", "Snow.")] == 5
    )
    assert len(again.asked) == 1
    other = Says(lambda _: "1")
    other.identity = "somebody else"
    judge_rows(other, rows, ResultCache(tmp_path))
    assert len(other.asked) == 3


def test_a_model_of_ours_chooses_one_of_five(tmp_path: Path) -> None:
    judge = OwnJudge(tiny_language_model(tmp_path), "tiny")
    assert judge.identity == "tiny, choosing"
    assert judge.reply(grading_prompt("Why?", "Rain.", "Rain.")) in "12345"
    assert grade_in(judge.reply("x")) is not None


# Servers

Answer = tuple[int, dict[str, str], bytes]


def said(text: Any) -> Answer:
    message = {"choices": [{"message": {"role": "assistant", "content": text}}]}
    return 200, {}, json.dumps(message).encode()


class Server:
    """Gives its answers one after the other, the last one for good."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [said("Grade: 3")]
        self.requests: list[tuple[str, dict[str, str], dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                outer.requests.append((self.path, dict(self.headers), json.loads(body)))
                many = len(outer.answers) > 1
                code, headers, content = outer.answers.pop(0) if many else outer.answers[0]
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=[0.01], daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("no_proxy", "*")
    one = Server()
    yield one
    one.close()


@pytest.fixture
def pauses() -> list[float]:
    return []


@pytest.fixture
def judge(server: Server, pauses: list[float]) -> ServerJudge:
    return ServerJudge(server.url, "grader-1", "sesame", timeout=5, pause=pauses.append)


def test_what_is_sent(server: Server, judge: ServerJudge) -> None:
    assert judge.reply("Question: why?") == "Grade: 3"
    [(path, headers, body)] = server.requests
    assert path == "/v1/chat/completions"
    assert headers["Authorization"] == "Bearer sesame"
    assert (body["model"], body["temperature"]) == ("grader-1", 0)
    assert [one["role"] for one in body["messages"]] == ["system", "user"]
    assert body["messages"][1]["content"].startswith("Question: why?")
    assert "Grade: N" in body["messages"][1]["content"]
    assert "sesame" not in judge.identity


@pytest.mark.parametrize(
    ("end", "path"),
    [
        ("", "/v1/chat/completions"),
        ("/v1/", "/v1/chat/completions"),
        ("/v1/chat/completions", "/v1/chat/completions"),
        ("/gateway/v2", "/gateway/v2/chat/completions"),
    ],
)
def test_addresses_of_an_endpoint(server: Server, end: str, path: str) -> None:
    assert ServerJudge(server.url + end, "m").reply("x") == "Grade: 3"
    [(found, headers, _)] = server.requests
    assert found == path
    assert "Authorization" not in headers


def test_what_passes_is_tried_again(
    server: Server, judge: ServerJudge, pauses: list[float]
) -> None:
    server.answers = [
        (503, {}, b"busy"),
        (429, {"Retry-After": "7"}, b"slow down"),
        (500, {"Retry-After": "86400"}, b""),
        said("Grade: 5"),
    ]
    assert judge.reply("x") == "Grade: 5"
    assert pauses == [1.0, 7.0, 60.0]
    assert len(server.requests) == 4


def test_what_does_not_pass_is_a_failure_of_one_answer(
    server: Server, judge: ServerJudge, pauses: list[float]
) -> None:
    server.answers = [(503, {}, b"busy, sesame is tired")]
    with pytest.raises(JudgeFailed) as failed:
        judge.reply("x")
    assert str(failed.value) == "HTTP 503 busy, *** is tired"
    assert (len(server.requests), len(pauses)) == (4, 3)


@pytest.mark.parametrize(
    "answer",
    [said(None), (200, {}, b"<html>"), (200, {}, b'{"choices": []}'), (200, {}, b"[1]")],
)
def test_a_reply_that_is_none(server: Server, judge: ServerJudge, answer: Answer) -> None:
    server.answers = [answer]
    with pytest.raises(JudgeFailed):
        judge.reply("x")
    assert len(server.requests) == 1


@pytest.mark.parametrize("code", [400, 401, 403, 404, 302])
def test_a_refusal_ends_the_bench_and_keeps_the_key(
    server: Server, judge: ServerJudge, code: int
) -> None:
    elsewhere = {"Location": f"{server.url}/elsewhere"} if code == 302 else {}
    server.answers = [(code, elsewhere, b'{"error": "no model for sesame"}')]
    with pytest.raises(UsageError) as refused:
        judge.reply("x")
    assert f"HTTP {code}" in str(refused.value)
    assert "no model for ***" in str(refused.value)
    assert "sesame" not in str(refused.value)
    assert len(server.requests) == 1


def test_one_answer_that_a_server_does_not_take(server: Server, judge: ServerJudge) -> None:
    judge.reply("x")
    server.answers = [(400, {}, b"too long")]
    with pytest.raises(JudgeFailed, match="too long"):
        judge.reply("x")


def test_a_server_that_is_not_there(server: Server, pauses: list[float]) -> None:
    judge = ServerJudge(server.url, "m", timeout=5, pause=pauses.append)
    judge.reply("x")
    server._server.shutdown()
    server._server.server_close()
    with pytest.raises(JudgeFailed):
        judge.reply("x")
    other = ServerJudge(server.url, "m", timeout=5, pause=pauses.append)
    with pytest.raises(EnvironmentLacks, match="does not answer"):
        other.reply("x")


def test_a_server_that_takes_too_long(server: Server, pauses: list[float]) -> None:
    import socket

    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        judge = ServerJudge(url, "m", timeout=0.05, pause=pauses.append)
        with pytest.raises(EnvironmentLacks, match=r"does not answer: .*timed out"):
            judge.reply("x")
    assert len(pauses) == 3


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://x", "http://", "localhost:8000"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(UsageError, match="--judge takes"):
        ServerJudge(url, "m")
