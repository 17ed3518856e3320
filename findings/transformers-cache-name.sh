#!/usr/bin/env bash
# The old name of a cache, `past_key_values`, in what a model of transformers returns.
#
# transformers 5.24.0, torch 2.13.0.
# Guess, written down before the first run: as an argument and in the output the name is deprecated
#   in the same way, a FutureWarning, so that `-W error` finds every place that uses it; and what
#   `in` says of the output is what `keys()` lists.
# Seen: as an argument it is a FutureWarning. Read from the output it is a line of the library's own
#   log, which no filter of Python's warnings reaches: `-W error` passes, `-W ignore` prints it. And
#   `"past_key_values" in output` is True while `keys()` has only `cache`.
# So a test run with warnings as errors does not find code that will break with 5.40.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet transformers==5.24.0 torch==2.13.0 numpy==2.4.6
cat > read.py <<'PYTHON'
import torch
from transformers import DynamicCache, Qwen2Config, Qwen2Model

config = Qwen2Config(
    hidden_size=16,
    intermediate_size=16,
    num_hidden_layers=1,
    num_attention_heads=2,
    num_key_value_heads=1,
    vocab_size=8,
)
model = Qwen2Model(config).eval()
tokens = torch.tensor([[1, 2]])
try:
    model(input_ids=tokens, past_key_values=DynamicCache(), use_cache=True)
except FutureWarning as warning:
    print("argument:", type(warning).__name__)
output = model(input_ids=tokens, cache=DynamicCache(), use_cache=True)
print("keys:", *output.keys())
print("in:", "past_key_values" in output)
print("attribute:", type(output.past_key_values).__name__)
PYTHON
venv/bin/python -W ignore -W error::FutureWarning read.py > seen.txt 2> log.txt
cat log.txt seen.txt
diff seen.txt - <<'SEEN'
argument: FutureWarning
keys: last_hidden_state cache
in: True
attribute: DynamicCache
SEEN
grep -q 'past_key_values.*deprecated' log.txt
