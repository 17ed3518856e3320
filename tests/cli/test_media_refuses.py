"""No input, local or remote, makes ffmpeg open another file or ask another host."""

from __future__ import annotations

import contextlib
import struct
import subprocess
from pathlib import Path

import pytest
from media_files import SECONDS, Site, hear, run_ffmpeg, sine

from fls_cli.media.ffmpeg.locate import Ffmpeg, find_ffmpeg
from fls_cli.media.stream import probe
from fls_cli.sources.resolve import open_sources
from fls_models.errors import InputError, NotMedia, RefusedInput

pytestmark = pytest.mark.usefixtures("ffmpeg")

# Each follows to SECRET when an ffmpeg without our whitelists opens it, or is made to.
SCRIPTS = {
    "list.m3u8": "#EXTM3U\n#EXT-X-TARGETDURATION:4\n#EXTINF:4,\nSECRET\n#EXT-X-ENDLIST\n",
    "simple.m3u": "#EXTM3U\nSECRET\n",
    "list.pls": "[playlist]\nFile1=SECRET\nNumberOfEntries=1\n",
    "list.ffconcat": "ffconcat version 1.0\nfile 'SECRET'\n",
    "stream.sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\n"
    "m=audio 5004 RTP/AVP 0\n",
    "manifest.mpd": '<?xml version="1.0"?>\n<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" '
    'type="static" mediaPresentationDuration="PT4S" '
    'profiles="urn:mpeg:dash:profile:isoff-on-demand:2011"><Period><AdaptationSet '
    'mimeType="audio/mp4"><Representation id="0" bandwidth="1"><BaseURL>SECRET</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>\n",
    "list.asx": '<asx version="3.0"><entry><ref href="SECRET"/></entry></asx>\n',
}
DISGUISES = ["", ".mp3", ".wav", ".mp4", ".ts"]


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    path = tmp_path / "secret.ts"
    run_ffmpeg(*sine(440, SECONDS), path)
    return path


def some_of(targets: list[str], disguise: str, ffmpeg: Ffmpeg) -> list[str]:
    """All targets; only the last where the second ffmpeg opens a disguised script, for time's sake.

    A disguise changes how a script is recognised, a target what becomes of it then.
    """
    return targets[-1:] if disguise and ffmpeg.origin != "wheel" else targets


