"""Where a token's PIN is read from: a file, or a descriptor that a parent process opened. It appears in no message."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from hsm.errors import PinMissing

# Far longer than any token allows; a larger file is something else.
_LONGEST = 4096


@dataclass(frozen=True)
class PinDescriptor:
    """An open descriptor of a file with the PIN. Read with an offset, so that whoever inherits it can read it again."""

    number: int

    def __str__(self) -> str:
        return f"fd:{self.number}"


PinSource = Path | PinDescriptor


def read_pin(source: PinSource) -> str:
    """The PIN: the source's text without the line end. Read anew each time, so a mended file counts."""
    try:
        octets = _read_descriptor(source.number) if isinstance(source, PinDescriptor) else _read_file(source)
        pin = octets.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise _missing(f"cannot read the PIN file: {type(error).__name__}", source) from None
    if not pin:
        raise _missing("the PIN file is empty", source)
    if len(octets) > _LONGEST:
        raise _missing("the PIN file is too long for a PIN", source)
    if "\0" in pin:
        raise _missing("the PIN file holds a zero octet", source)
    return pin


def check_pin_source(source: PinSource) -> None:
    """Raise PinMissing for a descriptor that a successor could not read again: a pipe or a socket."""
    if isinstance(source, Path):
        return
    try:
        mode = os.fstat(source.number).st_mode
    except OSError as error:
        raise _missing(f"the PIN's descriptor is not open: {type(error).__name__}", source) from None
    if not stat.S_ISREG(mode):
        raise _missing("the PIN's descriptor is no regular file; a pipe can be read only once", source)


def _read_file(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_LONGEST + 1)


def _read_descriptor(number: int) -> bytes:
    check_pin_source(PinDescriptor(number))
    return os.pread(number, _LONGEST + 1, 0)


def _missing(told: str, source: PinSource) -> PinMissing:
    return PinMissing(told, pin_file=str(source))
