"""The reader of plain files finds in tables and in streams what the library finds, in memory and on disk, and refuses the rest."""

from __future__ import annotations

import io
import os
import random
import re
import subprocess
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.long_file import LongFile, Source
from signer.plain_base import read_plain
from signer.plain_increment import prepare_plain
from signer.plain_pdf import NotPlain
from signer.plain_references import References
from signer.plan import Plan
from tests.large_pdf import large_pdf

PLAN = Plan("signature", datetime(2026, 1, 1, tzinfo=UTC), 3000, placement="none")
TABLE, STREAMS = large_pdf(250, 50), large_pdf(250, 50, streams=True)


def start_of(pdf: bytes) -> int:
    return int(pdf.rsplit(b"startxref\n", 1)[1].split()[0])


def on_disk(path: Path, pdf: bytes) -> LongFile:
    path.write_bytes(pdf)
    return LongFile(Source(os.open(path, os.O_RDONLY), len(pdf)))


@pytest.mark.parametrize("pdf", [TABLE, STREAMS], ids=["table", "streams"])
def test_every_dictionary_is_the_librarys(pdf: bytes, tmp_path: Path) -> None:
    reader = PdfFileReader(io.BytesIO(pdf))
    for held in (pdf, on_disk(tmp_path / "file", pdf)):
        references = References(held, start_of(pdf))
        for number in (1, 2, *range(5, 505, 2)):
            found = references.dictionary(number)
            theirs = reader.get_object(reader.trailer.raw_get("/Root").__class__(number, 0, reader))
            assert {key.decode() for key in found.entries} == set(theirs)
            if number > 2:
                assert found.entries[b"/Contents"] == b"%d 0 R" % (number - 1)
        base = read_plain(held)
        assert (base.catalog_number, base.page_number, base.in_streams) == (1, 5, pdf is STREAMS)


@pytest.mark.parametrize("pdf", [TABLE, STREAMS], ids=["table", "streams"])
def test_a_revision_behind_another_is_read_by_the_library(pdf: bytes, tmp_path: Path) -> None:
    """The second one finds catalog and page where the first one has put them."""
    first = pdf + prepare_plain(pdf, replace(PLAN, field="One")).tail
    base = read_plain(first)
    assert base.catalog.entries[b"/AcroForm"].startswith(b"<< /Fields")
    assert base.page.entries[b"/Annots"].startswith(b"[")
    reader = PdfFileReader(io.BytesIO(first))
    assert reader.xrefs.total_revisions == 2
    assert [field.get_object()["/T"] for field in reader.root["/AcroForm"]["/Fields"]] == ["One"]
    assert len(read_plain(on_disk(tmp_path / "file", first)).page.text) == len(base.page.text)


def rows_of(pdf: bytes) -> tuple[int, bytes, bytes]:
    """Where the cross-reference stream of STREAMS begins, its dictionary's text, and its rows without their predictor."""
    start = start_of(pdf)
    head, _, rest = pdf[start:].partition(b"\nstream\n")
    data, above, rows = zlib.decompress(rest.partition(b"\nendstream")[0]), bytes(7), b""
    for at in range(0, len(data), 8):
        above = bytes((new + old) & 0xFF for new, old in zip(data[at + 1 : at + 8], above, strict=True))
        rows += above
    return start, head, rows


def with_rows(pdf: bytes, parms: bytes, data: bytes) -> bytes:
    start, head, _ = rows_of(pdf)
    head = re.sub(rb"/DecodeParms <<[^>]*>>", parms, head)
    packed = zlib.compress(data)
    head = re.sub(rb"/Length \d+", b"/Length %d" % len(packed), head)
    return pdf[:start] + head + b"\nstream\n" + packed + b"\nendstream\nendobj\nstartxref\n%d\n%%%%EOF\n" % start


