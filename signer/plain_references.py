"""Where the objects of a plain PDF stand: its cross-reference sections, read a row at a time, and its object streams.

Tables and streams are read where they stand, in memory or on disk, and only the rows that are asked for: what it takes does not depend
on how many pages there are. ISO 32000-2 7.5.4, 7.5.7, 7.5.8.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from signer.octets import Octets
from signer.plain_pdf import NotPlain, RawDictionary, read_dictionary, reference, skip_blank, skip_value

_SECTION = re.compile(rb"xref[ \t]*\r?\n")
_SUBSECTION = re.compile(rb"\s*(\d{1,10}) (\d{1,10})[ \t]*(?:\r\n|\n|\r)")
_TRAILER = re.compile(rb"\s*trailer\s*(?=<<)")
_ROW = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \n| \r|\r\n)")
_OBJECT = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s+obj\b")
_INTEGER = re.compile(rb"\s*(\d{1,10})\s+endobj")
_STREAM = re.compile(rb"\s*stream\r?\n")
_END = re.compile(rb"\s*endstream\b")
_NUMBERS = re.compile(rb"\[\s*((?:\d{1,10}\s*)*)\]")
_ROW_OCTETS = 20
# White space and a keyword.
_WINDOW = 256
# A dictionary or an array is looked for in the first of these that holds it.
_VALUES = (16 * 1024, 1024 * 1024, 16 * 1024 * 1024)
_MOST_SECTIONS = 64
_MOST_STREAM = 16 * 1024 * 1024
_MOST_INFLATED = 64 * 1024 * 1024
_Value = TypeVar("_Value")
_UP = 2  # the predictors of PNG that a row may have: none, Sub, Up


@dataclass(frozen=True)
class _Place:
    """Where an object stands: at an offset, or in an object stream at an index."""

    offset: int
    stream: int | None = None
    index: int = 0


@dataclass(frozen=True)
class _Rows:
    """The rows of one cross-reference stream. `stride`: octets of a row, with the one that names its predictor if there is one."""

    data: bytes
    widths: tuple[int, int, int]
    stride: int
    ranges: tuple[tuple[int, int], ...]

    def find(self, number: int) -> _Place | None:
        before = 0
        for first, count in self.ranges:
            if first <= number < first + count:
                return self._place(self._row(before + number - first))
            before += count
        return None

    def _row(self, at: int) -> bytes:
        begin = at * self.stride
        if self.stride == sum(self.widths):
            return self.data[begin : begin + self.stride]
        # ISO 32000-2 7.4.4.4: a row that is predicted from the one above it adds to it, octet by octet.
        kinds = self.data[0 : begin + 1 : self.stride]
        base = at
        while base >= 0 and kinds[base] == _UP:
            base = max(kinds.rfind(b"\0", 0, base), kinds.rfind(b"\1", 0, base))
        if (base >= 0 and kinds[base] > _UP) or kinds.count(_UP, base + 1) != at - base:
            raise NotPlain("an unusual predictor")
        row = bytearray(self.stride - 1)
        if base >= 0:
            row[:] = self.data[base * self.stride + 1 : (base + 1) * self.stride]
            if kinds[base]:
                for column in range(1, len(row)):
                    row[column] = (row[column] + row[column - 1]) & 0xFF
        for column in range(len(row)):
            above = self.data[(base + 1) * self.stride + 1 + column : begin + self.stride : self.stride]
            row[column] = (row[column] + sum(above)) & 0xFF
        return bytes(row)

    def _place(self, row: bytes) -> _Place:
        first, second, _ = self.widths
        # Without a field of its own every object stands at an offset (table 17).
        kind = int.from_bytes(row[:first], "big") if first else 1
        middle, last = int.from_bytes(row[first : first + second], "big"), int.from_bytes(row[first + second :], "big")
        if kind == 1 and last == 0:
            return _Place(middle)
        if kind == 2:
            return _Place(0, middle, last)
        raise NotPlain("no plain row")


@dataclass(frozen=True)
class _Table:
    """The subsections of one cross-reference table: first number, count, offset of the first row."""

    pdf: Octets
    subsections: tuple[tuple[int, int, int], ...]

    def find(self, number: int) -> _Place | None:
        for first, count, at in self.subsections:
            if first <= number < first + count:
                begin = at + (number - first) * _ROW_OCTETS
                row = _ROW.fullmatch(self.pdf[begin : begin + _ROW_OCTETS])
                if row is None or row[3] != b"n" or int(row[2]) != 0:
                    raise NotPlain("no plain row")
                return _Place(int(row[1]))
        return None


@dataclass(frozen=True)
class _ObjectStream:
    """An object stream, inflated. `listed`: number and place of each object by turns; `first`: where the objects begin."""

    data: bytes
    count: int
    first: int
    listed: list[bytes]


class References:
    """The chain of sections, newest first. `trailer` is the newest one's; `in_streams`: they are cross-reference streams."""

    def __init__(self, pdf: Octets, start: int) -> None:
        self._pdf = pdf
        self._sections: list[_Table | _Rows] = []
        self._inflated: dict[int, _ObjectStream] = {}
        self.in_streams = _SECTION.match(pdf[start : start + _WINDOW]) is None
        trailers = []
        seen: set[int] = set()
        at: int | None = start
        while at is not None:
            if at in seen or len(seen) >= _MOST_SECTIONS:
                raise NotPlain("the chain of sections does not end")
            seen.add(at)
            section, trailer = self._read_stream(at) if self.in_streams else self._read_table(at)
            self._sections.append(section)
            trailers.append(trailer)
            before = trailer.entries.get(b"/Prev")
            if before is not None and not before.isdigit():
                raise NotPlain("no plain /Prev")
            at = None if before is None else int(before)
        self.trailer = trailers[0]

    @property
    def subsections(self) -> list[tuple[int, int, int]] | None:
        """First number, count and offset of the first row of every subsection; None where sections are streams."""
        if self.in_streams:
            return None
        return [each for section in self._sections if isinstance(section, _Table) for each in section.subsections]

    def dictionary(self, number: int) -> RawDictionary:
        """The dictionary that an object number stands for."""
        return self._value(number, read_dictionary)

    def array(self, number: int) -> bytes:
        """The array that an object number stands for, as it stands in the file."""
        return self._value(number, _read_array)

    def _value(self, number: int, read: Callable[[bytes, int], _Value]) -> _Value:
        place = self._place(number)
        if place.stream is None:
            return self._read_at(self._object_at(place.offset, number), read)
        held = self._object_stream(place.stream)
        if place.index >= held.count or held.listed[2 * place.index] != b"%d" % number:
            raise NotPlain("no such object in the stream")
        at = held.listed[2 * place.index + 1]
        if not at.isdigit():
            raise NotPlain("no plain object stream")
        return read(held.data, skip_blank(held.data, held.first + int(at)))

    def stream(self, number: int, most: int) -> tuple[RawDictionary, bytes]:
        """A stream's dictionary, and its octets as they stand in the file, but no more than `most` of them."""
        place = self._place(number)
        if place.stream is not None:
            raise NotPlain("a stream in a stream")
        return self._stream_at(self._object_at(place.offset, number), most)

    def _place(self, number: int) -> _Place:
        for section in self._sections:
            place = section.find(number)
            if place is not None:
                return place
        raise NotPlain("an object without a row")

    def _object_at(self, offset: int, number: int | None) -> int:
        """Where the value of the object begins."""
        window = self._pdf[offset : offset + _WINDOW]
        head = _OBJECT.match(window)
        if head is None or number not in (None, int(head[1])) or int(head[2]) != 0:
            raise NotPlain("no object where the row points")
        return offset + skip_blank(window, head.end())

    def _read_at(self, at: int, read: Callable[[bytes, int], _Value]) -> _Value:
        if isinstance(self._pdf, bytes):
            return read(self._pdf, at)
        for size in _VALUES:
            window = self._pdf[at : at + size]
            try:
                return read(window, 0)
            except NotPlain:
                if len(window) < size:
                    raise
        raise NotPlain("a value without end")

    def _stream_at(self, at: int, most: int) -> tuple[RawDictionary, bytes]:
        dictionary = self._read_at(at, read_dictionary)
        behind = at + len(dictionary.text)
        begun = _STREAM.match(self._pdf[behind : behind + _WINDOW])
        if begun is None:
            raise NotPlain("no stream")
        length = dictionary.entries.get(b"/Length", b"")
        octets = int(length) if length.isdigit() else self._integer(reference(length))
        start = behind + begun.end()
        if _END.match(self._pdf[start + octets : start + octets + _WINDOW]) is None:
            raise NotPlain("a stream of another length")
        return dictionary, self._pdf[start : start + min(octets, most)]

    def _integer(self, number: int) -> int:
        place = self._place(number)
        if place.stream is not None:
            raise NotPlain("a length in a stream")
        at = self._object_at(place.offset, number)
        found = _INTEGER.match(self._pdf[at : at + _WINDOW])
        if found is None:
            raise NotPlain("no plain integer")
        return int(found[1])

    def _object_stream(self, number: int) -> _ObjectStream:
        if number not in self._inflated:
            head, octets = self.stream(number, _MOST_STREAM)
            if head.entries.get(b"/Type") != b"/ObjStm":
                raise NotPlain("no object stream")
            data = _inflate(head, octets)
            if sum(len(each.data) for each in self._inflated.values()) + len(data) > _MOST_INFLATED:
                raise NotPlain("object streams that are long together")
            count, first = _number(head, b"/N"), _number(head, b"/First")
            listed = data[:first].split()
            if len(listed) != 2 * count:
                raise NotPlain("no plain object stream")
            self._inflated[number] = _ObjectStream(data, count, first, listed)
        return self._inflated[number]

    def _read_table(self, at: int) -> tuple[_Table, RawDictionary]:
        head = _SECTION.match(self._pdf[at : at + _WINDOW])
        if head is None:
            raise NotPlain("sections of two kinds")
        at += head.end()
        subsections: list[tuple[int, int, int]] = []
        while True:
            window = self._pdf[at : at + _WINDOW]
            trailer = _TRAILER.match(window)
            if trailer is not None:
                return _Table(self._pdf, tuple(subsections)), self._read_at(at + trailer.end(), read_dictionary)
            line = _SUBSECTION.match(window)
            if line is None:
                raise NotPlain("a broken section")
            first, count = int(line[1]), int(line[2])
            subsections.append((first, count, at + line.end()))
            at += line.end() + count * _ROW_OCTETS

    def _read_stream(self, at: int) -> tuple[_Rows, RawDictionary]:
        head, octets = self._stream_at(self._object_at(at, None), _MOST_STREAM)
        widths = _numbers(head.entries.get(b"/W"))
        size = _number(head, b"/Size")
        index = _numbers(head.entries.get(b"/Index", b"[0 %d]" % size))
        if head.entries.get(b"/Type") != b"/XRef" or len(widths) != 3 or len(index) % 2 or not 0 < sum(widths) <= 32:
            raise NotPlain("no plain cross-reference stream")
        predicted = _predicted(head, sum(widths))
        stride = sum(widths) + predicted
        ranges = tuple(zip(index[::2], index[1::2], strict=True))
        data = _inflate(head, octets, predicted=predicted)
        if len(data) != stride * sum(index[1::2]):
            raise NotPlain("rows that are missing")
        return _Rows(data, (widths[0], widths[1], widths[2]), stride, ranges), head


