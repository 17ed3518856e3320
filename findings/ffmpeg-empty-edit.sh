#!/usr/bin/env bash
# An M4A whose edit list says: two seconds of media, two of nothing, then the media from 2.5 s on.
#
# ffmpeg 9.0.2, as imageio-ffmpeg 0.8.1 carries it for Linux on x86-64 (libavformat/mov.c).
# Guess, written down before the first run: two seconds of silence, or none and a jump of the times.
# Seen: the hole is filled with the media's first two seconds, once more. A tone of 300 Hz that
#   begins the recording, and then never comes again, is heard a second time in the hole.
# So a recording that was edited with gaps repeats its opening sentences where nothing is said.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet imageio-ffmpeg==0.8.1 numpy==2.3.5
ffmpeg=$(echo venv/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
quietly=(-hide_banner -loglevel error -nostdin)
# 300 Hz until 2 s, 700 Hz from there on.
"$ffmpeg" "${quietly[@]}" -f lavfi -i "aevalsrc='sin(2*PI*if(lt(t,2),300,700)*t)':s=16000:d=8" \
    -c:a aac -movflags +faststart plain.m4a
venv/bin/python - <<'PYTHON'
import struct
from pathlib import Path

data = bytearray(Path("plain.m4a").read_bytes())


def number(box: bytes, at: int) -> int:
    return struct.unpack_from(">I", data, data.index(box) + at)[0]


def grow(box: bytes, by: int) -> None:
    at = data.index(box) - 4
    struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + by)


movie, media, priming = number(b"mvhd", 16), number(b"mdhd", 16), number(b"elst", 16)
edits = [(2.0, 0.0), (2.0, None), (5.5, 2.5)]
rows = b"".join(
    struct.pack(">IiI", round(long * movie), -1 if at is None else round(at * media) + priming, 1 << 16)
    for long, at in edits
)
body = struct.pack(">II", 0, len(edits)) + rows
listed = struct.pack(">I4sI4s", 16 + len(body), b"edts", 8 + len(body), b"elst") + body
begin = data.index(b"edts") - 4
before = struct.unpack_from(">I", data, begin)[0]
data[begin : begin + before] = listed
for box in (b"moov", b"trak"):
    grow(box, len(listed) - before)
table = data.index(b"stco")
for entry in range(number(b"stco", 8)):
    at = table + 12 + 4 * entry
    struct.pack_into(">I", data, at, struct.unpack_from(">I", data, at)[0] + len(listed) - before)
Path("edited.m4a").write_bytes(data)
PYTHON
"$ffmpeg" "${quietly[@]}" -i edited.m4a -af aresample=async=1:first_pts=0 -f s16le edited.pcm
venv/bin/python - <<'PYTHON' | tee seen.txt
import numpy as np

sound = np.fromfile("edited.pcm", "<i2").astype(float)
for second in (1, 3, 5):
    part = sound[second * 16000 - 4000 : second * 16000 + 4000]
    print(f"second {second}:", f"{2 * np.argmax(abs(np.fft.rfft(part)))} Hz" if part.any() else "silence")
PYTHON
diff seen.txt - <<'SEEN'
second 1: 300 Hz
second 3: 300 Hz
second 5: 700 Hz
SEEN
