#!/usr/bin/env bash
# What ffmpeg makes of the text of SubRip cues when it writes WebVTT.
#
# ffmpeg 9.0.2, as imageio-ffmpeg 0.8.1 carries it; 7.0.2 of 0.6.0 does the same.
# Guess, written down before the first run: `&` and `<` become `&amp;` and `&lt;`, which WebVTT asks
#   for, and `-->` within a text is broken up, since no text of a cue may hold it.
# Seen: all three are written as they are, without a word and with exit code 0, though a player that
#   keeps to the standard takes "< b" for a tag. And what stands between `<` and `>` can be lost
#   before that: the reader of SubRip takes "< b & c >" for bold type, so "if a < b & c > d" becomes
#   "if a <b> d</b>".
# So subtitles for WebVTT are better written than converted.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet imageio-ffmpeg==0.8.1
ffmpeg=$(echo venv/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
"$ffmpeg" -version | sed -n '1s/ffmpeg version n\?\([0-9.]*\).*/ffmpeg \1/p'
cat > talk.srt <<'SRT'
1
00:00:01,000 --> 00:00:02,000
a < b & c

2
00:00:03,000 --> 00:00:04,000
yesterday --> today

3
00:00:05,000 --> 00:00:06,000
if a < b & c > d

SRT
"$ffmpeg" -hide_banner -loglevel warning -nostdin -i talk.srt -f webvtt - 2>&1 | tee seen.txt
diff seen.txt - <<'SEEN'
WEBVTT

00:01.000 --> 00:02.000
a < b & c

00:03.000 --> 00:04.000
yesterday --> today

00:05.000 --> 00:06.000
if a <b> d</b>
SEEN
