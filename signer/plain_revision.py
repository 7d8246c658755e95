"""One revision appended to a plain PDF: objects, cross-reference section and trailer, with a hole for a CMS if there is one."""

from __future__ import annotations

import os
from collections.abc import Sequence

from signer.octets import Octets
from signer.plain_base import PlainPdf
from signer.plain_pdf import NotPlain, RawDictionary

_RANGE_WIDTH = 48


class PlainRevision:
    """Collects the objects of a revision in the order they are written (ISO 32000-2 7.5.6)."""

    def __init__(self, pdf: Octets, base: PlainPdf) -> None:
        self._base = base
        self._start = len(pdf)
        self._out = bytearray(b"" if pdf[-1:] in (b"\n", b"\r") else b"\n")
        self._offsets: dict[int, int] = {}
        self._next = base.size
        self._hole: tuple[int, int] | None = None
        self._range_at = 0

    def new_number(self) -> int:
        """A number that no object of the file has."""
        self._next += 1
        return self._next - 1

    def write(self, number: int, text: bytes) -> None:
        """An object, new or in the place of an older one."""
        self._offsets[number] = self._start + len(self._out)
        self._out += b"%d 0 obj\n%b\nendobj\n" % (number, text)

    def write_stream(self, octets: bytes, entries: bytes = b"") -> int:
        """A stream of these octets as they are, with these entries in its dictionary; its number."""
        number = self.new_number()
        self._offsets[number] = self._start + len(self._out)
        self._out += b"%d 0 obj\n<< %b/Length %d >>\nstream\n" % (number, entries, len(octets))
        self._out += octets
        self._out += b"\nendstream\nendobj\n"
        return number

    def write_signature(self, number: int, entries: bytes, contents_octets: int) -> None:
        """A signature dictionary with an empty hole; its ranges are filled in at the end."""
        self._offsets[number] = self._start + len(self._out)
        self._out += b"%d 0 obj\n<< %b\n/Contents " % (number, entries)
        start = self._start + len(self._out)
        self._out += b"<%b>" % (b"0" * (2 * contents_octets))
        self._hole = (start, self._start + len(self._out))
        self._out += b"\n/ByteRange "
        self._range_at = len(self._out)
        self._out += b" " * _RANGE_WIDTH + b">>\nendobj\n"

    def finish(self) -> tuple[bytes, tuple[int, int] | None]:
        """The octets to append, and where the hole is."""
        at = self._start + len(self._out)
        if self._base.in_streams:
            number = self.new_number()
            self._offsets[number] = at
            self._out += _cross_reference_stream(self._base, self._offsets, number, at)
        else:
            self._out += _cross_references(self._base, self._offsets, at)
        if self._hole is not None:
            start, end = self._hole
            ranges = b"[0 %d %d %d]" % (start, end, self._start + len(self._out) - end)
            self._out[self._range_at : self._range_at + _RANGE_WIDTH] = ranges.ljust(_RANGE_WIDTH)
        return bytes(self._out), self._hole


def with_annotation(base: PlainPdf, *numbers: int) -> bytes:
    """The first page with some annotations more. An array elsewhere in the file is left to the library."""
    return annotated(base.page, numbers)


def annotated(page: RawDictionary, numbers: Sequence[int]) -> bytes:
    """The same of any page."""
    present = page.entries.get(b"/Annots", b"[]")
    if not present.startswith(b"["):
        raise NotPlain("annotations of their own object")
    return page.with_entry(b"/Annots", with_references(present, numbers))


def with_references(array: bytes, numbers: Sequence[int]) -> bytes:
    """An array with some references more at its end."""
    more = b"".join([b" %d 0 R" % number for number in numbers])
    return b"%b%b]" % (array[:-1].rstrip(), more)


def _runs(offsets: dict[int, int]) -> list[list[int]]:
    """The numbers in order, those that follow each other together."""
    runs: list[list[int]] = []
    for number in sorted(offsets):
        if runs and runs[-1][-1] == number - 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    return runs


def _cross_references(base: PlainPdf, offsets: dict[int, int], at: int) -> bytes:
    lines = [b"xref\n"]
    for run in _runs(offsets):
        lines.append(b"%d %d\n" % (run[0], len(run)))
        lines += [b"%010d 00000 n \n" % offsets[number] for number in run]
    lines.append(b"trailer\n<< %b >>\nstartxref\n%d\n%%%%EOF\n" % (_trailer(base, offsets), at))
    return b"".join(lines)


def _cross_reference_stream(base: PlainPdf, offsets: dict[int, int], number: int, at: int) -> bytes:
    """A file whose sections are streams goes on with one (ISO 32000-2 7.5.8.1); what is in it is too little to be worth deflating."""
    width = (at.bit_length() + 7) // 8
    runs = _runs(offsets)
    rows = b"".join(b"\x01%b\x00" % offsets[each].to_bytes(width, "big") for run in runs for each in run)
    index = b" ".join(b"%d %d" % (run[0], len(run)) for run in runs)
    head = b"/Type /XRef %b /Index [%b] /W [1 %d 1] /Length %d" % (_trailer(base, offsets), index, width, len(rows))
    return b"%d 0 obj\n<< %b >>\nstream\n%b\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % (number, head, rows, at)


def _trailer(base: PlainPdf, offsets: dict[int, int]) -> bytes:
    trailer = base.trailer.entries
    kept = b" /Root %b" % trailer[b"/Root"]
    if b"/Info" in trailer:
        kept += b" /Info %b" % trailer[b"/Info"]
    size = max(base.size, max(offsets) + 1)
    return b"/Size %d%b%b /Prev %d" % (size, kept, _file_id(base), base.start)


def _file_id(base: PlainPdf) -> bytes:
    """The first identifier stays, the second is new with every revision (ISO 32000-2 14.4)."""
    fresh = os.urandom(16).hex().upper().encode("ascii")
    present = base.trailer.entries.get(b"/ID", b"")
    first, _, _ = present.strip(b"[] \r\n\t").partition(b">")
    if not present.startswith(b"[") or not first.startswith(b"<"):
        return b" /ID [<%b> <%b>]" % (fresh, fresh)
    return b" /ID [%b> <%b>]" % (first, fresh)
