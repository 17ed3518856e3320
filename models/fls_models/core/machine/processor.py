"""What the processor can do, as far as it decides who computes.

What the environment keeps torch from (`ATEN_CPU_CAPABILITY`) counts as if it were not there.
"""

import platform


def multiplies_bfloat16() -> bool:
    """Whether it has instructions for products of bfloat16 (Intel's AMX, or AVX-512's BF16)."""
    import torch

    return _has_avx512() and torch.cpu._is_avx512_bf16_supported()


def multiplies_int8() -> bool:
    """Whether it has instructions for products of int8 that a single row is sooner done with.

    AVX-512's VNNI: AMX has weights put in another order first, and AVX2 takes four steps for one.
    """
    import torch

    return _has_avx512() and torch.cpu._is_vnni_supported() and not multiplies_tiles()


def multiplies_tiles() -> bool:
    """Whether it multiplies matrices tile by tile (Intel's AMX)."""
    import torch

    return torch.cpu._is_amx_tile_supported()


def _has_avx512() -> bool:
    import torch

    return platform.machine() in ("x86_64", "AMD64") and (
        torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    )
