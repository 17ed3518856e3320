"""A Whisper of some kilobytes as CTranslate2 has it, and the same one in transformers."""

from __future__ import annotations

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


def write_tiny_whisper(folder: Path, *, seed: int = 4) -> WhisperForConditionalGeneration:
    """Writes what `Transcriber` and `MiniSpeechLM` load; returns the model that it was made of."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        model = WhisperForConditionalGeneration(
            WhisperConfig(
                vocab_size=len(WORDS),
                num_mel_bins=BINS,
                d_model=WIDTH,
                encoder_layers=LAYERS,
                encoder_attention_heads=HEADS,
                encoder_ffn_dim=2 * WIDTH,
                decoder_layers=1,
                decoder_attention_heads=HEADS,
                decoder_ffn_dim=2 * WIDTH,
                pad_token_id=0,
                bos_token_id=0,
                eos_token_id=0,
                decoder_start_token_id=1,
            )
        )
    model.train(False)
    spec = WhisperLoader().get_model_spec(model)
    spec.register_vocabulary(list(WORDS))
    spec.config.lang_ids = [2]
    spec.config.suppress_ids = spec.config.suppress_ids_begin = []
    spec.config.alignment_heads = [(0, 0)]
    spec.validate()
    spec.optimize(quantization=None)
    folder.mkdir(parents=True, exist_ok=True)
    spec.save(str(folder))
    vocabulary = {word: number for number, word in enumerate(WORDS)}
    Tokenizer(models.WordLevel(vocabulary, WORDS[0])).save(str(folder / "tokenizer.json"))
    return model
