#!/usr/bin/env bash
# One second of AAC in MP4, decoded by two versions of ffmpeg.
#
# ffmpeg 7.0.2 and 9.0.2, as imageio-ffmpeg 0.6.0 and 0.8.1 carry them for Linux on x86-64.
# Guess, written down before the first run: both give 24000 samples, or both with the padding of the
#   encoder's last frame; the edit list says how much is to be played.
# Seen: 7.0.2 gives 24576 samples, 9.0.2 gives 24000. Both say the same duration of the file. In
#   Matroska neither gives the second that went in: 25600 and 24576. FLAC, MP3 and Vorbis have 24000
#   in both.
# So whoever counts frames by samples, or finds what was heard by samples, has two recordings where
#   there is one, by which ffmpeg happens to be installed.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
for version in 0.6.0 0.8.1; do
    python3 -m venv "$version"
    "$version/bin/pip" install --quiet "imageio-ffmpeg==$version" setuptools==80.9.0
done
old=$(echo 0.6.0/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
new=$(echo 0.8.1/lib/python3*/site-packages/imageio_ffmpeg/binaries/ffmpeg-*)
quietly=(-hide_banner -loglevel error -nostdin)
for name in tone.m4a tone.mka tone.flac tone.mp3 tone.ogg; do
    codec=()
    [[ $name == *.mka ]] && codec=(-c:a aac)
    "$new" "${quietly[@]}" -f lavfi -i sine=d=1:r=24000 "${codec[@]}" "$name"
    for ffmpeg in "$old" "$new"; do
        version=$("$ffmpeg" -version | sed -n '1s/ffmpeg version n\?\([0-9.]*\).*/\1/p')
        bytes=$("$ffmpeg" "${quietly[@]}" -i "$name" -f f32le -ac 1 - | wc -c)
        echo "$name $version $((bytes / 4)) samples"
    done
done | tee seen.txt
diff seen.txt - <<'SEEN'
tone.m4a 7.0.2 24576 samples
tone.m4a 9.0.2 24000 samples
tone.mka 7.0.2 25600 samples
tone.mka 9.0.2 24576 samples
tone.flac 7.0.2 24000 samples
tone.flac 9.0.2 24000 samples
tone.mp3 7.0.2 24000 samples
tone.mp3 9.0.2 24000 samples
tone.ogg 7.0.2 24000 samples
tone.ogg 9.0.2 24000 samples
SEEN
