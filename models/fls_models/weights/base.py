"""Where weights lie in a cache, how they come there and go: the contract of both kinds of models.

Which kind a card is of, `store.store_of` knows; nobody else has to ask.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Generic, TypeVar

from fls_models.core.progress import Progress, ignore
from fls_models.weights.card import Card

# What is installed: folders, and the card that they are of.
Weights = TypeVar("Weights", covariant=True)


@dataclass(frozen=True)
class Store(ABC, Generic[Weights]):
    """The weights of one card in one cache.

    `dtype` is a large model's throughout; others have one form.

    Attributes:
        dtypes: forms that the weights can be had in; empty where there is nothing to choose.
    """

    dtypes: ClassVar[tuple[str, ...]] = ()

    card: Card
    cache: Path

    @abstractmethod
    def folders(self) -> list[Path]:
        """Those that are there."""

    @abstractmethod
    def is_ready(self, dtype: str | None = None) -> bool:
        """Whether the card can be used without fetching anything: in that dtype, or in any."""

    @abstractmethod
    def bytes_to_fetch(self, dtype: str = "nf4") -> int:
        """Bytes that `pull` would still download; where there are `dtypes`, about."""

    @abstractmethod
    def room(self) -> float:
        """Bytes that fetching takes for a while, about; 0 of a card that is there in any dtype."""

    @abstractmethod
    def locate(self, dtype: str = "nf4") -> Weights:
        """What is installed; WeightsMissing names the command that installs it."""

    def pull(
        self, progress: Progress = ignore, dtype: str = "nf4", source: Path | None = None
    ) -> Weights:
        """Fetches, checks and converts what is missing. Does nothing when all is there.

        Safe to run twice at once (the second waits) and after an interruption (what is whole is
        not fetched again). `source` is a folder in the place of the hub, for a large model. Raises
        DiskFull before anything is downloaded, WeightsMissing when nobody gives the files,
        DamagedWeights for other bytes than are stated, UsageError when the folder holds another
        model, EnvironmentLacks when the cache cannot be written to.
        """
        if not self.is_ready(dtype):
            self._fetch(dtype, progress, source)
        return self.locate(dtype)

    @abstractmethod
    def _fetch(self, dtype: str, progress: Progress, source: Path | None) -> None:
        """Makes what is missing."""

    @abstractmethod
    def remove(self, keep: Sequence[Card] = ()) -> int:
        """Deletes weights in all dtypes, but for parts of cards in `keep`; the bytes freed.

        What an interrupted pull left of them goes, too.
        """