def _read_array(data: bytes, at: int) -> bytes:
    if data[at : at + 1] != b"[":
        raise NotPlain("no array")
    return data[at : skip_value(data, at)]


def _predicted(head: RawDictionary, columns: int) -> bool:
    parms = head.entries.get(b"/DecodeParms")
    if parms is None:
        return False
    entries = read_dictionary(parms, 0).entries
    predictor = entries.get(b"/Predictor", b"1")
    if predictor == b"1":
        return False
    plain = {b"/Colors": b"1", b"/BitsPerComponent": b"8"}
    odd = any(entries.get(key, value) != value for key, value in plain.items())
    if odd or entries.get(b"/Columns") != b"%d" % columns or not predictor.isdigit() or not 10 <= int(predictor) <= 15:
        raise NotPlain("an unusual predictor")
    return True


def _inflate(head: RawDictionary, octets: bytes, *, predicted: bool = False) -> bytes:
    if head.entries.keys() & {b"/F", b"/Extends", b"/Crypt"} or (b"/DecodeParms" in head.entries and not predicted):
        raise NotPlain("an unusual stream")
    if b"/Filter" not in head.entries:
        return octets
    if head.entries[b"/Filter"] not in (b"/FlateDecode", b"[/FlateDecode]", b"[ /FlateDecode ]"):
        raise NotPlain("an unusual filter")
    inflater = zlib.decompressobj()
    try:
        data = inflater.decompress(octets, _MOST_INFLATED)
    except zlib.error as error:
        raise NotPlain("a damaged stream") from error
    if not inflater.eof:
        raise NotPlain("a stream that is cut off, or too long")
    return data


def _numbers(raw: bytes | None) -> list[int]:
    found = _NUMBERS.fullmatch(raw or b"")
    if found is None:
        raise NotPlain("no plain array of numbers")
    return [int(each) for each in found[1].split()]


def _number(dictionary: RawDictionary, key: bytes) -> int:
    raw = dictionary.entries.get(key, b"")
    if not raw.isdigit() or len(raw) > 9:
        raise NotPlain("no plain number")
    return int(raw)
