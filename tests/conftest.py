"""What all tests share: the real weights of `mini`, fetched once, and only if a test needs them."""

from __future__ import annotations

import os
import signal
import warnings

# Processes that test side by side, and what they start, have a core each. Models that compute with
# two threads each on two cores take several times as long, as threads wait for one another.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from fls_cli.storage.paths import cache_folder
from fls_models.weights import card
from fls_models.weights import store as weights
from fls_models.weights.store import Installed


def pytest_configure() -> None:
    """Tests run as on a machine where nobody has set or asked anything yet, but that it is `mini`
    which answers, whatever else the machine could do and has downloaded."""
    for name in [name for name in os.environ if name.startswith("FLS_") and name != "FLS_CACHE"]:
        del os.environ[name]
    os.environ |= {"FLS_CONFIG": os.devnull, "FLS_KEEP": "no", "FLS_MODEL": "mini"}
    # Shells start background jobs with Ctrl-C ignored; what the tests start must hear it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files in which `mini` hears and answers come first: no process waits for them in the end."""
    slow = {item.path for item in items if item.get_closest_marker("weights")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture(scope="session")
def mini_weights() -> Installed:
    """`mini` in the user's own cache; the first session that asks for it downloads 642 MB."""
    return weights.store_of(card.load("mini"), cache_folder()).pull()


@pytest.fixture(autouse=True)
def _ctrl_c_is_heard(request: pytest.FixtureRequest) -> None:
    """Ctrl-C raises in every test: a SIGINT that was left at its default ends the whole process."""
    handler = signal.getsignal(signal.SIGINT)
    if handler is not signal.default_int_handler:
        warnings.warn(f"before {request.node.nodeid} SIGINT was left at {handler}", stacklevel=1)
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def _weights_before_the_test(request: pytest.FixtureRequest) -> None:
    """Tests marked `weights` find them there, so that none of them is timed while downloading."""
    if request.node.get_closest_marker("weights"):
        request.getfixturevalue("mini_weights")


@pytest.fixture(autouse=True)
def _an_old_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    """`auto` is the default model, whatever machine the tests run on."""
    from fls_cli.session import default_model

    monkeypatch.setattr(default_model, "instructions", frozenset)
