"""Notes and marks after a certification (ISO 32000-2 12.8.2.2): what could pass for the page, and what comes under their cover."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields
from pyhanko.sign.fields import MDPPerm

from tests.attacks import documents
from tests.attacks.attack import Attack
from tests.attacks.overlays import with_entry, with_item
from tests.attacks.pki import Pki
from tests.attacks.updates import appended, number_of, object_of, root_of, size_of, stream

NOTE = b"<< /Type /Annot /Subtype /Text /Rect [300 700 320 720] /Contents (Xem lai) /P %(page)s %(more)s >>"
HIGHLIGHT = (
    b"<< /Type /Annot /Subtype /Highlight /Rect [72 715 300 735] /QuadPoints [72 735 300 735 72 715 300 715] /C [1 1 0]"
    b" /P %(page)s %(more)s >>"
)
MULTIPLY = b"/ExtGState << /G << /BM /Multiply >> >>"


def page_number(pdf: bytes) -> int:
    return number_of(pdf, b"/Type /Page", b"/MediaBox")


def annotated(
    pdf: bytes, annotation: bytes, *, more: bytes = b"", tabs: bytes = b"", appearance: bytes = b"", **entries: bytes
) -> bytes:
    """The document with one more annotation on its page, and what comes with it."""
    number, held = size_of(pdf), page_number(pdf)
    changed = with_item(object_of(pdf, held), b"/Annots", b"%d 0 R" % number)
    if tabs:
        changed = with_entry(changed, b"/Tabs", tabs)
    objects = {held: changed}
    if appearance:
        more += b" /AP << /N %d 0 R >>" % (number + 1)
        objects[number + 1] = stream(
            appearance, b"/Type /XObject /Subtype /Form " + entries.get("form", b"/BBox [0 0 20 20]")
        )
    objects[number] = annotation % {b"page": b"%d 0 R" % held, b"more": more}
    return appended(pdf, objects)


def with_tree(pdf: bytes) -> bytes:
    number, root, held = size_of(pdf), int(root_of(pdf).split()[0]), page_number(pdf)
    note = number_of(pdf, b"/Subtype /Text", b"Xem lai")
    return appended(
        pdf,
        {
            root: with_entry(object_of(pdf, root), b"/StructTreeRoot", b"%d 0 R" % number),
            number: b"<< /Type /StructTreeRoot /K [%d 0 R] /ParentTree %d 0 R /ParentTreeNextKey 2 >>" % (number + 1, number + 3),
            number + 1: b"<< /Type /StructElem /S /Document /P %d 0 R /K [%d 0 R %d 0 R] >>" % (number, number + 2, number + 4),
            number + 2: b"<< /Type /StructElem /S /P /P %d 0 R /Pg %d 0 R /K [0] >>" % (number + 1, held),
            number + 3: b"<< /Nums [0 [%d 0 R] 1 %d 0 R] >>" % (number + 2, number + 4),
            number + 4: b"<< /Type /StructElem /S /Annot /P %d 0 R /Pg %d 0 R /K << /Type /OBJR /Obj %d 0 R >> >>"
            % (number + 1, held, note),
        },
    )  # fmt: skip


def in_tree(pdf: bytes, element: bytes, *, number: int = 2) -> bytes:
    """The document with one more element, at the end of the tree and in its parent tree."""
    new, document, parents = size_of(pdf), number_of(pdf, b"/S /Document"), number_of(pdf, b"/Nums [0 ")
    changed = object_of(pdf, parents).replace(b"] >>", b" %d %d 0 R] >>" % (number, new))
    return appended(
        pdf, {document: with_item(object_of(pdf, document), b"/K", b"%d 0 R" % new), parents: changed, new: element}
    )


def changed_page(pdf: bytes, key: bytes, value: bytes) -> bytes:
    noted = annotated(pdf, NOTE)
    return appended(noted, {page_number(noted): with_entry(object_of(noted, page_number(noted)), key, value)})


def read_otherwise(pdf: bytes) -> bytes:
    """The structure's paragraph becomes another: what a screen reader says."""
    number = number_of(pdf, b"/S /P ")
    return appended(pdf, {number: with_entry(object_of(pdf, number), b"/ActualText", b"(Quyet dinh so 99)")})


def element_of_content(pdf: bytes) -> bytes:
    element = b"<< /Type /StructElem /S /P /P %d 0 R /Pg %d 0 R /K [0] >>"
    return in_tree(pdf, element % (number_of(pdf, b"/S /Document"), page_number(pdf)))


def paragraph_gone(pdf: bytes) -> bytes:
    document, paragraph = number_of(pdf, b"/S /Document"), number_of(pdf, b"/S /P ")
    return appended(pdf, {document: object_of(pdf, document).replace(b"%d 0 R " % paragraph, b"", 1)})


