"""A judge behind an OpenAI-compatible endpoint: one POST an answer, by the standard library.

What may pass is tried again; what will not (a wrong key, a model that is not there) ends the bench
with what the server said. The key is sent to that server alone and never shown.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from time import sleep
from typing import Any
from urllib.parse import urlsplit

from fls_models.bench.scoring.judge import REQUEST, SYSTEM, JudgeFailed
from fls_models.errors import EnvironmentLacks, UsageError

_PATH = "/chat/completions"
_TRIES = 4
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
# A grade is a line; some models think aloud before.
_MAX_TOKENS = 512
_MOST_BYTES = 2**20


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A key must not go where the user did not send it."""

    def redirect_request(self, *_: Any) -> None:
        return None


class ServerJudge:
    """Replies of a chat model at temperature 0.

    Args:
        url: the endpoint, its `/v1`, or the server alone.
        model: its name there.
        key: sent as a bearer token, if there is one.
        timeout: seconds for one try.
        pause: waits between tries.

    Raises:
        UsageError: the address is no http or https address.
    """

    def __init__(
        self,
        url: str,
        model: str,
        key: str | None = None,
        *,
        timeout: float = 60.0,
        pause: Callable[[float], None] = sleep,
    ) -> None:
        self._url = _endpoint(url)
        self._model = model
        self._key = key
        self._timeout = timeout
        self._pause = pause
        self._answered = False
        self._open = urllib.request.build_opener(_NoRedirect).open

    @property
    def identity(self) -> str:
        return f"{self._model} at {urlsplit(self._url).netloc.rpartition('@')[2]}"

    def reply(self, text: str) -> str:
        """What the model says.

        Raises JudgeFailed for what may be this answer's fault or pass, after some tries; UsageError
        for what the server refuses; EnvironmentLacks where nothing has ever answered.
        """
        why = ""
        for turn in range(_TRIES):
            try:
                said = self._asked(text)
            except urllib.error.HTTPError as error:
                why = self._refused(error)
                wait = error.headers.get("Retry-After", "")
            except (OSError, http.client.HTTPException) as no:
                why = self._shown(getattr(no, "reason", None) or no)
                wait = ""
            else:
                self._answered = True
                return said
            if turn + 1 < _TRIES:
                seconds = float(wait) if wait.isdecimal() else _FIRST_WAIT * 2**turn
                self._pause(min(seconds, _LONGEST_WAIT))
        if not self._answered:
            raise EnvironmentLacks(f"The judge {self.identity} does not answer: {why}.")
        raise JudgeFailed(why)

    def _asked(self, text: str) -> str:
        told = {
            "model": self._model,
            "messages": [
                {"role": "system", "content": SYSTEM},
                {"role": "user", "content": text + REQUEST},
            ],
            "temperature": 0,
            "max_tokens": _MAX_TOKENS,
        }
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(self._url, json.dumps(told).encode(), headers)
        with self._open(request, timeout=self._timeout) as answer:
            raw = answer.read(_MOST_BYTES)
        self._answered = True
        try:
            said = json.loads(raw)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            raise JudgeFailed(f"no chat completion: {self._shown(raw[:120])}") from None
        if not isinstance(said, str):
            raise JudgeFailed("a reply without text")
        return said

    def _refused(self, error: urllib.error.HTTPError) -> str:
        """Why, for what is worth another try; the rest is raised."""
        with error:
            why = f"HTTP {error.code} {self._shown(error.read(_MOST_BYTES)[:200])}"
        if error.code in (408, 409, 425, 429) or error.code >= 500:
            self._answered = True
            return why
        if error.code == 400 and self._answered:
            # Too long, or against a rule of the server's: this answer's own.
            raise JudgeFailed(why)
        raise UsageError(f"The judge {self.identity} refuses: {why}")

    def _shown(self, what: object) -> str:
        """On one line, without the key, which some servers repeat."""
        text = what.decode("utf-8", "replace") if isinstance(what, bytes) else str(what)
        if self._key:
            text = text.replace(self._key, "***")
        return " ".join(text.split())


def _endpoint(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.netloc:
        raise UsageError(f"--judge takes a model's name or an address with http(s)://, not {url}.")
    path = parts.path.rstrip("/")
    if not path.endswith(_PATH):
        path = (path or "/v1") + _PATH
    return parts._replace(path=path, fragment="").geturl()
