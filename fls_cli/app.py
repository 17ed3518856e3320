"""The command `fls`: the one place where errors become messages and exit codes.

Exit codes: 0 all done, 1 some inputs failed, 2 wrong usage, 3 the environment lacks something,
130 interrupted; 129, 141 and 143 as SIGHUP, SIGPIPE and SIGTERM have it.
"""

import io
import signal
import sys
from types import FrameType
from typing import Annotated, Any

import typer

from fls_cli import __version__
from fls_cli.commands.ask import ask
from fls_cli.commands.bench.asr import asr
from fls_cli.commands.bench.data import longspeech_data
from fls_cli.commands.bench.longspeech import longspeech_eval
from fls_cli.commands.bench.qa import app as bench
from fls_cli.commands.bench.speakers import speakers
from fls_cli.commands.bench.summary import summary
from fls_cli.commands.chat import chat
from fls_cli.commands.inspect import inspect_
from fls_cli.commands.plan import plan
from fls_cli.commands.search import search
from fls_cli.commands.setup.cache import app as cache
from fls_cli.commands.setup.config import config
from fls_cli.commands.setup.doctor import doctor
from fls_cli.commands.setup.library import app as library
from fls_cli.commands.setup.models import app as models
from fls_cli.commands.setup.speakers import app as voices
from fls_cli.commands.summarize import summarize
from fls_cli.commands.train.compress import compress
from fls_cli.commands.train.ctc import app as train
from fls_cli.commands.train.data import data
from fls_cli.commands.transcribe import transcribe
from fls_cli.console import streams
from fls_cli.console.help_pages import CommandLine, HelpGroup, is_asked_for
from fls_cli.options.common import check_variables, defaults
from fls_cli.options.optional_numbers import WithOptionalNumbers
from fls_cli.session.own_models import find_own_cards
from fls_cli.storage import settings
from fls_models.core.interruptions import undisguised
from fls_models.errors import FlsError, UsageError

_HEAR = "Questions and texts"
_LOOK = "What is here, and what a question takes"
_MEASURE = "Measuring and training"


class _Fls(HelpGroup):
    start = (
        ('fls ask FILE "QUESTION"', "Get an answer; the model, 642 MB, is fetched once."),
        ("fls ask --help", "See all its options; every command has --help."),
        ("fls doctor", "See what this machine lacks, if anything."),
        ("fls models pull mini", "Fetch the model now, for use without a network."),
    )


app = CommandLine(
    name="fls",
    cls=_Fls,
    help="Ask questions of long recordings from a shell.",
    epilog="Models and what was heard lie in ~/.cache/fls, or in the folder that FLS_CACHE names. "
    "`fls config --init` writes ~/.config/fls/config.toml, where settings are yours to change.",
)
app.command("ask", cls=WithOptionalNumbers, rich_help_panel=_HEAR)(ask)
app.command("summarize", cls=WithOptionalNumbers, rich_help_panel=_HEAR)(summarize)
app.command("transcribe", rich_help_panel=_HEAR)(transcribe)
app.command("chat", cls=WithOptionalNumbers, rich_help_panel=_HEAR)(chat)
app.command("search", rich_help_panel=_HEAR)(search)
app.command("plan", rich_help_panel=_LOOK)(plan)
app.command("inspect", rich_help_panel=_LOOK)(inspect_)
app.command("doctor", rich_help_panel=_LOOK)(doctor)
app.command("config", rich_help_panel=_LOOK)(config)
app.add_typer(models, name="models", rich_help_panel=_LOOK)
app.add_typer(library, name="library", rich_help_panel=_LOOK)
app.add_typer(voices, name="speakers", rich_help_panel=_LOOK)
app.add_typer(cache, name="cache", rich_help_panel=_LOOK)
bench.command("asr")(asr)
bench.command("speakers")(speakers)
bench.command("summary")(summary)
bench.command("longspeech-eval")(longspeech_eval)
bench.command("longspeech-data")(longspeech_data)
app.add_typer(bench, name="bench", rich_help_panel=_MEASURE)
train.command("compress")(compress)
train.command("data")(data)
app.add_typer(train, name="train", rich_help_panel=_MEASURE)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"fls {__version__}")
        raise typer.Exit


@app.callback()
def options(
    context: typer.Context,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_version, is_eager=True, help="Print the version."),
    ] = False,
) -> None:
    """Options of `fls` itself; and the user's settings become the defaults of all commands."""
    find_own_cards()
    # These two read the settings themselves, to say where each comes from or what is wrong.
    if context.invoked_subcommand in ("config", "doctor"):
        return
    try:
        group: Any = context.command
        check_variables(group.commands[context.invoked_subcommand], sys.argv)
        context.default_map = defaults(group, settings.take_effect())
    except UsageError:
        # Whoever asks for help gets it, above all when something is wrong.
        if not is_asked_for(sys.argv):
            raise


def main() -> None:
    """Runs `fls` and leaves with its exit code."""
    streams.open_closed()
    # So that temporary copies are removed when the process is told to end, too.
    for number in (signal.SIGTERM, signal.SIGHUP):
        # What nohup starts goes on.
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _terminated)
    # What the terminal's alphabet lacks becomes a question mark.
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")
    try:
        with undisguised():
            try:
                app(prog_name="fls")
            finally:
                # Here, and not when Python ends, where nobody could say what is wrong.
                sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(130)
    except FlsError as error:
        streams.complain(f"{error}{settings.origin(str(error), sys.argv)}")
        sys.exit(error.exit_code)
    except OSError as error:
        sys.exit(streams.leave(error))
    except SystemExit as left:
        # Typer has a code of its own for a reader that is gone.
        if isinstance(gone := left.__context__, BrokenPipeError):
            sys.exit(streams.leave(gone))
        raise


def _terminated(number: int, frame: FrameType | None) -> None:
    sys.exit(128 + number)
