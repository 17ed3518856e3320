"""A Whisper in transformers' layout as CTranslate2 has it, which is what is loaded here."""

import shutil
from pathlib import Path

from fls_models.core.progress import Progress
from fls_models.errors import DamagedWeights

_COPIED = ("tokenizer.json", "preprocessor_config.json")


def convert_whisper(place: Path, into: Path, progress: Progress) -> None:
    """Writes what `audio.whisper.load` takes into a folder that is there.

    Raises DamagedWeights for a folder that holds no whole Whisper.
    """
    from ctranslate2.converters import TransformersConverter

    progress("convert ears", 0, 1)
    missing = [name for name in ("tokenizer.json", "config.json") if not (place / name).is_file()]
    if missing:
        raise DamagedWeights(f"{place} lacks {missing[0]}; download the whole repository.")
    files = [name for name in _COPIED if (place / name).is_file()]
    try:
        converter = TransformersConverter(str(place), copy_files=files, load_as_float16=True)
        # The library wants a folder that is not there.
        converter.convert(str(into / "model"), quantization="float16")
    except (OSError, ValueError, KeyError, RuntimeError, AttributeError) as error:
        lines = str(error).strip().splitlines() or [type(error).__name__]
        raise DamagedWeights(f"{place} holds no whole Whisper ({lines[0]}).") from error
    for file in (into / "model").iterdir():
        shutil.move(str(file), into / file.name)
    (into / "model").rmdir()
    progress("convert ears", 1, 1)
