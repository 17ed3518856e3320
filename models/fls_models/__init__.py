"""Speech-language models as tensors in, dataclasses out."""
