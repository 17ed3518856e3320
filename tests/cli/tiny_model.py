"""A model that needs no weights: an ear that counts samples, a real reader with random weights.

`play` runs the whole command in this process; `command` gives the arguments of a process of its
own, for what only processes can do: be signalled, and lose the other end of a pipe.
"""

from __future__ import annotations

import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from media_files import run_ffmpeg, tone, write_wav

from fls_cli.app import main
from fls_cli.session.session import Session
from fls_models.audio.whisper.wording import PLAIN, Wording
from fls_models.core.budget import PAPER
from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.results import Sentence, Word
from fls_models.weights import card

if TYPE_CHECKING:
    from fls_models.answering.readers.text import TextReader
    from fls_models.core.results import Transcript
    from fls_models.lslm.context_cache import ContextCache
    from fls_models.lslm.mini.language_model import MiniLanguageModel

SAID = (
    "Copper Bay planted trees.",
    "They stand along the streets.",
    "Nobody counted them twice.",
)
# Questions that hold this word are judged to be about something else.
FOREIGN = "mayor"
HERE = Path(__file__).resolve().parent


def sentence(text: str, start: float, each: float = 0.25) -> Sentence:
    """Words of `each` seconds one after the other; a word keeps the space before it."""
    words = [f" {word}" for word in text.split(" ")]
    times = [start + each * i for i in range(len(words) + 1)]
    return Sentence(tuple(Word(times[i], times[i + 1], word, 0.9) for i, word in enumerate(words)))


@dataclass
class Ear:
    """Hears its sentences, one a second, in whatever is not silent; really listens to the end."""

    said: Sequence[str] = SAID
    pace: float = 0.0
    language: str | None = None
    until: float = 0.0
    efforts: list[str] = field(default_factory=list)
    asked: list[str | None] = field(default_factory=list)
    wordings: list[Wording] = field(default_factory=list)
    begins: Callable[[], None] = lambda: None

    def sentences(
        self,
        blocks: Iterable[np.ndarray],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: object = None,
        wording: Wording = PLAIN,
    ) -> Iterator[Sentence]:
        self.begins()
        self.wordings.append(wording)
        self.efforts.append(budget)
        self.asked.append(language)
        self.language, self.until = language or "en", 0.0
        heard = 0
        for block in blocks:
            time.sleep(self.pace)
            loud = float(np.abs(block).max(initial=0.0)) > 0.01
            if loud and heard < len(self.said):
                yield sentence(self.said[heard], start + self.until)
                heard += 1
            self.until += len(block) / SAMPLE_RATE


@dataclass(frozen=True)
class Verdict:
    strength: float

    def over(self, thresholds: object) -> float:
        return self.strength


@dataclass(frozen=True)
class Stub:
    """Judges a question by one word in it."""

    model: TinyModel
    question: str = ""
    general: float = -inf

    @property
    def nothing(self) -> Any:
        from fls_models.answering.answerability import Answerability

        return Answerability(self.model.reads).nothing

    def judge(self, question: str, turn: object = None, **how: object) -> Stub:
        return Stub(self.model, question)

    def evidence(self, context: object) -> Verdict:
        return Verdict(-1.0 if FOREIGN in self.question else 1.0)


@dataclass
class TinyModel:
    """Stands in for a `Model`; `weights` is where a tiny model was converted."""

    weights: Path
    transcriber: Ear = field(default_factory=Ear)
    memory: Cache = NULL_CACHE
    card = card.load("mini")
    encoder_fingerprint = "tiny"
    rates = PAPER
    reads_by = "text"
    # What it hears is no sound.
    extractor = None

    def effort(self, budget: str) -> str:
        return budget

    def rest_ears(self) -> None:
        pass

    def reader(self, heard: Transcript) -> TextReader:
        from fls_models.answering.readers.text import TextReader

        return TextReader(self.language_model, heard, self.card.max_frames)

    @cached_property
    def language_model(self) -> MiniLanguageModel:
        from fls_models.lslm.mini.language_model import MiniLanguageModel

        return MiniLanguageModel(self.weights)

    @cached_property
    def reads(self) -> ContextCache:
        from fls_models.lslm.context_cache import ContextCache

        return ContextCache(self.language_model, "tiny", self.memory)

    @cached_property
    def answerability(self) -> Stub:
        return Stub(self)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A converted language model with random weights."""
    sys.path.append(str(HERE.parent / "models"))
    from tiny_gguf import write_tiny_gguf

    from fls_models.core.progress import ignore
    from fls_models.weights.conversion.gguf import convert

    folder = tmp_path_factory.mktemp("tiny-model")
    # A seed whose model has something to say, in plain letters.
    write_tiny_gguf(folder / "model.gguf", seed=8)
    convert(folder / "model.gguf", folder, ignore)
    return folder


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """Next to nothing is computed by tiny models: a second thread only waits for the first."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_mini(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a tiny `mini` that reads frames: `speech/`, `llm/` and `connector/`."""
    sys.path.append(str(HERE.parent / "models"))
    from tiny_mini import write_tiny_mini

    place = tmp_path_factory.mktemp("models") / "tiny-mini"
    place.mkdir()
    write_tiny_mini(place)
    return place


@pytest.fixture
def tiny(tiny_weights: Path, one_thread: None, monkeypatch: pytest.MonkeyPatch) -> TinyModel:
    """The model that every command of this test gets, whatever name it asks for."""
    model = TinyModel(tiny_weights)
    monkeypatch.setattr(Session, "model", lambda session, name: model)
    return model


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Four loud seconds, in which the ear hears all that it knows."""
    return write_wav(tmp_path / "talk.wav", tone(440, 4))


@pytest.fixture
def hush(tmp_path: Path) -> Path:
    """Three seconds of nothing."""
    run_ffmpeg("-f", "lavfi", "-i", "anullsrc=r=16000:cl=mono:d=3", tmp_path / "hush.wav")
    return tmp_path / "hush.wav"


@dataclass(frozen=True)
class Played:
    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[str]:
        return self.out.splitlines()


def play(capfd: pytest.CaptureFixture[str], *arguments: str) -> Played:
    """What `fls ARGUMENTS` printed and left with, by the same road as from a shell."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGHUP)}
    capfd.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["fls", *arguments])
        with pytest.raises(SystemExit) as left:
            main()
    for number, handler in before.items():
        signal.signal(number, handler)
    found = capfd.readouterr()
    code = left.value.code
    return Played(code if isinstance(code, int) else 0, found.out, found.err)


def command(
    *arguments: str, said: int = 3, pace: float = 0.0, weights: Path | None = None
) -> list[str]:
    """The command line of a process that runs `fls ARGUMENTS` and hears `said` sentences.

    It takes `pace` seconds for each second that it hears. Only with `weights` it can answer.
    """
    road = [str(HERE), str(HERE.parent.parent), str(HERE.parent.parent / "models")]
    start = f"import sys; sys.path[:0] = {road!r}; from tiny_model import run; run()"
    return [sys.executable, "-c", start, str(said), str(pace), str(weights or ""), *arguments]


def run() -> None:
    """Runs `fls` with an ear that says on stderr when it begins to listen."""
    said, pace, weights, *arguments = sys.argv[1:]

    def begins() -> None:
        print("listening", file=sys.stderr, flush=True)

    ear = Ear([f"Sentence {i}." for i in range(int(said))], float(pace), begins=begins)
    tiny = TinyModel(Path(weights), ear)

    def model(session: Session, name: str) -> TinyModel:
        tiny.memory = session.memory
        return tiny

    Session.model = model  # type: ignore[assignment,method-assign]
    sys.argv = ["fls", *arguments]
    main()
