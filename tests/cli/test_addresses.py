"""What lies at addresses: fetched once, whole or said not to be, and gone afterwards."""

from __future__ import annotations

import base64
import gzip
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from media_files import PITCH, SECONDS, hear, pitch_of, tone, write_wav
from podcast_host import Asked, Host
from tiny_model import HERE, SAID, TinyModel, command, play

from fls_cli.media import http_client
from fls_cli.media.stream import stream
from fls_cli.sources import fetching, remote, spool
from fls_cli.sources.resolve import open_sources
from fls_models.errors import (
    DiskFull,
    EmptyInput,
    InputError,
    NotMedia,
    RefusedInput,
    Unreachable,
    UsageError,
)

Capture = pytest.CaptureFixture[str]

pytestmark = pytest.mark.usefixtures("default_sighup")

WHAT = "What was planted?"
# Seconds in which everything happens that happens at all.
PATIENCE = 60


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies go. Nothing is there at first, and nobody pauses between tries."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    monkeypatch.setattr(fetching, "_PAUSE", 0.01)
    return folder


@pytest.fixture(scope="session")
def mp3(recordings: Path) -> bytes:
    return (recordings / "tone.mp3").read_bytes()


@pytest.fixture
def wav(talk: Path) -> bytes:
    return talk.read_bytes()


def is_the_tone(address: str) -> bool:
    heard = hear(address)
    assert heard.warnings == []
    assert heard.seconds == pytest.approx(SECONDS, abs=0.05)
    return pitch_of(heard.samples) == pytest.approx(PITCH, abs=1)


# --- one command, one request ---


@pytest.mark.parametrize(
    "given",
    [
        ["transcribe"],
        ["transcribe", "-f", "srt", "-o", "OUT/said.srt"],
        ["transcribe", "-o", "OUT/"],
        ["summarize"],
        ["ask", "-q", WHAT, "-q", "Who?", "--clips", "OUT/clips", "--report", "OUT/page.html"],
    ],
)
def test_a_command_makes_one_request(
    tiny: TinyModel, host: Host, wav: bytes, tmp_path: Path, given: list[str], capfd: Capture
) -> None:
    (tmp_path / "out").mkdir()
    given = [word.replace("OUT", str(tmp_path / "out")) for word in given]
    address = host.serve("/talk.wav", wav)
    assert play(capfd, *given, address).code == 0
    assert host.paths == ["/talk.wav"]


