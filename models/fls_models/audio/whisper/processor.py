"""What the processor can do, as far as it decides who computes."""

import platform


def multiplies_bfloat16() -> bool:
    """Whether it has instructions for products of bfloat16 (Intel's AMX, or AVX-512's BF16).

    No, too, where the environment keeps torch to older instructions.
    """
    import torch

    return (
        platform.machine() in ("x86_64", "AMD64")
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and torch.cpu._is_avx512_bf16_supported()
    )
