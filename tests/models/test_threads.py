"""How PyTorch's threads wait is settled before PyTorch is there, unless the user has settled it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "models"
TELL = """
import os, sys
import fls_models
assert "torch" not in sys.modules
print(os.environ.get("GOMP_SPINCOUNT"))
"""


@pytest.mark.parametrize(
    ("settled", "spins"),
    [
        ({}, "20000"),
        ({"GOMP_SPINCOUNT": "7"}, "7"),
        ({"OMP_WAIT_POLICY": "PASSIVE"}, "None"),
    ],
)
def test_threads_do_not_spin_for_long(settled: dict[str, str], spins: str) -> None:
    around = {k: v for k, v in os.environ.items() if k not in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")}
    done = subprocess.run(
        [sys.executable, "-c", TELL],
        env={**around, **settled, "PYTHONPATH": str(MODELS)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == spins