def plain_ffmpeg_decodes(path: Path, *options: str) -> bool:
    command = [find_ffmpeg(), "-v", "error", *options, "-i", str(path), "-f", "s16le", "-"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    return len(done.stdout) > 0


@pytest.mark.parametrize("name", ["list.m3u8", "list.ffconcat"])
def test_the_scripts_are_real(tmp_path: Path, secret: Path, name: str) -> None:
    # Else the tests below would pass for the wrong reason.
    (tmp_path / name).write_text(SCRIPTS[name].replace("SECRET", secret.name))
    assert plain_ffmpeg_decodes(tmp_path / name, *(["-safe", "0"] if "concat" in name else []))


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_local_scripts_are_refused(
    tmp_path: Path, secret: Path, site: Site, script: str, disguise: str, ffmpeg: Ffmpeg
) -> None:
    remote = f"{site.address}/{secret.name}"
    (site.folder / secret.name).write_bytes(secret.read_bytes())
    targets = [secret.name, str(secret), f"file:{secret}", remote]
    for target in some_of(targets, disguise, ffmpeg):
        path = tmp_path / (script + disguise)
        path.write_text(SCRIPTS[script].replace("SECRET", target))
        with pytest.raises(RefusedInput, match="give the media file itself"):
            hear(path)
    assert site.asked == []


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_behind_an_address_are_refused(
    secret: Path, site: Site, script: str, disguise: str, ffmpeg: Ffmpeg
) -> None:
    name = script + disguise
    (site.folder / secret.name).write_bytes(secret.read_bytes())
    targets = [secret.name, f"file://{secret}", f"{site.address}/{secret.name}"]
    for target in some_of(targets, disguise, ffmpeg):
        (site.folder / name).write_text(SCRIPTS[script].replace("SECRET", target))
        # A disguised list of plain names is nothing that ffmpeg knows, and so no media either.
        with pytest.raises((RefusedInput, NotMedia)) as caught:
            hear(f"{site.address}/{name}")
        if not disguise:
            assert isinstance(caught.value, RefusedInput)
    assert set(site.asked) == {f"/{name}"}


@pytest.mark.parametrize("script", SCRIPTS)
def test_piped_scripts_are_refused(tmp_path: Path, secret: Path, script: str) -> None:
    (tmp_path / script).write_text(SCRIPTS[script].replace("SECRET", str(secret)))
    with (
        (tmp_path / script).open("rb") as pipe,
        open_sources(["-"], stdin=pipe) as [source],
        pytest.raises(RefusedInput),
    ):
        probe(source)


def test_a_redirect_leads_to_no_local_file(secret: Path, site: Site) -> None:
    site.redirects["/a.ts"] = f"file://{secret}"
    with pytest.raises(InputError):
        hear(f"{site.address}/a.ts")


def test_a_redirect_to_a_script_is_refused(secret: Path, site: Site) -> None:
    (site.folder / secret.name).write_bytes(secret.read_bytes())
    (site.folder / "b").write_text(SCRIPTS["list.m3u8"].replace("SECRET", secret.name))
    site.redirects["/a.mp3"] = "/b"
    with pytest.raises((RefusedInput, NotMedia)):
        hear(f"{site.address}/a.mp3")
    assert set(site.asked) == {"/a.mp3", "/b"}


def test_protocols_of_ffmpeg_are_only_file_names(secret: Path) -> None:
    prefixes = ("concat:", "subfile,,start,0,end,0,,:", "file:", "async:", "cache:", "crypto:")
    for location in (*(f"{prefix}{secret}" for prefix in prefixes), "pipe:0", "fd:"):
        with pytest.raises(InputError, match="no such file"):
            hear(location)


def test_image_sequences_are_not_followed(tmp_path: Path) -> None:
    for number in (1, 2):
        run_ffmpeg("-f", "lavfi", "-i", "testsrc=size=32x32", "-frames:v", "1",
                   tmp_path / f"p{number}.png")  # fmt: skip
    (tmp_path / "p%d.png").write_bytes(b"x")
    with pytest.raises(NotMedia):
        hear(tmp_path / "p%d.png")


def test_a_mov_that_refers_to_another_file_yields_nothing_of_it(tmp_path: Path) -> None:
    run_ffmpeg(*sine(440, SECONDS), "-c:a", "pcm_s16le", tmp_path / "secret.mov")
    whole = (tmp_path / "secret.mov").read_bytes()
    outer = refer_to(whole, str(tmp_path / "secret.mov"))
    # Its own sound is taken away: whatever sounds comes from the other file.
    start = whole.index(b"mdat") + 4
    end = whole.index(b"moov") - 4
    (tmp_path / "outer.mov").write_bytes(outer[:start] + bytes(end - start) + outer[end:])
    references = ["-enable_drefs", "1", "-use_absolute_path", "1"]
    assert plain_ffmpeg_decodes(tmp_path / "outer.mov", *references)
    with contextlib.suppress(InputError):
        assert not hear(tmp_path / "outer.mov").samples.any()


def refer_to(movie: bytes, path: str) -> bytes:
    """`movie`, a MOV with one track and its index last, with its data said to be in `path`."""
    name = path.encode()
    padded = name + b"\0" * (len(name) % 2)
    alias = bytes(10) + bytes(28) + bytes(12) + bytes(64) + bytes(16)
    alias += struct.pack(">HH", 1, 1) + bytes(16)
    alias += struct.pack(">HH", 18, len(name)) + padded + struct.pack(">Hxx", 0xFFFF)
    entry = struct.pack(">I4sI", 12 + len(alias), b"alis", 0) + alias
    box = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    at = movie.rindex(b"dref") - 4
    old = struct.unpack(">I", movie[at : at + 4])[0]
    grown = bytearray(movie[:at] + box + movie[at + old :])
    for parent in (b"moov", b"trak", b"mdia", b"minf", b"dinf"):
        size_at = movie.rindex(parent) - 4
        size = struct.unpack(">I", movie[size_at : size_at + 4])[0]
        grown[size_at : size_at + 4] = struct.pack(">I", size + len(box) - old)
    return bytes(grown)
