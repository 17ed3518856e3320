"""What lies at an http(s) address, copied into a file by as few requests as it takes.

httpx2 speaks HTTP (redirects, cookies, proxies, logins, certificates, encodings); here is when to
go on after a break, and what is a stream without an end, which nobody can copy.
"""

from __future__ import annotations

import re
import tempfile
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING

from fls_cli.media.http_client import http_client
from fls_cli.media.unreachable import by_status, by_words
from fls_cli.sources.spool import append
from fls_models.errors import DiskFull, EmptyInput, InputError, RefusedInput, Unreachable

if TYPE_CHECKING:
    import httpx2

REDIRECTS = 10
# How often a broken download goes on; and how often in a row without anything new.
_RESUMPTIONS = 20
_BARREN = 2
# Seconds before it does, doubled for each that brought nothing.
_PAUSE = 0.5

# Nobody tells a radio station's stream from a file that is made as it is sent, except by its pace:
# what says not how long it is, calls itself audio, and after so many seconds came more slowly than
# so many bytes a second, is taken for the former.
_TRICKLE_AFTER = 30.0
_TRICKLE = 64_000

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")


@dataclass(frozen=True)
class Fetched:
    """What came: `bytes` of `total`, which is None where nobody promised any number.

    `whole` says that nothing is missing, as far as anyone can tell. `endless` that it is a stream
    of which no copy was made.
    """

    bytes: int
    total: int | None
    whole: bool
    endless: bool = False


def fetch(
    location: str, name: str, file: IO[bytes], moved: Callable[[int, int | None], None]
) -> Fetched:
    """Copies what lies at `location` into `file`, which is empty.

    `moved` is told how many bytes there are, and of how many; what it raises ends the download.
    Raises Unreachable, RefusedInput (redirects that lead elsewhere than to http and https),
    EmptyInput, UsageError (a proxy that is none) and DiskFull, all speaking of `name`.
    """
    return _Download(location, name, file, moved).run()


class _Broken(Exception):
    """The server did not go on where it was asked to."""


