"""The quick readers beside the library's own: the same values, the same place in the stream, the same errors, whatever is read."""

from __future__ import annotations

import hashlib
import io
import os
import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

import pytest
from pyhanko.pdf_utils import generic, xref
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.long_file import LongFile, Source
from signer.octets import stream_of
from signer.validation import gathering, readers
from tests.attacks import documents
from tests.large_pdf import large_pdf

ROOT = Path(__file__).parents[4]
CORPUS = Path(os.environ.get("ANTIN_TEST_CORPUS", "../shared/corpus"))
CORPUS = CORPUS if CORPUS.is_absolute() else ROOT / CORPUS

Outcome = tuple[object, ...]

_ROW = b"0000000017 00000 n \n"
HEX_STRINGS = [
    b"<>", b"<0>", b"<00>", b"<0a1>", b"<0A 1b\r\n2c\x00\t\x0c3D>x", b"<0a", b"<", b"<0g>", b"<0a%x>\n0b>", b"< >", b"<<0a>>",
    b"<FEFF00c1>", b"<EFBBBF61>", b"<" + b"00" * 20_000 + b">", b"<" + b"0 " * 9_001 + b">", b"<" + b"0" * 255 + b">",
    b"<" + b"0" * 256 + b">", b"<" + b"0" * 256 + b"%>\n0>", b"<" + b"0" * 40_000, b"<" + b"0" * 16_640 + b"z>",
]  # fmt: skip
TABLES = [
    b"\n0 1\n0000000000 65535 f \ntrailer\n<<>>",
    b"\r\n0 2\r\n0000000000 65535 f\r\n0000000017 00000 n\r\ntrailer <<>>",
    b" 0 1 \r0000000000 65535 f \rtrailer<<>>",
    b"\n0 1\n0000000000 65535 f \n7 2\n" + _ROW * 2 + b"trailer\n<<>>",
    b"\n0 0\ntrailer\n<<>>",
    b"\n0 0\n3 1\n" + _ROW + b"trailer\n<<>>",
    b"\n0 3\n" + _ROW * 2 + b"trailer\n<<>>",  # says three, has two
    b"\n0 1\n" + _ROW * 2 + b"trailer\n<<>>",  # says one, has two
    b"\n0 2\n0000000017 00000 n\n0000000018 00000 n\ntrailer\n<<>>",  # rows of 19 octets
    b"\n0 2\n0000000017 00000 n \r\n0000000018 00000 n \r\ntrailer\n<<>>",  # of 21
    b"\n0 1\n0000000017 00000 x \ntrailer\n<<>>",
    b"\n0 1\n        17     0 n \ntrailer\n<<>>",
    b"\n+0 1\n" + _ROW + b"trailer\n<<>>",
    b"\n0 1 % one\n" + _ROW + b"trailer\n<<>>",
    b"\n0 1\n" + _ROW,
    b"\n0 1\n" + _ROW + b"trail",
    b"\n0 999999999\n" + _ROW + b"trailer\n<<>>",
    b"\n0 5000\n" + _ROW * 5000 + b"trailer\n<<>>",
    b"\n0 5000\n" + _ROW * 4999 + b"0000000017 0000a n \ntrailer\n<<>>",
    b"\n" + b" " * 50 + b"0 1\n" + _ROW + b"trailer\n<<>>",
    b"\n0 1\n\n" + _ROW + b"trailer\n<<>>",
    b"",
]
ARRAYS = [
    b"[]", b"[ ]", b"[1 0 R]", b"[ 1 0 R ]", b"[1 0 R 2 0 R\n3 65535 R]", b"[1 0 R2 0 R]", b"[1  0 R]", b"[1 0 R x]", b"[1 0 R", b"[1 0 R 5]",
    b"[01 0 R]", b"[0 0 R]", b"[1 0 R [2 0 R]]", b"[1 0 R (])]", b"[1 0 R%]\n2 0 R]", b"[1 0 R/A]", b"[1 0 R\x0b2 0 R]", b"[1 0 Rx]",
    b"[1234567890123 0 R]", b"[1 123456 R]", b"[1 -1 R]", b"[1 0 r]", b"[0 0 595 842]", b"x", b"",
    b"[" + b"17 0 R " * 5000 + b"]", b"[" + b"17 0 R " * 5000, b"[" + b"17 0 R " * 300 + b"/Name]", b"[1 0 R" + b" " * 300 + b"2 0 R]",
]  # fmt: skip
HOLDER = generic.Reference(9, 0, PdfFileReader(io.BytesIO(documents.page_pdf())))


def outcome(read: Callable[[io.BytesIO], object], data: bytes, at: int) -> Outcome:
    """What a reader gives or raises, and how far it went."""
    stream = io.BytesIO(data)
    stream.seek(at)
    try:
        value = read(stream)
    except Exception as error:  # noqa: BLE001  any kind counts
        return type(error).__name__, str(error)
    return type(value).__name__, value, stream.tell()


