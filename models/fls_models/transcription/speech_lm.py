"""Speech to words with times by a speech language model: it hears the audio and writes it down.

Each piece of speech (`audio.vad`) is encoded, fused to what the budget reads of it and given to the
model with the instruction to transcribe; the words' times come from the encoder's frames. It leaves
to `word_times` and `ctc_alignment` where in the frames the words are, to `sentences` where one
ends, and to `loops` what was not said as often as it is written. `transcription` does the same with
Whisper.
"""

import hashlib
import re
from collections.abc import Iterable, Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from fls_models.audio.vad import Piece, cut_at_pauses
from fls_models.audio.whisper.wording import PLAIN, Wording, not_by_whisper
from fls_models.audio.windows import Window
from fls_models.core.budget import PAPER, Budget, FrameRates
from fls_models.core.cache import NULL_CACHE, Cache
from fls_models.core.constants import SAMPLE_RATE
from fls_models.core.progress import Progress, ignore
from fls_models.core.results import Sentence, Word
from fls_models.extractor.density import density_from
from fls_models.extractor.encoder import SpeechEncoder
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, training_schedule
from fls_models.lslm import prompts
from fls_models.lslm.base import LanguageModel
from fls_models.transcription.ctc_alignment import SentencePieces, align
from fls_models.transcription.loops import Run, fits, without_loops
from fls_models.transcription.whisper import PieceByPiece
from fls_models.transcription.word_times import Times, by_density, by_pieces, words_of

# Changes when the same piece of audio gives other words or times.
FORM = "speech-words-2"

# Tokens by which a text that is read back may differ from what was written.
_SLACK = 8
_QUOTES = {"'": "'", '"': '"', "‘": "’", "“": "”", "「": "」"}
# With its colon, and in the present: people who read aloud say `The man said, "Come in."`
_WRAPPER = re.compile(
    r"(?P<lead>The (?:person|speaker|speech|audio|recording|original content of (?:this|the) audio)"
    r" (?:says|is saying|is)(?: in [A-Z][a-z]+)?:\s*)?"
    r"(?P<open>['\"‘“「])(?P<said>.*)(?P<close>['\"’”」])(?(lead)\.?)",
    re.DOTALL,
)


