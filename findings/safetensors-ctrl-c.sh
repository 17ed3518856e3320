#!/usr/bin/env bash
# Ctrl-C while safetensors reads a tensor into torch.
#
# safetensors 0.8.0, torch 2.13.0.
# Guess, written down before the first run: whatever the moment, KeyboardInterrupt comes out of
#   `get_tensor`.
# Seen: about every second time it is a ValueError, "could not determine the shape of object type
#   'torch.storage.UntypedStorage'", with no KeyboardInterrupt in its context. The native code asks
#   torch for a slice of a storage, which runs Python, and takes any failure there for a wrong type.
# So `except KeyboardInterrupt` around a training loop does not hear it, and whoever takes a
#   ValueError for a damaged file removes a sound one.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet safetensors==0.8.0 torch==2.13.0 numpy==2.4.6
cd "$work"
cat > read.py <<'PYTHON'
import random
import signal
from collections import Counter

import torch
from safetensors import safe_open
from safetensors.torch import save_file

save_file({"a": torch.zeros(8, 8)}, "a.safetensors")
draw = random.Random(0)
# The timer stands for a person: same handler, a moment that nobody chose.
signal.signal(signal.SIGALRM, signal.default_int_handler)
seen = Counter()
with safe_open("a.safetensors", "pt") as file:
    for _ in range(1000):
        try:
            signal.setitimer(signal.ITIMER_REAL, draw.uniform(1e-5, 4e-4))
            while True:
                file.get_tensor("a")
        except (KeyboardInterrupt, ValueError) as error:
            context = type(error.__context__).__name__
            seen[f"{type(error).__name__}, context {context}: {error}"] += 1
for text in sorted(seen):
    print(text)
PYTHON
venv/bin/python read.py | tee seen.txt
diff seen.txt - <<'SEEN'
KeyboardInterrupt, context NoneType: 
ValueError, context NoneType: could not determine the shape of object type 'torch.storage.UntypedStorage'
SEEN
