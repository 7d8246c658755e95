"""Documents that were prepared before an honest signer signed them, and switched afterwards (shadow attacks, 2020).

What the signer signed already holds both contents; a small update, or the reader that is used, decides which is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.attacks import documents, updates
from tests.attacks.attack import Attack
from tests.attacks.overlays import cover, shown, with_entry, with_item
from tests.attacks.pki import Pki
from tests.attacks.updates import appended, number_of, object_of, size_of, stream

_FORGED = b"BT /F1 24 Tf 72 720 Td (GIA MAO) Tj ET"
Sign = Callable[[bytes], bytes]


def _page(pdf: bytes) -> int:
    return number_of(pdf, b"/Type /Page", b"/Contents")


def _with_content(pdf: bytes, more: bytes, objects: dict[int, bytes] | None = None, size: int | None = None) -> bytes:
    """The document whose page has further content streams, before anybody signs it."""
    page = _page(pdf)
    entry = object_of(pdf, page)
    content = entry.split(b"/Contents", 1)[1].split(b" R", 1)[0].strip() + b" R"
    changed = with_entry(entry, b"/Contents", b"[%s %s]" % (content, more))
    return appended(pdf, {page: changed, **(objects or {})}, size=size)


def shadows(page: bytes, pki: Pki) -> Iterator[Attack]:
    """The files of every switch: what was signed is intact, octet by octet."""

    def sign(pdf: bytes) -> bytes:
        return documents.sign(pdf, pki.officer)

    yield from _hidden_content(page, sign)
    yield from _two_tables(page, sign)
    yield from _layers(page, sign)
    yield from _fields(page, sign)


def _hidden_content(page: bytes, sign: Sign) -> Iterator[Attack]:
    free = size_of(page) + 40
    dangling = sign(_with_content(page, b"%d 0 R" % free, size=free + 1))
    yield Attack("shadow_dangling_content_defined", appended(dangling, {free: stream(_FORGED)}))
    beyond = sign(_with_content(page, b"%d 0 R" % (free + 500)))
    yield Attack("shadow_dangling_content_beyond_size_defined", appended(beyond, {free + 500: stream(_FORGED)}))
    far = sign(
        appended(page, {_page(page): with_item(object_of(page, _page(page)), b"/Annots", b"%d 0 R" % (free + 500))})
    )
    note = b"<< /Type /Annot /Subtype /FreeText /Rect [0 0 595 842] /F 4 /AP << /N %d 0 R >> >>" % (free + 501)
    yield Attack("shadow_dangling_annotation_defined", appended(far, {free + 500: note, free + 501: cover()}))
    named = sign(_with_content(page, b"", {}))
    content = number_of(named, b"/ASCII85Decode")
    yield Attack("shadow_content_replaced", appended(named, {content: stream(_FORGED)}))
    yield Attack("shadow_content_freed", appended(named, {}, rows=[(content, b"0000000000 00001 f")]))
    yield Attack("shadow_content_replaced_by_null", appended(named, {content: b"null"}))
    hidden = appended(page, {size_of(page): stream(_FORGED)})
    signed = sign(hidden)
    place = updates.place_of(signed, size_of(page))
    yield Attack(
        "shadow_table_leads_to_another_object", appended(signed, {}, rows=[(content, b"%010d 00000 n" % place)])
    )
    reading = updates.place_of(named, content)
    number = size_of(named)
    twice = appended(named, {content: stream(_FORGED)}, rows=[(content, b"%010d 00000 n" % reading)])
    yield Attack("shadow_object_listed_twice", twice)
    first = appended(named, {number: stream(_FORGED)})
    at = updates.place_of(first, number)
    yield Attack(
        "shadow_row_leads_to_another_number",
        appended(named, {number: stream(_FORGED)}, rows=[(content, b"%010d 00000 n" % at)]),
    )
    yield Attack("shadow_other_generation", appended(named, {}, rows=[(content, b"%010d 00001 n" % at)]))


def _two_tables(page: bytes, sign: Sign) -> Iterator[Attack]:
    signed = sign(page)
    content = number_of(signed, b"/ASCII85Decode")
    forged = {content: stream(_FORGED)}
    yield Attack("shadow_table_before_the_signed_one", appended(signed, forged, previous=updates.pointer_of(page)))
    yield Attack("shadow_table_without_the_signed_one", appended(signed, forged, previous=0))
    yield Attack("shadow_table_of_itself", appended(signed, forged, previous=len(signed) + 60))
    other = size_of(signed)
    hybrid = appended(signed, {other: stream(_FORGED)}, trailer=b"/XRefStm %d" % len(signed))
    yield Attack("shadow_hybrid_stream_is_none", hybrid)
    yield Attack(
        "shadow_trailer_encrypts",
        appended(signed, {other: b"<< /Filter /Standard /V 1 /R 2 /P -1 >>"}, trailer=b"/Encrypt %d 0 R" % other),
    )
    yield Attack(
        "shadow_trailer_two_roots", appended(signed, {other: b"<< /Type /Catalog >>"}, trailer=b"/Root %d 0 R" % other)
    )


def _layers(page: bytes, sign: Sign) -> Iterator[Attack]:
    """Optional content that was hidden at signing is switched on."""
    number = size_of(page)
    root = int(updates.root_of(page).split()[0])
    entry = object_of(page, root)
    form = cover()[:3] + b"/OC %d 0 R " % number + cover()[3:]
    off = b"<< /OCGs [%d 0 R] /D << /OFF [%d 0 R] >> >>" % (number, number)
    objects = {
        number: b"<< /Type /OCG /Name (L) >>",
        number + 1: form,
        number + 2: off,
        number + 3: b"q /Fx Do Q",
        root: with_entry(entry, b"/OCProperties", b"%d 0 R" % (number + 2)),
        _page(page): with_entry(object_of(page, _page(page)), b"/XObject", b"<< /Fx %d 0 R >>" % (number + 1)),
    }
    signed = sign(appended(page, objects))
    yield Attack("shadow_layer_switched_on", appended(signed, {number + 2: off.replace(b"/OFF", b"/ON")}))
    direct = {**objects, root: with_entry(entry, b"/OCProperties", off)}
    signed = sign(appended(page, direct))
    newest = object_of(signed, root)
    yield Attack("shadow_layer_switched_on_in_catalogue", appended(signed, {root: newest.replace(b"/OFF", b"/ON")}))


def _fields(page: bytes, sign: Sign) -> Iterator[Attack]:
    """Fields that hold one thing and show another from the beginning, or cover the page and stay empty until after signing."""
    field = number_of(page, b"/T (So)")
    number = size_of(page)
    entry = object_of(page, field)
    held = with_entry(entry, b"/V", b"(15)")
    signed = sign(appended(page, {field: with_entry(held, b"/AP", b"<< /N %d 0 R >>" % number), number: shown(b"15")}))
    newest = object_of(signed, field)
    later = size_of(signed)
    yield Attack("shadow_field_appearance_replaced_in_place", appended(signed, {number: shown(b"99")}))
    state = with_entry(newest, b"/AP", b"<< /N %d 0 R >>" % later)
    yield Attack("shadow_field_appearance_replaced", appended(signed, {field: state, later: shown(b"99")}))
    large = with_entry(entry, b"/Rect", b"[0 0 595 842]")
    over = sign(appended(page, {field: large}))
    covering = with_entry(
        with_entry(object_of(over, field), b"/AP", b"<< /N %d 0 R >>" % size_of(over)), b"/V", b"(GIA MAO)"
    )
    yield Attack("shadow_field_large_as_the_page_filled", appended(over, {field: covering, size_of(over): cover()}))
    unseen = sign(appended(page, {field: with_entry(large, b"/F", b"2"), number: cover()}))
    revealed = with_entry(object_of(unseen, field), b"/F", b"4")
    yield Attack("shadow_field_revealed", appended(unseen, {field: revealed}))
    states = with_entry(
        with_entry(entry, b"/AP", b"<< /N << /Off %d 0 R /On %d 0 R >> >>" % (number, number + 1)), b"/AS", b"/Off"
    )
    switched = sign(appended(page, {field: states, number: shown(b""), number + 1: shown(b"99")}))
    yield Attack(
        "shadow_field_state_switched",
        appended(switched, {field: with_entry(object_of(switched, field), b"/AS", b"/On")}),
    )
