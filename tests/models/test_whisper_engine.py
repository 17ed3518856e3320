"""Whisper in torch is Whisper: held against transformers' classes and against CTranslate2."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from tiny_whisper import BINS, TIMED_WORDS, write_tiny_whisper
from torch import Tensor

from fls_models.audio.whisper.alignment import Alignment, align_tokens, warp
from fls_models.audio.whisper.checkpoint import read_variables
from fls_models.audio.whisper.engine import AlignmentRequest, Generated, Generation, WhisperEngine
from fls_models.audio.whisper.load import Whisper, load_whisper
from fls_models.audio.whisper.network import WhisperNetwork, _attend_by_head
from fls_models.audio.whisper.respelling import ScoreRequest
from fls_models.core.machine.processor import multiplies_bfloat16

WORD = {word: number for number, word in enumerate(TIMED_WORDS)}
PROMPT = tuple(WORD[f"<|{name}|>"] for name in ("startoftranscript", "en", "transcribe"))
OPTIONS: dict[str, Any] = {
    "beam_size": 1,
    "patience": 1,
    "length_penalty": 1,
    "max_length": 448,
    "return_scores": True,
    "return_no_speech_prob": True,
    "suppress_blank": True,
    "suppress_tokens": [WORD["<|translate|>"], WORD["<|startoflm|>"]],
    "max_initial_timestamp_index": 50,
}


BFLOAT16 = pytest.mark.skipif(not multiplies_bfloat16(), reason="no bfloat16 products here")


def windows(count: int, seed: int = 0) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.standard_normal((BINS, 3000)).astype(np.float32) for _ in range(count)]


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Any]:
    folder = tmp_path_factory.mktemp("whisper")
    # Sharp enough that neither says the same token all the time.
    return folder, write_tiny_whisper(folder, words=TIMED_WORDS, sharpness=4.0)


@pytest.fixture(scope="module")
def network(tiny: tuple[Path, Any]) -> WhisperNetwork:
    return WhisperNetwork(tiny[0] / "model.bin", torch.float32)


@pytest.fixture(scope="module")
def engine(tiny: tuple[Path, Any]) -> WhisperEngine:
    return WhisperEngine(tiny[0], torch.float32)


@pytest.fixture(scope="module")
def reference(tiny: tuple[Path, Any]) -> Any:
    return ctranslate2.models.Whisper(str(tiny[0]), device="cpu", compute_type="float32")


def stored(encoded: Sequence[Tensor]) -> ctranslate2.StorageView:
    return ctranslate2.StorageView.from_array(torch.stack(list(encoded)).float().numpy())


def test_the_encoder_is_that_of_transformers(tiny: Any, network: WhisperNetwork) -> None:
    for window in windows(2):
        with torch.no_grad():
            expected = tiny[1].model.encoder(torch.from_numpy(window)[None]).last_hidden_state[0]
        torch.testing.assert_close(
            network.encode(torch.from_numpy(window)), expected, rtol=1e-4, atol=1e-4
        )


def test_the_decoder_is_that_of_transformers(tiny: Any, network: WhisperNetwork) -> None:
    encoded = [network.encode(torch.from_numpy(window)) for window in windows(3)]
    tokens = torch.randint(len(TIMED_WORDS), (3, 9), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = tiny[1](encoder_outputs=(torch.stack(encoded),), decoder_input_ids=tokens).logits
        state = network.begin(encoded, 9)
        # All at once, or one after the other.
        first = network.decode(tokens[:, :4], state)
        rest = [network.decode(tokens[:, at : at + 1], state) for at in range(4, 9)]
    found = network.logits(torch.cat([first, *rest], dim=1))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_windows_that_are_dropped_leave_the_others_as_they_are(network: WhisperNetwork) -> None:
    encoded = [network.encode(torch.from_numpy(window)) for window in windows(3)]
    tokens = torch.tensor([[1], [2], [3]])
    with torch.no_grad():
        state = network.begin(encoded, 2)
        network.decode(tokens, state)
        whole = network.decode(tokens, state)
        state = network.begin(encoded, 2)
        network.decode(tokens, state)
        state.select([0, 2])
        part = network.decode(tokens[[0, 2]], state)
    torch.testing.assert_close(part, whole[[0, 2]], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("dtype", "near"), [(torch.float32, 1e-4), pytest.param(torch.bfloat16, 0.02, marks=BFLOAT16)]
)
def test_what_all_frames_share_takes_no_precision(
    tiny: tuple[Path, Any], dtype: torch.dtype, near: float
) -> None:
    network = WhisperNetwork(tiny[0] / "model.bin", dtype)
    encoded = network.encode(torch.from_numpy(windows(1)[0])).float()
    shared = 30 * torch.randn(encoded.shape[-1], generator=torch.Generator().manual_seed(2))
    # Frames that bfloat16 holds, so that nothing is rounded before the decoder.
    frames = (encoded + shared).bfloat16()
    scores = []
    for same in (frames.to(dtype), (frames.float() - frames.float().mean(dim=0)).to(dtype)):
        with torch.no_grad():
            state = network.begin([same], 3)
            _, found = network.attend(torch.tensor([[1, 2, 3]]), state, [(0, 0), (0, 1)])
        scores.append(found)
    one, other = (found - found.mean(dim=-1, keepdim=True) for found in scores)
    assert (one - other).abs().mean() < near
    assert one.std() > 1


def generations(engine: WhisperEngine, encoded: Sequence[Tensor], **options: Any) -> Any:
    return engine.generate([Generation(one, PROMPT, OPTIONS | options) for one in encoded])


def test_tokens_are_those_of_ctranslate2(engine: WhisperEngine, reference: Any) -> None:
    encoded = engine.encode(windows(6))
    ours = generations(engine, encoded)
    theirs = reference.generate(stored(encoded), [list(PROMPT)] * 6, **OPTIONS)
    assert [one.sequences_ids for one in ours] == [one.sequences_ids for one in theirs]
    assert len({tuple(one.sequences_ids[0]) for one in ours}) > 1
    for one, two in zip(ours, theirs, strict=True):
        assert one.scores == pytest.approx(two.scores, abs=1e-3)
        assert one.no_speech_prob == pytest.approx(two.no_speech_prob, abs=1e-4)
    # The first is a timestamp that is early enough.
    times = [one.sequences_ids[0][0] - WORD["<|0.00|>"] for one in ours]
    assert all(0 <= time <= 50 for time in times)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=BFLOAT16)])
def test_a_window_says_the_same_alone_and_among_others(
    tiny: tuple[Path, Any], dtype: torch.dtype
) -> None:
    engine = WhisperEngine(tiny[0], dtype)
    encoded = engine.encode(windows(engine.max_windows))
    together = generations(engine, encoded)
    # To the last bit: what is heard of a piece does not depend on when others came.
    assert generations(engine, encoded[:5]) == together[:5]
    assert [generations(engine, [one])[0] for one in encoded] == together


def test_languages_are_as_likely_as_transformers_has_them(
    tiny: tuple[Path, Any], engine: WhisperEngine
) -> None:
    encoded = engine.encode(windows(engine.max_windows + 1))
    found = engine.language_probabilities(list(encoded))
    start = torch.full((len(encoded), 1), PROMPT[0])
    with torch.no_grad():
        logits = tiny[1](
            encoder_outputs=(torch.stack(list(encoded)),), decoder_input_ids=start
        ).logits
    expected = logits[:, 0, [WORD["<|en|>"], WORD["<|de|>"]]].softmax(dim=-1).tolist()
    for one, (english, german) in zip(found, expected, strict=True):
        assert one == pytest.approx({"en": english, "de": german}, abs=1e-3)


def test_alignments_are_those_of_ctranslate2(engine: WhisperEngine, reference: Any) -> None:
    text = [WORD[letter] for letter in "abcabcdefg"]
    encoded = engine.encode(windows(3))
    ours = engine.align([AlignmentRequest(one, PROMPT, text, 2400) for one in encoded])
    theirs = reference.align(stored(encoded), list(PROMPT), [text] * 3, 2400)
    for one, two in zip(ours, theirs, strict=True):
        assert one.text_token_probs == pytest.approx(two.text_token_probs, abs=1e-4)
        assert one.alignments == [tuple(pair) for pair in two.alignments]


def test_a_text_of_nothing_is_aligned_to_its_end(network: WhisperNetwork) -> None:
    [window] = windows(1)
    encoded = network.encode(torch.from_numpy(window))
    found = align_tokens(network, encoded, PROMPT, [], 0, frames=4, heads=[(0, 0)])
    assert found.text_token_probs == []
    assert {token for token, _ in found.alignments} == {0}


def test_beams_are_ctranslate2s(tiny: tuple[Path, Any], engine: WhisperEngine) -> None:
    encoded = engine.encode(windows(2))
    beams = generations(engine, encoded, beam_size=5)
    eight_bit = ctranslate2.models.Whisper(str(tiny[0]), device="cpu", compute_type="int8")
    asked = OPTIONS | {"beam_size": 5}
    expected = eight_bit.generate(stored(encoded), [list(PROMPT)] * 2, **asked)
    assert [one.sequences_ids[0][:3] for one in beams] == [
        one.sequences_ids[0][:3] for one in expected
    ]


def drawn(engine: WhisperEngine, encoded: Sequence[Tensor], temperature: float, texts: int) -> Any:
    chance = {"sampling_topk": 0, "sampling_temperature": temperature, "num_hypotheses": texts}
    return generations(engine, encoded, **chance)


@pytest.mark.parametrize("dtype", [torch.float32, pytest.param(torch.bfloat16, marks=BFLOAT16)])
def test_a_window_draws_the_same_alone_and_among_others(
    tiny: tuple[Path, Any], dtype: torch.dtype
) -> None:
    engine = WhisperEngine(tiny[0], dtype)
    encoded = engine.encode(windows(3))
    together = drawn(engine, encoded, 0.8, 5)
    assert drawn(engine, encoded[:2], 0.8, 5) == together[:2]
    assert [drawn(engine, [one], 0.8, 5)[0] for one in encoded] == together
    assert together != generations(engine, encoded)


def test_what_is_drawn_is_what_is_likely_and_the_likeliest_is_taken(engine: WhisperEngine) -> None:
    encoded = engine.encode(windows(1))
    [greedy] = generations(engine, encoded)
    # Nearly without chance, the likeliest.
    [cold] = drawn(engine, encoded, 1e-4, 1)
    assert cold.sequences_ids == greedy.sequences_ids
    # Scores are without the temperature.
    assert cold.scores == pytest.approx(greedy.scores, abs=1e-4)
    encoded = engine.encode(windows(6))
    of_one, of_ten = (
        [each.scores[0] for each in drawn(engine, encoded, 0.8, texts)] for texts in (1, 10)
    )
    assert sum(of_ten) > sum(of_one)


def test_the_cheapest_way_is_found() -> None:
    random = np.random.default_rng(3)
    for _ in range(20):
        rows, columns = random.integers(1, 7, 2)
        costs = random.random((rows, columns))
        path = warp(costs)
        assert path[0] == (0, 0)
        assert path[-1] == (rows - 1, columns - 1)
        best = np.full((rows, columns), np.inf)
        for row in range(rows):
            for column in range(columns):
                before = [
                    best[r, c]
                    for r, c in ((row - 1, column - 1), (row - 1, column), (row, column - 1))
                    if r >= 0 and c >= 0
                ]
                best[row, column] = costs[row, column] + (min(before) if before else 0.0)
        assert sum(costs[place] for place in path) == pytest.approx(best[-1, -1])


def test_a_file_of_another_form_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model.bin").write_bytes((5).to_bytes(4, "little") + bytes(99))
    with pytest.raises(ValueError, match="form 5"):
        read_variables(tmp_path / "model.bin")


def test_what_is_encoded_is_at_hand(
    tiny: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = WhisperEngine(tiny[0], torch.float32)
    encode, asked = engine.encode, []

    def counted(features: Sequence[np.ndarray], merging: None) -> list[Tensor]:
        asked.append(len(features))
        return encode(features, merging)

    monkeypatch.setattr(engine, "encode", counted)
    whisper = Whisper(tiny[0], engine)
    first, second, third = windows(3)
    whisper.encode([first, second, first])
    whisper.encode([second.copy(), third])
    assert asked == [2, 1]
    # Not fooled by what is written over.
    first[0, 0] += 5
    whisper.encode([first])
    assert asked == [2, 1, 1]


@BFLOAT16
def test_heads_one_by_one_attend_as_all_together() -> None:
    random = torch.Generator().manual_seed(0)
    projections = torch.randn(1, 50, 3 * 24, generator=random).bfloat16().chunk(3, dim=-1)
    queries, keys, values = (part.view(1, 50, 3, 8).transpose(1, 2) for part in projections)
    expected = F.scaled_dot_product_attention(queries.float(), keys.float(), values.float())
    found = _attend_by_head(queries, keys, values).float()
    torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)


@pytest.mark.parametrize(
    ("rest", "windows_heard"),
    # Behind the last word: a breath, a sentence.
    [(0.4, 1), (1.5, 2)],
)
def test_the_breath_behind_the_last_word_is_not_heard(
    tiny: tuple[Path, Any], engine: WhisperEngine, rest: float, windows_heard: int
) -> None:
    heard: list[Any] = []

    def ask(kind: str, request: Any) -> Any:
        if kind == "encode":
            heard.append(request)
            return request
        if kind == "align":
            return Alignment([(0, 0), (1, 1), (2, 75)], [1.0, 1.0])
        # The first window ends with a pair of timestamps, any other says that nobody speaks.
        words = ["<|0.00|>", "a", "b", "<|1.50|>", "<|1.50|>"] if len(heard) == 1 else []
        return Generated([[WORD[word] for word in words]], [-0.1 if words else -9.0], 0.9)

    samples = np.random.default_rng(0).standard_normal(24000 + round(16000 * (rest + 0.2)))
    task = Whisper(tiny[0], engine).transcription(
        samples.astype(np.float32), "en", beams=1, temperatures=[0.0], silence=3200
    )
    [segment] = task(ask)
    assert [word.word for word in segment.words] == ["ab"]
    assert len(heard) == windows_heard


@pytest.mark.parametrize(
    ("fast", "dtype"),
    [pytest.param(True, torch.bfloat16, marks=BFLOAT16), (False, torch.float32)],
)
def test_the_processor_decides(
    tiny: tuple[Path, Any], monkeypatch: pytest.MonkeyPatch, fast: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr("fls_models.audio.whisper.load.multiplies_bfloat16", lambda: fast)
    [encoded] = load_whisper(tiny[0]).encode(windows(1))
    assert encoded.dtype == dtype


def test_scores_are_log_probabilities_of_transformers(
    tiny: tuple[Path, Any], engine: WhisperEngine
) -> None:
    [encoded] = engine.encode(windows(1))
    text = tuple(WORD[letter] for letter in "abcab")
    requests = [ScoreRequest(encoded, PROMPT, text, first, end) for first, end in ((0, 5), (2, 3))]
    whole, part = engine.score(requests)
    with torch.no_grad():
        logits = tiny[1](
            encoder_outputs=(encoded[None],), decoder_input_ids=torch.tensor([[*PROMPT, *text]])
        ).logits[0, len(PROMPT) - 1 : -1]
    expected = logits.log_softmax(dim=-1).gather(1, torch.tensor(text)[:, None])[:, 0]
    assert whole == pytest.approx(float(expected.sum()), abs=1e-3)
    assert part == pytest.approx(float(expected[2]), abs=1e-3)
