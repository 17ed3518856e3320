"""A Whisper of some kilobytes as CTranslate2 has it, and the same one in transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from ctranslate2.converters.transformers import WhisperLoader
from tokenizers import Tokenizer, models
from transformers import WhisperConfig, WhisperForConditionalGeneration

WIDTH, LAYERS, HEADS, BINS = 64, 2, 2, 80
WORDS = (
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|translate|>", "<|transcribe|>"),
    *("<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>", "a", "b", "c"),
)
# In the order of the real one: words, then what is special, then times.
TIMED_WORDS = (
    *"abcdefghijklmnopqrstuvwxyz",
    *("<|endoftext|>", "<|startoftranscript|>", "<|en|>", "<|de|>", "<|translate|>"),
    *("<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nocaptions|>", "<|notimestamps|>"),
    *(f"<|{place / 50:.2f}|>" for place in range(1501)),
)


def write_tiny_whisper(
    folder: Path,
    *,
    seed: int = 4,
    words: Sequence[str] = WORDS,
    sharpness: float = 1.0,
    bins: int = BINS,
) -> WhisperForConditionalGeneration:
    """Writes what `Transcriber` and `MiniSpeechLM` load; returns the model that it was made of.

    Its random weights are `sharpness` times larger than usual.
    """
    number = {word: place for place, word in enumerate(words)}
    end = number["<|endoftext|>"]
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=len(words),
                num_mel_bins=bins,
                d_model=WIDTH,
                encoder_layers=LAYERS,
                encoder_attention_heads=HEADS,
                encoder_ffn_dim=2 * WIDTH,
                decoder_layers=1,
                decoder_attention_heads=HEADS,
                decoder_ffn_dim=2 * WIDTH,
                pad_token_id=end,
                bos_token_id=end,
                eos_token_id=end,
                decoder_start_token_id=number["<|startoftranscript|>"],
            )
        )
    model.train(False)
    if sharpness != 1:
        with torch.no_grad():
            for weight in model.parameters():
                weight *= sharpness
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(list(words))
    spec.config.lang_ids = [number[word] for word in ("<|en|>", "<|de|>") if word in number]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    Tokenizer(models.WordLevel(number, "<|endoftext|>")).save(str(folder / "tokenizer.json"))
    return model
