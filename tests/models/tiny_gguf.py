"""A Qwen2 model of a few hundred kilobytes in GGUF: random weights, a real tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from gguf import GGMLQuantizationType, GGUFWriter, TokenType
from gguf.quants import quantize

LAYERS, HIDDEN, FEED_FORWARD, HEADS, KV_HEADS, CONTEXT = 2, 64, 128, 4, 2, 2048
MERGES = ("t h", "th e", "Ġ the", "i n", "Ġ a")
CONTROL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def write_tiny_gguf(
    path: Path,
    *,
    seed: int = 2,
    tied: bool = False,
    echo: bool = False,
    architecture: str = "qwen2",
) -> None:
    """Writes the file; the same seed gives the same bytes.

    The output matrix equals the input's; `tied`: it is left out. `echo`: a model whose layers do
    nothing, so that it says the last token again and again. Odd sizes are avoided: the vocabulary
    is a multiple of 4, as real ones are.
    """
    writer = GGUFWriter(path, architecture)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-6)
    writer.add_rope_freq_base(10_000.0)
    vocabulary = add_tokenizer(writer)
    _add_tensors(writer, vocabulary, np.random.default_rng(seed), tied, echo)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def add_tokenizer(writer: GGUFWriter, template: str | None = TEMPLATE) -> int:
    """Bytes, some merges and control tokens; returns how many tokens there are."""
    tokens = [*_byte_alphabet(), *(merge.replace(" ", "") for merge in MERGES), *CONTROL]
    types = [TokenType.NORMAL] * (len(tokens) - len(CONTROL)) + [TokenType.CONTROL] * len(CONTROL)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(MERGES)
    writer.add_bos_token_id(tokens.index("<|endoftext|>"))
    writer.add_pad_token_id(tokens.index("<|endoftext|>"))
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)
    if template is not None:
        writer.add_chat_template(template)
    return len(tokens)


def _byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes in GPT-2's vocabulary, in the order of the bytes."""
    printable = {*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)}
    others = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(others)) for byte in range(256)]


def _add_tensors(
    writer: GGUFWriter, vocabulary: int, dice: np.random.Generator, tied: bool, echo: bool
) -> None:
    def matrix(name: str, rows: int, columns: int, size: float) -> np.ndarray:
        values = dice.normal(0, size, (rows, columns)).astype(np.float32)
        if echo and name.startswith("blk"):
            values[:] = 0
        stored = quantize(values, GGMLQuantizationType.Q8_0)
        writer.add_tensor(name, stored, raw_dtype=GGMLQuantizationType.Q8_0)
        return stored

    def vector(name: str, length: int, around: float, size: float) -> None:
        values = dice.normal(around, 0.0 if echo else size, length).astype(np.float32)
        writer.add_tensor(name, values)

    table = matrix("token_embd.weight", vocabulary, HIDDEN, 0.1)
    if not tied:
        writer.add_tensor("output.weight", table, raw_dtype=GGMLQuantizationType.Q8_0)
    vector("output_norm.weight", HIDDEN, 1.0, 0.1)
    narrow = HIDDEN * KV_HEADS // HEADS
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        vector(f"{block}.attn_norm.weight", HIDDEN, 1.0, 0.1)
        vector(f"{block}.ffn_norm.weight", HIDDEN, 1.0, 0.1)
        for name, width in (("q", HIDDEN), ("k", narrow), ("v", narrow)):
            matrix(f"{block}.attn_{name}.weight", width, HIDDEN, HIDDEN**-0.5)
            vector(f"{block}.attn_{name}.bias", width, 0.0, 0.5)
        matrix(f"{block}.attn_output.weight", HIDDEN, HIDDEN, HIDDEN**-0.5)
        matrix(f"{block}.ffn_gate.weight", FEED_FORWARD, HIDDEN, HIDDEN**-0.5)
        matrix(f"{block}.ffn_up.weight", FEED_FORWARD, HIDDEN, HIDDEN**-0.5)
        matrix(f"{block}.ffn_down.weight", HIDDEN, FEED_FORWARD, FEED_FORWARD**-0.5)
