"""Honest files that a stricter reading would refuse, each with the clause that permits it."""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import Callable

import pytest
from pyhanko.sign.fields import MDPPerm

from signer.validation.policy import JudgedFile
from tests.attacks import documents, families, generator, overlays
from tests.attacks.pki import NOW, Party, Pki
from tests.attacks.updates import appended, number_of, object_of, place_of, root_of, size_of, stream

Judging = Callable[..., JudgedFile]


@pytest.fixture(scope="module")
def page() -> bytes:
    return documents.page_pdf()


def kinds(judged: JudgedFile) -> set[str]:
    return {change.kind for signature in judged.signatures for change in signature.facts.changes}


def test_an_object_that_nothing_shows_may_be_freed(page: bytes, pki: Pki, judging: Judging) -> None:
    """ISO 32000-2 7.5.4."""
    number = size_of(page)
    signed = documents.sign(appended(page, {number: b"<< /Unused true >>"}), pki.officer)
    assert judging(appended(signed, {}, rows=[(number, b"0000000000 00001 f")])).reason == "VALID_EXTENDED"


def test_the_security_store_may_be_rebuilt_and_lose_data(page: bytes, pki: Pki, judging: Judging) -> None:
    """EN 319 142-1 5.4.2."""
    stored = documents.with_validation_data(documents.sign(page, pki.officer), pki.root)
    stamped = documents.timestamped(stored, pki.tsa)
    store = number_of(stamped, b"/DSS", b"/Certs")
    old = re.search(rb"/Certs \[ ?(\d+)", object_of(stamped, store))
    assert old is not None
    number = size_of(stamped)
    rebuilt = {store: b"<< /Type /DSS /Certs [%d 0 R] >>" % number, number: stream(pki.issuing.der)}
    judged = judging(appended(stamped, rebuilt, rows=[(int(old[1]), b"0000000000 00001 f")]))
    assert judged.reason == "VALID_EXTENDED"
    assert kinds(judged) == {"timestamp", "validation-data"}


@pytest.mark.parametrize("certified", [None, MDPPerm.NO_CHANGES])
def test_an_entry_of_the_store_may_be_completed(
    page: bytes, pki: Pki, judging: Judging, certified: MDPPerm | None
) -> None:
    """EN 319 142-1 5.4.2.3: /VRI names proof of a signature; it may grow after any certification (ISO 32000-2 12.8.2.2)."""
    signed = documents.sign(page, pki.officer, certify=certified)
    store, first, name = size_of(signed), stream(pki.root.der), b"A" * 40
    root = int(root_of(signed).split()[0])
    entry = overlays.with_entry(object_of(signed, root), b"/DSS", b"%d 0 R" % store)
    related = b"<< /Type /DSS /Certs [%d 0 R] /VRI << /%s << /Cert [%d 0 R] >> >> >>" % (store + 1, name, store + 1)
    kept = documents.timestamped(appended(signed, {store: related, store + 1: first, root: entry}), pki.tsa)
    more = size_of(kept)
    related = related.replace(b"/Cert [", b"/Cert [%d 0 R " % more)
    assert judging(appended(kept, {store: related, more: stream(pki.issuing.der)})).reason == "VALID_EXTENDED"


def test_a_place_for_the_next_signer_may_be_added(page: bytes, pki: Pki, judging: Judging) -> None:
    signed = documents.sign(page, pki.officer)
    place = b"<< /Type /Annot /Subtype /Widget /Rect [300 100 400 160] /F 4 /P %(page)s /FT /Sig /T (Sau) >>"
    judged = judging(overlays.with_widget(signed, place))
    assert (judged.reason, kinds(judged)) == ("VALID_EXTENDED", {"field"})


@pytest.mark.parametrize("value", ["15", "Quyet dinh (so 15)", "a\\b"])
def test_a_field_that_shows_what_it_holds_is_filled_in(page: bytes, pki: Pki, judging: Judging, value: str) -> None:
    signed = documents.sign(page, pki.officer)
    shown = value.replace("\\", "\\\\").replace("(", "\\(").replace(")", "\\)")
    judged = judging(documents._with_field(signed, value, shown))
    assert (judged.reason, kinds(judged)) == ("VALID_EXTENDED", {"field"})


def test_dates_and_producers_of_the_description_may_change(page: bytes, pki: Pki, judging: Judging) -> None:
    signed = documents.sign(families.described(page), pki.officer)
    info = number_of(signed, b"/Title", b"/Author")
    entry = overlays.with_entry(object_of(signed, info), b"/ModDate", b"(D:20261122000000Z)")
    assert judging(appended(signed, {info: entry}, trailer=b"/Info %d 0 R" % info)).reason == "VALID_EXTENDED"


