"""The command line: users, files, terminals. Imports no torch at module level.

from fls_cli import load

talk = load("mini").listen("lecture.mp3")
print(talk.ask("What is the main argument?").answer)
"""

from __future__ import annotations

# Not from `typing`: what is imported here is imported where Ctrl-C would be a traceback.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from fls_cli.session.loading import LoadedModel

__all__ = ["load"]
__version__ = "0.1.0"


def load(
    name: str = "auto", *, budget: str = "balanced", device: str = "auto", dtype: str = "nf4"
) -> LoadedModel:
    """A model that listens to recordings by their names; see `fls_cli.session.loading.load`."""
    from fls_cli.session import loading

    return loading.load(name, budget=budget, device=device, dtype=dtype)
