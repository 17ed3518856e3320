#!/usr/bin/env bash
# What ffmpeg makes of who speaks in WebVTT, `<v Anna>`.
#
# ffmpeg 9.0.2, as imageio-ffmpeg 0.8.1 carries it; Debian's 5.1.9 does the same.
# Guess, written down before the first run: SubRip, which has no speakers, loses them; from WebVTT to
#   WebVTT they stay; in ASS they become the Name that each line has a field for.
# Seen: they are lost in all three, with exit code 0 and not a word, as the reader of WebVTT throws
#   tags away that it does not know before any writer sees them; the fields for names stay empty.
#   Only packets that are copied (`-c copy`, into Matroska, too) keep them.
# So subtitles with speakers are to be cut and joined by copying, or written anew.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install --quiet imageio-ffmpeg==0.8.1
ffmpeg=$(echo venv/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
"$ffmpeg" -version | sed -n '1s/ffmpeg version n\?\([0-9.]*\).*/ffmpeg \1/p'
cat > talk.vtt <<'VTT'
WEBVTT

00:01.000 --> 00:02.000
<v Anna>Who has the <i>key</i>?</v>

00:03.000 --> 00:04.000
<v Bob>I have.</v>

VTT
quietly=(-hide_banner -loglevel warning -nostdin -y)
"$ffmpeg" "${quietly[@]}" -i talk.vtt -c copy talk.mkv
{
    for format in srt webvtt ass; do
        echo "$format:"
        "$ffmpeg" "${quietly[@]}" -i talk.vtt -f "$format" - | grep -E "key|have"
    done
    echo "copied, by way of Matroska:"
    "$ffmpeg" "${quietly[@]}" -i talk.mkv -c copy -f webvtt - | grep -E "key|have"
} 2>&1 | tee seen.txt
diff seen.txt - <<'SEEN'
srt:
Who has the <i>key</i>?
I have.
webvtt:
Who has the <i>key</i>?
I have.
ass:
Dialogue: 0,0:00:01.00,0:00:02.00,Default,,0,0,0,,Who has the {\i1}key{\i0}?
Dialogue: 0,0:00:03.00,0:00:04.00,Default,,0,0,0,,I have.
copied, by way of Matroska:
<v Anna>Who has the <i>key</i>?</v>
<v Bob>I have.</v>
SEEN
