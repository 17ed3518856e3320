"""Listening section by section, against fusing the same sections of all frames at once."""

from __future__ import annotations

import threading
from math import ceil

import numpy as np
import pytest
import torch
from plain_encoder import RATE, Cheap, Plain, babble, bits, blocks_of, edges_of
from torch import Tensor

from fls_models.audio.windows import cut
from fls_models.core.budget import Budget
from fls_models.errors import InputError
from fls_models.extractor import extract as frame_listening
from fls_models.extractor.density import density_from
from fls_models.extractor.encoding import encode_windows
from fls_models.extractor.extract import listen_to_frames
from fls_models.extractor.frames import Frames
from fls_models.extractor.fusion import fuse, halving_schedule, training_schedule


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("total", [True, False], ids=["total", "no total"])
@pytest.mark.parametrize(
    ("budget", "max_frames"),
    [
        (Budget("accurate"), 500),  # sections of one window and more
        (Budget("fast"), 60),  # and of less than one
        (Budget("balanced"), 100_000),
        (Budget("balanced", 300), 300),
        (Budget("balanced", 300), 77),
    ],
)
def test_no_bit_differs_from_fusing_all_frames_at_once(dtype, total, budget, max_frames):
    audio, encoder = babble(200.33), Plain(dtype)
    heard = listen_to_frames(
        encoder,
        blocks_of(audio),
        budget,
        max_frames=max_frames,
        total=len(audio) / RATE if total else None,
        batch_size=2,
    )
    whole = Frames.concatenate(
        [part for _, part in encode_windows(encoder, cut(blocks_of(audio)), 2)]
    )
    assert heard.frames_before == len(whole) == 5008
    assert heard.duration == pytest.approx(200.33)
    assert heard.speaks

    density, first = density_from(encoder.blank_probability), 0
    for section in heard.sections:
        end = int((whole.spans[:, 1] == section.spans[-1, 1]).nonzero())
        cut_out = whole[first : end + 1]
        schedule = training_schedule if len(cut_out) <= 750 else halving_schedule
        expected = fuse(cut_out, len(section), density, schedule).frames
        assert bits(section.hidden) == bits(expected.hidden)
        assert bits(section.density) == bits(expected.density)
        assert bits(section.spans) == bits(expected.spans)
        assert section.hidden.dtype == dtype
        if budget.target_length is None:
            seconds = len(cut_out) / 25
            rate = {"accurate": 400, "balanced": 200, "fast": 100}[budget.name]
            assert len(section) in {
                max(12, round(rate * s / 30)) for s in (seconds, seconds + 0.01)
            }
        assert len(section) <= max_frames
        first = end + 1
    assert first == len(whole)
    if budget.target_length:
        assert heard.frames_after == 300


def test_a_section_is_fused_once_its_last_window_is_encoded_and_then_forgotten(monkeypatch):
    encoder, fused_after = Plain(), []

    def noted(*args):
        fused_after.append(encoder.encoded)
        return fuse(*args)

    monkeypatch.setattr(frame_listening, "fuse", noted)
    held = []

    def progress(stage, done, total):
        held.append(sum(ref() is not None for ref in encoder.alive))

    heard = listen_to_frames(
        encoder,
        blocks_of(babble(600)),
        Budget("fast"),
        max_frames=201,
        total=600,
        batch_size=1,
        progress=progress,
    )
    assert len(heard.sections) == 10
    ends = edges_of(heard)[1:]
    # Up to its target, of which it may end 15 s before.
    for windows, end in zip(fused_after, ends, strict=True):
        assert ceil(end / 30) <= windows <= ceil((end + 15.1) / 30)
    # Sections are two windows long.
    assert max(held) <= 4


def test_times_begin_where_the_stream_does():
    audio, encoder = babble(70), Plain()
    plain = listen_to_frames(encoder, [audio], Budget("fast"), max_frames=90, total=70)
    later = listen_to_frames(
        encoder, [audio], Budget("fast"), max_frames=90, total=70, start=1000.5
    )
    assert len(later.sections) > 1
    assert later.duration == plain.duration == 70
    for one, other in zip(plain.sections, later.sections, strict=True):
        assert torch.equal(one.hidden, other.hidden)
        torch.testing.assert_close(one.spans + 1000.5, other.spans, rtol=0, atol=1e-9)


