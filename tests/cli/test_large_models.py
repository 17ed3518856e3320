"""Models that hear by themselves, as they are typed: a tiny FastLongSpeech with random weights."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from media_files import run_ffmpeg, write_wav
from tiny_model import HERE, Played, play

from fls_models.core.results import NO_SPEECH

sys.path.append(str(HERE.parent / "models"))

pytestmark = pytest.mark.usefixtures("one_thread")

Capture = pytest.CaptureFixture[str]
Fls = Callable[..., Played]

WHAT, WHO = "What is it about?", "Who is speaking here?"
SAID = "the tall trees stand here. they say a thing or two."
PANGRAM = "quick vexed foxes jump over my lazy big zebra"
SECONDS = 8


@pytest.fixture(scope="module")
def released(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A FastLongSpeech as it lies on the hub."""
    from tiny_checkpoints import write_fastlongspeech

    folder = tmp_path_factory.mktemp("hub") / "tiny-fls"
    write_fastlongspeech(folder)
    return folder


@pytest.fixture(scope="module")
def converted(released: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, as it lies in the cache: nothing is converted for each test."""
    import tiny_hearing

    into = tmp_path_factory.mktemp("converted") / "tiny-fls"
    return tiny_hearing.converted(released, into, "float32")


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    from fls_models.weights import devices

    monkeypatch.setenv("FLS_CACHE", str(tmp_path / "cache"))
    # These tests are about the CPU on machines with a GPU, too.
    monkeypatch.setattr(devices, "_DRIVERS", ())
    return tmp_path / "cache"


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    """Eight seconds of tones: 200 frames."""
    from tiny_hearing import babble

    return write_wav(tmp_path / "talk.wav", babble(SECONDS))


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The first eight seconds of a lecture: what is no speech is not written down."""
    file = tmp_path_factory.mktemp("speech") / "lecture.wav"
    lecture = HERE.parents[1] / "examples" / "lecture.mp3"
    run_ffmpeg("-i", lecture, "-t", str(SECONDS), "-ac", "1", "-ar", "16000", file)
    return file


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many windows were encoded, call by call."""
    from fls_models.lslm.large import LargeSpeechLM

    found: list[int] = []
    original = LargeSpeechLM.encode

    def encode(self: LargeSpeechLM, features: Any) -> Any:
        found.append(len(features))
        return original(self, features)

    monkeypatch.setattr(LargeSpeechLM, "encode", encode)
    return found


@pytest.fixture
def writes(monkeypatch: pytest.MonkeyPatch) -> None:
    """The model replies what was said: random weights know no words."""
    from fls_models.lslm.large import LargeSpeechLM

    monkeypatch.setattr(LargeSpeechLM, "generate", lambda *_, **__: iter([SAID]))


@pytest.fixture
def fls(converted: Path, capfd: Capture) -> Fls:
    """`fls COMMAND ARGUMENTS` with the tiny model."""

    def played(command: str, *arguments: object, model: Path = converted) -> Played:
        options = ["--model", str(model), "--device", "cpu", "--quiet"]
        if command != "transcribe":
            options += ["--max-tokens", "6"]
        return play(capfd, command, *map(str, arguments), *options)

    return played


def usage(played: Played) -> dict[str, Any]:
    assert played.code == 0, played.err
    found: dict[str, Any] = json.loads(played.out)["usage"]
    return found


# Questions


def test_an_answer_alone_goes_to_stdout(fls: Fls, talk: Path) -> None:
    played = fls("ask", talk, WHAT)
    assert (played.code, played.err) == (0, "")
    told = json.loads(fls("ask", talk, WHAT, "--json").out)
    assert told["answer"]
    assert played.out.rstrip("\n") == told["answer"]


def test_json_tells_of_frames(fls: Fls, talk: Path) -> None:
    played = fls("ask", talk, WHAT, "--json")
    told = json.loads(played.out)
    assert (told["schema"], told["source"], told["answered"]) == ("fls.answer/1", str(talk), True)
    assert told["spans"] == [[0.0, SECONDS]]
    spent = told["usage"]
    assert (spent["model"], spent["reader"], spent["sections"]) == ("tiny-fls", "frames", 1)
    assert (spent["frames_before"], spent["frames_after"]) == (200, round(200 * SECONDS / 30))
    assert {"load", "listen", "answer"} <= set(spent["seconds"])
    assert all(seconds >= 0 for seconds in spent["seconds"].values())


def test_what_is_used_is_said(converted: Path, talk: Path, capfd: Capture) -> None:
    played = play(
        capfd, "ask", str(talk), WHAT, "--model", str(converted), "--device", "cpu",
        "--max-tokens", "2",
    )  # fmt: skip
    assert "fls: using tiny-fls in float32 on cpu" in played.err.splitlines()


def test_several_questions_are_about_one_hearing(fls: Fls, talk: Path, encoded: list[int]) -> None:
    played = fls("ask", talk, "-q", WHAT, "-q", WHO, "--json")
    told = [json.loads(line) for line in played.lines]
    assert [one["question"] for one in told] == [WHAT, WHO]
    assert encoded == [1]


def test_a_folder_of_recordings_becomes_a_folder_of_answers(
    fls: Fls, talk: Path, tmp_path: Path, encoded: list[int]
) -> None:
    from tiny_hearing import babble

    folder = tmp_path / "talks"
    folder.mkdir()
    (folder / "one.wav").write_bytes(talk.read_bytes())
    write_wav(folder / "two.wav", babble(33, seed=1))
    answers = tmp_path / "answers"
    played = fls("ask", folder, "-q", WHAT, "-o", f"{answers}/", "--json")
    assert played.code == 0, played.err
    assert sorted(encoded) == [1, 2]
    told = {
        Path(one["source"]).name: one["usage"]["frames_before"]
        for file in answers.glob("*.jsonl")
        for one in map(json.loads, file.read_text().splitlines())
    }
    assert told == {"one.wav": 200, "two.wav": 825}
    gathered = json.loads(played.lines[-1])
    assert gathered["source"] is None
    # What is finished is not done again.
    assert fls("ask", folder, "-q", WHAT, "-o", f"{answers}/", "--json").code == 0
    assert sorted(encoded) == [1, 2]


def test_a_second_run_finds_the_frames(
    fls: Fls, talk: Path, encoded: list[int], own_cache: Path
) -> None:
    first = fls("ask", talk, WHAT, "--json", "--cache")
    assert encoded == [1]
    assert len(list((own_cache / "recordings" / "frames").glob("*.fls"))) == 1
    again = fls("ask", talk, WHAT, "--json", "--cache")
    assert encoded == [1]
    assert first.err == again.err
    one, other = json.loads(first.out), json.loads(again.out)
    assert "listen" in one["usage"].pop("seconds")
    assert "listen" not in other["usage"].pop("seconds")
    assert one == other
    # Whatever is asked of it, by whichever command.
    assert fls("ask", talk, WHO, "--cache").code == 0
    assert fls("summarize", talk, "--cache").code == 0
    assert encoded == [1]
    # Another stretch, budget or model is another matter.
    fls("ask", talk, WHAT, "--cache", "--start", "1")
    fls("ask", talk, WHAT, "--cache", "-b", "fast")
    assert encoded == [1, 1, 1]


def test_what_was_wrong_with_a_recording_is_said_again(
    fls: Fls, talk: Path, converted: Path, encoded: list[int], capfd: Capture
) -> None:
    data = talk.read_bytes()
    cut = talk.with_name("cut.wav")
    # Half of what its header promises.
    cut.write_bytes(data[: len(data) // 2])
    asked = ["ask", str(cut), WHAT, "--model", str(converted), "--device", "cpu", "--cache"]
    first, again = (play(capfd, *asked, "--max-tokens", "2") for _ in range(2))
    assert encoded == [1]
    assert len(first.err.splitlines()) == 2
    assert first.err == again.err
    assert first.out == again.out


def test_budgets_are_frames(fls: Fls, talk: Path) -> None:
    for name, rate in (("fast", 100), ("balanced", 200), ("accurate", 400)):
        spent = usage(fls("ask", talk, WHAT, "--json", "-b", name))
        assert (spent["frames_after"], spent["budget"]) == (round(rate * SECONDS / 30), name)
    for length in (1, 20, 200, 999):
        spent = usage(fls("ask", talk, WHAT, "--json", "--target-length", length))
        assert (spent["frames_after"], spent["budget"]) == (min(length, 200), f"L={length}")


def test_without_fusion_all_frames_are_read(fls: Fls, talk: Path) -> None:
    spent = usage(fls("ask", talk, WHAT, "--json", "--no-compress", "--rope", "ntk"))
    assert spent["frames_after"] == spent["frames_before"] == 200


def test_without_fusion_no_fused_frames_are_found(fls: Fls, talk: Path) -> None:
    assert usage(fls("ask", talk, WHAT, "--json", "--cache"))["frames_after"] == 53
    spent = usage(fls("ask", talk, WHAT, "--json", "--cache", "--no-compress"))
    assert spent["frames_after"] == 200


def test_a_way_to_stretch_that_there_is_not(fls: Fls, talk: Path) -> None:
    played = fls("ask", talk, WHAT, "--no-compress", "--rope", "yarn")
    assert (played.code, played.out) == (2, "")
    assert "--rope takes ntk, not 'yarn'" in played.err


def test_silence_is_said(fls: Fls, hush: Path) -> None:
    played = fls("ask", hush, WHAT, "--json")
    told = json.loads(played.out)
    assert played.code == 0
    assert (told["answered"], told["answer"], told["spans"]) == (False, NO_SPEECH, [])
    assert fls("summarize", hush).out.strip() == NO_SPEECH
    assert fls("transcribe", hush).out.strip() == ""


def test_a_broken_file_does_not_stop_the_others(
    fls: Fls, talk: Path, tmp_path: Path, encoded: list[int]
) -> None:
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"no sound at all" * 100)
    other = write_wav(tmp_path / "other.wav", np.full(16_000, 0.3))
    played = fls("ask", broken, talk, other, "-q", WHAT, "--json")
    told = [json.loads(line) for line in played.lines]
    assert played.code == 1
    assert [(one["schema"], one["source"]) for one in told[:3]] == [
        ("fls.error/1", str(broken)),
        ("fls.answer/1", str(talk)),
        ("fls.answer/1", str(other)),
    ]
    assert str(broken) in played.err
    assert encoded == [1, 1]


# How it is run


@pytest.mark.parametrize("dtype", ["nf4", "int8", "bf16", "float32"])
def test_every_dtype_is_converted_once(
    fls: Fls, released: Path, talk: Path, own_cache: Path, dtype: str, capfd: Capture
) -> None:
    arguments = ["ask", str(talk), WHAT, "--model", str(released), "--device", "cpu"]
    arguments += ["--dtype", dtype, "--max-tokens", "6"]
    first = play(capfd, *arguments)
    assert first.code == 0, first.err
    assert f"fls: using tiny-fls in {dtype} on cpu" in first.err.splitlines()
    [made] = (own_cache / "weights").glob("local-*")
    assert f"-{dtype}-" in made.name
    written = {file: file.stat().st_mtime_ns for file in made.rglob("*")}
    assert play(capfd, *arguments).out == first.out
    assert {file: file.stat().st_mtime_ns for file in made.rglob("*")} == written


def test_low_memory_answers_the_same(fls: Fls, talk: Path) -> None:
    assert fls("ask", talk, WHAT, "--low-memory").out == fls("ask", talk, WHAT).out


def test_a_head_of_ones_own(
    fls: Fls, talk: Path, tmp_path: Path, encoded: list[int], capfd: Capture
) -> None:
    import tiny_hearing
    import torch
    from safetensors.torch import save_file
    from tiny_checkpoints import HIDDEN, WIDTH, write_omni

    write_omni(tmp_path / "omni")
    omni = tiny_hearing.converted(tmp_path / "omni", tmp_path / "model")
    asked = ["ask", str(talk), WHAT, "--model", str(omni), "--device", "cpu", "--max-tokens", "2"]
    without = play(capfd, *asked, "--cache")
    assert without.code == 0
    assert "model has no CTC head" in without.err
    # A head that reads nothing anywhere: nobody speaks.
    head = {
        "projector.weight": torch.zeros(HIDDEN, WIDTH),
        "projector.bias": torch.ones(HIDDEN),
        "linear.weight": torch.cat([torch.zeros(4, HIDDEN), torch.ones(1, HIDDEN)]),
    }
    save_file(head, tmp_path / "head.safetensors")
    with_head = play(capfd, *asked, "--cache", "--head", str(tmp_path / "head.safetensors"))
    assert with_head.out.strip() == NO_SPEECH
    assert "CTC head" not in with_head.err
    # What was heard without it was not taken for that.
    assert encoded == [1, 1]


@pytest.mark.parametrize("content", [None, b"no tensors"])
def test_a_head_that_is_none(fls: Fls, talk: Path, tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "head.safetensors"
    if content is not None:
        file.write_bytes(content)
    played = fls("ask", talk, WHAT, "--head", file)
    assert (played.code, played.out) == (2, "")
    assert "--head" in played.err
    assert str(file) in played.err


def test_a_head_for_another_model(fls: Fls, talk: Path, tmp_path: Path) -> None:
    import torch
    from safetensors.torch import save_file

    head = {
        "projector.weight": torch.zeros(8, 1280),
        "projector.bias": torch.zeros(8),
        "linear.weight": torch.zeros(5, 8),
    }
    save_file(head, tmp_path / "head.safetensors")
    played = fls("ask", talk, WHAT, "--head", tmp_path / "head.safetensors")
    assert played.code == 2
    assert "width 32" in played.err


def test_a_folder_that_is_no_model(fls: Fls, talk: Path, tmp_path: Path) -> None:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "a.txt").write_text("hello")
    played = fls("ask", talk, WHAT, model=tmp_path / "notes")
    assert (played.code, played.out) == (2, "")
    assert "holds no model" in played.err


def test_a_model_that_was_cut_off(fls: Fls, talk: Path, converted: Path, tmp_path: Path) -> None:
    import shutil

    shutil.copytree(converted, tmp_path / "cut")
    next((tmp_path / "cut").glob("*.safetensors")).unlink()
    played = fls("ask", talk, WHAT, model=tmp_path / "cut")
    assert played.code == 3
    assert "holds no whole model" in played.err


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["--model", "mini", "--no-compress"], 2, "--no-compress: mini reads a transcript"),
        (["--model", "mini", "--device", "cuda"], 2, "--device: mini reads a transcript"),
        (["--model", "mini", "--low-memory"], 2, "--low-memory: mini reads a transcript"),
        (["--no-compress"], 2, "--no-compress: mini reads a transcript"),
        (["--device", "tpu"], 2, "--device takes auto, cpu, cuda or cuda:N, not 'tpu'"),
        (["--dtype", "fp4"], 2, "--dtype takes nf4, int8, bf16, float32, not 'fp4'"),
        (["--model", "huge"], 2, "There is no model 'huge'"),
        (
            ["--model", "fastlongspeech"],
            3,
            "fastlongspeech needs an NVIDIA GPU, and PyTorch finds none; `fls doctor` says more. "
            "--model mini runs on any CPU, and --device cpu runs this one there, slowly.",
        ),
        (["--model", "qwen2.5-omni-3b", "--device", "cuda:1"], 3, "needs an NVIDIA GPU"),
        (["--model", "fastlongspeech", "--device", "cpu", "--offline"], 3, "fls models pull"),
    ],
)
def test_what_cannot_be_is_said_before_anything_is_fetched(
    talk: Path,
    arguments: list[str],
    code: int,
    said: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: Capture,
) -> None:
    from fls_models.weights import store as weights

    def pull(*_: object, **__: object) -> None:
        raise AssertionError("weights were fetched")

    monkeypatch.setattr(weights.Store, "pull", pull)
    played = play(capfd, "ask", str(talk), WHAT, *arguments)
    assert (played.code, played.out) == (code, "")
    assert said in played.err


# Transcripts


def test_a_transcript_is_text(fls: Fls, speech: Path, writes: None) -> None:
    played = fls("transcribe", speech)
    assert played.code == 0, played.err
    assert " ".join(played.out.split()) == SAID


def times_of(cue: str) -> list[float]:
    found = []
    for clock in cue.split(" --> "):
        hours, minutes, seconds = clock.replace(",", ".").split(":")
        found.append(3600 * int(hours) + 60 * int(minutes) + float(seconds))
    return found


def test_subtitles_run_forwards_inside_the_recording(fls: Fls, speech: Path, writes: None) -> None:
    played = fls("transcribe", speech, "--format", "srt")
    times = [time for line in played.lines if "-->" in line for time in times_of(line)]
    assert times
    assert times == sorted(times)
    assert 0 <= times[0] < times[-1] <= SECONDS


def words_of(played: Played) -> list[dict[str, Any]]:
    assert played.code == 0, played.err
    told = json.loads(played.out)
    return [word for sentence in told["sentences"] for word in sentence["words"]]


def assert_forwards(words: list[dict[str, Any]], first: float, last: float) -> None:
    assert first <= words[0]["start"]
    assert words[-1]["end"] <= last
    for word in words:
        assert word["start"] <= word["end"]
    for one, other in pairwise(words):
        assert one["end"] <= other["start"] + 1e-9


def test_words_have_times(fls: Fls, speech: Path, writes: None) -> None:
    words = words_of(fls("transcribe", speech, "--format", "json", "--words"))
    assert [word["text"].strip() for word in words] == SAID.split()
    assert_forwards(words, 0, SECONDS)
    later = words_of(
        fls("transcribe", speech, "--format", "json", "--words", "--start", "2", "--end", "7")
    )
    assert_forwards(later, 2, 7)


@pytest.fixture(scope="module")
def vocabulary(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Path]:
    """A SentencePiece model with so many pieces."""
    import sentencepiece

    folder = tmp_path_factory.mktemp("pieces")

    def made(pieces: int) -> Path:
        file = folder / f"{pieces}.model"
        if not file.exists():
            sentencepiece.SentencePieceTrainer.train(
                # More pieces take more letters.
                sentence_iterator=iter([SAID, *[PANGRAM] * (pieces > 24)] * 20),
                model_prefix=str(folder / str(pieces)),
                vocab_size=pieces,
                model_type="unigram",
                hard_vocab_limit=True,
                minloglevel=2,
            )
        return file

    return made


def test_the_heads_own_vocabulary_times_words(
    fls: Fls, speech: Path, writes: None, vocabulary: Callable[[int], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    from tiny_checkpoints import CTC_TOKENS

    from fls_models.transcription import speech_lm as speech_transcription

    aligned: list[int] = []
    original = speech_transcription.align

    def align(read: Any, ids: Any) -> Any:
        aligned.append(len(ids))
        return original(read, ids)

    monkeypatch.setattr(speech_transcription, "align", align)
    form = ["--format", "json", "--words"]
    words = words_of(fls("transcribe", speech, *form, "--ctc-vocab", vocabulary(CTC_TOKENS)))
    assert [word["text"].strip() for word in words] == SAID.split()
    assert_forwards(words, 0, SECONDS)
    assert aligned
    assert min(aligned) >= len(SAID.split())


def test_a_vocabulary_of_another_head_is_refused(
    fls: Fls, speech: Path, vocabulary: Callable[[int], Path], tmp_path: Path
) -> None:
    from tiny_checkpoints import CTC_TOKENS

    file = vocabulary(CTC_TOKENS + 12)
    played = fls("transcribe", speech, "--ctc-vocab", file)
    assert (played.code, played.out) == (2, "")
    assert f"{file} has {CTC_TOKENS + 12} pieces, the CTC head {CTC_TOKENS}" in played.err
    none = tmp_path / "none.model"
    none.write_bytes(b"none")
    assert fls("transcribe", speech, "--ctc-vocab", none).code == 2


def test_a_transcript_is_remembered_apart_from_frames(
    fls: Fls, speech: Path, writes: None, encoded: list[int]
) -> None:
    first = fls("transcribe", speech, "--cache")
    heard = len(encoded)
    assert fls("transcribe", speech, "--cache").out == first.out
    assert len(encoded) == heard
    fls("ask", speech, WHAT, "--cache")
    assert len(encoded) == heard + 1


# Summaries


@pytest.mark.parametrize("style", ["brief", "bullets", "chapters"])
def test_summaries(fls: Fls, talk: Path, style: str, writes: None) -> None:
    told = json.loads(fls("summarize", talk, "--style", style, "--json").out)
    assert (told["answered"], told["style"]) == (True, style)
    assert told["usage"]["reader"] == "frames"
    if style != "brief":
        [chapter] = told["chapters"]
        assert (chapter["start"], chapter["end"]) == (0.0, SECONDS)
        assert ("title" in chapter) is (style == "chapters")
    played = fls("summarize", talk, "--style", style)
    assert played.code == 0
    assert "tall trees stand here" in played.out


# Conversations


@pytest.fixture
def chat(fls: Fls, monkeypatch: pytest.MonkeyPatch) -> Fls:
    def played(*arguments: object, lines: str) -> Played:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines.encode())))
        return fls("chat", *arguments)

    return played


def test_a_conversation_listens_again_for_another_budget(
    chat: Fls, talk: Path, encoded: list[int], writes: None
) -> None:
    lines = f"{WHAT}\n{WHO}\n/budget accurate\n{WHAT}\n{WHO}\n/budget 30\n{WHAT}\n"
    played = chat(talk, "--json", lines=lines)
    assert played.code == 0, played.err
    spent = [json.loads(line)["usage"] for line in played.lines]
    assert [(one["budget"], one["frames_after"]) for one in spent] == [
        ("balanced", 53),
        ("balanced", 53),
        ("accurate", 107),
        ("accurate", 107),
        ("L=30", 30),
    ]
    # Heard once for each.
    assert encoded == [1, 1, 1]


def test_a_conversation_about_two_recordings(
    chat: Fls, talk: Path, hush: Path, writes: None
) -> None:
    played = chat(talk, hush, lines=f"{WHAT}\n/sources\n")
    assert played.lines[:2] == [f"> {WHAT}", SAID]
    assert played.lines[2:] == [f"(from {talk})"]
    assert f"0:00:08  {talk}" in played.err
