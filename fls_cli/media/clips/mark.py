"""What tells clips that `fls` cut out from recordings: a mark within the file, whatever its name.

It is a RIFF chunk of the kind that names the program which wrote a file; players pass over it.
"""

import struct

_PROGRAM = b"fls --clips\0"
_INFO = b"INFO" + b"ISFT" + struct.pack("<I", len(_PROGRAM)) + _PROGRAM
_MARK = b"LIST" + struct.pack("<I", len(_INFO)) + _INFO
# What `RIFF`, its size and `WAVE` take.
_HEADER = 12


def marked(wav: bytes) -> bytes:
    """A WAV file with the mark as its first chunk, where those who open it find it at once."""
    size = struct.unpack_from("<I", wav, 4)[0] + len(_MARK)
    return wav[:4] + struct.pack("<I", size) + wav[8:_HEADER] + _MARK + wav[_HEADER:]


def is_marked(opening: bytes) -> bool:
    """Whether a file that begins so is a clip of ours."""
    return opening.startswith(b"RIFF") and _MARK in opening
