"""Incremental updates written octet by octet (ISO 32000-2 7.5.6), for what no library would agree to write."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

_ROOT = re.compile(rb"/Root\s+(\d+ \d+ R)")
_POINTER = re.compile(rb"startxref\s+(\d+)")
_SIZE = re.compile(rb"/Size\s+(\d+)")
_HEADER = re.compile(rb"(?<!\d)(\d+) 0 obj\b")


def size_of(pdf: bytes) -> int:
    """/Size of the newest trailer: the first number that is free."""
    return int(_SIZE.findall(pdf)[-1])


def pointer_of(pdf: bytes) -> int:
    """Where the newest cross-reference section begins."""
    return int(_POINTER.findall(pdf)[-1])


def root_of(pdf: bytes) -> bytes:
    """The newest trailer's reference to the catalogue."""
    found: list[bytes] = _ROOT.findall(pdf)
    return found[-1]


def object_of(pdf: bytes, number: int) -> bytes:
    """The newest definition of an object that stands by itself: what is between `obj` and `endobj`."""
    begun = [match.end() for match in _HEADER.finditer(pdf) if int(match[1]) == number][-1]
    return pdf[begun : pdf.index(b"endobj", begun)].strip()


def place_of(pdf: bytes, number: int) -> int:
    """Where the newest definition of an object begins."""
    return next(match.start() for match in reversed(list(_HEADER.finditer(pdf))) if int(match[1]) == number)


def number_of(pdf: bytes, *words: bytes) -> int:
    """The number of the newest object in whose definition all the words stand."""
    for match in reversed(list(_HEADER.finditer(pdf))):
        if all(word in pdf[match.end() : pdf.index(b"endobj", match.end())] for word in words):
            return int(match[1])
    raise LookupError(words)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    """A stream object of these octets."""
    return b"<< %s /Length %d >>\nstream\n%s\nendstream" % (entries, len(data), data)


def appended(
    pdf: bytes,
    objects: Mapping[int, bytes],
    *,
    rows: Sequence[tuple[int, bytes]] = (),
    size: int | None = None,
    previous: int | None = None,
    root: bytes | None = None,
    trailer: bytes = b"",
) -> bytes:
    """The file with one update: objects, their table, a trailer, the pointer and the end, all as a reader expects.

    `rows` are further rows of the table, after those of the objects: (number, the 18 octets before the line's end).
    """
    out = pdf if pdf.endswith(b"\n") else pdf + b"\n"
    places = []
    for number, definition in objects.items():
        places.append((number, b"%010d 00000 n" % len(out)))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, definition)
    start = len(out)
    out += b"xref\n" + b"".join(b"%d 1\n%s \n" % row for row in (*sorted(places), *rows))
    numbers = [number + 1 for number, _ in (*places, *rows)]
    entries = b"/Size %d /Root %s /Prev %d %s" % (
        max([size_of(pdf), *numbers]) if size is None else size,
        root or root_of(pdf),
        pointer_of(pdf) if previous is None else previous,
        trailer,
    )
    return out + b"trailer\n<< %s >>\nstartxref\n%d\n%%%%EOF\n" % (entries, start)
