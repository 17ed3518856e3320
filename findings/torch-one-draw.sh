#!/usr/bin/env bash
# How long torch.multinomial takes for one token of a vocabulary, and for more.
#
# torch 2.13.0, CPU.
# Guess, written down before the first run: without replacement it draws a random number for each of
#   the 152 000 entries; with `replacement=True` it searches a cumulative sum, so that one draw comes
#   some ten times sooner, and a hundred draws take a little longer than one.
# Seen: one draw takes as long with replacement as without, and two or a hundred draws with
#   replacement come many times sooner than a single one (0.1 against 2.4 to 11 ms). One draw has a way of
#   its own, whatever `replacement` says: the largest of p / an exponential random number each,
#   which are drawn one after the other on a CPU. A language model that samples a token asks for just
#   that: in a step of 18 ms, 2 to 11 went there. `torch.multinomial(p, 2, replacement=True)[0]`, or a
#   cumulative sum and `searchsorted`, draws from the same distribution (other numbers for a seed).
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$work"
cat > draw.py <<'PYTHON'
from statistics import median
from time import perf_counter

import torch

torch.set_num_threads(1)
dice = torch.Generator().manual_seed(0)
p = torch.softmax(torch.randn(152_000, generator=dice), dim=0)


def milliseconds(count: int, replacement: bool) -> float:
    seconds = []
    for _ in range(30):
        begun = perf_counter()
        torch.multinomial(p, count, replacement=replacement, generator=dice)
        seconds.append(perf_counter() - begun)
    return 1000 * median(seconds)


one, one_put_back = milliseconds(1, False), milliseconds(1, True)
two, hundred = milliseconds(2, True), milliseconds(100, True)
print(
    f"one {one:.2f} ms, one with replacement {one_put_back:.2f}, two {two:.2f}, hundred {hundred:.2f}"
)
print("one draw is no sooner with replacement:", one_put_back > 0.5 * one)
print("two draws come at least five times sooner than one:", one_put_back > 5 * two)
print("and so do a hundred:", one_put_back > 5 * hundred)
# The largest of p / an exponential number each, from the same seed.
same = all(
    torch.multinomial(p, 1, replacement=True, generator=torch.Generator().manual_seed(seed)).item()
    == (p / torch.empty_like(p).exponential_(generator=torch.Generator().manual_seed(seed))).argmax()
    for seed in range(20)
)
print("one draw is the largest of p / an exponential number each:", same)
PYTHON
venv/bin/python draw.py | tee seen.txt
grep -v "^one [0-9]" seen.txt | diff - <(cat <<'SEEN'
one draw is no sooner with replacement: True
two draws come at least five times sooner than one: True
and so do a hundred: True
one draw is the largest of p / an exponential number each: True
SEEN
)
