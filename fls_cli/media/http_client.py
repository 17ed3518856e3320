"""How the servers of addresses are spoken to: as whom, how patiently, and who is trusted."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from fls_cli import __version__
from fls_models.errors import UsageError

if TYPE_CHECKING:
    import httpx2

USER_AGENT = f"fls/{__version__}"
# Seconds of silence after which a connection counts as broken.
PATIENCE = 30


@contextmanager
def http_client() -> Iterator[httpx2.Client]:
    """A client with the proxies of the environment, of which UsageError may complain."""
    import httpx2

    # Of what is not encoded, the rest can be asked for; media are compressed anyway.
    headers = {"User-Agent": USER_AGENT, "Accept": "*/*", "Accept-Encoding": "identity"}
    context = ssl.create_default_context(cafile=certificates())
    # A host may close a connection just as it is used again, after a redirect or a login.
    limits = httpx2.Limits(max_keepalive_connections=0)
    try:
        client = httpx2.Client(headers=headers, timeout=PATIENCE, verify=context, limits=limits)
    except (ImportError, ValueError, httpx2.InvalidURL):
        # Not shown: it may hold a password.
        raise UsageError(
            "The proxy that the environment names (http_proxy, https_proxy, all_proxy) is none "
            "that can be used; write http://host:port."
        ) from None
    with client:
        yield client


def certificates() -> str:
    """The file of the authorities that are trusted: the system's, else certifi's."""
    if file := ssl.get_default_verify_paths().cafile:
        return file
    import certifi

    return certifi.where()
