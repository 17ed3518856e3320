"""A web server on this machine that behaves as hosts of podcasts do, and counts what is asked."""

from __future__ import annotations

import http.server
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from email.message import Message

import pytest

Answer = Callable[["Asked"], None]


@dataclass
class Asked:
    """One request, and how to answer it."""

    path: str
    headers: Message
    handler: http.server.BaseHTTPRequestHandler = field(repr=False)

    def send(
        self, content: bytes = b"", status: int = 200, length: int | None = -1, **headers: str
    ) -> None:
        """`length` is promised: that of `content` unless told, nothing if None."""
        self.handler.send_response(status)
        if length is not None:
            self.handler.send_header("Content-Length", str(len(content) if length < 0 else length))
        for name, value in headers.items():
            self.handler.send_header(name.replace("_", "-"), value)
        self.handler.end_headers()
        self.handler.wfile.write(content)
        self.handler.close_connection = True


@dataclass
class Host:
    """`answers` by the path without its query; `asked` are all requests, in order."""

    address: str = ""
    answers: dict[str, Answer] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    ended: threading.Event = field(default_factory=threading.Event)

    def serve(self, path: str, content: bytes, status: int = 200, **headers: str) -> str:
        """The address of a path with this content."""
        self.answers[path] = lambda asked: asked.send(content, status, **headers)
        return self.address + path

    def redirect(self, path: str, target: str, **headers: str) -> str:
        return self.serve(path, b"", 302, Location=target, **headers)

    def cut(self, path: str, content: bytes, *, ranges: bool, **headers: str) -> str:
        """Each answer ends after half of what it promises; with `ranges`, goes on where asked."""

        def answer(asked: Asked) -> None:
            told = asked.headers.get("Range") if ranges else None
            begin = int(told.removeprefix("bytes=").removesuffix("-")) if told else 0
            rest = content[begin:]
            if told:
                headers["Content_Range"] = f"bytes {begin}-{len(content) - 1}/{len(content)}"
            half = rest[: len(content) // 2 + 1]
            asked.send(half, 206 if told else 200, len(rest), **headers)

        self.answers[path] = answer
        return self.address + path

    def silent(self, path: str, content: bytes, promised: int) -> str:
        """Sends `content` and nothing more, without closing."""

        def answer(asked: Asked) -> None:
            asked.send(content, length=promised)
            self.ended.wait(60)

        self.answers[path] = answer
        return self.address + path

    def radio(self, path: str, content: bytes, opening: bytes, pace: float = 0.05) -> str:
        """Sends `content` over and over, a tenth of it every `pace` seconds, after `opening`."""

        def answer(asked: Asked) -> None:
            asked.handler.wfile.write(opening)
            part = len(content) // 10 + 1
            while not self.ended.is_set():
                for begin in range(0, len(content), part):
                    asked.handler.wfile.write(content[begin : begin + part])
                    time.sleep(pace)

        self.answers[path] = answer
        return self.address + path

    @property
    def paths(self) -> list[str]:
        return [asked.path for asked in self.asked]


@pytest.fixture
def host(monkeypatch: pytest.MonkeyPatch) -> Iterator[Host]:
    host = Host()

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked = Asked(self.path, self.headers, self)
            host.asked.append(asked)
            answer = host.answers.get(self.path.partition("?")[0])
            self.close_connection = True
            with suppress(OSError):
                if answer is None:
                    asked.send(b"<html>Not here.</html>", 404)
                else:
                    answer(asked)

        def log_message(self, *arguments: object) -> None:
            pass

    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    host.address = f"http://127.0.0.1:{server.server_port}"
    yield host
    host.ended.set()
    server.shutdown()
    thread.join()
    server.server_close()
