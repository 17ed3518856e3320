"""A judge behind an OpenAI-compatible endpoint: one POST an answer, by httpx2.

What may pass is tried again; what will not (a wrong key, a model that is not there) ends the bench
with what the server said. The key is sent to that server alone and never shown.
"""

import json
import ssl
from collections.abc import Callable
from time import sleep
from urllib.parse import urlsplit

import httpx2

from fls_models.bench.scoring.judge import REQUEST, SYSTEM, JudgeFailed
from fls_models.errors import EnvironmentLacks, UsageError

_PATH = "/chat/completions"
_TRIES = 4
_FIRST_WAIT = 1.0
_LONGEST_WAIT = 60.0
# A grade is a line; some models think aloud before.
_MAX_TOKENS = 512
_MOST_BYTES = 2**20


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
        # The system's own authorities: a judge may run in the house.
        self._context = ssl.create_default_context()

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
            wait = ""
            try:
                code, wait, raw = self._post(text)
            except (httpx2.HTTPError, httpx2.InvalidURL, OSError, ValueError) as error:
                why = self._shown(error)
            else:
                if 200 <= code < 300:
                    self._answered = True
                    return self._content(raw)
                why = self._refusal(code, raw)
            if turn + 1 < _TRIES:
                seconds = float(wait) if wait.isdecimal() else _FIRST_WAIT * 2**turn
                self._pause(min(seconds, _LONGEST_WAIT))
        if not self._answered:
            raise EnvironmentLacks(f"The judge {self.identity} does not answer: {why}.")
        raise JudgeFailed(why)

    def _post(self, text: str) -> tuple[int, str, bytes]:
        """Status, how long to wait before another try, and what was sent, to its limit."""
        messages = [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": text + REQUEST},
        ]
        payload: dict[str, object] = {"model": self._model, "messages": messages}
        payload |= {"temperature": 0, "max_tokens": _MAX_TOKENS}
        headers = {"Accept": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        # Redirects are not followed: a key must not go where the user did not send it.
        with httpx2.stream(
            "POST",
            self._url,
            json=payload,
            headers=headers,
            timeout=self._timeout,
            verify=self._context,
        ) as answer:
            raw = next(answer.iter_bytes(_MOST_BYTES), b"")
            return answer.status_code, answer.headers.get("Retry-After", ""), raw

    def _content(self, raw: bytes) -> str:
        try:
            content = json.loads(raw)["choices"][0]["message"]["content"]
        except (ValueError, KeyError, IndexError, TypeError):
            raise JudgeFailed(f"no chat completion: {self._shown(raw[:120])}") from None
        if not isinstance(content, str):
            raise JudgeFailed("a reply without text")
        return content

    def _refusal(self, code: int, raw: bytes) -> str:
        """Why, for what is worth another try; the rest is raised."""
        why = f"HTTP {code} {self._shown(raw[:200])}"
        if code in (408, 409, 425, 429) or code >= 500:
            self._answered = True
            return why
        if code == 400 and self._answered:
            # Too long, or against a rule of the server's: this answer's own.
            raise JudgeFailed(why)
        raise UsageError(f"The judge {self.identity} refuses: {why}")

    def _shown(self, message: object) -> str:
        """On one line, without the key, which some servers repeat."""
        text = message.decode("utf-8", "replace") if isinstance(message, bytes) else str(message)
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
