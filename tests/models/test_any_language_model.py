"""GGUF files of every architecture that can be read: transformers' numbers, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_architectures as tiny
import torch
from safetensors.torch import load_file, save_file
from tiny_gguf import CONTROL, TEMPLATE
from transformers import AutoModelForCausalLM

from fls_models.core.progress import ignore
from fls_models.errors import DamagedWeights, EnvironmentLacks, UsageError
from fls_models.lslm.decoder import DecoderLanguageModel
from fls_models.lslm.kv_cache import KVCache
from fls_models.lslm.mini.any_language_model import language_model
from fls_models.lslm.mini.language_model import MiniLanguageModel
from fls_models.lslm.prompts import ASK
from fls_models.weights.conversion.gguf import convert
from fls_models.weights.conversion.gguf_header import ARCHITECTURES, GgufHeader

IDS = list(range(3, 63))
REQUEST = "\n\nQuestion: what?"
# Which there is no system message in, as Gemma 2 has it.
NO_SYSTEM = (
    "{% if messages[0].role == 'system' %}{{ raise_exception('no system') }}{% endif %}" + TEMPLATE
)
# What Qwen3 writes before a reply that is not thought about, and leaves out of earlier ones.
THINKING = TEMPLATE.replace(
    "assistant\n{% endif %}",
    "assistant\n{% if enable_thinking is false %}<think>\n\n</think>\n\n{% endif %}{% endif %}",
)


def converted(place: Path, architecture: str, **options: Any) -> Path:
    place.mkdir(exist_ok=True)
    tiny.write_architecture(place / "model.gguf", architecture, **options)
    (place / "out").mkdir()
    convert(place / "model.gguf", place / "out", ignore)
    return place / "out"


def logits(model: DecoderLanguageModel) -> torch.Tensor:
    """Of all IDS, read in two pieces."""
    cache = KVCache.empty(len(model._parts.body.module.layers))
    body = model._parts.body
    with torch.inference_mode():
        embeddings = model.embed(IDS)
        pieces = [body.read(part, cache, 1.0) for part in (embeddings[:40], embeddings[40:])]
        return model._parts.head(torch.cat(pieces))


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("architecture", sorted(ARCHITECTURES))
def test_logits_are_those_of_transformers(architecture: str, tied: bool, tmp_path: Path) -> None:
    folder = converted(tmp_path, architecture, tied=tied)
    model = language_model(folder)
    assert isinstance(model, MiniLanguageModel) == (architecture == "qwen2")
    if architecture != "qwen2":
        assert ("model.embed_tokens.weight" in load_file(folder / "model.safetensors")) != tied
        theirs: Any = AutoModelForCausalLM.from_pretrained(
            tmp_path, gguf_file="model.gguf", dtype=torch.float32
        )
        with torch.inference_mode():
            expected = theirs(input_ids=torch.tensor([IDS])).logits[0]
            table = theirs.get_input_embeddings()(torch.tensor(IDS))
        mine = logits(model)
        # 8 bits for weights and activations: each logit as transformers' but for rounding.
        assert torch.allclose(model.embed(IDS), table, atol=0.02 * float(table.abs().max()))
        likeness = torch.nn.functional.cosine_similarity(mine, expected, dim=-1)
        assert float(likeness.min()) > 0.996
    context = model.read(ASK, model.embed(model.tokenize(" the cat")), text=" the cat")
    said = "".join(model.generate(context, REQUEST, max_tokens=6))
    # Drafts change nothing.
    plain = model.read(ASK, model.embed(model.tokenize(" the cat")))
    assert said == "".join(model.generate(plain, REQUEST, max_tokens=6))
    looks = model.attention(context, REQUEST, "a b")
    assert looks.shape == (tiny.layers(architecture), tiny.HEADS, len(model.tokenize(" the cat")))
    again = model.unpack(model.pack(context), ASK)
    for one, other in zip(
        model.scores(context, REQUEST, ["the"]), model.scores(again, REQUEST, ["the"]), strict=True
    ):
        assert torch.equal(one, other)


def frequencies(folder: Path, kind: str = "") -> torch.Tensor:
    body: Any = language_model(folder).body
    found: torch.Tensor = getattr(body.rotary_emb, f"{kind}inv_freq")
    return found


def test_positions_are_scaled_as_the_file_states(tmp_path: Path) -> None:
    factors = np.linspace(1, 32, tiny.head_width("llama") // 2).astype(np.float32)
    plain = frequencies(converted(tmp_path / "a", "llama"))
    scaled = frequencies(converted(tmp_path / "b", "llama", more={"rope_freqs.weight": factors}))
    assert torch.allclose(scaled, plain / torch.from_numpy(factors))
    linear = {"gemma3.rope.scaling.type": "linear", "gemma3.rope.scaling.factor": 8.0}
    before, after = (
        converted(tmp_path / name, "gemma3", fields=fields)
        for name, fields in (("c", {}), ("d", linear))
    )
    wide = "full_attention_", "sliding_attention_"
    assert torch.allclose(frequencies(after, wide[0]), frequencies(before, wide[0]) / 8)
    assert torch.equal(frequencies(after, wide[1]), frequencies(before, wide[1]))
    part = converted(tmp_path / "e", "phi3", fields={"phi3.rope.dimension_count": 12})
    assert frequencies(part).shape == (6,)
    short, long = factors[:8], factors[:8] * 2
    named = {"rope_factors_short.weight": short, "rope_factors_long.weight": long}
    stated = {
        "phi3.rope.scaling.original_context_length": 1024,
        "phi3.rope.scaling.attn_factor": 1.25,
    }
    phi = converted(tmp_path / "f", "phi3", fields=stated, more=named)
    plain = frequencies(converted(tmp_path / "g", "phi3"))
    assert torch.allclose(frequencies(phi), plain / torch.from_numpy(short))
    body: Any = language_model(phi).body
    assert body.rotary_emb.attention_scaling == 1.25


@pytest.mark.parametrize("template", [NO_SYSTEM, THINKING], ids=["no system", "thinking"])
def test_templates_of_other_families(template: str, tmp_path: Path) -> None:
    model = language_model(converted(tmp_path, "llama", template=template))
    markup = model._markup(ASK)
    assert ASK.system in markup.head
    assert markup.after_reply.startswith(CONTROL[2])
    assert markup.before_reply.endswith("</think>\n\n" if template is THINKING else "assistant\n")


def test_a_reply_ends_where_the_template_ends_it(tmp_path: Path) -> None:
    other = TEMPLATE.replace("<|im_end|>", "<|endoftext|>")
    model = language_model(converted(tmp_path, "llama", template=other))
    tokens = {model._tokenizer.convert_tokens_to_ids(CONTROL[place]) for place in (0, 2)}
    assert set(model._parts.ends) == tokens


def test_what_cannot_be_read_is_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    tiny.write_architecture(file, "llama")
    whole = file.read_bytes()
    header = GgufHeader.read(file)
    assert (header.name, header.licence, header.context_length) == ("tiny", "", 2048)
    weights = load_file(converted(tmp_path / "a", "llama") / "model.safetensors")
    scales = sum(tensor.numel() for name, tensor in weights.items() if name.endswith("scale"))
    assert header.parameters == sum(tensor.numel() for tensor in weights.values()) - scales
    header.check_memory(None)
    with pytest.raises(EnvironmentLacks, match=r"takes 1\.2 GB .* 0\.1 GB are free"):
        header.check_memory(10**8)
    for cut in (len(whole) - 100, len(whole) // 2, 3000, 30, 10):
        file.write_bytes(whole[:cut])
        with pytest.raises(DamagedWeights, match="cut off or damaged"):
            GgufHeader.read(file)
    file.write_bytes(b"PK" + whole)
    with pytest.raises(DamagedWeights, match="is no GGUF file"):
        GgufHeader.read(file)
    with pytest.raises(UsageError, match="is no file"):
        GgufHeader.read(tmp_path)
    tiny.write_architecture(file, "llama", template=None)
    with pytest.raises(UsageError, match="no chat template"):
        GgufHeader.read(file)
    tiny.write_architecture(file, "llama", fields={"split.count": 3})
    with pytest.raises(UsageError, match="one of 3 parts"):
        GgufHeader.read(file)


def test_an_architecture_that_nobody_knows_is_named(tmp_path: Path) -> None:
    from gguf import GGUFWriter

    writer = GGUFWriter(tmp_path / "model.gguf", "mamba")
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(UsageError, match=r"'mamba'.*Qwen3 \(qwen3\).*Phi-4-mini \(phi3\)"):
        GgufHeader.read(tmp_path / "model.gguf")


def test_a_tensor_that_is_not_there_is_named(tmp_path: Path) -> None:
    folder = converted(tmp_path, "llama")
    # Copies: the file that is mapped is written over.
    tensors = {k: v.clone() for k, v in load_file(folder / "model.safetensors").items()}
    for lost in ("model.layers.1.mlp.up_proj.scale", "model.norm.weight"):
        save_file({k: v for k, v in tensors.items() if k != lost}, folder / "model.safetensors")
        with pytest.raises(DamagedWeights, match=lost.replace(".", r"\.")):
            language_model(folder)
    (folder / "config.json").write_text("{}")
    with pytest.raises(DamagedWeights, match="no whole model"):
        language_model(folder)
