from __future__ import annotations

import threading
from contextlib import closing

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import Qwen2AudioEncoderConfig, WhisperFeatureExtractor
from transformers.models.qwen2_audio.modeling_qwen2_audio import Qwen2AudioEncoder

from fls_models.audio import windows
from fls_models.audio.windows import WINDOW_SAMPLES, Window, cut
from fls_models.core.constants import frame_count
from fls_models.errors import InputError
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.frames import Frames


class TinyEncoder:
    """A random Qwen2-Audio encoder with one narrow layer; it keeps what it was given."""

    hidden_width = 16

    def __init__(self) -> None:
        torch.manual_seed(0)
        config = Qwen2AudioEncoderConfig(
            num_mel_bins=16,
            d_model=16,
            encoder_layers=1,
            encoder_attention_heads=2,
            encoder_ffn_dim=32,
        )
        self.extractor = WhisperFeatureExtractor(feature_size=16)
        self.model = Qwen2AudioEncoder(config).eval()
        self.model.layer_norm = torch.nn.Identity()
        self.head = torch.nn.Linear(16, 5)
        self.batches: list[int] = []

    def features(self, samples: Tensor) -> Tensor:
        mel = self.extractor(samples.numpy(), sampling_rate=16_000, return_tensors="pt")
        return mel.input_features[0]

    def encode(self, features: list[Tensor]) -> Tensor:
        self.batches.append(len(features))
        return self.model(torch.stack(features)).last_hidden_state

    def blank_probability(self, hidden: Tensor) -> Tensor:
        return self.head(hidden).softmax(-1)[:, -1]

    def project(self, hidden: Tensor) -> Tensor:
        return hidden


@pytest.fixture(scope="module")
def encoder() -> TinyEncoder:
    return TinyEncoder()


def noise(samples: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 0.1, samples).astype(np.float32)


