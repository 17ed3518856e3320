#!/usr/bin/env bash
# Speech, four seconds of silence, speech: as AMR with discontinuous transmission, read as samples.
#
# ffmpeg 9.0.2, as imageio-ffmpeg 0.8.1 carries it for Linux on x86-64 (libavcodec/amrnbdec.c).
# Guess, written down before the first run: the decoder makes comfort noise or silence of the frames
#   that say "nobody speaks", so eight seconds in are eight seconds out.
# Seen: 4.1 of 8 seconds. Such frames are "not yet implemented", and what lies between them a "corrupt
#   bitstream": they decode to nothing, and only the times of the packets say that something is
#   missing. With a resampler that fills gaps all of it is there.
# So whoever counts samples puts every later word of a telephone recording too early, and whoever
#   believes the complaints takes each pause of a sound recording for damage.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet imageio-ffmpeg==0.8.1
ffmpeg=$(echo venv/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
quietly=(-hide_banner -loglevel error -nostdin)
sound="aevalsrc='0.4*sin(2*PI*300*t)*sin(2*PI*3*t)*(lt(t,2)+gt(t,6))':s=8000:d=8"
for dtx in 0 1; do
    "$ffmpeg" "${quietly[@]}" -f lavfi -i "$sound" -c:a libopencore_amrnb -dtx "$dtx" "dtx$dtx.amr" 2> /dev/null
    counted=$("$ffmpeg" "${quietly[@]}" -i "dtx$dtx.amr" -f s16le - 2> complaints.txt | wc -c)
    filled=$("$ffmpeg" "${quietly[@]}" -i "dtx$dtx.amr" -af aresample=async=1 -f s16le - 2> complaints.txt | wc -c)
    echo "dtx $dtx: $((counted / 1600)) tenths of a second counted, $((filled / 1600)) by the clock"
    sort complaints.txt | sed -n 's/.*\(Not yet implemented\|Corrupt bitstream\).*/  \1/p' | sort -u
done | tee seen.txt
diff seen.txt - <<'SEEN'
dtx 0: 80 tenths of a second counted, 80 by the clock
dtx 1: 41 tenths of a second counted, 80 by the clock
  Corrupt bitstream
  Not yet implemented
SEEN
