"""Quick readers of the forms that PDF files mostly have, put in the place of pyHanko's, which go octet by octet.

Each takes only what it knows to read exactly as the library does, and hands the rest to the library's own reader from where
that would have begun. Held to the same results over a corpus and its mutations by tests/unit/signer/validation/test_readers.py.
Predicted rows alone are read as the standard says, where the library does not (rows of None and of Sub); and what streams of a long
file hold stays on disk until it is asked for.
"""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, BinaryIO

from pyhanko.pdf_utils import filters, generic, misc, xref

from signer.long_file import LongFile, LongStream

_WHITE = b"\x00\t\n\x0c\r "  # ISO 32000-2 7.2.3, table 1
_DIGITS = re.compile(rb"[0-9A-Fa-f\x00\t\n\x0c\r ]*")
_FIRST_PIECE, _PIECE = 256, 16384

_HEAD = re.compile(rb"[\x00\t\n\x0c\r ]*(\d{1,10}) (\d{1,9})(?: ?\r\n| ?\n| ?\r(?!\n))")
_LONGEST_HEAD = 40
_ROW_OCTETS = 20
_UP, _PAETH = 2, 4
# What is no longer than this is not worth another look at the file.
_KEPT = 16 * 1024
_ROWS_AT_ONCE = 4096
_WIDEST_ROW = 64
_MOST_INFLATED = 1100
# The one form of ISO 32000-2 7.5.4 that has no two readings.
_ROWS = re.compile(rb"(?:\d{10} \d{5} [nf](?: \n| \r|\r\n))*")

_SPACE = rb"[\x00\t\n\x0c\r ]"
_ONE_REFERENCE = rb"[1-9][0-9]{0,8} [0-9]{1,5} R"
_BEGINS_WITH_REFERENCE = re.compile(rb"\[" + _SPACE + rb"{0,16}" + _ONE_REFERENCE + rb"(?:" + _SPACE + rb"|\])")
_REFERENCES = re.compile(
    rb"\[" + _SPACE + rb"*" + _ONE_REFERENCE + rb"(?:" + _SPACE + rb"+" + _ONE_REFERENCE + rb")*" + _SPACE + rb"*\]"
)
_NUMBERS = re.compile(rb"([0-9]+) ([0-9]+) R")
_LONGEST_ARRAY = 1024 * 1024

LIBRARY_READ_ARRAY = generic.ArrayObject.read_from_stream
LIBRARY_READ_HEX_STRING = generic.read_hex_string_from_stream
LIBRARY_PARSE_XREF_TABLE = xref.parse_xref_table
LIBRARY_READ_PAYLOAD = generic._maybe_read_stream_payload  # noqa: SLF001  for what is odd
LIBRARY_PNG_DECODE = filters._png_decode  # noqa: SLF001  to compare with
LIBRARY_PARSE_XREF_STREAM = xref.parse_xref_stream


def install() -> None:
    """Put the quick readers in the library's place, for this process. Doing it again changes nothing."""
    generic.read_hex_string_from_stream = read_hex_string
    generic.ArrayObject.read_from_stream = staticmethod(read_array)  # type: ignore[method-assign]
    xref.parse_xref_table = parse_xref_table
    xref.parse_xref_stream = parse_xref_stream
    # There is no other way in.
    filters._png_decode = read_predicted  # noqa: SLF001
    generic._maybe_read_stream_payload = read_payload  # noqa: SLF001
    generic.StreamObject._encoded_data = property(_held_octets, _hold_octets)  # type: ignore[assignment]  # noqa: SLF001  an attribute there


def read_hex_string(stream: BinaryIO) -> generic.ByteStringObject | generic.TextStringObject:
    """A hexadecimal string (ISO 32000-2 7.3.4.3): found by its end, decoded at once. A /Contents has some twenty thousand digits."""
    begun = stream.tell()
    stream.seek(1, 1)
    pieces = []
    size = _FIRST_PIECE
    while piece := stream.read(size):
        found = _DIGITS.match(piece)
        end = found.end() if found else 0
        pieces.append(piece[:end])
        if end < len(piece):
            if piece[end] != 0x3E:  # a comment, or something that does not belong there
                break
            stream.seek(end + 1 - len(piece), 1)
            digits = b"".join(pieces).translate(None, _WHITE)
            return generic.pdf_string(unhexlify(digits + b"0" if len(digits) % 2 else digits))
        size = _PIECE
    stream.seek(begun)
    return LIBRARY_READ_HEX_STRING(stream)


