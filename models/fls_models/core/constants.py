"""The numbers of sound and time that everything agrees on, each derived from the one before.

They follow Whisper's front end, which Qwen2-Audio shares: a mel frame every 160 samples, halved by
a strided convolution and again by average pooling, makes 25 frames a second.
"""

SAMPLE_RATE = 16_000
HOP_SAMPLES = 160
FRAME_RATE = SAMPLE_RATE // (HOP_SAMPLES * 2 * 2)
FRAME_SAMPLES = SAMPLE_RATE // FRAME_RATE
WINDOW_SECONDS = 30
WINDOW_SAMPLES = WINDOW_SECONDS * SAMPLE_RATE
WINDOW_FRAMES = WINDOW_SAMPLES // FRAME_SAMPLES


def frame_count(samples: int) -> int:
    """Frames that n <= 480 000 samples are worth: n / 640, and one more for a rest above 320.

    The rounding is Qwen2-Audio's: its feature extractor counts a mel frame for every begun hop,
    its `_get_feat_extract_output_lengths` rounds up at the convolution and down at the pooling.
    20 ms or less are worth nothing.
    """
    mel_frames = -(-samples // HOP_SAMPLES)
    return (mel_frames + 1) // 2 // 2