@pytest.mark.parametrize("samples", [0, 1, 320])
def test_nothing_is_heard_in_nothing(samples):
    blocks = [np.ones(samples, np.float32)]
    for budget in (Budget(), Budget("fast", 10)):
        heard = listen_to_frames(Cheap(), blocks, budget, max_frames=5)
        assert heard.sections == ()
        assert not heard.speaks
        assert heard.frames_before == 0
        assert heard.duration == samples / RATE


def test_a_breath_at_the_end_counts_as_heard():
    heard = listen_to_frames(Cheap(), [babble(60.02)], Budget("fast"), max_frames=500)
    assert heard.duration == 60.02
    assert heard.frames_before == 1500


@pytest.mark.parametrize(
    ("headless", "level", "speaks"),
    [(True, 0.0009, False), (True, 0.0011, True), (False, 0.5, False), (False, 0.9, True)],
)
def test_speech_is_what_is_no_silence_and_likelier_than_blank(headless, level, speaks):
    class Levels(Cheap):
        def blank_probability(self, hidden: Tensor) -> Tensor:
            return torch.zeros(len(hidden)) if headless else 1 - 0.9 * hidden[:, 0].abs()

    audio = np.zeros(70 * RATE, np.float32)
    audio[40 * RATE : 40 * RATE + 640] = -level
    heard = listen_to_frames(Levels(), [audio], Budget("fast"), max_frames=500)
    assert heard.speaks is speaks


def test_without_compression_there_are_all_frames_in_one_section():
    audio, encoder = babble(100), Plain(torch.bfloat16)
    heard = listen_to_frames(
        encoder, [audio], Budget("fast"), max_frames=10, total=100, compress=False, batch_size=3
    )
    whole = Frames.concatenate([part for _, part in encode_windows(encoder, cut([audio]), 3)])
    (section,) = heard.sections
    assert torch.equal(section.hidden, whole.hidden)
    assert torch.equal(section.spans, whole.spans)
    assert heard.frames_before == heard.frames_after == 2500


@pytest.mark.parametrize(
    ("total", "last"), [(None, None), (65.0, None), (64.9, None), (70.0, 70.0)]
)
def test_progress_counts_seconds_of_audio(total, last):
    seen = []
    listen_to_frames(
        Cheap(),
        [babble(65)],
        Budget("fast"),
        max_frames=500,
        start=100,
        total=total,
        progress=lambda *step: seen.append(step),
    )
    assert seen == [
        ("listen", 0, total),
        ("listen", 30, total),
        ("listen", 60, total),
        ("listen", 65, last),
        ("listen", 65, 65),
    ]


@pytest.mark.parametrize("error", [InputError("damaged"), ValueError("torn")])
def test_errors_of_the_decoder_come_out_and_end_the_thread(error):
    threads = set(threading.enumerate())

    def decoder():
        yield babble(40)
        raise error

    seen = []
    with pytest.raises(type(error)) as raised:
        listen_to_frames(
            Cheap(),
            decoder(),
            Budget("fast"),
            max_frames=9,
            progress=lambda *step: seen.append(step[1]),
        )
    assert raised.value is error
    assert seen == [0, 30]
    assert set(threading.enumerate()) == threads


def test_an_interruption_closes_the_stream():
    threads, closed = set(threading.enumerate()), []

    def decoder():
        try:
            while True:
                yield babble(1)
        finally:
            closed.append(True)

    def progress(stage, done, total):
        if done:
            raise KeyboardInterrupt

    blocks = decoder()
    with pytest.raises(KeyboardInterrupt):
        listen_to_frames(Cheap(), blocks, Budget("fast"), max_frames=9, progress=progress)
    assert closed == [True]
    assert set(threading.enumerate()) == threads


def test_gradients_are_not_recorded():
    encoder = Plain()
    encoder.weight.requires_grad_()
    heard = listen_to_frames(encoder, [babble(40)], Budget("fast"), max_frames=99)
    assert not any(section.hidden.requires_grad for section in heard.sections)


def test_a_pass_holds_something():
    with pytest.raises(ValueError, match="at least one frame"):
        listen_to_frames(Cheap(), [], Budget("fast"), max_frames=0)