def read_array(
    stream: BinaryIO, container_ref: Any, in_content_stream: generic.ContentOpReading = generic.ContentOpReading.NO
) -> generic.ArrayObject:
    """An array (ISO 32000-2 7.3.6) of references and nothing else: the kids of a page tree are thousands of them."""
    begun = stream.tell()
    piece = b"" if in_content_stream else stream.read(_FIRST_PIECE)
    if _BEGINS_WITH_REFERENCE.match(piece):
        while (end := piece.find(b"]")) < 0 and len(piece) < _LONGEST_ARRAY and (more := stream.read(_PIECE)):
            piece += more
        if end >= 0 and _REFERENCES.fullmatch(piece, 0, end + 1):
            stream.seek(begun + end + 1)
            handler, found = container_ref.get_pdf_handler(), generic.ArrayObject()
            for number, generation in _NUMBERS.findall(piece, 0, end):
                reference = generic.IndirectObject(int(number), int(generation), handler)
                reference.container_ref = container_ref
                found.append(reference)
            return found
    stream.seek(begun)
    read: generic.ArrayObject = LIBRARY_READ_ARRAY(stream, container_ref, in_content_stream)
    return read


def parse_xref_table(stream: BinaryIO, strict: bool) -> Iterator[xref.XRefEntry]:
    """A cross-reference table (ISO 32000-2 7.5.4), a subsection at a time for as long as its rows are of the one right form."""
    while True:
        begun = stream.tell()
        entries = _quick_subsection(stream)
        if entries is None:
            stream.seek(begun)
            yield from LIBRARY_PARSE_XREF_TABLE(stream, strict)
            return
        yield from entries
        # The library's own way of telling another subsection from the end.
        misc.read_non_whitespace(stream, seek_back=True)
        if stream.read(7) == b"trailer":
            misc.read_non_whitespace(stream, seek_back=True)
            return
        stream.seek(-7, 1)


def parse_xref_stream(xref_stream: generic.StreamObject, strict: bool = True) -> Iterator[xref.XRefEntry]:
    """A cross-reference stream (ISO 32000-2 7.5.8), when it holds as many rows as it says.

    The library makes up the rows that are missing, and two thousand million of them take the whole afternoon.
    """
    widths = [int(width) for width in xref_stream.get("/W", ())]
    index = [int(number) for number in xref_stream.get("/Index", (0, int(xref_stream.get("/Size", 0))))]
    rows = sum(index[1::2])
    if not widths or min(widths) < 0 or not 0 < sum(widths) <= _WIDEST_ROW or (index and min(index) < 0):
        raise misc.PdfReadError("a cross-reference stream of impossible rows")
    # Deflate makes at most 1,032 octets of one.
    if rows * sum(widths) > len(xref_stream.encoded_data) * _MOST_INFLATED:
        raise misc.PdfReadError("a cross-reference stream with fewer rows than it says")
    return LIBRARY_PARSE_XREF_STREAM(xref_stream, strict)