def strings_agree(data: bytes, at: int) -> None:
    assert outcome(readers.read_hex_string, data, at) == outcome(readers.LIBRARY_READ_HEX_STRING, data, at)


def tables_agree(data: bytes, at: int) -> None:
    for strict in (True, False):
        quick = outcome(lambda stream, s=strict: list(readers.parse_xref_table(stream, s)), data, at)
        assert quick == outcome(lambda stream, s=strict: list(readers.LIBRARY_PARSE_XREF_TABLE(stream, s)), data, at)


def arrays_agree(data: bytes, at: int) -> None:
    for content in generic.ContentOpReading:
        quick, slow = (
            outcome(lambda stream, each=read, c=content: items_of(each(stream, HOLDER, c)), data, at)
            for read in (readers.read_array, readers.LIBRARY_READ_ARRAY)
        )
        assert quick == slow


def items_of(array: generic.ArrayObject) -> list[object]:
    return [
        (type(item), re.sub(" at 0x[0-9a-f]+", "", repr(item)), item.container_ref is HOLDER)
        for item in list.__iter__(array)
    ]


def mutations(data: bytes, around: int, seed: str) -> Iterator[tuple[bytes, int]]:
    """The surroundings of a place with something changed, and where the place is in them."""
    chance = random.Random(seed)
    begin = max(0, around - 8)
    piece = data[begin : around + 2000]
    for _ in range(6):
        changed = bytearray(piece)
        spot = min(len(changed) - 1, around - begin + chance.randrange(1, 120))
        match chance.randrange(3):
            case 0:
                changed[spot] = chance.choice(b"09afG<>%/ \x00\r\nnft")
            case 1:
                del changed[spot : spot + chance.randrange(1, 25)]
            case _:
                changed[spot:spot] = chance.choice((b" ", b"%c\n", b">", b"\r\n", b"\x00", b"0", b"x", b"+"))
        yield bytes(changed), around - begin


@pytest.mark.parametrize("data", HEX_STRINGS, ids=lambda data: repr(data[:24]))
def test_a_hexadecimal_string_reads_as_the_library_reads_it(data: bytes) -> None:
    strings_agree(data, 0)
    strings_agree(b"\n" + data + b" 1 0 R", 1)


@pytest.mark.parametrize("data", ARRAYS, ids=lambda data: repr(data[:24]))
def test_an_array_reads_as_the_library_reads_it(data: bytes) -> None:
    arrays_agree(data, 0)
    arrays_agree(b"\n" + data + b" 1 0 R", 1)


@pytest.mark.parametrize("data", TABLES, ids=lambda data: repr(data[:40]))
def test_a_table_reads_as_the_library_reads_it(data: bytes) -> None:
    tables_agree(data, 0)
    tables_agree(b"xref" + data, 4)


