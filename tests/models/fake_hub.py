"""A hub on this machine: a folder served as a repository, with what the real one says of its files.

Large files are those with weights: they have a SHA-256 and are served from elsewhere,
as the real hub redirects. All others are in git, and have its name for them.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LARGE = (".safetensors", ".gguf", ".bin")
COMMIT = "c0ffee" * 6 + "beef"


@dataclass
class FakeHub:
    """What is served, how badly, and what was asked for.

    Attributes:
        refusal: status and `X-Error-Code` for every request.
        served: other bytes than those that are listed.
        cut: how many bytes of a file are sent before the connection breaks, for one request after
            the other; the last number is for all that follow.
        fetched: path, and the first byte asked for, of every file.
    """

    address: str
    repo: str
    files: dict[str, bytes]
    commit: str = COMMIT
    refusal: tuple[int, str] | None = None
    served: dict[str, bytes] = field(default_factory=dict)
    cut: dict[str, list[int]] = field(default_factory=dict)
    fetched: list[tuple[str, int]] = field(default_factory=list)

    def listing(self) -> dict[str, Any]:
        rows: list[dict[str, Any]] = []
        for path, data in self.files.items():
            blob = hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()
            row: dict[str, Any] = {"rfilename": path, "size": len(data), "blobId": blob}
            if path.endswith(LARGE):
                row["lfs"] = {
                    "sha256": hashlib.sha256(data).hexdigest(),
                    "size": len(data),
                    "pointerSize": 134,
                }
            rows.append(row)
        card = {"license": "apache-2.0"}
        return {"id": self.repo, "sha": self.commit, "cardData": card, "siblings": rows}


def folder_files(folder: Path) -> dict[str, bytes]:
    """All files below a folder, by the names that a repository has for them."""
    found = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in found}


@contextmanager
def serve(repo: str, files: dict[str, bytes]) -> Iterator[FakeHub]:
    """A hub with one repository, until the context is left."""
    hub = FakeHub("", repo, files)

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            place, _, asked = self.path.partition("?")
            if hub.refusal is not None:
                self._send(hub.refusal[0], b"{}", {"X-Error-Code": hub.refusal[1]})
            elif place == f"/api/models/{hub.repo}":
                assert asked == "blobs=true", asked
                self._send(200, json.dumps(hub.listing()).encode(), {})
            elif place.startswith(start := f"/{hub.repo}/resolve/{hub.commit}/"):
                path = place.removeprefix(start)
                if path.endswith(LARGE):
                    self._send(302, b"", {"Location": f"/elsewhere/{path}"})
                else:
                    self._file(path)
            elif place.startswith("/elsewhere/"):
                self._file(place.removeprefix("/elsewhere/"))
            else:
                self._send(404, b"{}", {"X-Error-Code": "RepoNotFound"})

        def _file(self, path: str) -> None:
            data = hub.served.get(path, hub.files[path])
            first = int(self.headers.get("Range", "bytes=0-")[len("bytes=") : -1])
            hub.fetched.append((path, first))
            left = data[first:]
            headers = {"Content-Range": f"bytes {first}-{len(data) - 1}/{len(data)}"}
            cuts = hub.cut.get(path, [])
            cut = cuts.pop(0) if len(cuts) > 1 else next(iter(cuts), None)
            self._send(206 if first else 200, left, headers, cut)

        def _send(
            self, status: int, body: bytes, headers: dict[str, str], cut: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[:cut])
            self.close_connection = cut is not None

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Answer) as server:
        hub.address = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield hub
        finally:
            server.shutdown()
            thread.join()