@settings(max_examples=25, deadline=None)
@given(
    total=st.integers(0, 5_000),
    sizes=st.lists(st.integers(0, 1_500), min_size=1, max_size=20),
    first=st.integers(0, 10**9),
)
def test_windows_hold_the_stream_whatever_its_blocks(total, sizes, first):
    audio = np.arange(total, dtype=np.float32)
    edges = np.cumsum([0, *sizes]).clip(max=total)
    blocks = [audio[a:b] for a, b in zip(edges, [*edges[1:], total], strict=True)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(windows, "WINDOW_SAMPLES", 640)
        cuts = list(cut(blocks, first=first))
    assert [len(window) for window in cuts[:-1]] == [640] * (len(cuts) - 1)
    assert [window.first for window in cuts] == [first + 640 * i for i in range(len(cuts))]
    joined = torch.cat([torch.zeros(0), *(window.samples for window in cuts)])
    assert torch.equal(joined, torch.from_numpy(audio))


def test_real_windows_are_30_s_and_are_not_overwritten_by_a_reused_block():
    block = np.zeros(70_001, np.float32)

    def decoder():
        for value in range(14):
            block[:] = value
            yield block

    cuts = list(cut(decoder()))
    assert [len(window) for window in cuts] == [480_000, 480_000, 14 * 70_001 - 960_000]
    expected = torch.arange(14.0).repeat_interleave(70_001)
    assert torch.equal(torch.cat([window.samples for window in cuts]), expected)
    assert [window.start for window in cuts] == [0, 30, 60]


def test_cutting_reads_no_further_than_the_window_it_gives():
    drawn = 0

    def decoder():
        nonlocal drawn
        while True:
            drawn += 1
            yield np.zeros(100_000, np.float32)

    next(cut(decoder()))
    assert drawn == 5


def test_bad_audio_is_refused():
    with pytest.raises(ValueError, match="audio blocks"):
        list(cut([np.zeros(10)]))
    with pytest.raises(ValueError, match="audio blocks"):
        list(cut([np.zeros((10, 2), np.float32)]))
    with pytest.raises(ValueError, match="1 to 480000 samples"):
        Window(torch.zeros(480_001))
    with pytest.raises(ValueError, match="a window is"):
        Window(torch.zeros(10, dtype=torch.float64))
    broken = noise(WINDOW_SAMPLES)
    broken[7] = np.nan
    with pytest.raises(InputError, match=r"between 60\.0 s and 90\.0 s"):
        list(cut([broken], first=960_000))


@pytest.mark.parametrize(
    "samples",
    [
        1,
        160,
        161,
        320,
        321,
        480,
        640,
        641,
        960,
        961,
        1280,
        16_000,
        16_321,
        479_679,
        479_681,
        480_000,
    ],
)
def test_frame_count_is_that_of_qwen2_audio(encoder, samples):
    features = encoder.extractor(
        noise(samples), sampling_rate=16_000, return_attention_mask=True, return_tensors="pt"
    )
    mel_frames = features.attention_mask.sum(-1)
    _, frames = encoder.model._get_feat_extract_output_lengths(mel_frames)
    assert frame_count(samples) == frames.item()


@pytest.mark.parametrize("samples", [1, 320, 321, 640, 959, 961, 1280, 100_000, 480_000])
def test_levels_are_those_of_a_plain_loop_over_frames(samples):
    audio = noise(samples, seed=samples)
    levels = Window(torch.from_numpy(audio)).levels
    frames = frame_count(samples)
    assert levels.loudness.dtype == np.float64
    assert levels.peaks.dtype == np.float32
    assert len(levels.loudness) == len(levels.peaks) == frames
    for frame in range(frames):
        # What is left over is the last frame's.
        end = samples if frame == frames - 1 else 640 * (frame + 1)
        values = [abs(float(value)) for value in audio[640 * frame : end]]
        rms = (sum(value * value for value in values) / len(values)) ** 0.5
        assert levels.loudness[frame] == pytest.approx(rms, rel=1e-9)
        assert levels.peaks[frame] == max(values)


@pytest.mark.parametrize(("height", "audible"), [(0.0, False), (0.00099, False), (0.00101, True)])
def test_a_sample_above_a_thousandth_is_audible_even_where_there_is_no_frame(height, audible):
    for samples in (100, 320, 50_000):
        audio = torch.zeros(samples)
        audio[samples // 2] = -height
        assert Window(audio).levels.audible is audible


def test_windows_come_with_their_own_frames(encoder):
    windows = list(cut([noise(2 * WINDOW_SAMPLES + 100_321)]))
    for window, (drawn, frames) in zip(
        windows, encode_windows(encoder, windows, batch_size=2), strict=True
    ):
        assert drawn is window
        assert len(frames) == window.frames == len(window.levels.loudness)
        assert frames.spans[0, 0] == window.start


def test_batching_changes_nothing_and_padding_does_not_count(encoder):
    audio = noise(2 * WINDOW_SAMPLES + 100_321)
    one = [frames for _, frames in encode_windows(encoder, cut([audio]), batch_size=1)]
    assert [len(frames) for frames in one] == [750, 750, 157]
    for batch_size in (2, 3, 8):
        many = list(encode_windows(encoder, cut([audio]), batch_size=batch_size))
        for alone, (_, batched) in zip(one, many, strict=True):
            torch.testing.assert_close(batched.hidden, alone.hidden, rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(batched.density, alone.density, rtol=1e-4, atol=1e-5)
            assert torch.equal(batched.spans, alone.spans)


def test_frames_are_the_encoders_and_density_is_that_of_its_head(encoder):
    samples = torch.from_numpy(noise(50_000))
    [(_, frames)] = encode_windows(encoder, [Window(samples)])
    with torch.no_grad():
        hidden = encoder.encode([encoder.features(samples)])[0, :78]
        torch.testing.assert_close(frames.hidden, hidden)
        torch.testing.assert_close(frames.density, 1 - encoder.head(hidden).softmax(-1)[:, -1])
    assert not frames.hidden.requires_grad
    assert frames.hidden.is_contiguous()


@pytest.mark.parametrize("samples", [640, 959, 961, 100_000, 100_319, 100_321, 480_000])
def test_spans_divide_the_audio_exactly(encoder, samples):
    first = 7 * WINDOW_SAMPLES + 13
    audio = noise(WINDOW_SAMPLES + samples)
    encoded = encode_windows(encoder, cut([audio], first=first))
    frames = Frames.concatenate([part for _, part in encoded])
    starts, ends = frames.spans.unbind(-1)
    assert starts[0] == first / 16_000
    assert ends[-1] == (first + len(audio)) / 16_000
    assert torch.equal(starts[1:], ends[:-1])
    assert ((ends - starts)[:-1] - 0.04).abs().max() < 1e-9
    assert 0.02 - 1e-9 < (ends - starts)[-1] < 0.06 + 1e-9


def test_a_breath_of_audio_is_worth_no_frame(encoder):
    [(_, frames)] = encode_windows(encoder, [Window(torch.zeros(320))])
    assert len(frames) == 0
    assert frames.hidden.shape == (0, 16)


def test_encoding_draws_a_batch_ahead_at_most(encoder):
    drawn = 0

    def stream():
        nonlocal drawn
        while True:
            drawn += 1
            yield Window(torch.zeros(1_000))

    encoder.batches.clear()
    with closing(encode_windows(encoder, stream(), batch_size=3)) as encoded:
        for _ in range(3):
            next(encoded)
        assert drawn <= 3 + 3
        next(encoded)
        assert 6 <= drawn <= 6 + 3
        assert encoder.batches == [3, 3]


class Listed(TinyEncoder):
    """Its features are the samples, and frames are all alike: the first sample of the window."""

    def features(self, samples: Tensor) -> Tensor:
        self.thread = threading.get_ident()
        self.gradients = torch.is_grad_enabled()
        return samples

    def encode(self, features: list[Tensor]) -> Tensor:
        return torch.stack([window[0].expand(750, 16) for window in features])


def test_features_are_made_beside_the_encoder_and_without_gradients():
    encoder = Listed()
    list(encode_windows(encoder, [Window(torch.ones(1_000))]))
    assert encoder.thread != threading.get_ident()
    assert not encoder.gradients


@pytest.mark.parametrize("error", [InputError("damaged"), RuntimeError("torn"), MemoryError()])
def test_an_error_comes_after_the_frames_before_it(error):
    def decoder():
        for value in range(5):
            yield np.full(WINDOW_SAMPLES, value, np.float32)
        raise error

    seen = []

    def see():
        for _, frames in encode_windows(Listed(), cut(decoder()), batch_size=3):
            seen.append(frames.hidden[0, 0].item())

    with pytest.raises(type(error)) as raised:
        see()
    assert raised.value is error
    assert seen == [0, 1, 2, 3, 4]


def test_closing_ends_the_thread_and_the_decoder():
    where, threads = [], set(threading.enumerate())

    def decoder():
        try:
            while True:
                yield np.zeros(WINDOW_SAMPLES, np.float32)
        finally:
            where.append("closed")

    blocks = decoder()
    encoded = encode_windows(Listed(), cut(blocks), batch_size=2)
    next(encoded)
    assert set(threading.enumerate()) > threads
    encoded.close()
    assert where == ["closed"]
    assert set(threading.enumerate()) == threads


def test_an_encoder_that_breaks_its_promise_is_refused(encoder):
    class Short(TinyEncoder):
        def encode(self, features: list[Tensor]) -> Tensor:
            return torch.zeros(len(features), 749, 16)

    with pytest.raises(ValueError, match="instead of"):
        list(encode_windows(Short(), [Window(torch.zeros(1_000))]))
    with pytest.raises(ValueError, match="at least one window"):
        list(encode_windows(encoder, [], batch_size=0))
