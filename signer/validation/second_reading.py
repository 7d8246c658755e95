"""A second opinion on which objects a file has and where: qpdf's, held against the library's.

Programs that read a file with two meanings show two documents, and a signature cannot be of both. The tables of all revisions as
one, the catalogue, and what later revisions brought are compared; contents are not. Judges nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import pikepdf
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.octets import Octets, stream_of
from signer.password import Password
from signer.validation.reference_graph import ReferenceGraph, changed_since
from signer.validation.structure import skip_blank

_IN_FILE, _IN_STREAM = 1, 2
_MOST_READ = 64 * 1024 * 1024
_LONGEST_DICTIONARY = 64 * 1024
_STREAM = re.compile(rb"stream\r?\n")
_STREAM_END = re.compile(rb"[\r\n]{0,2}endstream")
Places = dict[tuple[int, int], int | tuple[int, int]]


class SecondReading:
    """One file as qpdf reads it; asked once a file and once a signature."""

    def __init__(self, pdf: Octets, reader: PdfFileReader, password: Password) -> None:
        self._pdf = pdf
        self._password = password
        self._other: list[pikepdf.Pdf] = []
        self._graph: list[ReferenceGraph] = []
        try:
            self._other.append(self._open(pdf))
            self._agrees = self._is_same(reader)
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  what one reader refuses and another shows has two meanings
            self._agrees = False

    @property
    def agrees(self) -> bool:
        """Whether both see the same objects at the same places, under the same catalogue."""
        return self._agrees

    def reads_whole(self, references: Iterable[tuple[int, int]]) -> bool:
        """Whether these objects are read without a complaint: no key twice, no length that lies, nothing missing."""
        if not self._agrees:
            return False
        (other,) = self._other
        other.get_warnings()
        try:
            for number, generation in references:
                found = other.get_object(number, generation)
                if not isinstance(found, pikepdf.Stream):
                    continue
                length = int(found.stream_dict.get("/Length", 0))
                if length <= _MOST_READ:
                    found.read_raw_bytes()
                elif not self._ends_as_it_says((number, generation), length):
                    return False
        except MemoryError:
            raise
        except Exception:  # noqa: BLE001  see above
            return False
        return not other.get_warnings()

    def _ends_as_it_says(self, reference: tuple[int, int], length: int) -> bool:
        """The same question to the octets themselves, for a stream that is too long to be taken into memory (ISO 32000-2 7.3.8.1)."""
        (other,) = self._other
        place = other.get_xref_table()[reference].offset
        if place is None:
            return False
        begun = _STREAM.finditer(self._pdf[place : place + _LONGEST_DICTIONARY])
        ends = (place + each.end() + length for each in begun)
        return any(_STREAM_END.match(self._pdf[end : end + 16]) for end in ends)

    def graph(self, signed: Octets, reader: PdfFileReader, revision: int) -> ReferenceGraph | None:
        """What refers to what in the newest revision, as far as a signature over `signed` asks; None when the readings differ."""
        if not self._agrees:
            return None
        if not self._graph:
            (other,) = self._other
            self._graph.append(ReferenceGraph.of_newest(other))
        later = range(revision + 1, reader.xrefs.total_revisions)
        if not any(reader.xrefs.refs_freed_in_revision(number) for number in later):
            return self._graph[0]
        older = ReferenceGraph.of_newest(self._open(signed))
        return self._graph[0].with_unchanged(older, changed_since(reader, revision))

    def _open(self, pdf: Octets) -> pikepdf.Pdf:
        return pikepdf.open(
            stream_of(pdf),
            password=self._password.text,
            suppress_warnings=True,
            inherit_page_attributes=False,
            # Never mapped: a file that somebody cuts off kills who looks at it.
            access_mode=pikepdf.AccessMode.stream,
        )

    def _is_same(self, reader: PdfFileReader) -> bool:
        (other,) = self._other
        # In a trailer the first of two equal keys counts for some readers and the last for others.
        if any("duplicated key" in str(warning) for warning in other.get_warnings()):
            return False
        if other.Root.objgen != (reader.root_ref.idnum, reader.root_ref.generation):
            return False
        theirs: Places = {}
        for reference, place in other.get_xref_table().items():
            if place.type == _IN_FILE and place.offset is not None:
                theirs[reference] = place.offset
            elif place.type == _IN_STREAM:
                theirs[reference] = (int(place.obj_stream_number or 0), int(place.obj_stream_index or 0))
        ours = self._places(reader)
        # Most files have no white space where an object should begin, and then nothing needs to be looked at.
        return theirs == ours or self._begins(theirs) == self._begins(ours)

    def _begins(self, places: Places) -> Places:
        """The same with the places where the objects begin, behind white space."""
        return {
            reference: skip_blank(self._pdf, place) if isinstance(place, int) else place
            for reference, place in places.items()
        }

    def _places(self, reader: PdfFileReader) -> Places:
        """Every object that is in use, where the newest revision has it."""
        table = reader.xrefs
        merged: dict[int, tuple[int, Any]] = {}
        for revision in range(table.total_revisions):
            data = table.get_xref_data(revision)
            if data.hybrid is not None:  # ISO 32000-2 7.5.8.4: the table goes first, its stream second
                _take(merged, data.hybrid.xref_data)
            _take(merged, data)
        return {(number, generation): place for number, (generation, place) in merged.items() if place is not None}


def _take(merged: dict[int, tuple[int, Any]], data: Any) -> None:
    merged.update(dict.fromkeys(data.freed, (0, None)))
    merged.update(data.standard_xrefs)
    merged.update({n: (0, (each.obj_stream_id, each.ix_in_stream)) for n, each in data.xrefs_in_objstm.items()})