@pytest.mark.parametrize("given", [["plan"], ["inspect"], ["inspect", "-o", "OUT"]])
def test_a_command_that_looks_makes_one_request(
    tiny_mini: Path,
    one_thread: None,
    host: Host,
    tmp_path: Path,
    given: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    sys.path.append(str(HERE.parent / "models"))
    from tiny_hearing import babble

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    address = host.serve("/a.wav", write_wav(tmp_path / "a.wav", babble(8)).read_bytes())
    given = [word.replace("OUT", str(tmp_path / "page.html")) for word in given]
    played = play(capfd, *given, address, "--model", str(tiny_mini))
    assert played.code == 0, played.err
    assert host.paths == ["/a.wav"]


def test_a_conversation_makes_one_request(
    tiny: TinyModel, host: Host, wav: bytes, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr("fls_cli.commands.chat.piped_lines", lambda: iter([WHAT, "Where?"]))
    assert play(capfd, "chat", host.serve("/talk.wav", wav)).code == 0
    assert host.paths == ["/talk.wav"]


def test_several_addresses_are_fetched_once_each_and_not_kept(
    tiny: TinyModel, host: Host, wav: bytes, temporary: Path, capfd: Capture
) -> None:
    lying: list[int] = []
    for number in range(4):
        host.serve(f"/{number}.wav", wav)
    addresses = [f"{host.address}/{number}.wav" for number in range(4)]
    tiny.transcriber.begins = lambda: lying.append(len(list(temporary.iterdir())))
    assert play(capfd, "transcribe", *addresses).code == 0
    assert sorted(host.paths) == [f"/{number}.wav" for number in range(4)]
    # This one and, with --jobs 1, the next.
    assert max(lying) <= 2
    assert list(temporary.iterdir()) == []


def test_the_next_is_fetched_while_the_model_hears(
    tiny: TinyModel, host: Host, wav: bytes, capfd: Capture
) -> None:
    came = threading.Event()
    first = host.serve("/first.wav", wav)

    def second(asked: Asked) -> None:
        came.set()
        asked.send(wav)

    host.answers["/second.wav"] = second
    waited: list[bool] = []
    tiny.transcriber.begins = lambda: waited.append(came.wait(PATIENCE))
    assert play(capfd, "transcribe", first, f"{host.address}/second.wav").code == 0
    assert waited == [True, True]


def test_one_bad_address_fails_alone(
    tiny: TinyModel, host: Host, wav: bytes, capfd: Capture
) -> None:
    good = [host.serve(f"/{name}.wav", wav) for name in ("a", "c")]
    bad = f"{host.address}/b.wav"
    played = play(capfd, "transcribe", good[0], bad, good[1])
    assert played.code == 1
    assert played.out.count(SAID[0]) == 2
    assert "there is nothing at this address (404); check the spelling" in played.err
    assert "1 of 3 failed" in played.err


def test_nothing_at_an_address_is_said_before_a_model_is_loaded(
    host: Host, monkeypatch: pytest.MonkeyPatch, capfd: Capture
) -> None:
    monkeypatch.setattr(
        "fls_cli.session.session.Session.model", lambda *_: pytest.fail("a model was loaded")
    )
    assert play(capfd, "ask", f"{host.address}/a.mp3", WHAT).code == 1


def test_files_and_help_do_without_the_http_library(talk: Path) -> None:
    code = (
        "import sys; from fls_cli.sources.resolve import open_sources; import fls_cli.app\n"
        "with open_sources(sys.argv[1:]): print('httpx2' in sys.modules)"
    )
    said = [sys.executable, "-c", code, str(talk), "http://127.0.0.1:9/x"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(said, capture_output=True, text=True, check=True, env=environment)
    assert done.stdout == "False\n"


# --- how it is asked for ---


def test_a_link_that_works_once_works(host: Host, mp3: bytes) -> None:
    def once(asked: Asked) -> None:
        asked.send(mp3) if len(host.asked) == 1 else asked.send(status=410)

    host.answers["/t.mp3"] = once
    assert is_the_tone(f"{host.address}/t.mp3")


def test_an_index_at_the_end_needs_no_ranges(host: Host, videos: Path) -> None:
    content = (videos / "late-index.mp4").read_bytes()
    assert is_the_tone(host.serve("/talk.mp4", content))


def test_queries_are_sent_as_they_are_typed(host: Host, mp3: bytes) -> None:
    host.serve("/a%2Fb'c/t.mp3", mp3)
    query = "sig=a%2Fb%3D%3D&x='1'&y=%c3%A9&z=~%7E;+[]|"
    assert is_the_tone(f"{host.address}/a%2Fb'c/t.mp3?{query}#part")
    assert host.paths == [f"/a%2Fb'c/t.mp3?{query}"]


def test_what_asks_is_named(host: Host, mp3: bytes) -> None:
    assert is_the_tone(host.serve("/t.mp3", mp3))
    [asked] = host.asked
    assert asked.headers["User-Agent"].startswith("fls/")


def test_what_is_encoded_is_decoded(host: Host, mp3: bytes) -> None:
    assert is_the_tone(host.serve("/t.mp3", gzip.compress(mp3), Content_Encoding="gzip"))


def test_ten_redirects_are_followed(host: Host, mp3: bytes) -> None:
    host.serve("/0", mp3)
    for number in range(1, 12):
        host.redirect(f"/{number}", f"/{number - 1}")
    assert is_the_tone(f"{host.address}/10")
    with pytest.raises(Unreachable, match="redirected too often"):
        hear(f"{host.address}/11")


def test_redirects_in_a_circle(host: Host) -> None:
    host.redirect("/a", "/b")
    host.redirect("/b", "/a")
    with pytest.raises(Unreachable, match="its redirects lead in a circle"):
        hear(f"{host.address}/a")


@pytest.mark.parametrize("target", ["file:///etc/hostname", "ftp://127.0.0.1/x", "data:,x"])
def test_redirects_lead_to_no_other_protocols(host: Host, target: str) -> None:
    with pytest.raises(RefusedInput, match="no http or https address"):
        hear(host.redirect("/a", target))


def test_cookies_of_a_redirect_are_sent_on(host: Host, mp3: bytes) -> None:
    def answer(asked: Asked) -> None:
        if "seen=1" in asked.headers.get("Cookie", ""):
            asked.send(mp3)
        else:
            asked.send(status=302, Location="/t.mp3", Set_Cookie="seen=1; Path=/")

    host.answers["/t.mp3"] = answer
    assert is_the_tone(f"{host.address}/t.mp3")


def test_a_login_is_sent_to_its_host_alone_and_never_shown(
    tiny: TinyModel, host: Host, wav: bytes, capfd: Capture
) -> None:
    login = "Basic " + base64.b64encode(b"ada:s3/cret").decode()

    def answer(asked: Asked) -> None:
        right = asked.headers.get("Authorization") == login
        asked.send(wav) if right else asked.send(status=401)

    host.answers["/talk.wav"] = answer
    host.redirect("/a", "/talk.wav")
    with_login = host.address.replace("http://", "http://ada:s3%2Fcret@")
    played = play(capfd, "transcribe", f"{with_login}/a")
    assert played.code == 0
    assert "cret" not in played.out + played.err
    played = play(capfd, "transcribe", f"{host.address}/talk.wav")
    assert "the server asks for a login (401)" in played.err
    # Another name is another host.
    elsewhere = host.address.replace("127.0.0.1", "localhost")
    host.redirect("/b", f"{elsewhere}/talk.wav")
    played = play(capfd, "transcribe", f"{with_login}/b")
    assert played.code == 1
    assert "Authorization" not in host.asked[-1].headers
    assert "cret" not in played.err


def test_a_login_by_digest(host: Host, mp3: bytes) -> None:
    def answer(asked: Asked) -> None:
        if asked.headers.get("Authorization", "").startswith('Digest username="ada"'):
            asked.send(mp3)
        else:
            asked.send(status=401, WWW_Authenticate='Digest realm="r", nonce="n", qop="auth"')

    host.answers["/t.mp3"] = answer
    assert is_the_tone(f"{host.address}/t.mp3".replace("http://", "http://ada:secret@"))


def test_proxies_of_the_environment(
    host: Host, mp3: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    host.serve("http://podcast.invalid/t.mp3", mp3)
    monkeypatch.setenv("http_proxy", host.address)
    assert is_the_tone("http://podcast.invalid/t.mp3")
    monkeypatch.setenv("http_proxy", "gopher://me:s3cret@host")
    with pytest.raises(UsageError, match="proxy") as caught:
        hear("http://podcast.invalid/t.mp3")
    assert "s3cret" not in str(caught.value)


# --- what comes of it ---


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (401, "the server asks for a login (401); put it in the address as"),
        (403, "the server forbids it (403); check that the link has not expired"),
        (404, "there is nothing at this address (404); check the spelling"),
        (410, "there is nothing at this address any more (410)"),
        (429, "the server takes no more requests for now (429); try again later"),
        (500, "the server answered with error 500"),
        (304, "the server answered with error 304"),
    ],
)
def test_statuses(host: Host, status: int, said: str) -> None:
    with pytest.raises(Unreachable) as caught:
        hear(host.serve("/x.mp3", b"", status))
    assert said in str(caught.value)
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html><body>Please log in.</body></html>",
        b"\n<!-- made by hand -->\n<HTML lang=en><title>Login</title>",
        b'\xef\xbb\xbf<?xml version="1.0"?>\n<!doctype html>\n<html>',
    ],
)
def test_a_web_page_is_named_as_one(host: Host, tmp_path: Path, page: bytes) -> None:
    (tmp_path / "saved.mp3").write_bytes(page)
    for location in (host.serve("/t.mp3", page), tmp_path / "saved.mp3"):
        with pytest.raises(NotMedia, match="this is a web page, not audio or video"):
            hear(location)