def test_references_to_nothing_are_no_crime(page: bytes, pki: Pki, judging: Judging) -> None:
    """ISO 32000-2 7.3.10: null. Many real files have them, and pyHanko's strict reading stops there."""
    entry = object_of(page, number_of(page, b"/Type /Page", b"/Contents"))
    dangling = appended(page, {number_of(page, b"/Type /Page", b"/Contents"): entry[:-2] + b" /PieceInfo 900 0 R >>"})
    signed = documents.sign(dangling, pki.officer)
    assert judging(signed).reason == "VALID"
    assert judging(documents.filled(signed)).reason == "VALID_EXTENDED"


def test_who_signs_after_whom_is_all_that_a_second_signature_changes(
    page: bytes, pki: Pki, rsa_officer: Party, judging: Judging
) -> None:
    three = documents.sign(documents.sign(documents.sign(page, pki.officer), pki.seal, "Sig2"), rsa_officer, "Sig3")
    judged = judging(three)
    assert (judged.reason, kinds(judged)) == ("VALID_EXTENDED", {"signature"})
    assert [s.reason for s in judged.signatures] == ["VALID_EXTENDED", "VALID_EXTENDED", "VALID"]


@pytest.mark.parametrize(
    ("shift", "reason"), [(0, "VALID_EXTENDED"), (-1000, "UNKNOWN_CHANGES"), (1000, "UNKNOWN_CHANGES")]
)
def test_a_later_stream_that_is_too_long_for_memory_ends_where_it_says(
    page: bytes, pki: Pki, judging: Judging, shift: int, reason: str
) -> None:
    """ISO 32000-2 7.3.8.1: whatever its length, two readers must not see two streams."""
    signed = documents.sign(page, pki.officer)
    octets = b"%064d" % 0 * (1 << 20) + b"more"
    held = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(octets) + shift, octets)
    assert judging(appended(signed, {size_of(signed): held})).reason == reason


def hybrid(page: bytes) -> bytes:
    """The document with a table and, beside it, a stream that knows one object more (ISO 32000-2 7.5.8.4)."""
    holder = size_of(page)
    hidden, table = holder + 1, holder + 2
    inner = b"%d 0 << /Only /InTheStream >>" % hidden
    first = len(b"%d 0 " % hidden)
    row = b"\x02" + holder.to_bytes(4, "big") + b"\x00\x00"
    objects = {
        holder: stream(inner, b"/Type /ObjStm /N 1 /First %d" % first),
        table: stream(
            row, b"/Type /XRef /Size %d /W [1 4 2] /Index [%d 1] /Root %s" % (table + 1, hidden, root_of(page))
        ),
    }
    rows = [(hidden, b"0000000000 65535 f")]
    place = place_of(appended(page, objects, rows=rows), table)
    return appended(page, objects, rows=rows, trailer=b"/XRefStm %d" % place)


def test_a_file_with_both_kinds_of_tables_is_read(page: bytes, pki: Pki, judging: Judging) -> None:
    """7.5.8.4 permits it; the library refuses to add to it while it is strict."""
    signed = documents.sign(hybrid(page), pki.officer, strict=False)
    assert judging(signed).reason == "VALID"
    assert judging(documents.sign(signed, pki.seal, "Sig2", strict=False)).reason == "VALID_EXTENDED"
    assert judging(
        appended(signed, {number_of(signed, b"/Type /Page", b"/Contents"): b"<< /Type /Page >>"})
    ).reason in (
        "INVALID_MODIFIED",
        "INVALID_FORMAT",
    )


def test_a_document_time_stamp_may_call_itself_a_signature(page: bytes, pki: Pki, judging: Judging) -> None:
    """EN 319 142-1 5.4.3 has /DocTimeStamp; before it they were typed /Sig, and the SubFilter tells."""
    signed = documents.sign(page, pki.officer)
    stamped = documents.timestamped(signed, pki.tsa)
    assert b"/Type /DocTimeStamp" in stamped
    untyped = stamped.replace(b"/Type /DocTimeStamp", b"/Type /Sig         ")
    start, end = generator.ranges(untyped)[1:3]
    digest = hashlib.sha256(untyped[:start] + untyped[end:]).digest()
    token = asyncio.run(documents.stamper_of(pki.tsa).async_timestamp(digest, "sha256"))
    judged = judging(generator.replace_contents(untyped, token.dump()))
    assert (judged.reason, [each.facts.type for each in judged.signatures]) == (
        "VALID_EXTENDED",
        ["signature", "timestamp"],
    )
    assert [each.proven_time for each in judged.signatures] == [NOW, NOW]
    broken = judging(untyped)
    assert (broken.conclusion, broken.signatures[0].proven_time) == ("valid", None)
