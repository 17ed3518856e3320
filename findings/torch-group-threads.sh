#!/usr/bin/env bash
# Whether the threads of a gloo process group end when the group is destroyed.
#
# torch 2.13.0 (CPU).
# Guess, written down before the first run: after `destroy_process_group` no thread of the group is
#   left, whatever was imported in between.
# Seen: if `torch.distributed.nn.functional` is imported for the first time while the group exists,
#   all three of its threads stay. Ten functions there have `group=group.WORLD` as a default, which
#   is the group itself by then, and keeps it alive. Imported before, the default is None, and no
#   thread stays.
# So a program whose libraries are imported late leaves those threads to the interpreter's end, and
#   a training that went well ends with SIGABRT once in ten times or so.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet torch==2.13.0 numpy==2.4.6
cd "$work"
cat > group.py <<'PYTHON'
import importlib
import os
import sys
import tempfile

import torch
import torch.distributed as dist

NAME = "torch.distributed.nn.functional"


def threads():
    return len(os.listdir("/proc/self/task"))


if sys.argv[1] == "before":
    importlib.import_module(NAME)
alone = threads()
store = dist.FileStore(tempfile.mktemp(), 1)
dist.init_process_group("gloo", store=store, rank=0, world_size=1)
dist.all_reduce(torch.zeros(()))
if sys.argv[1] == "while":
    importlib.import_module(NAME)
running = threads()
dist.destroy_process_group()
print(f"imported {sys.argv[1]}: {running - alone} threads of the group, then {threads() - alone}")
sys.stdout.flush()
os._exit(0)
PYTHON
for moment in never before while; do
    venv/bin/python group.py "$moment"
done 2>/dev/null | tee seen.txt
diff seen.txt - <<'SEEN'
imported never: 3 threads of the group, then 0
imported before: 3 threads of the group, then 0
imported while: 3 threads of the group, then 3
SEEN
