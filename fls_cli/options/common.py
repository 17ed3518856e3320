"""Options that several commands share, each with its help in one place.

Those with a variable are settings: users may set them once for all commands (`settings.py`).
"""

import os
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from fls_cli.session.engine import READERS
from fls_cli.session.evidence_files import EVIDENCE
from fls_cli.sources.folders import MEDIA_SUFFIXES
from fls_cli.storage import settings
from fls_models.core.budget import NAMES
from fls_models.errors import UsageError
from fls_models.transcription.language_names import language_codes

# Options under the headings that they have in the help.
_reading = partial(typer.Option, rich_help_panel="What to read")
_model = partial(typer.Option, rich_help_panel="Model")
_output = partial(typer.Option, rich_help_panel="Output")
_large = partial(typer.Option, rich_help_panel="Large models")

# Files that are no text, or of a form of their own that nothing here writes.
_NOT_WRITTEN = frozenset(
    {".ass", ".csv", ".dfxp", ".doc", ".docx", ".epub", ".htm", ".html", ".odt", ".pdf", ".rtf"}
    | {".sbv", ".ssa", ".ttml", ".xlsx", ".xml", ".yaml", ".yml"}
)


def defaults(group: Any, values: Mapping[str, settings.Value]) -> dict[str, Any]:
    """Values that stand for unset variables, as the `default_map` of a click group.

    Every command below gets those of the variables that its options name.
    """
    result: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            result[name] = defaults(command, values)
        else:
            result[name] = {
                option.name: values[option.envvar]
                for option in command.params
                if isinstance(option.envvar, str) and option.envvar in values
            }
    return result


def check_variables(command: Any, arguments: Sequence[str]) -> None:
    """Raises UsageError for a number or a flag that a variable holds wrongly, as settings say it.

    Only of variables that options of the command, or of those below it, name; `arguments` win.
    """
    if hasattr(command, "commands"):
        for each in command.commands.values():
            check_variables(each, arguments)
        return
    variables = {
        option.envvar
        for option in command.params
        if not any(name in arguments for name in (*option.opts, *option.secondary_opts))
    }
    for setting in settings.SETTINGS:
        text = os.environ.get(setting.variable)
        if text and setting.variable in variables and not isinstance(setting.default, str):
            setting.from_variable(text)


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
    return language_codes(value)


