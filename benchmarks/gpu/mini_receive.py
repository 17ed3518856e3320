"""Takes pieces in, or puts together what came back.

    python benchmarks/gpu/mini_receive.py PIECES --place DIR
    python benchmarks/gpu/mini_receive.py RESULTS --join CONNECTOR

The first runs where training does, once for each load of pieces (`mini_pack.py`): whole pieces are
kept in DIR, and what is complete is unpacked there. The exit status is 0 when nothing is missing,
3 when something is. The second makes a connector's folder out of what `mini_train.py` left.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import mini_pieces


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--place", type=Path)
    what.add_argument("--join", type=Path)
    arguments = parser.parse_args()
    try:
        if arguments.join:
            progress = json.loads((arguments.folder / "progress.json").read_text("utf-8"))
            mini_pieces.join(arguments.folder, progress["files"], arguments.join)
            return 0
        missing = mini_pieces.receive(arguments.folder, arguments.place)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"missing: {', '.join(missing) or 'nothing'}")
    return 3 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
