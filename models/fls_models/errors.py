"""The one tree of errors. Each message is a sentence that says what to do next.

`fls_cli.app` is the only place that turns these into text on stderr and an exit code.
"""


class FlsError(Exception):
    """Anything `fls` refuses or fails to do; `exit_code` is the process's."""

    exit_code = 1


class UsageError(FlsError):
    """The request itself is wrong: unknown name, contradictory options."""

    exit_code = 2


class InputError(FlsError):
    """One input cannot be used; other inputs of the same command still can."""


class MissingInput(InputError):
    """There is no such file."""


class EmptyInput(InputError):
    """The file, the pipe or the asked-for stretch holds nothing."""


class NotMedia(InputError):
    """ffmpeg knows no way to read the file."""


class NoAudioTrack(InputError):
    """The file is media, but has no audio (or not that track)."""


class Unreachable(InputError):
    """A URL did not answer."""


class RefusedInput(InputError):
    """The input would make ffmpeg open other files or hosts."""


class EnvironmentLacks(FlsError):
    """This machine lacks something; the message names the command that provides it."""

    exit_code = 3


class FfmpegMissing(EnvironmentLacks):
    """No ffmpeg in the imageio-ffmpeg wheel and none on PATH, or FLS_FFMPEG names none."""


class OthersGone(EnvironmentLacks):
    """Another process of a training run has ended; what was agreed on until then is whole."""


class WeightsMissing(EnvironmentLacks):
    """A model's weights are not in the cache and could not be fetched."""


class DamagedWeights(EnvironmentLacks):
    """Weights are present but are not what the card says."""


class DiskFull(EnvironmentLacks):
    """Not enough free space for what would be written."""
