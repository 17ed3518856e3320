"""Trains mini's connector on one GPU while all other cores speak, in as many calls as it takes.

    python benchmarks/gpu/mini_train.py --place DIR --out RESULTS --minutes 8 [--pieces PIECES]

Each call takes in the pieces it is given (`mini_pack.py`), sees to it that somebody speaks, and
trains until its minutes are over: stage 1 (`mini_reading.py`) for a share of all minutes, stage 2
(`mini_answering.py`) for the rest. Stage 1 begins as soon as `base` is there. All is kept in DIR,
every two minutes; what is worth keeping elsewhere is in RESULTS after each call: `progress.json`
and the connector, in pieces. The exit status is 0 when all minutes were trained, 3 when some are
left, 4 when nothing can be done before more pieces come.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from time import perf_counter
from typing import Any

import common
import mini_pieces
import torch
from common import read_json, write_json
from mini_takes import DOCUMENTS, Take, Takes, read_documents, read_take
from torch import Tensor, nn

_KEEP_EVERY, _TELL_EVERY = 120.0, 240.0
# Of files that come back.
_PIECE = 15 * 10**6
# To write results and to stop, in seconds.
_LAST = 40.0
_WARM_UP, _FLOOR = 200, 0.02
_SEED = 0


class Course:
    """How one stage is trained: its optimiser, its share of the minutes, and what is kept.

    The learning rate follows the minutes spent, whatever came between: a warm-up of steps, then a
    cosine.
    """

    def __init__(
        self,
        name: str,
        parameters: Mapping[str, nn.Parameter],
        place: Path,
        *,
        seconds: float,
        rate: float,
        shares: Mapping[str, float] | None = None,
        orthogonalised: Collection[str] = (),
    ) -> None:
        from fls_models.training.core.optimizer import Optimiser

        self.name, self._parameters, self._seconds = name, parameters, seconds
        self._rate, self._file = rate, place / f"{name}.pt"
        self._optimiser = Optimiser(parameters, shares or {}, orthogonalised)
        self.spent, self.steps = 0.0, 0
        self.losses: dict[str, float] = {}
        if self._file.is_file():
            state = torch.load(self._file, map_location="cpu", weights_only=True)
            with torch.no_grad():
                for key, parameter in parameters.items():
                    parameter.copy_(state["parameters"][key])
            self._optimiser.remember(state["moments"])
            self.spent, self.steps = state["spent"], state["steps"]
            self.losses = state["losses"]

    @property
    def is_over(self) -> bool:
        return self.spent >= self._seconds

    def step(self, loss: Tensor, kind: str) -> None:
        done = min(1.0, self.spent / max(1e-9, self._seconds))
        factor = _FLOOR + (1 - _FLOOR) * (1 + math.cos(math.pi * done)) / 2
        factor *= min(1.0, (self.steps + 1) / _WARM_UP)
        self._optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(list(self._parameters.values()), 1.0)
        if torch.isfinite(norm):
            self._optimiser.step(self._rate * factor)
        self.steps += 1
        value = float(loss.detach())
        if math.isfinite(value):
            self.losses[kind] = 0.95 * self.losses.get(kind, value) + 0.05 * value

    def keep(self) -> None:
        """Writes all of it beside and moves it there."""
        values = {key: parameter.detach().cpu() for key, parameter in self._parameters.items()}
        moments = {key: moment.cpu() for key, moment in self._optimiser.moments().items()}
        state = {"parameters": values, "moments": moments}
        progress = {"spent": self.spent, "steps": self.steps, "losses": self.losses}
        beside = self._file.with_suffix(".part")
        torch.save(state | progress, beside)
        beside.replace(self._file)


class Call:
    """One call: what it was given, when it is over, what it tells."""

    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.end = perf_counter() + 60 * arguments.minutes - (1 if arguments.toy else _LAST)
        self.place: Path = arguments.place
        self.base, self.llm = self.place / "base", self.place / "llm"
        self.device = torch.device("cpu" if arguments.toy else "cuda")
        self.precision = "float32" if arguments.toy else "bf16"
        self.progress = read_json(self.place / "progress.json")
        self.progress |= {"machine": common.machine(), "toy": arguments.toy}
        self.progress.setdefault("history", [])
        self.takes = Takes(self.place / "takes", self.device)

    def left(self) -> float:
        return float(self.end - perf_counter())

    def tell(self, facts: Mapping[str, Any]) -> None:
        self.progress["history"].append(dict(facts))
        write_json(self.place / "progress.json", self.progress)
        print(common.line(facts), flush=True)


def main() -> int:
    parser = common.plain_parser(__doc__)
    parser.add_argument("--place", type=Path, required=True, help="kept from call to call")
    parser.add_argument("--out", type=Path, required=True, help="what goes back")
    parser.add_argument("--pieces", type=Path, help="folder with pieces to take in first")
    parser.add_argument("--minutes", type=float, default=8.0, help="of this call")
    parser.add_argument(
        "--total-minutes", type=float, default=24.0, help="of training, in all calls"
    )
    parser.add_argument("--reading-share", type=float, default=0.45, help="of them, for stage 1")
    parser.add_argument("--batch", type=int, help="clips of stage 1 (64); stage 2 takes a quarter")
    parser.add_argument("--rank", type=int, default=16, help="of the LoRA")
    parser.add_argument("--workers", type=int, help="that speak (all cores but two)")
    parser.add_argument("--toy", action="store_true", help="a rehearsal on the CPU, with tones")
    arguments = parser.parse_args()
    arguments.place.mkdir(parents=True, exist_ok=True)
    arguments.out.mkdir(parents=True, exist_ok=True)
    arguments.batch = arguments.batch or (4 if arguments.toy else 64)
    if not arguments.toy and not torch.cuda.is_available():
        raise SystemExit("No CUDA device; --toy rehearses on the CPU.")
    call = Call(arguments)
    if arguments.pieces:
        missing = mini_pieces.receive(arguments.pieces, call.place)
        print(f"missing: {', '.join(missing) or 'nothing'}", flush=True)
    if not mini_pieces.is_whole(call.base):
        print("stage 1 begins when all of `base` is there", flush=True)
        return 4
    if (call.base / "wheels").is_dir():
        common.use_wheels(call.base / "wheels")
    see_to_speech(call)
    status = train(call)
    deliver(call)
    return status


def see_to_speech(call: Call) -> None:
    """Somebody speaks, from now until the machine is given back."""
    (call.place / "takes").mkdir(exist_ok=True)
    record = read_json(call.place / "speaking.json")
    if record and is_speaking(int(record["process"])):
        return
    command = [sys.executable, str(Path(__file__).with_name("mini_speak.py"))]
    command += ["--place", str(call.place)]
    command += ["--toy"] if call.arguments.toy else []
    if call.arguments.workers:
        command += ["--workers", str(call.arguments.workers)]
    one_thread = {"OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": ""}
    with (call.place / "speak.log").open("ab") as log:
        # Its own session: it outlives this call.
        process = subprocess.Popen(
            command,
            stdout=log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env={**os.environ, **one_thread},
            start_new_session=True,
        )
    write_json(call.place / "speaking.json", {"process": process.pid})


def is_speaking(process: int) -> bool:
    try:
        return b"mini_speak" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def train(call: Call) -> int:
    """Stage 1, then stage 2; the exit status."""
    from mini_encoder import WEIGHTS, Encoder

    arguments = call.arguments
    dtype = torch.float32 if arguments.toy else torch.bfloat16
    encoder = Encoder(call.base / WEIGHTS, call.device, dtype)
    read = call.place / "read"
    if not (read / "config.json").is_file():
        if arguments.reading_share > 0:
            if not train_reading(call, encoder, read):
                return 3
        else:
            shutil.copytree(call.base / "init", read)
    common.free()
    if not mini_pieces.is_whole(call.llm):
        print("stage 2 begins when all of `llm` is there", flush=True)
        return 4
    return 0 if train_answering(call, encoder, read) else 3


def train_reading(call: Call, encoder: Any, target: Path) -> bool:
    """Whether stage 1 is over; its connector is then in the target."""
    from mini_reading import ReadingStage, word_error_rate
    from safetensors.torch import load_file

    from fls_models.lslm.mini import connector_weights
    from fls_models.lslm.mini.connector_weights import Config
    from fls_models.training.ctc.train_connector import ConnectorTrainee
    from fls_models.training.ctc.unigram_vocabulary import Spelling
    from fls_models.training.ctc.vocabulary import Characters

    arguments, base = call.arguments, call.base
    spelling = Spelling.read(base / Spelling.file_name)
    letters = Characters.read(base / Characters.file_name)
    config = Config.from_json(read_json(base / "connector.json"))
    start = connector_weights.read(base / "init")[0] if (base / "init").is_dir() else None
    table = load_file(base / "table.safetensors")["table"].float()
    reading = ConnectorTrainee(config, letters.size, table, dropout=0.1, seed=_SEED, start=start)
    reading.to(call.device)
    real = files_of(call, "real")
    tests = tests_of(call)
    stage = ReadingStage(
        reading,
        encoder,
        spelling,
        letters,
        call.takes,
        [read_take(file, call.device) for file in real],
        batch=arguments.batch,
        precision=call.precision,
        seed=_SEED + len(call.progress["history"]),
    )
    course = Course(
        "reading",
        reading.parameters_by_name,
        call.place,
        seconds=60 * arguments.total_minutes * arguments.reading_share,
        rate=1e-3,
        orthogonalised=reading.matrices,
    )

    def evaluate() -> dict[str, Any]:
        takes_by_name = {"held out": call.takes.held[:24], **tests}
        return {
            f"wer {name}": word_error_rate(
                reading.connector, encoder, spelling, takes, call.precision
            )
            for name, takes in takes_by_name.items()
            if takes
        }

    def keep() -> None:
        connector_weights.write(reading.connector, config, call.place / "latest")
        spelling.save(call.place / "latest")

    over = run(call, course, stage.ready, lambda: (stage.loss(), "ctc"), evaluate, keep)
    if over:
        # In 16 bits, as it is to be trained on; whole before its config appears.
        spelling.save(target)
        connector_weights.write(reading.connector, config, target, int8=False)
    return over


def train_answering(call: Call, encoder: Any, read: Path) -> bool:
    """Whether stage 2 is over."""
    from mini_answering import AnsweringStage
    from mini_reading import word_error_rate

    from fls_models.training.ctc.unigram_vocabulary import Spelling

    arguments = call.arguments
    documents = read_documents(call.base / DOCUMENTS)
    questions = {document.source: document.questions for document in documents}
    stage = AnsweringStage(
        call.llm,
        read,
        encoder,
        call.takes,
        questions,
        batch=max(1, arguments.batch // 4),
        rank=arguments.rank,
        precision=call.precision,
        seed=_SEED + len(call.progress["history"]),
        own_tokens=6 if arguments.toy else 48,
    )
    course = Course(
        "answering",
        stage.parameters,
        call.place,
        seconds=60 * arguments.total_minutes * (1 - arguments.reading_share),
        rate=3e-4,
        shares=stage.shares,
    )
    max_questions = 2 if arguments.toy else 32
    spelling, tests = Spelling.read(call.base / Spelling.file_name), tests_of(call)

    def evaluate() -> dict[str, Any]:
        figures: dict[str, Any] = {}
        if "chosen rightly, text" not in call.progress:
            call.progress["chosen rightly, text"] = stage.chosen_rightly(None, max_questions)
        for length in (100,) if arguments.toy else (400, 100):
            share, count = stage.chosen_rightly(length, max_questions)
            figures |= {f"chosen rightly, L={length}": share, "questions": count}
        for name, takes in tests.items():
            figures[f"wer {name}"] = word_error_rate(
                stage.model.connector, encoder, spelling, takes, call.precision
            )
        return figures

    def keep() -> None:
        stage.write(call.place / "latest")
        spelling.save(call.place / "latest")

    return run(call, course, stage.ready, stage.loss, evaluate, keep)


def run(
    call: Call,
    course: Course,
    ready: Callable[[], bool],
    loss: Callable[[], tuple[Tensor, str]],
    evaluate: Callable[[], dict[str, Any]],
    keep: Callable[[], None],
) -> bool:
    """Steps until the stage or the call is over; whether the stage is. At least one step."""
    while not ready():
        if call.left() < 0:
            print("there is not enough speech yet", flush=True)
            return False
        time.sleep(0.5)
    begun, steps = perf_counter(), 0
    last_save = last_report = last = begun
    while not course.is_over and (call.left() > 0 or not steps):
        course.step(*loss())
        now = perf_counter()
        course.spent += now - last
        last, steps = now, steps + 1
        if now - last_save > _KEEP_EVERY:
            course.keep()
            if now - last_report > _TELL_EVERY:
                report(call, course, steps / (now - begun), evaluate)
                last_report = perf_counter()
            last_save = last = perf_counter()
    course.keep()
    keep()
    report(call, course, steps / max(1e-9, perf_counter() - begun), evaluate)
    return course.is_over


def report(call: Call, course: Course, pace: float, evaluate: Callable[[], dict[str, Any]]) -> None:
    call.takes.scan()
    facts = {
        "stage": course.name,
        "minutes": round(course.spent / 60, 2),
        "steps": course.steps,
        "steps_per_second": round(pace, 3),
        "hours_of_speech": round(call.takes.hours, 2),
        "held_out_recordings": len(call.takes.held),
        "losses": {key: round(value, 4) for key, value in sorted(course.losses.items())},
    }
    if call.device.type == "cuda":
        facts["peak_allocated_gb"] = torch.cuda.max_memory_allocated() / 1e9
    call.tell(facts | evaluate())


def tests_of(call: Call) -> dict[str, list[Take]]:
    """Recordings to test on, by the names of their manifests."""
    return {file.stem: [read_take(file, call.device)] for file in files_of(call, "tests")}


def files_of(call: Call, name: str) -> list[Path]:
    return sorted((call.base / name).glob("*.safetensors"))


def deliver(call: Call) -> None:
    """Puts the connector as it is, in pieces, and what is known of it into the results."""
    out: Path = call.arguments.out
    files = [file for file in sorted((call.place / "latest").glob("*")) if file.suffix != ".part"]
    call.progress["files"] = {file.name: mini_pieces.cut(file, out, _PIECE) for file in files}
    log = call.place / "speak.log"
    call.progress["speaking"] = log.read_text("utf-8", "replace")[-2000:] if log.is_file() else ""
    call.progress["to join"] = "python benchmarks/gpu/mini_receive.py RESULTS --join CONNECTOR"
    write_json(out / "progress.json", call.progress)


if __name__ == "__main__":
    sys.exit(main())