def predicted(rows: bytes, kinds: Callable[[int], int]) -> bytes:
    """The rows with a predictor each: none, Sub or Up."""
    out, above = b"", bytes(7)
    for at in range(0, len(rows), 7):
        row, kind = rows[at : at + 7], kinds(at // 7)
        before = {0: bytes(7), 1: b"\0" + row[:-1], 2: above}[kind]
        out += bytes([kind]) + bytes((new - old) & 0xFF for new, old in zip(row, before, strict=True))
        above = row
    return out


def test_every_way_of_predicting_a_row_says_the_same(tmp_path: Path) -> None:
    _, _, rows = rows_of(STREAMS)
    chance = random.Random(3)
    parms = b"/DecodeParms << /Predictor 15 /Columns 7 >>"
    ways = {
        "as they stand": with_rows(STREAMS, b"", rows),
        "none": with_rows(STREAMS, parms, predicted(rows, lambda _: 0)),
        "sub": with_rows(STREAMS, parms, predicted(rows, lambda _: 1)),
        "up": with_rows(STREAMS, parms, predicted(rows, lambda _: 2)),
        "mixed": with_rows(STREAMS, parms, predicted(rows, lambda _: chance.choice((0, 1, 2, 2, 2)))),
        "first alone": with_rows(STREAMS, parms, predicted(rows, lambda at: 2 if at else 0)),
    }
    expected = References(STREAMS, start_of(STREAMS))
    for way, pdf in ways.items():
        # The library reads none and Sub wrongly; qpdf says that the file is as it is meant.
        (tmp_path / "file").write_bytes(pdf)
        assert subprocess.run(["qpdf", "--check", tmp_path / "file"], capture_output=True, check=False).returncode == 0
        references = References(pdf, start_of(pdf))
        for number in (1, 2, 5, 7, 251, 503):
            assert references.dictionary(number) == expected.dictionary(number), way


def swapped(old: bytes, new: bytes, pdf: bytes = STREAMS) -> bytes:
    assert old in pdf
    at = pdf.rindex(old)
    return pdf[:at] + new.ljust(len(old)) + pdf[at + len(old) :]


def paeth() -> bytes:
    _, _, rows = rows_of(STREAMS)
    data = bytearray(predicted(rows, lambda _: 2))
    data[8 * 3] = 4
    return with_rows(STREAMS, b"/DecodeParms << /Predictor 15 /Columns 7 >>", bytes(data))


ODD = {
    "a predictor of images": lambda: swapped(b"/Predictor 12", b"/Predictor 2"),
    "a predictor that looks two ways": paeth,
    "columns that are not the row's": lambda: swapped(b"/Columns 7", b"/Columns 6"),
    "rows too few": lambda: swapped(b"/W [1 5 1]", b"/W [1 4 2]").replace(b"/Size ", b"/Size 9"),
    "widths of nonsense": lambda: swapped(b"/W [1 5 1]", b"/W [1 5]"),
    "no cross-reference stream": lambda: swapped(b"/Type /XRef", b"/Type /XXXX"),
    "an encrypted file": lambda: swapped(b"/Root 1 0 R", b"/Encrypt 1 0 R /Root 1 0 R"),
    "another filter": lambda: swapped(b"/Filter /FlateDecode", b"/Filter /LZWDecode"),
    "a length that is wrong": lambda: re.sub(rb"/Length (\d+) >>\nstream\n(?!.*stream\n)", rb"/Length 1\1 >>\nstream\n", STREAMS),
    "a chain that runs in a circle": lambda: swapped(b"/Size ", b"/Prev %d /Size " % start_of(STREAMS)),
    "a chain into the table's kind": lambda: STREAMS + TABLE[start_of(TABLE) :].replace(
        b"/Root", b"/Prev %d /Root" % start_of(STREAMS)
    ).replace(b"startxref\n%d" % start_of(TABLE), b"startxref\n%d" % len(STREAMS)),
    "an object stream that is none": lambda: STREAMS.replace(b"/Type /ObjStm", b"/Type /ObjXxx"),
    "an object stream of another count": lambda: STREAMS.replace(b"/N 100", b"/N 099"),
    "a damaged object stream": lambda: re.sub(rb"(/Type /ObjStm[^>]*>>\nstream\n).{9}", rb"\1123456789", STREAMS, flags=re.DOTALL),
}  # fmt: skip


@pytest.mark.parametrize("name", ODD)
def test_what_is_out_of_the_ordinary_is_left_to_the_library(name: str, tmp_path: Path) -> None:
    pdf = ODD[name]()
    assert pdf != STREAMS
    for held in (pdf, on_disk(tmp_path / "file", pdf)):
        with pytest.raises(NotPlain):
            read_plain(held)


@pytest.mark.parametrize("pdf", [TABLE, STREAMS], ids=["table", "streams"])
def test_damaged_files_raise_nothing_else_and_soon(pdf: bytes) -> None:
    chance = random.Random(11)
    begin = start_of(pdf) - 3000
    for _ in range(400):
        damaged = bytearray(pdf)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(begin, len(damaged))
            damaged[at] = chance.choice((chance.randrange(256), *b"0 <>[]/\n"))
        if chance.random() < 0.2:
            del damaged[chance.randrange(begin, len(damaged)) :]
        try:
            read_plain(bytes(damaged))
        except NotPlain:
            continue


def test_a_stream_that_inflates_without_end_is_left_alone() -> None:
    bomb = with_rows(STREAMS, b"", bytes(100 * 1024 * 1024))
    with pytest.raises(NotPlain):
        read_plain(bomb)


@pytest.mark.parametrize(
    ("filtered", "is_first_archive"), [(b"", True), (b"/Filter /ASCIIHexDecode", False)], ids=["plain", "filtered"]
)
def test_what_a_file_claims_to_be_is_read_where_it_stands(filtered: bytes, *, is_first_archive: bool) -> None:
    claim = b"<rdf:Description pdfaid:part='1'/>"
    added = {
        1: b"<< /Type /Catalog /Pages 2 0 R /Metadata 900 0 R >>",
        900: b"<< /Type /Metadata %b /Length 901 0 R >>\nstream\n%b\nendstream" % (filtered, claim),
        901: b"%d" % len(claim),
    }
    out, rows = bytearray(TABLE), b""
    for number, body in added.items():
        rows += b"%d 1\n%010d 00000 n \n" % (number, len(out))
        out += b"%d 0 obj\n%b\nendobj\n" % (number, body)
    out += b"xref\n%btrailer\n<< /Size 902 /Root 1 0 R /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        rows, start_of(TABLE), len(out),
    )  # fmt: skip
    if is_first_archive:
        with pytest.raises(NotPlain, match="PDF/A-1"):
            read_plain(bytes(out))
    else:
        assert read_plain(bytes(out)).catalog_number == 1
