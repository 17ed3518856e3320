"""Warnings of Python libraries speak to programmers; whoever asks a recording does not see them."""

import logging
import os
import warnings

from fls_models.core.progress import ignore

VARIABLE = "FLS_WARNINGS"


def hide() -> None:
    """From now on nothing is shown of Python's warnings and of what libraries log as warnings.

    That holds whatever `-W` and PYTHONWARNINGS say, so that neither the terminal nor the answer
    depends on them; with FLS_WARNINGS set to anything but `0` or `no`, all is as Python has it.
    """
    if os.environ.get(VARIABLE, "").strip().lower() not in ("", "0", "no", "false", "off"):
        return
    warnings.simplefilter("ignore")
    # Libraries that put filters of their own in front of this one.
    warnings.showwarning = ignore
    logging.disable(logging.WARNING)
    # What is started from here and is Python, such as pip.
    os.environ["PYTHONWARNINGS"] = "ignore"
