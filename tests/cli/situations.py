"""Recordings as people have them, each with what is right about it: one row a situation.

Every sound is made of clicks, so that where something is heard is exact to the millisecond.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tests.cli.situation_makers import (
    AAC,
    FIRST,
    RATE_44,
    SECOND,
    astray,
    bad_blocks,
    big_endian_wav,
    channels,
    cut,
    cut_in_index,
    edited_mp4,
    encoded,
    ends_in_zeros,
    filmed,
    fragments,
    gap,
    holed,
    inserted,
    joined,
    joined_kinds,
    late,
    lost_packets,
    pausing,
    piped,
    remuxed,
    stereo,
    subtitled,
    tagged,
    ticking,
    twice,
    two_tracks,
    wav_cut_header,
    wav_in_chunks,
    wav_with_size,
    with_edits,
    without_header,
    without_page,
)


@dataclass(frozen=True)
class Situation:
    """`make` writes a file into a folder; the rest is what is right, in seconds.

    `kinds` are the flaws that must be told, and no others.
    """

    make: Callable[[Path], Path]
    seconds: float
    clicks: tuple[float, ...]
    kinds: tuple[str, ...] = ()
    close: float = 0.06
    # Where another ffmpeg is known to be wrong, and nothing helps.
    tested_ffmpeg_only: bool = False


OPUS = ("-c:a", "libopus")
NO_TAG = ("-write_xing", "0", "-id3v2_version", "0")
RATE_48 = ("-ar", "48000")
MONO, STEREO = ("-ac", "1"), ("-ac", "2")
TURNED = ("-af", "pan=stereo|c0=c0|c1=-1*c0")
BOTH = FIRST + SECOND
JOINED = (1.0, FIRST + 1.0, FIRST + 3.0)
# As players fetch them, each on its own.
SEGMENTS = (
    *AAC,
    "-movflags",
    "frag_keyframe+empty_moov+default_base_moof",
    "-frag_duration",
    "1000000",
)
# With an edit list, as the first fragment is waited for.
EDITED = (
    "-movflags",
    "frag_keyframe+empty_moov+default_base_moof+delay_moov",
    "-frag_duration",
    "1000000",
)
FRAGMENTS = (*AAC, "-movflags", "frag_keyframe+empty_moov", "-frag_duration", "1000000")
# As many bytes for silence as for sound.
STEADY: dict[str, tuple[str, ...]] = {
    "wav": (), "aiff": (), "au": (), "mp3": RATE_44, "mkv": ("-c:a", "pcm_s16le"),
    "webm": (*OPUS, "-vbr", "off", "-b:a", "64k"),
    "ogg": (*OPUS, "-vbr", "off", "-b:a", "64k", "-page_duration", "100000"),
    "flv": ("-c:a", "libmp3lame", *RATE_44), "rm": ("-c:a", "ac3"), "wma": ("-c:a", "wmav2"),
}  # fmt: skip

# A picture, and sound that begins after it.
LATE: dict[str, tuple[str, ...]] = {
    "mkv": AAC, "mp4": AAC, "mov": AAC, "ts": AAC, "flv": ("-c:v", "flv", *RATE_44, *AAC),
    "vob": ("-r", "25", "-c:a", "ac3"), "mpg": ("-r", "25", "-c:a", "mp2"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"), "webm": ("-c:v", "libvpx", *OPUS),
    "ogv": ("-c:v", "libtheora", "-c:a", "libvorbis"),
}  # fmt: skip

SITUATIONS: dict[str, Situation] = {
    # Rate, channels or codec change midway.
    "mp3: 44.1 then 48 kHz": Situation(
        joined("rate.mp3", (*RATE_44, *NO_TAG), (*RATE_48, *NO_TAG)), BOTH, JOINED, close=0.11
    ),
    "mp3: 48 then 22.05 kHz": Situation(
        joined("down.mp3", (*RATE_48, *NO_TAG), ("-ar", "22050", *NO_TAG)), BOTH, JOINED, close=0.11
    ),
    "mp3: stereo then mono": Situation(
        joined("mono.mp3", (*STEREO, *RATE_44, *NO_TAG), (*MONO, *RATE_44, *NO_TAG)),
        BOTH, JOINED, close=0.11,
    ),
    "aac: stereo then mono": Situation(
        joined("mono.aac", (*STEREO, *RATE_48), (*MONO, *RATE_48)), BOTH, JOINED, close=0.1
    ),
    **{
        f"{kind}: mono, then a side with its polarity turned": Situation(
            joined(f"turned.{kind}", (*MONO, *RATE_48), (*TURNED, *RATE_48)),
            BOTH, JOINED, close=0.1,
        )
        for kind in ("aac", "ac3", "mp2")
    },
    "mkv: mono, then a side with its polarity turned": Situation(
        remuxed("turned.mkv", joined("turned.aac", (*MONO, *RATE_48), (*TURNED, *RATE_48))),
        BOTH, JOINED, close=0.1,
    ),
    "ac3: stereo then mono": Situation(
        joined("mono.ac3", (*STEREO, *RATE_48), (*MONO, *RATE_48)), BOTH, JOINED, close=0.1
    ),
    "ts: stereo then mono": Situation(
        remuxed("mono.ts", joined("m.ac3", (*STEREO, *RATE_48), (*MONO, *RATE_48))),
        BOTH, JOINED, close=0.1,
    ),
    "ts: 44.1 then 48 kHz": Situation(
        # ffmpeg 5.1 counts the times of the first part at the rate of the second.
        remuxed("rate.ts", joined("r.mp3", (*RATE_44, *NO_TAG), (*RATE_48, *NO_TAG))),
        BOTH, JOINED, close=0.11, tested_ffmpeg_only=True,
    ),
    # Parts joined, clocks that go back.
    "mp3 joined": Situation(joined("both.mp3"), BOTH, JOINED, close=0.15),
    "aac joined": Situation(joined("both.aac"), BOTH, JOINED, close=0.2),
    # Another track, or another kind of sound.
    "ts joined, the second with other numbers": Situation(
        joined("both.ts", (*AAC, "-muxdelay", "0"), (*AAC, "-streamid", "0:300")),
        BOTH, JOINED, close=0.2,
    ),
    "ts joined, of other kinds": Situation(
        joined("both.ts", (*AAC, "-pes_payload_size", "0"), ("-c:a", "mp2")),
        BOTH, JOINED, close=0.2,
    ),
    "m2ts joined with ts": Situation(
        joined_kinds("m2ts", "ts"), BOTH, JOINED, close=0.2
    ),
    "amr joined": Situation(
        joined("both.amr", ("-ar", "8000", "-c:a", "libopencore_amrnb")), BOTH, JOINED, close=0.1
    ),
    "webm joined": Situation(
        joined("both.webm", (*OPUS, "-live", "1")), BOTH, JOINED
    ),
    "mkv joined": Situation(joined("both.mkv", AAC), BOTH, JOINED, close=0.2),
    "opus chained": Situation(joined("both.opus", OPUS), BOTH, JOINED),
    "mpg joined": Situation(
        joined("both.mpg", ("-c:a", "ac3")), BOTH, JOINED, ("clock",), close=0.1
    ),
    "ts joined": Situation(
        joined("both.ts", (*AAC, "-muxdelay", "0")), BOTH, JOINED, close=0.2
    ),
    **{
        f"{name} joined": Situation(joined(f"both.{name}", options), BOTH, JOINED, close=0.15)
        for name, options in {
            "wav": (), "aiff": (), "au": (), "caf": (), "flac": (), "m4a": AAC,
            "flv": ("-c:a", "libmp3lame", *RATE_44),
            "mp4": (*AAC, "-movflags", "frag_keyframe+empty_moov"),
            "tta": (), "wv": (), "wma": ("-c:a", "wmav2"), "rm": ("-c:a", "ac3"),
        }.items()
    },
    **{
        f"{name} joined, the first cut off": Situation(
            joined(f"both.{name}", options, shares=(0.6, 1.0)),
            5.8, (1.0, 2.8, 4.8), ("parts",), close=0.3,
        )
        for name, options in STEADY.items()
    },
    **{
        f"{name} joined, the second cut off": Situation(
            joined(f"both.{name}", options, shares=(1.0, 0.6)),
            5.4, (1.0, 4.0), ("cut off",), close=0.3,
        )
        for name, options in STEADY.items()
    },
    **{
        f"{first} joined with {second}": Situation(
            joined_kinds(first, second), BOTH, JOINED, close=0.2
        )
        for first, second in (
            ("mp3", "wav"), ("mp3", "ogg"), ("mp3", "m4a"), ("mp3", "aac"), ("aac", "mp3"),
            ("wav", "mp3"), ("wav", "ogg"), ("m4a", "mp3"), ("flac", "mp3"), ("mkv", "m4a"),
            ("ogg", "flac"), ("avi", "mp3"), ("wav", "ts"), ("m4a", "wv"), ("ogg", "ac3"),
            ("mp3", "au"), ("ts", "wav"), ("flv", "wav"), ("caf", "wav"), ("flac", "aac"),
            ("flac", "mp2"), ("flac", "ts"), ("tta", "aac"), ("tta", "ts"), ("wv", "ac3"),
            ("wv", "aac"), ("flac", "eac3"),
        )
    },
    **{
        f"{name} joined, {what} between": Situation(
            joined_kinds(name, name, between=between), BOTH, JOINED, close=0.25
        )
        for name in ("m4a", "caf", "flv", "wav", "mp3")
        for what, between in (("zeros", bytes(5000)), ("a little", b"\xaa" * 300))
    },
    # A part of another kind lacks its end, alone or with others behind it.
    **{
        f"{first}, then {second} cut off": Situation(
            joined_kinds(first, second, shares=(1.0, 0.6), film="3"),
            5.4, (1.0, 4.0), ("cut off",), close=0.4,
        )
        for first, second in (
            ("film.mkv", "wav"), ("film.mkv", "ogg"), ("film.mkv", "flv"), ("film.mp4", "avi"),
            ("film.mp4", "mp3"), ("mp3", "ogg"), ("mp3", "caf"), ("mp3", "wav"), ("wav", "w64"),
            ("wav", "wma"), ("wav", "avi"), ("avi", "avi"), ("rm", "film.rm"),
        )
    },
    **{
        f"film.mkv, then {second} cut off, then mp3": Situation(
            joined_kinds("film.mkv", second, "mp3", shares=(1.0, 0.6, 1.0), film="3"),
            8.4, (1.0, 4.0, 6.4), ("parts",), close=0.4,
        )
        for second in ("wav", "au", "caf", "mp3", "ogg", "w64", "wma", "avi", "flv", "mkv", "ts")
    },
    "film.flv cut off, then flv": Situation(
        joined_kinds("film.flv", "flv", shares=(0.6, 1.0), film="3"),
        5.8, (1.0, 2.8, 4.8), ("parts",), close=0.4,
    ),
    **{
        f"{first}, then {second} whose picture goes on": Situation(
            joined_kinds(first, second), BOTH, JOINED, close=0.2
        )
        for first, second in (("mp3", "film.mkv"), ("wav", "film.mp4"), ("ogg", "film.ts"))
    },
    "avi joined, the first cut off": Situation(
        joined("both.avi", ("-c:a", "pcm_s16le"), shares=(0.6, 1.0)),
        5.8, (1.0, 2.8, 4.8), ("parts",), close=0.4,
    ),
    "flac that lacks its last second": Situation(
        cut(ticking("late.flac"), 0.97), 19.4, (1.0, 17.0, 19.0), ("cut off",), close=0.4
    ),
    "ts cut off in a packet": Situation(
        cut(ticking("full.ts", "-c:a", "mp2"), 0.6), 12.0, (1.0,), ("cut off",), close=0.4
    ),
    "wav joined, the second cut off": Situation(
        cut(joined("short.wav"), 0.9), 6.3, JOINED, ("cut off",)
    ),
    # Ends that came too early, and holes.
    **{
        f"{name} cut off": Situation(
            cut(ticking(f"full.{name}", *options)), 12.0, (1.0,), ("cut off",), close=0.4
        )
        for name, options in {
            "wav": (), "w64": (), "caf": (), "aiff": (), "au": (), "flac": (), "mp3": (),
            "mov": ("-c:a", "pcm_s16le", "-movflags", "+faststart"),
            "wma": ("-c:a", "wmav2", "-b:a", "128k"), "avi": ("-c:a", "pcm_s16le"),
            "ogg": STEADY["ogg"], "aac": AAC, "ac3": (), "mp2": (),
        }.items()
    },
    **{
        f"{name} {how}": Situation(
            holed(ticking(f"hole.{name}", *options), zeros=zeros),
            20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
        )
        for how, zeros in {"with a bad block": True, "without a block": False}.items()
        for name, options in {
            "mp3": ("-b:a", "64k"), "flac": (), "mkv": AAC, "ts": AAC, "opus": OPUS,
            "avi": ("-c:a", "libmp3lame", *RATE_44), "rm": ("-c:a", "ac3"), "mpg": ("-c:a", "mp2"),
        }.items()
    },
    **{
        f"{name} with a small bad block": Situation(
            holed(ticking(f"hole.{name}", *options), zeros=True, share=0.035),
            20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
        )
        for name, options in {
            "m4a": (*AAC, "-movflags", "+faststart"), "mkv": AAC, "mp3": ("-b:a", "64k"),
            "tta": (),
        }.items()
    },
    # Who leaves out pauses does so in what is damaged, too.
    **{
        f"{name} without pauses": Situation(
            pausing(f"pauses.{name}", *options), 20.0, (1.0, 17.0, 19.0), close=0.1
        )
        for name, options in {"mkv": AAC, "ts": AAC, "wma": ("-c:a", "wmav2")}.items()
    },
    "m4a without pauses and with a small bad block": Situation(
        holed(pausing("pauses.m4a", *AAC, "-movflags", "+faststart"), zeros=True, share=0.035),
        20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
    ),
    # Nothing tells how long it was.
    **{
        f"{name} of which some frames are gone": Situation(
            holed(ticking(f"torn.{name}", *options), zeros=False),
            16.0, (1.0, 13.0, 15.0), ("damaged",), close=0.2,
        )
        for name, options in {"mp3": ("-b:a", "64k", *NO_TAG), "aac": (), "mp2": ()}.items()
    },
    "flac twice": Situation(
        twice(ticking("twice.flac")), 40.0, (1.0, 17.0, 19.0, 21.0, 37.0, 39.0)
    ),
    "mp3 with another inserted": Situation(
        inserted, 24.0, (1.0, 11.0, 13.0, 21.0, 23.0), close=0.1
    ),
    "mp3 with another inserted, and cut off": Situation(
        cut(inserted, 0.9), 21.6, (1.0, 11.0, 13.0, 21.0), ("cut off",), close=0.3
    ),
    "avi with a bad block and cut off": Situation(
        cut(holed(ticking("both.avi", "-c:a", "pcm_s16le"), zeros=True), 0.9),
        18.0, (1.0, 17.0), ("damaged", "cut off"), close=0.2,
    ),
    "avi of video with bad blocks": Situation(
        bad_blocks(filmed("film.avi", "-c:v", "mpeg4", "-c:a", "libmp3lame", *RATE_44)),
        20.0, (1.0, 10.0, 19.0), ("damaged", "damaged"), close=0.2,
    ),
    "ts that lost packets": Situation(lost_packets, 20.0, (1.0, 17.0, 19.0), ("damaged",),
                                      close=0.2),
    **{
        f"{name} with a bad block": Situation(
            holed(ticking(f"hole.{name}", *options), zeros=True),
            20.0, (1.0, 17.0, 19.0), ("damaged",), close=0.2,
        )
        for name, options in {
            "aac": (), "ac3": RATE_44, "eac3": (*RATE_48, "-b:a", "128k"), "mp2": (),
        }.items()
    },
    "wav in three chunks": Situation(wav_in_chunks, 6.0, (1.0, 3.0, 5.0)),
    **{
        f"{name} behind a tag": Situation(tagged(encoded(f"tag.{name}"), 3000), 4.0, (1.0, 3.0))
        for name in ("flac", "tta", "mp3")
    },
    # A download whose room was made before, and one that stopped behind damage.
    **{
        f"{name} that ends in zeros": Situation(
            ends_in_zeros(ticking(f"full.{name}", *options)), 12.0, (1.0,), ("cut off",), close=0.4
        )
        for name, options in {
            "mp3": NO_TAG, "aac": (), "ogg": OPUS, "ts": AAC, "mpg": ("-c:a", "mp2"), "ac3": (),
            "mkv": AAC, "flac": (), "wma": ("-c:a", "wmav2"),
        }.items()
    },
    **{
        f"{kind} {what}": Situation(
            without_page(ticking(f"pages.{name}", *options), zeros=zeros),
            19.4, (1.0, 17.0, 19.0) if zeros else (1.0, 17.0), ("cut off",), close=0.4,
        )
        for kind, name, options in (
            ("vorbis", "ogg", ("-c:a", "libvorbis")), ("opus", "opus", OPUS),
        )
        for what, zeros in (("without a last page", False), ("with a damaged last page", True))
    },
    # Nothing is missing where a header tells how much there is, or a page that it is the last.
    **{
        f"{name} behind which zeros lie": Situation(
            ends_in_zeros(encoded(f"all.{name}", *options), 1.0), 4.0, (1.0, 3.0)
        )
        for name, options in {"flac": (), "mp3": (), "opus": OPUS}.items()
    },
    "avi written to a pipe": Situation(
        piped("avi", "-c:a", "libmp3lame", *RATE_44), 4.0, (1.0, 3.0), close=0.1
    ),
    "avi of video that ends in zeros": Situation(
        ends_in_zeros(filmed("film.avi", "-c:v", "mpeg4", "-c:a", "libmp3lame", *RATE_44)),
        12.0, (1.0, 10.0), ("cut off",), close=0.9,
    ),
    "flv of video cut off": Situation(
        cut(filmed("film.flv", "-c:v", "flv", "-c:a", "libmp3lame", *RATE_44), 0.6),
        12.0, (1.0, 10.0), ("cut off",), close=0.9,
    ),
    **{
        f"{name} with a bad block and cut off": Situation(
            cut(holed(ticking(f"worse.{name}", *options), zeros=True), 0.9),
            18.0, (1.0, 17.0), ("damaged", "cut off"), close=0.3,
        )
        for name, options in {
            "mp3": ("-b:a", "64k"), "aac": (), "ogg": STEADY["ogg"], "ts": AAC,
        }.items()
    },
    "fragmented mp4 with a bad block": Situation(
        # ffmpeg reads up to it.
        holed(ticking("fragments.m4a", *FRAGMENTS), zeros=True),
        10.0, (1.0,), ("cut off",), close=1.1,
    ),
    **{
        f"fragmented mp4 cut off {size} bytes into an index": Situation(
            cut_in_index(ticking("fragments.m4a", *FRAGMENTS), size),
            19.2, (1.0, 17.0, 19.0), ("cut off",), close=0.5,
        )
        for size in (4, 60, 100, 120)
    },
    "fragmented mp4 cut off": Situation(
        cut(ticking("fragments.m4a", *FRAGMENTS), 0.6), 12.0, (1.0,), ("cut off",), close=1.1
    ),
    "mkv whose subtitles go on": Situation(subtitled, 4.0, (1.0, 3.0), close=0.1),
    "avi that lost its index": Situation(
        cut(ticking("index.avi", "-c:a", "libmp3lame", *RATE_44), 0.98),
        20.0, (1.0, 17.0, 19.0), close=0.2,
    ),
    "silent default track": Situation(two_tracks, 4.0, (), ("silent",)),
    # Clocks that begin late, or run over.
    "opus at hours": Situation(
        encoded("hours.opus", *OPUS, "-output_ts_offset", "80000"), 4.0, (1.0, 3.0)
    ),
    "mkv at hours": Situation(
        encoded("hours.mkv", *AAC, "-output_ts_offset", "80000"), 4.0, (1.0, 3.0), close=0.1
    ),
    "flv at hours": Situation(
        encoded("hours.flv", "-c:a", "libmp3lame", *RATE_44, "-output_ts_offset", "80000"),
        4.0, (1.0, 3.0), close=0.1,
    ),
    "ts whose clock runs over": Situation(
        encoded("over.ts", *AAC, "-output_ts_offset", "95441.7"), 4.0, (1.0, 3.0), close=0.1
    ),
    # Sound after the picture, which lasts for seven seconds.
    **{
        f"{name} late": Situation(late(f"late.{name}", *options), 6.0, (3.0, 5.0), close=0.15)
        for name, options in LATE.items()
    },
    **{
        f"{name} late, twice": Situation(
            twice(late(f"late.{name}", *LATE[name])), 13.0, (3.0, 5.0, 10.0, 12.0), close=0.2
        )
        for name in ("mkv", "mp4", "mov", "ts", "flv", "webm", "ogv")
    },
    **{
        f"{first} whose picture goes on, then {second}": Situation(
            joined_kinds(f"film.{first}", second), 11.0, (1.0, 8.0, 10.0), close=0.2
        )
        for first, second in (
            ("mkv", "mkv"), ("mp4", "mp4"), ("mov", "wav"), ("ts", "ts"), ("flv", "flv"),
            ("wmv", "mp3"),
        )
    },
    "amr that sends no silence": Situation(
        # It ends with what is not sent.
        encoded("dtx.amr", "-ar", "8000", "-c:a", "libopencore_amrnb", "-dtx", "1"),
        3.1, (1.0, 3.0), close=0.1,
    ),
    # Gaps.
    "mkv with a gap": Situation(gap("gap.mkv", *AAC), 9.0, (1.0, 8.0), ("gap",), close=0.15),
    "ts with a gap": Situation(gap("gap.ts", *AAC), 9.0, (1.0, 8.0), ("gap",), close=0.15),
    "mkv that jumps by hours": Situation(
        gap("jump.mkv", *AAC, seconds=20_000), 4.0, (1.0, 3.0), ("clock",), close=0.15
    ),
    "mkv with half an hour of nothing": Situation(
        gap("half.mkv", *AAC, seconds=1800), 1804.0, (1.0, 1803.0), ("gap",), close=0.15
    ),
    "flv with a few times astray": Situation(astray, 4.0, (1.0, 3.0), close=0.15),
    # Headers that do not know.
    "wav of size 0": Situation(wav_with_size(0), 4.0, (1.0, 3.0)),
    "wav of size -1": Situation(wav_with_size(0xFFFFFFFF), 4.0, (1.0, 3.0)),
    "wav of size 2 GB": Situation(wav_with_size(0x7FFFFFFF - 36), 4.0, (1.0, 3.0)),
    "wav shorter than it is": Situation(wav_with_size(32_000), 4.0, (1.0, 3.0)),
    "wav, big-endian, 16 bits": Situation(
        big_endian_wav("s16be", 1, 2, number=2), SECOND, (1.0, 3.0)
    ),
    "wav, big-endian, 24 bits": Situation(
        big_endian_wav("s24be", 1, 3, extensible=True), FIRST, (1.0,)
    ),
    "wav, big-endian, float": Situation(big_endian_wav("f32be", 3, 4), FIRST, (1.0,)),
    "wav, big-endian, mu-law": Situation(big_endian_wav("mulaw", 7, 1), FIRST, (1.0,)),
    "wav, big-endian, cut off": Situation(
        cut(big_endian_wav("s16be", 1, 2), 0.9), 0.9 * FIRST, (1.0,), ("cut off",)
    ),
    "wav joined, the second big-endian": Situation(
        big_endian_wav("s16be", 1, 2, behind=1, number=2), BOTH, JOINED
    ),
    "rf64 never finished": Situation(wav_cut_header, 4.0, (1.0, 3.0)),
    "rf64": Situation(encoded("big.wav", "-rf64", "always"), 4.0, (1.0, 3.0)),
    "w64": Situation(encoded("big.w64"), 4.0, (1.0, 3.0)),
    "fragmented mp4": Situation(
        encoded("frag.mp4", *AAC, "-movflags", "frag_keyframe+empty_moov"),
        4.0, (1.0, 3.0), close=0.1,
    ),
    "live webm": Situation(encoded("live.webm", *OPUS, "-live", "1"), 4.0, (1.0, 3.0)),
    "fragments that begin late": Situation(
        encoded(
            "late.m4a", *AAC, "-movflags", "+frag_keyframe+delay_moov", "-frag_duration", "500000",
            before=("-itsoffset", "0.2"),
        ),
        4.2, (1.2, 3.2), close=0.1,
    ),
    "fragments recorded midway": Situation(
        fragments("midway.m4a", ticking("whole.m4a", *SEGMENTS), *range(10, 20)), 10.0,
        (7.0, 9.0), close=0.3,
    ),
    **{
        f"fragments with the header before each, {kind}": Situation(
            fragments(f"each.{kind}.mp4", ticking(f"{kind}.mp4", *encoder, *EDITED), *range(20),
                      every=1),
            20.0, (1.0, 17.0, 19.0), close=0.09,
        )
        for kind, encoder in (("aac", AAC), ("opus", OPUS))
    },
    "fragments with the header before each, one of them damaged": Situation(
        without_header(
            fragments("hole.mp4", ticking("aac.mp4", *AAC, *EDITED), *range(20), every=1), 4
        ),
        20.0, (1.0, 17.0, 19.0), ("parts",), close=0.15,
    ),
    "fragments with the header before some, cut off": Situation(
        cut(fragments("some.mp4", ticking("aac.mp4", *AAC, *EDITED), *range(20), every=4), 0.9),
        18.0, (1.0, 17.0), ("cut off",), close=0.3,
    ),
    "fragments that come again": Situation(
        fragments("again.m4a", ticking("whole.m4a", *SEGMENTS), *range(8), *range(4, 20)), 23.17,
        (1.0, 20.17, 22.17), ("parts",), close=0.3,
    ),
    "m4a joined with fragments": Situation(
        joined("both.m4a", AAC, FRAGMENTS), BOTH, JOINED, close=0.15
    ),
    "amr cut off": Situation(
        cut(ticking("call.amr", "-ar", "8000", "-c:a", "libopencore_amrnb"), 0.601),
        12.0, (1.0,), ("cut off",), close=0.1,
    ),
    "live webm, cut off": Situation(
        cut(encoded("broken.webm", *OPUS, "-live", "1"), 0.6), 3.0, (1.0,), ("cut off",), close=0.2
    ),
    "mp4 with an edit list": Situation(edited_mp4, 3.5, (0.5, 2.5), close=0.15),
    "m4a with an empty edit": Situation(
        with_edits((2.0, 0.0), (2.0, None), (5.5, 2.5)), 9.5, (1.0, 4.5), ("gap",), close=0.1
    ),
    "m4a of which an edit leaves out the end": Situation(
        with_edits((2.0, 0.0), (1.0, None), (3.0, 2.5)), 6.0, (1.0, 3.5), ("gap",), close=0.1
    ),
    "m4a that begins with an empty edit": Situation(
        with_edits((2.0, None), (8.0, 0.0)), 10.0, (3.0, 5.0), close=0.1
    ),
    "vbr mp3 without a header": Situation(
        encoded("vbr.mp3", "-q:a", "5", "-write_xing", "0"), 4.0, (1.0, 3.0), close=0.15
    ),
    # The mix.
    "polarity turned on one side": Situation(
        stereo("turned.wav", 1.0, -1.0), 12.0, tuple(np.arange(1.0, 12.0))
    ),
    "one side 40 dB down": Situation(
        stereo("down.wav", 0.0, 0.01), 12.0, tuple(np.arange(1.0, 12.0))
    ),
    **{
        f"{count} inputs, the voice on {on + 1}": Situation(channels(count, on), 4.0, (1.0, 3.0))
        for count, on in [(4, 3), (6, 3), (8, 3), (9, 0), (10, 9), (12, 5), (24, 23), (60, 0)]
    },
}  # fmt: skip