def _place(value: str | None) -> str | None:
    """None for stdout; raises UsageError for a file that would not be what its name says."""
    if value == "-":
        return None
    place = Path(value or "")
    suffix = place.suffix.lower()
    if suffix in _NOT_WRITTEN | MEDIA_SUFFIXES and not place.is_dir():
        raise UsageError(
            f"{value}: fls writes text, no {suffix[1:]} files; let the name end in .txt, .md or "
            ".json, or in another of the forms that `fls transcribe --help` names."
        )
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
    _model(
        "--budget",
        "-b",
        metavar="BUDGET",
        help="How much of the recording is read: fast, balanced or accurate.",
        autocompletion=_complete_budget,
        envvar="FLS_BUDGET",
        callback=_checked,
    ),
]
TargetLength = Annotated[
    int | None,
    _model(
        metavar="N",
        help="Read this many tokens of a transcript, or frames of the sound, whatever the budget.",
    ),
]
TargetFrames = Annotated[
    int | None,
    _model("--target-length", metavar="N", help="Read this many frames, whatever the budget."),
]
Model = Annotated[
    str,
    _model(
        "--model",
        "-m",
        metavar="MODEL",
        help="auto, a model's name (fls models list), or a folder.",
        autocompletion=_complete_model,
        envvar="FLS_MODEL",
    ),
]
Read = Annotated[
    str,
    _model(
        metavar="WHAT",
        help="What is read: text of a transcript (mini, small), frames of the sound (mini, large "
        "models), or auto.",
        autocompletion=_complete_read,
    ),
]
Llm = Annotated[
    str | None,
    _model(
        metavar="FILE.gguf",
        help="Another language model in the model's place: Qwen2, 2.5 or 3, Llama 3, Gemma 3, "
        "SmolLM2 or Phi as GGUF. See also fls models add.",
        show_default=False,
    ),
]
Ears = Annotated[
    str | None,
    _model(
        metavar="FOLDER",
        help="Another Whisper in the model's place, as CTranslate2 or transformers keeps it.",
        show_default=False,
    ),
]
Language = Annotated[
    str | None,
    _reading(
        metavar="LANGUAGE,...",
        help="The language spoken (de, german, ...), or those that may be (de,en); any is detected "
        "unless given.",
        envvar="FLS_LANGUAGE",
        callback=_language,
    ),
]
Track = Annotated[
    int | None, _reading(metavar="N", help="Which audio track, from 0; the default is the best.")
]
Channels = Annotated[
    str,
    _reading(
        metavar="mix|left|right|each|N",
        help="Which channels are heard; N counts from 1, each is a speaker a channel.",
    ),
]
Raw = Annotated[
    str | None,
    _reading(
        metavar="FORMAT:RATE:CHANNELS",
        help="What samples without a header are, as in s16le:8000:1, mulaw or gsm.",
    ),
]
Start = Annotated[str | None, _reading(metavar="TIME", help="From here: 1:02:03, 90s.")]
End = Annotated[str | None, _reading(metavar="TIME", help="Up to here.")]
FromFile = Annotated[
    Path | None,
    _reading(metavar="LIST", help="Read names of sources from this file, one a line; - for stdin."),
]
Jobs = Annotated[
    int,
    _reading(
        "--jobs",
        "-j",
        metavar="N",
        min=1,
        help="Decode so many recordings ahead while the model works.",
        envvar="FLS_JOBS",
    ),
]
Cache = Annotated[
    bool,
    _reading(
        "--cache/--no-cache",
        help="Keep what was heard, for the next question.",
        # FLS_CACHE is the folder, of weights too.
        envvar="FLS_KEEP",
    ),
]
Speakers = Annotated[
    str | None,
    _reading(
        "--speakers",
        metavar="COUNT",
        help="Say who speaks: auto, or how many speakers there are (3, 2-4), at most 50.",
        show_default=False,
    ),
]
SpeakerNames = Annotated[
    list[str] | None,
    _reading(
        "--speaker-name",
        metavar="WHO=NAME",
        help="What a speaker is called: S1=Anna, or 0:12=Anna for who speaks then. Repeatable.",
        show_default=False,
    ),
]
OwnWords = Annotated[
    str,
    _reading(
        "--vocabulary",
        metavar="WORDS|FILE",
        help="Names and words as you write them, with commas, or one a line in a file; they are "
        "written where they are heard.",
        show_default=False,
        envvar="FLS_VOCABULARY",
    ),
]
Replace = Annotated[
    str,
    _reading(
        metavar="FILE",
        help="Lines of wrong=right: what is written is changed so.",
        show_default=False,
        envvar="FLS_REPLACE",
    ),
]
InitialPrompt = Annotated[
    str,
    _reading(
        metavar="TEXT",
        help="Text as it might stand before: Whisper goes on in its manner.",
        show_default=False,
        envvar="FLS_INITIAL_PROMPT",
    ),
]
WhisperTask = Annotated[
    str,
    _reading(
        "--task",
        metavar="TASK",
        help="transcribe, or translate into English by Whisper's own means, which are weak.",
    ),
]
Json = Annotated[bool, _output("--json", help="One JSON object a line.")]
Output = Annotated[
    str | None,
    _output(
        "--output",
        "-o",
        metavar="PLACE",
        callback=_place,
        help="Write to this file, all or nothing; or below this folder/, a file for each source; "
        "- for stdout.",
    ),
]
Evidence = Annotated[
    int | None,
    _output(
        metavar="[N]",
        min=0,
        help=f"Where in the recording the answer comes from: at most N passages, {EVIDENCE} unless "
        "told. JSON has them anyway.",
    ),
]
Clips = Annotated[
    Path | None,
    _output(
        metavar="FOLDER",
        help="Cut these passages out of the recording, as WAV files in this folder.",
    ),
]
Report = Annotated[
    str | None,
    _output(
        metavar="PAGE",
        help="Write one HTML page with the sound, the answers and their evidence to play; or a "
        "page for each recording, below this folder/.",
    ),
]
ShardOf = Annotated[
    str | None,
    _output(
        "--shard",
        metavar="I/N",
        help="Do part I of N, below a folder/: N runs, on any machines, do what one does.",
    ),
]
Force = Annotated[bool, _output("--force", help="Do finished outputs again.")]
Quiet = Annotated[
    bool, _output("--quiet/--no-quiet", help="No progress and notes.", envvar="FLS_QUIET")
]
Offline = Annotated[
    bool, _model("--offline/--no-offline", help="Never fetch model weights.", envvar="FLS_OFFLINE")
]
MaxTokens = Annotated[int, _model(metavar="N", min=1, help="Longest answer.")]
Device = Annotated[
    str, _large(metavar="DEVICE", help="Where a large model runs: auto, cpu, cuda or cuda:N.")
]
Dtype = Annotated[str, _large(metavar="DTYPE", help="A large model's weights: nf4, int8 or bf16.")]
LowMemory = Annotated[
    bool,
    _large(
        "--low-memory",
        help="Keep a large model's embedding table, and its audio tower while it answers, off the "
        "GPU.",
    ),
]
Head = Annotated[
    Path | None,
    _large(metavar="FILE", help="A CTC head for a model that comes without one: safetensors."),
]
CtcVocabulary = Annotated[
    Path | None,
    _large(
        "--ctc-vocab",
        metavar="FILE",
        help="The CTC head's SentencePiece model: words are timed by the head.",
    ),
]
Compress = Annotated[
    bool,
    _large("--no-compress", help="Read every frame of a recording, without fusion: the baseline."),
]
Rope = Annotated[
    str,
    _large(
        metavar="WAY",
        help="With --no-compress, how the model's window is stretched to hold all frames: ntk.",
    ),
]
Temperature = Annotated[
    float, _model(metavar="T", min=0.0, help="0 takes the likeliest word; above, words are drawn.")
]
Seed = Annotated[int, _model(metavar="N", help="For drawing words.")]
