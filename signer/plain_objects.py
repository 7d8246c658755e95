"""Every object of a plain PDF, read through: each row leads to one, each ends, each stream is as long as it says.

Stricter than plain_references.py, which reads only what it is asked for. Whatever is odd raises NotPlain.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from signer.plain_base import PlainPdf
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, reference, skip_blank, skip_value

_ROWS = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \n| \r|\r\n)")
_ROW_OCTETS = 20
_HEAD = re.compile(rb"(\d{1,10}) 0 obj\b")
_STREAM = re.compile(rb"\s*stream\r?\n")
_STREAM_END = re.compile(rb"\s*endstream\s+endobj\b")
_END = re.compile(rb"\s*endobj\b")
_INTEGER = re.compile(rb"\d{1,10}")
_MOST = 20_000


class PlainObjects:
    """All objects in use. `values`: the octets of each, of a stream its dictionary; `dictionaries`: those that are one."""

    def __init__(self, pdf: bytes, base: PlainPdf) -> None:
        self._pdf = pdf
        self._streams: dict[int, tuple[int, int]] = {}
        self.values: dict[int, bytes] = {}
        self.dictionaries: dict[int, RawDictionary] = {}
        places = _places(pdf, base)
        lengths: dict[int, int] = {}
        for number, at in places.items():
            self._read(number, at, lengths)
        for number, length in lengths.items():
            self._close(number, self._integer(length))

    def dictionary(self, number: int) -> RawDictionary:
        try:
            return self.dictionaries[number]
        except KeyError:
            raise NotPlain("no dictionary") from None

    def resolved(self, raw: bytes | None) -> RawDictionary:
        """A dictionary where it stands, or what a reference leads to."""
        if raw is not None and raw.startswith(b"<<"):
            return read_dictionary(raw, 0)
        return self.dictionary(reference(raw))

    def is_stream(self, number: int) -> bool:
        return number in self._streams

    def octets(self, number: int) -> bytes:
        """A stream's octets as they stand in the file."""
        try:
            begin, end = self._streams[number]
        except KeyError:
            raise NotPlain("no stream") from None
        return self._pdf[begin:end]

    def _read(self, number: int, at: int, lengths: dict[int, int]) -> None:
        pdf = self._pdf
        head = _HEAD.match(pdf, at)
        if head is None or int(head[1]) != number:
            raise NotPlain("no object where the row points")
        at = skip_blank(pdf, head.end())
        if pdf[at : at + 2] != b"<<":
            end = skip_value(pdf, at)
            self.values[number] = pdf[at:end]
            if _END.match(pdf, end) is None:
                raise NotPlain("an object without end")
            return
        dictionary = read_dictionary(pdf, at)
        self.values[number], self.dictionaries[number] = dictionary.text, dictionary
        end = at + len(dictionary.text)
        if _END.match(pdf, end) is not None:
            return
        begun = _STREAM.match(pdf, end)
        if begun is None:
            raise NotPlain("an object without end")
        self._streams[number] = begun.end(), begun.end()
        length = dictionary.entries.get(b"/Length", b"")
        if length.isdigit():
            self._close(number, int(length))
        else:
            lengths[number] = reference(length)

    def _close(self, number: int, length: int) -> None:
        begin, _ = self._streams[number]
        if _STREAM_END.match(self._pdf, begin + length) is None:
            raise NotPlain("a stream of another length")
        self._streams[number] = begin, begin + length

    def _integer(self, number: int) -> int:
        raw = self.values.get(number, b"")
        if _INTEGER.fullmatch(raw) is None:
            raise NotPlain("no plain integer")
        return int(raw)


def _places(pdf: bytes, base: PlainPdf) -> Mapping[int, int]:
    """The offset of every object in use, by the newest row that names it (ISO 32000-2 7.5.6)."""
    subsections = base.objects.subsections
    if subsections is None:
        raise NotPlain("sections that are streams")
    found: dict[int, int | None] = {}
    for first, count, at in subsections:
        rows = _ROWS.findall(pdf, at, at + count * _ROW_OCTETS)
        if len(rows) != count or len(found) + count > _MOST:
            raise NotPlain("rows that are missing, or many")
        for number, (offset, generation, kind) in enumerate(rows, first):
            if kind == b"n" and generation != b"00000":
                raise NotPlain("a later generation")
            found.setdefault(number, int(offset) if kind == b"n" else None)
    return {number: offset for number, offset in found.items() if offset is not None}
