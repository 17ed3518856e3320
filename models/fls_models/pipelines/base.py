"""A model by its card: what hears, what reads and answers, each loaded when it is first needed."""

from abc import abstractmethod
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from fls_models.answering.model import EncodedRecording, Model
from fls_models.core.budget import Budget
from fls_models.pipelines.recording import Recording


class Pipeline(Model):
    """A model that listens: its parts, put together."""

    def listen(
        self,
        blocks: Iterable[NDArray[np.float32]],
        *,
        name: str = "",
        language: str | None = None,
        budget: str = "balanced",
    ) -> Recording:
        """Listens to blocks of 16 kHz mono float32, of any size, to their end, to ask about them.

        `budget` is the effort of listening; `name` becomes the `source` of answers. Raises
        UsageError for a budget or a language that there is none of.
        """
        return Recording(self, name, self._heard(blocks, language, Budget(budget)))

    @abstractmethod
    def _heard(
        self, blocks: Iterable[NDArray[np.float32]], language: str | None, budget: Budget
    ) -> EncodedRecording:
        """The recording as this model hears it."""