def test_what_is_plain_is_read_without_the_library() -> None:
    seen: list[object] = []

    class Watched(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            seen.append(size)
            return super().read(size)

    digits = b"<" + b"30" * 9000 + b">"
    assert bytes(readers.read_hex_string(Watched(digits)).original_bytes) == b"\x30" * 9000
    assert (
        len(list(readers.parse_xref_table(Watched(b"\n0 900\n" + _ROW * 900 + b"trailer\n<<>>"), strict=True))) == 900
    )
    assert len(seen) < 40


def test_the_judge_reads_with_the_quick_ones() -> None:
    assert gathering is not None
    assert generic.read_hex_string_from_stream is readers.read_hex_string
    assert xref.parse_xref_table is readers.parse_xref_table
    assert generic.ArrayObject.read_from_stream is readers.read_array


def files() -> list[Path]:
    return sorted(CORPUS.rglob("*.pdf"))


@pytest.mark.skipif(not (CORPUS / "manifest.tsv").exists(), reason="no corpus: set ANTIN_TEST_CORPUS")
def test_both_agree_on_every_string_array_and_table_of_the_corpus_and_on_damaged_ones() -> None:
    strings = tables = arrays = 0
    for path in files():
        data = path.read_bytes()
        chance = random.Random(path.name)
        places = [found.start() for found in re.finditer(rb"<(?!<)", data)]
        for at in chance.sample(places, min(len(places), 40)):
            strings_agree(data, at)
            strings += 1
        for at in chance.sample(places, min(len(places), 8)):
            for changed, place in mutations(data, at, f"{path.name} {at}"):
                strings_agree(changed, place)
        begins = [found.start() for found in re.finditer(rb"\[", data)]
        for at in chance.sample(begins, min(len(begins), 20)):
            arrays_agree(data, at)
            arrays += 1
        lists = [found.start() for found in re.finditer(rb"\[\s*\d+ 0 R", data)]
        for at in chance.sample(lists, min(len(lists), 8)):
            for changed, place in mutations(data, at, f"{path.name} {at}"):
                arrays_agree(changed, place)
        for found in list(re.finditer(rb"(?<!start)xref", data))[:20]:
            tables_agree(data, found.end())
            tables += 1
            for changed, place in mutations(data, found.end(), f"{path.name} {found.end()}"):
                tables_agree(changed, place)
    assert strings > 1000
    assert arrays > 500
    assert tables > 100


def test_both_agree_on_a_document_of_our_own() -> None:
    pdf = documents.page_pdf()
    for found in re.finditer(rb"(?<!start)xref", pdf):
        tables_agree(pdf, found.end())
    for found in re.finditer(rb"<(?!<)", pdf):
        strings_agree(pdf, found.start())


def packed(rows: list[bytes], kinds: list[int]) -> bytes:
    """Rows as an encoder of PNG writes them (ISO/IEC 15948 9.2)."""
    out, above = b"", bytes(len(rows[0]))
    for row, kind in zip(rows, kinds, strict=True):
        out += bytes([kind])
        for at, octet in enumerate(row):
            left, up, corner = (row[at - 1], above[at], above[at - 1]) if at else (0, above[0], 0)
            plane = left + up - corner
            nearest = min((abs(plane - each), order, each) for order, each in enumerate((left, up, corner)))[2]
            out += bytes([(octet - (0, left, up, (left + up) // 2, nearest)[kind]) & 0xFF])
        above = row
    return out


@pytest.mark.parametrize("among", [[0], [1], [2], [3], [4], [0, 2], [0, 1, 2, 3, 4]])
def test_predicted_rows_come_out_as_they_went_in(among: list[int]) -> None:
    chance = random.Random(5)
    for columns in (1, 2, 7, 32):
        rows = [chance.randbytes(columns) for _ in range(300)]
        kinds = [chance.choice(among) for _ in rows]
        assert readers.read_predicted(memoryview(packed(rows, kinds)), columns) == b"".join(rows)


def test_predicted_rows_read_as_the_library_reads_those_that_it_reads_well() -> None:
    rows = [random.Random(at).randbytes(7) for at in range(50)]
    data = packed(rows, [2] * 50)
    assert readers.LIBRARY_PNG_DECODE(memoryview(data), 7) == readers.read_predicted(data, 7)


@pytest.mark.parametrize(("data", "columns"), [(b"\2ab", 3), (b"\5abc", 3), (b"", 0), (b"\2abc\6abc", 3)])
def test_rows_that_are_none_are_refused(data: bytes, columns: int) -> None:
    with pytest.raises(PdfReadError):
        readers.read_predicted(data, columns)


ODD_STREAMS = {
    "a length of its own object": lambda pdf: pdf.replace(b"/Length 50038", b"/Length 9 0 R", 1),
    "a length that is one too long": lambda pdf: pdf.replace(b"/Length 50038", b"/Length 50039", 1),
    "a length that is too short": lambda pdf: pdf.replace(b"/Length 50038", b"/Length 30038", 1),
    "no length": lambda pdf: pdf.replace(b"/Length 50038", b"/Langth 50038", 1),
    "a length beyond the file": lambda pdf: pdf.replace(b"/Length 50038", b"/Length 99999999", 1),
}


@pytest.mark.parametrize("streams", [False, True])
def test_streams_of_a_long_file_hold_what_they_hold_in_memory(tmp_path: Path, *, streams: bool) -> None:
    pdf = large_pdf(4, 50_000, streams=streams)
    assert pdf.count(b"/Length 50038") == 4
    for name, alter in {"as it is": bytes, **ODD_STREAMS}.items():
        altered = alter(pdf)
        path = tmp_path / "file"
        path.write_bytes(altered)
        file = LongFile(Source(os.open(path, os.O_RDONLY), len(altered)))
        found = [contents(io.BytesIO(altered)), contents(stream_of(file))]
        assert found[0] == found[1], name
    path.write_bytes(pdf)
    file = LongFile(Source(os.open(path, os.O_RDONLY), len(pdf)))
    stream = PdfFileReader(stream_of(file)).root["/Pages"]["/Kids"][1]["/Contents"]
    twin = generic.StreamObject(dict(stream), encoded_data=stream.encoded_data)
    assert twin.data == stream.data == stream.encoded_data
    twin.apply_filter(generic.pdf_name("/ASCIIHexDecode"))
    assert len(twin.encoded_data) > 2 * len(stream.data) - 1


def contents(stream: BinaryIO) -> list[object]:
    """Length and digest of each page's content, or why there is none."""
    found: list[object] = []
    try:
        reader = PdfFileReader(stream, strict=False)
        pages = list(reader.root["/Pages"]["/Kids"])
    except Exception as error:  # noqa: BLE001  the library raises many kinds, and both have to raise the same
        return [type(error)]
    for page in pages:
        try:
            held = page.get_object()["/Contents"].data
        except Exception as error:  # noqa: BLE001
            found.append(type(error))
        else:
            found.append((len(held), hashlib.sha256(held).hexdigest()))
    return found
