"""PDFs as long as one wants, written page by page: each page has a line of text and an attachment's worth of octets that nothing compresses."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

_HEAD = b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n"


def write_large(path: Path, octets: int, pages: int, *, streams: bool = False) -> None:
    """A file of about so many octets. `streams`: cross-reference and object streams, as newer programs write them, instead of a table."""
    noise = random.Random(pages).randbytes(1024 * 1024)
    each = max(0, octets // pages - 300)
    with path.open("wb") as file:
        for piece in _file(pages, each, noise, streams=streams):
            file.write(piece)


def large_pdf(pages: int, octets_of_page: int = 2000, *, streams: bool = False) -> bytes:
    """The same in memory."""
    return b"".join(_file(pages, octets_of_page, random.Random(pages).randbytes(1024 * 1024), streams=streams))


def _file(pages: int, each: int, noise: bytes, *, streams: bool) -> Iterator[bytes]:
    at = len(_HEAD)
    yield _HEAD
    offsets: dict[int, int] = {}
    # 1 catalog, 2 page tree, 3 font, then content and page by turns.
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R >>",
        2: b"<< /Type /Pages /Count %d /Kids [%b] >>"
        % (pages, b" ".join(b"%d 0 R" % (5 + 2 * n) for n in range(pages))),
        3: b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    }
    for page in range(pages):
        text = b"BT /F 12 Tf 60 780 Td (Page %d) Tj ET %%" % (page + 1)
        head = b"%d 0 obj\n<< /Length %d >>\nstream\n%b" % (4 + 2 * page, len(text) + each, text)
        offsets[4 + 2 * page] = at
        at += len(head) + each + 18
        yield head
        for begin in range(0, each, len(noise)):
            # No line ends in it: all of it is one comment.
            yield noise[: min(len(noise), each - begin)].translate(_ONE_LINE)
        yield b"\nendstream\nendobj\n"
        objects[5 + 2 * page] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F 3 0 R >> >> >>" % (4 + 2 * page)
        )
    yield from _with_streams(objects, offsets, at) if streams else _with_table(objects, offsets, at)


_ONE_LINE = bytes(octet if octet not in b"\r\n" else 0x20 for octet in range(256))


def _with_table(objects: dict[int, bytes], offsets: dict[int, int], at: int) -> Iterator[bytes]:
    for number, body in objects.items():
        text = b"%d 0 obj\n%b\nendobj\n" % (number, body)
        offsets[number] = at
        at += len(text)
        yield text
    size = max(offsets) + 1
    yield b"xref\n0 %d\n0000000000 65535 f \n" % size
    yield b"".join(b"%010d 00000 n \n" % offsets[number] for number in range(1, size))
    yield b"trailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, at)


def _with_streams(objects: dict[int, bytes], offsets: dict[int, int], at: int) -> Iterator[bytes]:
    """A hundred objects an object stream; rows predicted from those above, and deflated."""
    numbers = sorted(objects)
    number = max(*numbers, *offsets) + 1
    inside: dict[int, tuple[int, int]] = {}
    for begin in range(0, len(numbers), 100):
        held = numbers[begin : begin + 100]
        heads, bodies = [], b""
        for index, each in enumerate(held):
            heads.append(b"%d %d" % (each, len(bodies)))
            bodies += objects[each] + b"\n"
            inside[each] = (number, index)
        first = b" ".join(heads) + b"\n"
        data = zlib.compress(first + bodies)
        text = b"%d 0 obj\n<< /Type /ObjStm /N %d /First %d /Filter /FlateDecode /Length %d >>\nstream\n%b\nendstream\nendobj\n"
        text %= (number, len(held), len(first), len(data), data)
        offsets[number] = at
        at += len(text)
        yield text
        number += 1
    offsets[number] = at
    rows, above = b"", bytes(7)
    for each in range(number + 1):
        kind, middle, last = (
            (1, offsets[each], 0) if each in offsets else (2, *inside[each]) if each in inside else (0, 0, 0)
        )
        row = b"%c%b%b" % (kind, middle.to_bytes(5, "big"), last.to_bytes(1, "big"))
        rows += b"\2" + bytes((new - old) & 0xFF for new, old in zip(row, above, strict=True))
        above = row
    data = zlib.compress(rows)
    yield (
        b"%d 0 obj\n<< /Type /XRef /Size %d /Root 1 0 R /W [1 5 1] /Filter /FlateDecode "
        b"/DecodeParms << /Predictor 12 /Columns 7 >> /Length %d >>\nstream\n%b\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n"
    ) % (number, number + 1, len(data), data, at)
