"""`fls speakers`: voices that have a name, so that they are known again in any recording."""

import json
from math import floor
from typing import Annotated

import typer

from fls_cli.console.help_pages import CommandLine
from fls_cli.options import common as options
from fls_cli.options.choices import Manners, Passage
from fls_cli.options.groups import grouped
from fls_cli.session.hearing.speaker_wish import SpeakerWish, parse_key, shown
from fls_cli.session.hearing.speakers import SpeakerSearch
from fls_cli.session.request import ListenRequest
from fls_cli.session.session import Session
from fls_cli.sources.resolve import open_sources
from fls_cli.storage.voices import (
    check_voice,
    forget_voices,
    keep_voice,
    known_voices,
    speaker_name,
)
from fls_models.core.timestamps import clock_time
from fls_models.errors import InputError, UsageError

app = CommandLine(
    help="Give voices names, by which --speakers calls them in every recording.\n\n"
    "Example: fls speakers add Anna episode-1.mp3 --start 0:10 --end 0:40",
)

# Seconds of a voice that are enough, and which share of a sample may be somebody else's.
_ENOUGH = 4.0
_OTHERS = 0.1
# As alike as two real voices hardly ever are.
_ALIKE = 0.86


@app.command()
@grouped
def add(
    *,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the speaker is called.")],
    sources: Annotated[
        list[str], typer.Argument(metavar="SAMPLE...", help="Recordings in which they speak.")
    ],
    speaker: Annotated[
        str | None,
        typer.Option(
            metavar="WHO",
            help="Which of several speakers it is: S1 as --speakers calls them, or 0:12 for who "
            "speaks then.",
        ),
    ] = None,
    passage: Passage,
    keep: options.Cache = True,
    manners: Manners,
) -> None:
    """Learn how somebody sounds, from one sample or more.

    Ten seconds are enough. It is kept as numbers beside the file of settings, until `fls speakers
    remove`, and used where --speakers is given.

    Example: fls speakers add Anna episode-1.mp3 --speaker S2
    """
    name = speaker_name(name)
    who = None if speaker is None else parse_key(speaker)
    if speaker is not None and who is None:
        raise UsageError(f"--speaker takes S1 or 0:12, not {speaker!r}.")
    check_voice(name)
    with manners.session(keep=keep) as session:
        for problem in known_voices().problems:
            session.say(problem)
        audio_range = passage.audio_range(None)
        with open_sources(
            sources, failed=session.fail, note=session.say, progress=session.bars
        ) as found:
            session.source_count = len(found) + session.failures
            for source in found:
                request = ListenRequest(source, audio_range, "balanced")
                try:
                    _add(session, name, who, request)
                except InputError as error:
                    session.blame(source, error)
        session.finish()


@app.command("list")
def list_(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON array.")] = False,
) -> None:
    """Show whose voices are known, and from how many seconds of how many samples.

    Example: fls speakers list
    """
    known = known_voices()
    for problem in known.problems:
        typer.echo(f"fls: {problem}", err=True)
    rows = [
        {"name": each.name, "seconds": round(each.seconds, 1), "samples": len(each.samples)}
        for each in known.voices
    ]
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
        return
    if not rows and not known.problems:
        typer.echo("fls: no voice has a name yet; see fls speakers add --help", err=True)
    width = max((len(str(row["name"])) for row in rows), default=0)
    for row in rows:
        samples = "1 sample" if row["samples"] == 1 else f"{row['samples']} samples"
        typer.echo(f"{row['name']:<{width}}  {row['seconds']:>6.0f} s  {samples}")


@app.command()
def remove(
    names: Annotated[list[str], typer.Argument(metavar="NAME...", help="Whose voices.")],
) -> None:
    """Forget how somebody sounds.

    Example: fls speakers remove Anna
    """
    forget_voices(names)


def _add(session: Session, name: str, who: str | float | None, request: ListenRequest) -> None:
    """Learns from one sample; raises InputError for one that is not of a single voice."""
    source = request.source

    def say(text: str) -> None:
        session.say(f"{source.name}: {text}")

    found = SpeakerSearch(request, SpeakerWish(), session.memory, say).find()
    seconds = dict.fromkeys(found.labels, 0.0)
    for turn in found.turns:
        seconds[turn.speaker] += turn.end - turn.start
    if who is not None:
        label = found.label(who, say)
        if not label:
            there = ", ".join(found.labels) or "nobody"
            problem = (
                f"there is no {who}" if isinstance(who, str) else f"nobody speaks at {shown(who)}"
            )
            raise InputError(f"{source.name}: {problem}; there is {there}.")
    else:
        label = max(seconds, key=lambda each: seconds[each], default="")
        if seconds and 1 - seconds[label] / sum(seconds.values()) > _OTHERS:
            firsts = {turn.speaker: turn.start for turn in reversed(found.turns)}
            voices = ", ".join(f"{each} from {clock_time(firsts[each])}" for each in found.labels)
            raise InputError(
                f"{source.name} holds {len(seconds)} voices ({voices}); say with --speaker which "
                f"is {name}, or with --start and --end where only {name} speaks."
            )
    if not found.turns:
        raise InputError(f"{source.name}: no voice is heard in it; take a sample of {name} alone.")
    voice = found.voices.get(label)
    if voice is None or voice.seconds < _ENOUGH:
        # Cut off: what is too short does not read as if it were long enough.
        heard = 0 if voice is None else floor(voice.seconds * 10) / 10
        raise InputError(
            f"{source.name}: {heard:g} s of a single voice were heard; {_ENOUGH:.0f} are needed."
        )
    for each in known_voices().voices:
        likeness = min(1.0, max(sample.likeness(voice) for sample in each.voices))
        if each.name == name and likeness < _ALIKE:
            say(
                f"does not sound like {name} so far ({likeness:.2f}); kept as another sample. "
                f"Is it somebody else? fls speakers remove {name}, and add the others anew"
            )
        elif each.name != name and likeness >= _ALIKE:
            say(f"sounds like {each.name}, too ({likeness:.2f}); they may be mistaken")
    known = keep_voice(name, voice)
    typer.echo(f"{name}: {voice.seconds:.0f} s of {source.name}; {known.seconds:.0f} s are known")
