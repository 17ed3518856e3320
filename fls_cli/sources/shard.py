"""One part of many recordings, for runs that share them: in a SLURM array, or on several machines.

Which part a recording is in depends on its name below the folder that was named, not on where that
lies, nor on what else is there. How many parts there are is noted in the folder of results, so
that nobody counts otherwise by mistake.
"""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from fls_cli.console.text import printable
from fls_cli.media.source import Source
from fls_cli.storage.files import make_folder
from fls_models.errors import UsageError

_WRITTEN = re.compile(r"(\d{1,6})/(\d{1,6})")
_NOTE = Path(".fls") / "shards"


@dataclass(frozen=True)
class Shard:
    """Part `number` of `count`, from 1."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """From `2/8`; raises UsageError."""
        match = _WRITTEN.fullmatch(text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UsageError(
                f"--shard takes a part of how many, from 1/N to N/N such as 2/8, not "
                f"{printable(text)}."
            )
        return cls(int(match[1]), int(match[2]))

    def has(self, source: Source) -> bool:
        """Whether a source is in this part."""
        name = os.fsencode(str(source.below or source.name))
        return int.from_bytes(hashlib.sha256(name).digest()[:8]) % self.count == self.number - 1

    def pin(self, folder: Path) -> None:
        """Notes in a folder of results how many parts there are; UsageError where there are others,
        or nothing can be noted."""
        note = folder / _NOTE
        try:
            make_folder(note.parent)
            with open(note, "a+b") as file:
                file.seek(0)
                if not file.read():
                    file.write(f"{self.count}\n".encode())
                    file.flush()
                # Of several who begin at once, whoever wrote first says how many.
                file.seek(0)
                noted = file.readline().decode("ascii", "replace").strip()
        except OSError as error:
            raise UsageError(
                f"{printable(str(note))} cannot be written: {error.strerror}."
            ) from None
        if noted != str(self.count):
            raise UsageError(
                f"--shard {self.number}/{self.count}: the results in {printable(str(folder))} are "
                f"shared out to {printable(noted)} runs; take one of these, another folder, or "
                f"remove {printable(str(note))}."
            )
