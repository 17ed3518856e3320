"""Why nothing came from an address, in sentences of ours."""

_STATUSES = {
    "401": "the server asks for a login (401); put it in the address as https://user:password@host",
    "403": "the server forbids it (403); check that the link has not expired",
    "404": "there is nothing at this address (404); check the spelling",
    "407": "the proxy asks for a login (407); put it in the address that http_proxy holds",
    "410": "there is nothing at this address any more (410)",
    "429": "the server takes no more requests for now (429); try again later",
}
# What the system, OpenSSL, httpx2 and ffmpeg say, in small letters. The first that fits counts.
_SIGNS = {
    "failed to resolve hostname": "no such host is known; check the spelling and the network",
    "name or service not known": "no such host is known; check the spelling and the network",
    "name resolution": "no such host is known; check the spelling and the network",
    "no address associated": "no such host is known; check the spelling and the network",
    "connection refused": "the host refused the connection; check the port and try again later",
    "timed out": "the host did not answer in time; try again later",
    "certificate": "the host's certificate could not be verified; check the address",
    "network is unreachable": "the network is unreachable; check the connection",
    "no route to host": "there is no route to this host; check the connection",
    "connection reset": "the host broke off the connection; try again later",
    "server disconnected": "the host broke off the connection; try again later",
    "input/output error": "the connection failed; try again later, or download it first",
}


def by_status(status: str) -> str:
    """What an HTTP status that is no success means, such as 404, or 5XX as ffmpeg writes."""
    return _STATUSES.get(status, f"the server answered with error {status}")


def by_words(text: str) -> str | None:
    """What a program's complaint means; None if it says nothing of connections."""
    message = text.lower()
    return next((reason for sign, reason in _SIGNS.items() if sign in message), None)