class SpeechTranscriber(PieceByPiece):
    """A speech language model that writes down what it hears, on a stream.

    Of the last stream listened to, `language` is the ISO 639-1 code if it was given (the model
    writes in the language it hears and does not say which) and `until` how many seconds of it were
    heard. Every word's `probability` is 1: it is not measured, since generating does not tell it
    and scoring the text would cost as much again.

    Args:
        encoder, llm: two halves of one model.
        vocabulary: the CTC head's pieces. With them words are where the head reads them; without,
            or where the text does not fit the audio, where as much has been said.
        rates: how many fused frames budgets pay for.
        memory, identity: where pieces heard before are kept, and the model's name among others.
        max_tokens: of the text of one piece.
    """

    def __init__(
        self,
        encoder: SpeechEncoder,
        llm: LanguageModel,
        *,
        vocabulary: SentencePieces | None = None,
        rates: FrameRates = PAPER,
        memory: Cache = NULL_CACHE,
        identity: str = "",
        max_tokens: int = 400,
    ) -> None:
        self._encoder = encoder
        self._llm = llm
        self._vocabulary = vocabulary
        self._rates = rates
        self._memory = memory
        self._identity = identity
        self._max_tokens = max_tokens

    def sentences(
        self,
        blocks: Iterable[NDArray[np.float32]],
        budget: str,
        *,
        language: str | None = None,
        start: float = 0.0,
        total: float | None = None,
        progress: Progress = ignore,
        wording: Wording = PLAIN,
    ) -> Iterator[Sentence]:
        """Sentences as they are understood, from blocks of 16 kHz mono float32.

        `budget` is a budget's name: how many fused frames the model reads. `start` is the time of
        the first sample and is added to every time. The progress stage `listen` counts seconds of
        audio. Raises UsageError for an unknown budget, a wish for words, and a vocabulary of the
        CTC head that does not fit the model, before it listens.
        """
        if not wording.is_plain:
            raise not_by_whisper()
        rated = Budget(budget).by(self._rates)
        if self._vocabulary is not None:
            self._vocabulary.load()
        # Which of several it is, nobody is told.
        self.language = None if language and "," in language else language
        heard = ((chunk, self._words(chunk.piece, rated, start)) for chunk in cut_at_pauses(blocks))
        yield from self._sentences_of(heard, total, progress)

    def _words(self, piece: Piece | None, budget: Budget, start: float) -> list[Word]:
        if piece is None:
            return []
        parts = {
            "form": FORM,
            "model": self._identity,
            "audio": hashlib.sha256(np.ascontiguousarray(piece.samples).data).hexdigest(),
            "language": self.language,
            "budget": budget.key("transcribe"),
            "aligned": self._vocabulary is not None,
            "most": self._max_tokens,
        }
        content = self._known(parts)
        if content is None:
            content = self._keep(parts, {"words": self._hear(piece, budget, start)})
        return [
            Word(
                round(start + piece.start + begin, 3),
                round(start + piece.start + end, 3),
                text,
                1.0,
            )
            for begin, end, text in content["words"]
        ]

    @torch.no_grad()
    def _hear(self, piece: Piece, budget: Budget, start: float) -> list[tuple[float, float, str]]:
        """A piece's words, with times from the piece's first sample."""
        first = round((start + piece.start) * SAMPLE_RATE)
        window = Window(torch.from_numpy(np.ascontiguousarray(piece.samples)), first)
        [(_, frames)] = encode_windows(self._encoder, [window], batch_size=1)
        if not len(frames):
            return []
        length = budget.frames(len(window) / SAMPLE_RATE, "transcribe")
        fused = fuse(
            frames, length, density_from(self._encoder.blank_probability), training_schedule
        ).frames
        words = self._without_loops(self._write(fused.hidden), piece)
        return [
            (begin - window.start, end - window.start, word)
            for word, (begin, end) in zip(words, self._place(words, frames), strict=True)
        ]

    def _write(self, hidden: Tensor) -> str:
        from transformers.models.whisper.tokenization_whisper import LANGUAGES

        code = self.language
        name = None if code is None else LANGUAGES[code].title() if code in LANGUAGES else code
        context = self._llm.read(prompts.TRANSCRIBE, self._encoder.project(hidden))
        request = prompts.transcription(name)
        reply = self._llm.generate(
            context, request, max_tokens=self._max_tokens, temperature=0.0, seed=0
        )
        return "".join(reply)

    def _without_loops(self, reply: str, piece: Piece) -> list[str]:
        """A reply's words, before they have times: what was not said takes none from what was.

        A model that decodes greedily does not leave a loop until it may write no more; and nobody
        says in a piece what takes longer than the speech in it.
        """
        words = words_of(unwrapped(reply))
        seconds = sum(end - start for start, end in piece.speech) / SAMPLE_RATE

        def is_loop(run: Run) -> bool:
            if not fits(words[run.first : run.end], run.times, seconds):
                return True
            # The last time may have been cut off, too.
            last = len(words) - run.end < (run.end - run.first) // run.times
            return last and len(self._llm.tokenize(reply)) >= self._max_tokens - _SLACK

        return without_loops(words, words, is_loop)

    def _place(self, words: list[str], frames: Frames) -> Times:
        # Frames before fusion: a fused one stands for up to a second.
        if self._vocabulary is not None and (pieces := self._vocabulary.pieces(words)):
            ids, owners = zip(*pieces, strict=True)
            tokens = torch.tensor(ids, device=frames.hidden.device)
            log_probabilities = self._encoder.token_log_probabilities(frames.hidden, tokens)
            try:
                places = None if log_probabilities is None else align(log_probabilities, ids)
            except ValueError:
                # More text than frames: the model wrote what was not said.
                places = None
            if places is not None:
                return by_pieces(len(words), owners, places, frames.spans)
        return by_density(words, frames.density, frames.spans)


def unwrapped(reply: str) -> str:
    """A reply without what some models put around a transcript: `The person says: '...'`, quotes.

    Only where one pair of quotes holds everything: quotes inside of them, other than apostrophes,
    belong to the text, and so do then those around it.
    """
    text = reply.strip()
    match = _WRAPPER.fullmatch(text)
    if match is None or _QUOTES[match["open"]] != match["close"]:
        return text
    inner = re.sub(r"(?<=\w)['’](?=\w)", "", match["said"])
    return text if {match["open"], match["close"]} & set(inner) else match["said"].strip()