_BOX = b"/BBox [0 0 20 20]"
_WORDS = b"/BBox [0 0 228 20] /Resources << " + MULTIPLY + b" >>"
# An annotation, what it draws, and the form that it draws in. Under P=3 each may come; what it shows could be taken for what was signed.
_LIKE_THE_PAGE: dict[str, tuple[bytes, bytes, bytes]] = {
    "free_text": (NOTE.replace(b"/Text", b"/FreeText"), b"", b""),
    "stamp": (NOTE.replace(b"/Text", b"/Stamp"), b"0 g 0 0 20 20 re f", _BOX),
    "square": (NOTE.replace(b"/Text", b"/Square"), b"", b""),
    "link": (NOTE.replace(b"/Text", b"/Link"), b"", b""),
    "note_as_large_as_the_page": (NOTE.replace(b"320 720", b"600 800"), b"1 g 0 0 20 20 re f", _BOX),
    "note_draws_a_figure": (NOTE, b"BT /Helv 20 Tf (9) Tj ET", _BOX),
    "note_with_an_action": (NOTE.replace(b"%(more)s", b"/A << /S /JavaScript /JS (1) >> %(more)s"), b"", b""),
    "highlight_covers_words": (HIGHLIGHT, b"1 g 0 0 228 20 re f", _WORDS),
    "highlight_lets_go_of_multiply": (HIGHLIGHT, b"q /G gs Q 1 g 0 0 228 20 re f", _WORDS),
    "strike_out_too_thick": (
        HIGHLIGHT.replace(b"/Highlight", b"/StrikeOut"),
        b"40 w 0 9 m 228 9 l S",
        b"/BBox [0 0 228 20]",
    ),
    "strike_out_grown_by_its_box": (
        HIGHLIGHT.replace(b"/Highlight", b"/StrikeOut"),
        b"1 w 0 .2 m 2 .2 l S",
        b"/BBox [0 0 2 .4]",
    ),
}
# Under P=3 too none of these may come with a note.
_BESIDE: dict[str, Callable[[bytes], bytes]] = {
    "text_replaced": documents.with_other_text,
    "page_added": documents.with_other_page,
    "page_turned": lambda pdf: changed_page(pdf, b"/Rotate", b"180"),
    "page_cut": lambda pdf: changed_page(pdf, b"/MediaBox", b"[0 0 300 300]"),
    "order_of_tabs_unknown": lambda pdf: changed_page(pdf, b"/Tabs", b"/Q"),
    "page_with_an_action": lambda pdf: changed_page(pdf, b"/AA", b"<< /O << /S /JavaScript /JS (1) >> >>"),
    "paragraph_read_aloud_otherwise": read_otherwise,
    "element_of_content_added": element_of_content,
    "paragraph_left_out": paragraph_gone,
}


def annotation_attacks(pki: Pki) -> Iterator[Attack]:
    """Nothing, P=1, P=2 permit no annotation; P=3 permits it, and nothing that looks like the page or changes it."""
    page = prepared_page()
    for name, permitted in {"uncertified": None, "p1": MDPPerm.NO_CHANGES, "p2": MDPPerm.FILL_FORMS}.items():
        signed = documents.sign(page, pki.officer, certify=permitted)
        yield Attack(f"note_{name}_note", annotated(signed, NOTE))
        yield Attack(f"note_{name}_highlight", annotated(signed, HIGHLIGHT))
        yield Attack(f"note_{name}_note_reworded", reworded(signed))
    certified = documents.sign(page, pki.officer, certify=MDPPerm.ANNOTATE)
    for name, (annotation, appearance, form) in _LIKE_THE_PAGE.items():
        yield Attack(f"note_p3_shows_{name}", annotated(certified, annotation, appearance=appearance, form=form))
    for name, change in _BESIDE.items():
        yield Attack(f"note_p3_hides_{name}", change(certified))
    yield Attack("note_p3_hides_appearance_shared_with_page", shared_appearance(page, pki))


def prepared_page() -> bytes:
    """A page in a structure tree: one paragraph of content, a note that is there already, and the place of a second signature."""
    writer, out = IncrementalPdfFileWriter(io.BytesIO(with_tree(annotated(documents.page_pdf(), NOTE)))), io.BytesIO()
    fields.append_signature_field(writer, fields.SigFieldSpec("Sig2", box=(100, 100, 200, 160)))
    writer.write(out)
    return out.getvalue()


def reworded(pdf: bytes) -> bytes:
    """The note that was signed says something else."""
    number = number_of(pdf, b"/Subtype /Text", b"Xem lai")
    return appended(pdf, {number: object_of(pdf, number).replace(b"Xem lai", b"Da xem")})


def shared_appearance(page: bytes, pki: Pki) -> bytes:
    """Prepared before signing: the appearance of a note is what the page draws as well, and becomes another."""
    held, drawn = page_number(page), size_of(page)
    shape = b"/Type /XObject /Subtype /Form /BBox [0 0 20 20]"
    resources = object_of(page, held)
    prepared = appended(
        page, {drawn: stream(b"0 0 5 5 re f", shape), held: with_entry(resources, b"/Thumb", b"%d 0 R" % drawn)}
    )
    note = number_of(prepared, b"/Subtype /Text", b"Xem lai")
    face = with_entry(object_of(prepared, note), b"/AP", b"<< /N %d 0 R >>" % drawn)
    signed = documents.sign(appended(prepared, {note: face}), pki.officer, certify=MDPPerm.ANNOTATE)
    return appended(signed, {drawn: stream(b"0 0 9 9 re f", shape)})
