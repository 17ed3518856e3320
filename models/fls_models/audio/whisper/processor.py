"""What the processor can do, as far as it decides who computes."""

import platform


def multiplies_bfloat16() -> bool:
    """Whether bfloat16 matrices are multiplied by an instruction of their own (Intel's AMX).

    No, too, where the environment keeps torch to older instructions.
    """
    import torch

    return (
        platform.machine() in ("x86_64", "AMD64")
        and torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        and torch.cpu._is_amx_tile_supported()
    )