def test_nothing_but_an_empty_answer(host: Host) -> None:
    with pytest.raises(EmptyInput, match="empty"):
        hear(host.serve("/t.mp3", b""))


@pytest.mark.parametrize("text", ["http://a\x01b/x.mp3", "http://host\udc80/x.mp3"])
def test_addresses_that_no_server_can_be_asked_for(text: str) -> None:
    with pytest.raises(Unreachable, match=r"malformed|no such host"):
        hear(text)


def test_no_space_for_a_copy(
    host: Host, mp3: bytes, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "RESERVE", 1 << 60)
    with pytest.raises(DiskFull, match="set TMPDIR to a folder with more"):
        hear(host.serve("/t.mp3", mp3))
    assert list(temporary.iterdir()) == []


def test_a_host_that_is_silent(
    host: Host, temporary: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "PATIENCE", 0.2)
    with pytest.raises(Unreachable, match="the host did not answer in time; try again later"):
        hear(host.silent("/t.mp3", b"", 1000))


def test_how_far_it_is(host: Host, mp3: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(asked: Asked) -> None:
        asked.send(mp3[:1000], length=len(mp3))
        time.sleep(0.5)
        asked.handler.wfile.write(mp3[1000:])

    host.answers["/t.mp3"] = slow
    monkeypatch.setattr(remote, "_MOMENT", 0.1)
    told: list[tuple[str, float, float | None]] = []
    with open_sources([f"{host.address}/t.mp3"], progress=lambda *moved: told.append(moved)) as [
        source
    ]:
        assert source.path is not None
    assert {stage for stage, _, _ in told} == {"download t.mp3"}
    moved = [(done, total) for _, done, total in told]
    assert (1000, len(mp3)) in moved
    assert moved[-1] == (len(mp3), len(mp3))


# --- connections that break ---


def test_a_broken_download_goes_on_where_it_stopped(host: Host, mp3: bytes) -> None:
    address = host.cut("/t.mp3", mp3, ranges=True, ETag='"v1"')
    assert is_the_tone(address)
    first, second = host.asked
    assert first.headers["Range"] is None
    assert second.headers["Range"] == f"bytes={len(mp3) // 2 + 1}-"
    assert second.headers["If-Range"] == '"v1"'


def test_one_that_is_silent_goes_on_too(
    host: Host, mp3: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_client, "PATIENCE", 0.3)
    host.silent("/t.mp3", mp3[:5000], len(mp3))
    silent = host.answers["/t.mp3"]
    # Without ranges: what is there already is passed over.
    host.answers["/t.mp3"] = lambda asked: (
        silent(asked) if len(host.asked) == 1 else asked.send(mp3)
    )
    assert is_the_tone(f"{host.address}/t.mp3")


def test_what_has_changed_meanwhile_is_taken_whole(host: Host, mp3: bytes) -> None:
    def answer(asked: Asked) -> None:
        if len(host.asked) == 1:
            asked.send(b"x" * 5000, length=len(mp3), ETag='"v1"')
        else:
            asked.send(mp3, ETag='"v2"')

    host.answers["/t.mp3"] = answer
    assert is_the_tone(f"{host.address}/t.mp3")


def test_a_part_that_was_not_asked_for_is_not_taken(host: Host, mp3: bytes) -> None:
    def answer(asked: Asked) -> None:
        if asked.headers["Range"] is None:
            asked.send(mp3[:5000], length=len(mp3))
        else:
            asked.send(b"x" * 1000, 206, Content_Range=f"bytes 0-999/{len(mp3)}")

    host.answers["/t.mp3"] = answer
    with open_sources([f"{host.address}/t.mp3"]) as [source]:
        assert source.path is not None
        assert source.path.read_bytes() == mp3[:5000]
        assert source.missing is not None


def test_one_that_stays_short_fails_in_part_and_is_never_finished(
    tiny: TinyModel, host: Host, wav: bytes, tmp_path: Path, temporary: Path, capfd: Capture
) -> None:
    notes = tmp_path / "notes"
    address = host.cut("/talk.wav", wav, ranges=False)
    for _ in range(2):
        host.asked.clear()
        played = play(capfd, "transcribe", address, "-o", f"{notes}/")
        assert played.code == 1
        half, whole = len(wav) // 2 + 1, len(wav)
        assert f"after {half:,} of {whole:,} bytes; the result is of those alone" in played.err
        assert (notes / "talk.txt").read_text() == f"{SAID[0]}\n{SAID[1]}\n"
        assert 1 <= len(host.asked) < 10
    host.serve("/talk.wav", wav)
    assert play(capfd, "transcribe", address, "-o", f"{notes}/").code == 0
    assert (notes / "talk.txt").read_text() == "".join(f"{text}\n" for text in SAID)
    # Now it is, and nobody is asked.
    host.asked.clear()
    assert play(capfd, "transcribe", address, "-o", f"{notes}/").code == 0
    assert host.asked == []
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("given", [["ask", "-q", WHAT, "--json"], ["chat", "--json"], ["inspect"]])
def test_every_command_says_that_it_was_short(
    tiny: TinyModel,
    tiny_mini: Path,
    host: Host,
    wav: bytes,
    given: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    if given == ["inspect"]:
        monkeypatch.undo()
        given = ["inspect", "--model", str(tiny_mini)]
    monkeypatch.setattr(fetching, "_PAUSE", 0.01)
    monkeypatch.setattr("fls_cli.commands.chat.piped_lines", lambda: iter([WHAT]))
    played = play(capfd, *given, host.cut("/talk.wav", wav, ranges=False))
    assert played.code == 1
    assert "the connection broke off for good" in played.err
    assert len(played.out.splitlines()) >= 2


def test_one_of_which_nothing_can_be_used_says_why(
    host: Host, videos: Path, capfd: Capture
) -> None:
    content = (videos / "late-index.mp4").read_bytes()
    played = play(capfd, "plan", host.cut("/talk.mp4", content, ranges=False))
    assert (played.code, played.out) == (1, "")
    assert "the connection broke off for good after" in played.err
    assert "run it again" in played.err


# --- streams without an end ---


@pytest.mark.parametrize(
    "opening",
    [
        b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\nicy-name: Radio\r\n\r\n",
        b"ICY 200 OK\r\nicy-name: Radio\r\nContent-Type: audio/mpeg\r\n\r\n",
    ],
    ids=["icecast", "shoutcast"],
)
def test_a_radio_station_is_heard_up_to_the_end_that_is_asked_for(
    host: Host, mp3: bytes, opening: bytes, temporary: Path
) -> None:
    heard = hear(host.radio("/live", mp3, opening), end=6.0)
    assert heard.seconds == pytest.approx(6, abs=0.05)
    assert list(temporary.iterdir()) == []


def test_so_is_one_that_does_not_say_that_it_is_one(
    host: Host, mp3: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "_TRICKLE_AFTER", 0.3)
    monkeypatch.setattr(fetching, "_TRICKLE", 1_000_000)
    plain = b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n"
    assert hear(host.radio("/live", mp3, plain), end=6.0).seconds == pytest.approx(6, abs=0.05)


def test_what_ends_without_telling_its_length_is_copied(host: Host, mp3: bytes) -> None:
    host.answers["/t.mp3"] = lambda asked: asked.send(mp3, length=None, Content_Type="audio/mpeg")
    assert is_the_tone(f"{host.address}/t.mp3")
    assert len(host.asked) == 1


# --- threads and signals ---


def test_who_waits_in_another_thread_can_be_told_to_stop(host: Host, temporary: Path) -> None:
    address = host.silent("/t.mp3", b"x" * 1000, 2000)
    told: list[str] = []
    with open_sources([address]) as [source]:

        def look() -> None:
            try:
                list(stream(source))
            except InputError as error:
                told.append(str(error))

        thread = threading.Thread(target=look)
        thread.start()
        while thread.is_alive():
            assert thread.ident is not None
            remote.end_wait_of(thread.ident)
            thread.join(0.05)
    assert told == [f"{address}: nobody waits for it any more."]
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_while_fetching_ends_at_once_and_leaves_nothing(
    host: Host, temporary: Path, sent: signal.Signals, code: int
) -> None:
    address = host.silent("/talk.wav", b"RIFF" * 1000, 100_000)
    with subprocess.Popen(
        command("transcribe", address), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        while not any(path.stat().st_size for path in temporary.iterdir()):
            assert process.poll() is None
            time.sleep(0.02)
        begun = time.monotonic()
        process.send_signal(sent)
        out, complaint = process.communicate(timeout=PATIENCE)
        assert time.monotonic() - begun < 10
    assert (process.returncode, out, complaint) == (code, b"", b"")
    assert list(temporary.iterdir()) == []


def test_under_nohup_a_closed_terminal_is_no_matter(host: Host, tmp_path: Path) -> None:
    content = write_wav(tmp_path / "a.wav", tone(440, 3)).read_bytes()
    go_on = threading.Event()

    def answer(asked: Asked) -> None:
        asked.send(content[:1000], length=len(content))
        go_on.wait(PATIENCE)
        asked.handler.wfile.write(content[1000:])

    host.answers["/a.wav"] = answer
    with subprocess.Popen(
        ["nohup", *command("transcribe", f"{host.address}/a.wav")],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        while not host.asked:
            time.sleep(0.02)
        process.send_signal(signal.SIGHUP)
        go_on.set()
        out, _ = process.communicate(timeout=PATIENCE)
    assert (process.returncode, out.splitlines()[0]) == (0, b"Sentence 0.")