def _quick_subsection(stream: BinaryIO) -> list[xref.XRefEntry] | None:
    """The entries of one subsection; None, wherever the stream then is, for anything out of the ordinary."""
    begun = stream.tell()
    head = _HEAD.match(stream.read(_LONGEST_HEAD))
    if head is None:
        return None
    number, count = int(head[1]), int(head[2])
    stream.seek(begun + head.end())
    entries: list[xref.XRefEntry] = []
    while count:
        size = min(count, _ROWS_AT_ONCE) * _ROW_OCTETS
        rows = stream.read(size)
        if len(rows) != size or _ROWS.fullmatch(rows) is None:
            return None
        entries += [_entry(rows, at, number + at // _ROW_OCTETS) for at in range(0, size, _ROW_OCTETS)]
        number += size // _ROW_OCTETS
        count -= size // _ROW_OCTETS
    return entries


def _entry(rows: bytes, at: int, number: int) -> xref.XRefEntry:
    generation = int(rows[at + 11 : at + 16])
    if rows[at + 17] == 0x6E:
        return xref.XRefEntry(xref.XRefType.STANDARD, int(rows[at : at + 10]), number, generation)
    return xref.XRefEntry(xref.XRefType.FREE, None, number, generation)


def read_predicted(data: bytes | memoryview, columns: int) -> bytes:
    """Rows that are predicted as those of PNG are (ISO 32000-2 7.4.4.4), one octet a sample: cross-reference streams, above all."""
    stride = columns + 1
    if columns < 1 or len(data) % stride:
        raise misc.PdfReadError("predicted rows that are cut off")
    octets = bytes(data)
    kinds = octets[::stride]
    if kinds.count(_UP) < len(kinds):
        return _row_by_row(octets, columns)
    rows = bytearray(len(kinds) * columns)
    for column in range(columns):
        # Every row adds to the one above it, so each column is a running sum.
        rows[column::columns] = bytes(total & 0xFF for total in accumulate(octets[1 + column :: stride]))
    return bytes(rows)


def _row_by_row(octets: bytes, columns: int) -> bytes:
    rows, above = bytearray(), bytes(columns)
    for begin in range(0, len(octets), columns + 1):
        row = bytearray(octets[begin + 1 : begin + 1 + columns])
        kind = octets[begin]
        if kind > _PAETH:
            raise misc.PdfReadError("a predictor that there is not")
        left = corner = 0
        for at in range(columns if kind else 0):
            left = row[at] = (row[at] + _predicted(kind, left, above[at], corner)) & 0xFF
            corner = above[at]
        rows += row
        above = bytes(row)
    return bytes(rows)


def _predicted(kind: int, left: int, above: int, corner: int) -> int:
    """PNG (ISO/IEC 15948) 9.2: Sub, Up, Average, Paeth."""
    if kind == _PAETH:
        # The nearest to where the three would lie on a plane.
        return min((left, above, corner), key=lambda each: abs(left + above - corner - each))
    return (0, left, above, (left + above) // 2)[kind]


@dataclass(frozen=True)
class _OnDisk:
    """What a stream of a long file holds: read each time it is asked for, so that no number of streams takes memory."""

    file: LongFile
    start: int
    end: int


class _FromDisk(bytes):
    """Octets that know where they stand: another object that is given them keeps the place."""

    place: _OnDisk


def _held_octets(stream: Any) -> bytes | None:
    held: bytes | _OnDisk | None = stream.__dict__.get("held_octets")
    if not isinstance(held, _OnDisk):
        return held
    octets = _FromDisk(held.file[held.start : held.end])
    octets.place = held
    return octets


def _hold_octets(stream: Any, held: bytes | _OnDisk | None) -> None:
    stream.__dict__["held_octets"] = held.place if isinstance(held, _FromDisk) else held


def read_payload(stream: Any, entries: dict[str, Any], handler: Any) -> bytes | _OnDisk | None:
    """What stands between `stream` and `endstream`; None for a dictionary that is no stream. Long ones of a long file stay there."""
    raw = getattr(stream, "raw", None)
    begun = stream.tell()
    if isinstance(raw, LongStream) and "/Length" in entries:
        if misc.read_non_whitespace(stream, allow_eof=True) == b"s" and stream.read(5) == b"tream":
            misc.skip_over_whitespace(stream, stop_after_eol=True)
            start = stream.tell()
            length = entries["/Length"]
            if isinstance(length, generic.IndirectObject):
                length = handler.get_object(length)
            if isinstance(length, int) and length > _KEPT:
                stream.seek(start + length)
                if misc.read_non_whitespace(stream, allow_eof=True) + stream.read(8) == b"endstream":
                    return _OnDisk(raw.file, start, start + length)
        stream.seek(begun)
    held: bytes | None = LIBRARY_READ_PAYLOAD(stream, entries, handler)  # type: ignore[no-untyped-call]  # the library's
    return held
