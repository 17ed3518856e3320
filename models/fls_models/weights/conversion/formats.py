"""In which forms weights of large models are kept. Words only: nothing here imports torch."""

from fls_models.errors import UsageError

FORM = 1
"""Changes when what `install` writes does."""

DTYPES = ("nf4", "int8", "bf16", "float32")


def checked_dtype(dtype: str) -> str:
    """The dtype itself. Raises UsageError when there is none of that name."""
    if dtype not in DTYPES:
        raise UsageError(f"There is no dtype {dtype!r}; there are: {', '.join(DTYPES)}.")
    return dtype