@dataclass
class _Download:
    _location: str
    _name: str
    _file: IO[bytes]
    _moved: Callable[[int, int | None], None]
    # Bytes in the file, and the response that they are of.
    _bytes: int = 0
    _first: httpx2.Response | None = None

    def run(self) -> Fetched:
        import httpx2

        barren = 0
        with http_client() as client:
            for _ in range(1 + _RESUMPTIONS):
                size = self._bytes
                try:
                    with closing(self._respond(client, barren)) as response:
                        if self._receive(response):
                            return Fetched(0, None, whole=True, endless=True)
                    if not self._bytes:
                        raise EmptyInput(
                            f"{self._name}: what lies at this address is empty; check the link."
                        )
                    return Fetched(self._bytes, self._total, whole=True)
                except (httpx2.InvalidURL, UnicodeError) as error:
                    raise Unreachable(
                        f"{self._name}: this address is malformed; write https://host/path."
                    ) from error
                except (httpx2.RequestError, _Broken) as error:
                    if self._first is None:
                        if _is_shoutcast(error):
                            return Fetched(0, None, whole=True, endless=True)
                        raise self._refusal(error) from error
                    barren = 0 if self._bytes > size else barren + 1
                    if barren == _BARREN and not self._bytes:
                        raise self._refusal(error) from error
                if barren == _BARREN:
                    break
                time.sleep(_PAUSE * 2**barren)
        return Fetched(self._bytes, self._total, whole=False)

    @property
    def _total(self) -> int | None:
        """How many bytes there will be in the file, if the server told."""
        assert self._first is not None
        headers = self._first.headers
        # Encoded, another number of bytes goes over the wire.
        length = None if "content-encoding" in headers else headers.get("content-length", "")
        return int(length) if length and length.isdecimal() else None

    def _respond(self, client: httpx2.Client, barren: int) -> httpx2.Response:
        """The response to the first request, or to one that asks for the rest."""
        import httpx2

        if self._first is None:
            response = self._follow(client, client.build_request("GET", self._location))
            if not response.is_success:
                response.close()
                raise Unreachable(f"{self._name}: {by_status(str(response.status_code))}.")
            return response
        # A link may work only once, but where it led to may work no longer either.
        rest = {}
        if self._bytes and "content-encoding" not in self._first.headers:
            rest["Range"] = f"bytes={self._bytes}-"
            if validator := _validator(self._first):
                rest["If-Range"] = validator
        last = self._first.request
        if barren:
            request = client.build_request("GET", self._location, headers=rest)
        else:
            request = httpx2.Request("GET", last.url, headers={**last.headers, **rest})
        response = self._follow(client, request)
        if response.status_code not in (200, 206):
            response.close()
            raise _Broken
        return response

    def _follow(self, client: httpx2.Client, request: httpx2.Request) -> httpx2.Response:
        """The first response that is no redirect, its body not read yet."""
        import httpx2

        urls = []
        for _ in range(1 + REDIRECTS):
            response = client.send(request, stream=True)
            login = request.url
            if response.status_code == 401 and login.userinfo and _asks_for_digest(response):
                response.close()
                auth = httpx2.DigestAuth(login.username, login.password)
                response = client.send(request, stream=True, auth=auth)
            if not response.has_redirect_location:
                return response
            response.close()
            if response.next_request is None:
                raise self._elsewhere()
            urls.append(request.url)
            request = response.next_request
        circle = len(set(urls)) < len(urls)
        reason = "its redirects lead in a circle" if circle else "it is redirected too often"
        raise Unreachable(f"{self._name}: {reason}; check the address, or download it first.")

    def _receive(self, response: httpx2.Response) -> bool:
        """Copies what is new of a response; whether it is one that has no end."""
        skipped = self._place(response)
        self._moved(self._bytes, self._total)
        if _is_radio(response):
            return True
        may_be_endless = self._total is None and _is_audio(response)
        start = time.monotonic()
        folder = tempfile.gettempdir()
        full = DiskFull(
            f"{self._name}: {folder} has too little free space for a copy of it; set TMPDIR to a "
            "folder with more."
        )
        for chunk in response.iter_bytes():
            new = chunk[skipped:]
            skipped -= len(chunk) - len(new)
            if new:
                append(self._file, new, folder, full)
                self._bytes += len(new)
            self._moved(self._bytes, self._total)
            seconds = time.monotonic() - start
            if may_be_endless and seconds > _TRICKLE_AFTER and self._bytes < _TRICKLE * seconds:
                return True
        if self._total is not None and self._bytes < self._total:
            raise _Broken
        return False

    def _place(self, response: httpx2.Response) -> int:
        """How many bytes of the response are in the file already; empties it if they differ."""
        first = self._first
        if response.status_code == 206:
            content_range = _RANGE.fullmatch(response.headers.get("content-range", ""))
            if first is None or content_range is None or int(content_range[1]) != self._bytes:
                raise _Broken
            if content_range[2] != "*" and self._total not in (None, int(content_range[2])):
                raise _Broken
            return 0
        if first is None or not _is_same(first, response):
            self._first = response
            self._file.seek(0)
            self._file.truncate()
            self._bytes = 0
        return self._bytes

    def _elsewhere(self) -> InputError:
        return RefusedInput(
            f"{self._name}: it leads to what is no http or https address, and that is not "
            "followed; give the address of the media file itself."
        )

    def _refusal(self, error: Exception) -> InputError:
        import httpx2

        if isinstance(error, httpx2.UnsupportedProtocol):
            return self._elsewhere()
        if isinstance(error, httpx2.TimeoutException):
            error = TimeoutError("timed out")
        reason = by_words(str(error)) or "the connection failed; try again later"
        return Unreachable(f"{self._name}: {reason}.")


def missing(download: Fetched) -> str | None:
    """What to say of a download that is not whole."""
    if download.whole:
        return None
    of = "" if download.total is None else f" of {download.total:,}"
    return f"the connection broke off for good after {download.bytes:,}{of} bytes"


def _validator(response: httpx2.Response) -> str | None:
    """What tells these bytes from later ones of the same address, strongly."""
    tag = response.headers.get("etag")
    if tag is not None and not tag.startswith("W/"):
        return str(tag)
    return response.headers.get("last-modified")


def _is_same(first: httpx2.Response, later: httpx2.Response) -> bool:
    names = ("etag", "last-modified", "content-length", "content-encoding")
    pairs = [(first.headers.get(name), later.headers.get(name)) for name in names]
    return all(before == now for before, now in pairs) and any(before for before, _ in pairs[:3])


def _is_radio(response: httpx2.Response) -> bool:
    """Whether the headers are those of a live stream: Icecast, SHOUTcast and their like."""
    headers = response.headers
    return "content-length" not in headers and any(name.startswith("icy-") for name in headers)


def _is_shoutcast(error: Exception) -> bool:
    """Whether what was wrong with the answer is only that it began with ICY instead of HTTP."""
    return "'ICY " in str(error)


def _is_audio(response: httpx2.Response) -> bool:
    return response.headers.get("content-type", "").lower().startswith("audio/")


def _asks_for_digest(response: httpx2.Response) -> bool:
    return "digest" in response.headers.get("www-authenticate", "").lower()
