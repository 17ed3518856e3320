"""Options that several commands share, each with its help in one place.

Those with a variable are settings: users may set them once for all commands (`settings.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from fls_cli.session.engine import READERS
from fls_cli.session.evidence import EVIDENCE
from fls_cli.storage import settings
from fls_models.core.budget import NAMES

_READING = "What to read"
_MODEL = "Model"
_OUTPUT = "Output"
_LARGE = "Large models"


def defaults(group: Any, values: Mapping[str, settings.Value]) -> dict[str, Any]:
    """Values that stand for unset variables, as the `default_map` of a click group.

    Every command below gets those of the variables that its options name.
    """
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found[name] = defaults(command, values)
        else:
            found[name] = {
                option.name: values[option.envvar]
                for option in command.params
                if isinstance(option.envvar, str) and option.envvar in values
            }
    return found


def _complete_model(incomplete: str) -> list[str]:
    from fls_models.weights.card import names

    return [name for name in ("auto", *names()) if name.startswith(incomplete)]


def _complete_budget(incomplete: str) -> list[str]:
    return [name for name in NAMES if name.startswith(incomplete)]


def _complete_read(incomplete: str) -> list[str]:
    return [name for name in READERS if name.startswith(incomplete)]


def _checked(context: typer.Context, option: typer.CallbackParam, value: str) -> str:
    """Names the variable that holds a wrong value; flags are checked where they are used."""
    source = context.get_parameter_source(option.name or "")
    if source is not None and source.name == "ENVIRONMENT":
        settings.find(option.name or "").from_variable(value)
    return value


def _language(context: typer.Context, option: typer.CallbackParam, value: str | None) -> str | None:
    if value is None or _checked(context, option, value) == "auto":
        return None
    return value


Sources = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="SOURCE...",
        help="Files, folders, patterns, http(s) addresses or - for a pipe.",
        show_default=False,
    ),
]
Budget = Annotated[
    str,
    typer.Option(
        "--budget",
        "-b",
        metavar="BUDGET",
        help="How much of the recording is read: fast, balanced or accurate.",
        autocompletion=_complete_budget,
        envvar="FLS_BUDGET",
        callback=_checked,
        rich_help_panel=_MODEL,
    ),
]
TargetLength = Annotated[
    int | None,
    typer.Option(
        "--target-length",
        metavar="N",
        help="Read this many tokens of a transcript, or frames of the sound, whatever the budget.",
        rich_help_panel=_MODEL,
    ),
]
TargetFrames = Annotated[
    int | None,
    typer.Option(
        "--target-length",
        metavar="N",
        help="Read this many frames, whatever the budget.",
        rich_help_panel=_MODEL,
    ),
]
Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        metavar="MODEL",
        help="auto, a model's name (fls models list), or a folder.",
        autocompletion=_complete_model,
        envvar="FLS_MODEL",
        rich_help_panel=_MODEL,
    ),
]
Read = Annotated[
    str,
    typer.Option(
        "--read",
        metavar="WHAT",
        help="What is read: text of a transcript (mini, small), frames of the sound (mini, large "
        "models), or auto.",
        autocompletion=_complete_read,
        rich_help_panel=_MODEL,
    ),
]
Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE",
        help="The language spoken (en, de, ...); detected unless given, or if auto is given.",
        envvar="FLS_LANGUAGE",
        callback=_language,
        rich_help_panel=_READING,
    ),
]
Track = Annotated[
    int | None,
    typer.Option(
        "--track",
        metavar="N",
        help="Which audio track, from 0; the default is the best.",
        rich_help_panel=_READING,
    ),
]
Channels = Annotated[
    str,
    typer.Option(
        "--channels",
        metavar="mix|left|right|N",
        help="Which channels are heard; N counts from 1.",
        rich_help_panel=_READING,
    ),
]
Raw = Annotated[
    str | None,
    typer.Option(
        "--raw",
        metavar="FORMAT:RATE:CHANNELS",
        help="What samples without a header are, as in s16le:8000:1, mulaw or gsm.",
        rich_help_panel=_READING,
    ),
]
Start = Annotated[
    str | None,
    typer.Option(
        "--start", metavar="TIME", help="From here: 1:02:03, 90s.", rich_help_panel=_READING
    ),
]
End = Annotated[
    str | None,
    typer.Option("--end", metavar="TIME", help="Up to here.", rich_help_panel=_READING),
]
FromFile = Annotated[
    Path | None,
    typer.Option(
        "--from-file",
        metavar="LIST",
        help="Read names of sources from this file, one a line; - for stdin.",
        rich_help_panel=_READING,
    ),
]
Jobs = Annotated[
    int,
    typer.Option(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Decode so many recordings ahead while the model works.",
        envvar="FLS_JOBS",
        rich_help_panel=_READING,
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        help="Keep what was heard, for the next question.",
        # FLS_CACHE is the folder, of weights too.
        envvar="FLS_KEEP",
        rich_help_panel=_READING,
    ),
]
Json = Annotated[
    bool, typer.Option("--json", help="One JSON object a line.", rich_help_panel=_OUTPUT)
]
Output = Annotated[
    str | None,
    typer.Option(
        "--output",
        "-o",
        metavar="PLACE",
        help="Write to this file, all or nothing; or below this folder/, a file for each source.",
        rich_help_panel=_OUTPUT,
    ),
]
Evidence = Annotated[
    int | None,
    typer.Option(
        "--evidence",
        metavar="[N]",
        min=0,
        help=f"Where in the recording the answer comes from: at most N passages, {EVIDENCE} unless "
        "told. JSON has them anyway.",
        rich_help_panel=_OUTPUT,
    ),
]
Clips = Annotated[
    Path | None,
    typer.Option(
        "--clips",
        metavar="FOLDER",
        help="Cut these passages out of the recording, as WAV files in this folder.",
        rich_help_panel=_OUTPUT,
    ),
]
Report = Annotated[
    str | None,
    typer.Option(
        "--report",
        metavar="PAGE",
        help="Write one HTML page with the sound, the answers and their evidence to play; or a "
        "page for each recording, below this folder/.",
        rich_help_panel=_OUTPUT,
    ),
]
Force = Annotated[
    bool,
    typer.Option("--force", help="Do finished outputs again.", rich_help_panel=_OUTPUT),
]
Quiet = Annotated[
    bool,
    typer.Option(
        "--quiet/--no-quiet",
        help="No progress and notes.",
        envvar="FLS_QUIET",
        rich_help_panel=_OUTPUT,
    ),
]
Offline = Annotated[
    bool,
    typer.Option(
        "--offline/--no-offline",
        help="Never fetch model weights.",
        envvar="FLS_OFFLINE",
        rich_help_panel=_MODEL,
    ),
]
MaxTokens = Annotated[
    int,
    typer.Option(
        "--max-tokens", metavar="N", min=1, help="Longest answer.", rich_help_panel=_MODEL
    ),
]
Device = Annotated[
    str,
    typer.Option(
        "--device",
        metavar="DEVICE",
        help="Where a large model runs: auto, cpu, cuda or cuda:N.",
        rich_help_panel=_LARGE,
    ),
]
Dtype = Annotated[
    str,
    typer.Option(
        "--dtype",
        metavar="DTYPE",
        help="A large model's weights: nf4, int8 or bf16.",
        rich_help_panel=_LARGE,
    ),
]
LowMemory = Annotated[
    bool,
    typer.Option(
        "--low-memory",
        help="Keep a large model's embedding table, and its audio tower while it answers, off the "
        "GPU.",
        rich_help_panel=_LARGE,
    ),
]
Head = Annotated[
    Path | None,
    typer.Option(
        "--head",
        metavar="FILE",
        help="A CTC head for a model that comes without one: safetensors.",
        rich_help_panel=_LARGE,
    ),
]
Vocabulary = Annotated[
    Path | None,
    typer.Option(
        "--ctc-vocab",
        metavar="FILE",
        help="The CTC head's SentencePiece model: words are timed by the head.",
        rich_help_panel=_LARGE,
    ),
]
Compress = Annotated[
    bool,
    typer.Option(
        "--no-compress",
        help="Read every frame of a recording, without fusion: the baseline.",
        rich_help_panel=_LARGE,
    ),
]
Rope = Annotated[
    str,
    typer.Option(
        "--rope",
        metavar="WAY",
        help="With --no-compress, how the model's window is stretched to hold all frames: ntk.",
        rich_help_panel=_LARGE,
    ),
]
Temperature = Annotated[
    float,
    typer.Option(
        "--temperature",
        metavar="T",
        min=0.0,
        help="0 takes the likeliest word; above, words are drawn.",
        rich_help_panel=_MODEL,
    ),
]
Seed = Annotated[
    int, typer.Option("--seed", metavar="N", help="For drawing words.", rich_help_panel=_MODEL)
]
