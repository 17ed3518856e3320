#!/usr/bin/env bash
# Whether torch's FLOP counter counts attention that runs on the CPU.
#
# torch 2.13.0 (CPU).
# Guess, written down before the first run: scaled_dot_product_attention is counted as on a GPU, two
#   products of 2 T T D operations for each head, wherever it runs.
# Seen: on the CPU it counts nothing, with a mask, causal or in training neither; on the meta device,
#   and where the math backend is asked for, all of it. The fused kernel of the CPU is an operator of
#   its own, `_scaled_dot_product_flash_attention_for_cpu`, which the counter's table lacks.
# So what a long context costs is missing from a count that was made on a CPU, and nothing says so;
#   a count on the meta device has it.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$work"
cat > count.py <<'PYTHON'
import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.nn.functional import scaled_dot_product_attention as attend
from torch.utils.flop_counter import FlopCounterMode

HEADS, LENGTH, WIDTH = 2, 64, 16


def counted(run):
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops()


def by_math():
    with sdpa_kernel(SDPBackend.MATH):
        attend(x, x, x)


x = torch.randn(1, HEADS, LENGTH, WIDTH)
learning = x.clone().requires_grad_()
meta = x.to("meta")
print("expected", 2 * 2 * HEADS * LENGTH * LENGTH * WIDTH)
print("cpu", counted(lambda: attend(x, x, x)))
print("cpu, with a mask", counted(lambda: attend(x, x, x, attn_mask=torch.zeros(LENGTH, LENGTH))))
print("cpu, causal", counted(lambda: attend(x, x, x, is_causal=True)))
print("cpu, training", counted(lambda: attend(learning, learning, learning).sum().backward()))
print("cpu, math backend", counted(by_math))
print("meta", counted(lambda: attend(meta, meta, meta)))
PYTHON
venv/bin/python count.py | tee seen.txt
diff seen.txt - <<'SEEN'
expected 524288
cpu 0
cpu, with a mask 0
cpu, causal 0
cpu, training 0
cpu, math backend 524288
meta 524288
SEEN
