"""What comes after a certification that permits annotations (ISO 32000-2 12.8.2.2, P=3): they, what belongs to them, and nothing else."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.incremental_writer import IncrementalPdfFileWriter
from pyhanko.sign import fields
from pyhanko.sign.fields import MDPPerm

from signer.validation.changes import certified_permission
from signer.validation.policy import JudgedFile
from tests.attacks import documents
from tests.attacks.overlays import with_entry, with_item
from tests.attacks.pki import Pki
from tests.attacks.updates import appended, number_of, object_of, root_of, size_of, stream

Judging = Callable[..., JudgedFile]
NOTE = b"<< /Type /Annot /Subtype /Text /Rect [300 700 320 720] /Contents (Xem lai) /P %(page)s %(more)s >>"
HIGHLIGHT = (
    b"<< /Type /Annot /Subtype /Highlight /Rect [72 715 300 735] /QuadPoints [72 735 300 735 72 715 300 715] /C [1 1 0]"
    b" /P %(page)s %(more)s >>"
)
MULTIPLY = b"/ExtGState << /G << /BM /Multiply >> >>"


@pytest.fixture(scope="module")
def page() -> bytes:
    """A page in a structure tree: one paragraph of content, a note that is there already, and the place of a second signature."""
    writer, out = IncrementalPdfFileWriter(io.BytesIO(with_tree(annotated(documents.page_pdf(), NOTE)))), io.BytesIO()
    fields.append_signature_field(writer, fields.SigFieldSpec("Sig2", box=(100, 100, 200, 160)))
    writer.write(out)
    return out.getvalue()


@pytest.fixture(scope="module")
def certified(page: bytes, pki: Pki) -> bytes:
    return documents.sign(page, pki.officer, certify=MDPPerm.ANNOTATE)


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


def outcome(judged: JudgedFile) -> tuple[str, list[tuple[str, int | None, str]]]:
    return judged.reason, [(c.kind, c.page, c.text) for c in judged.signatures[0].facts.changes]


def test_a_note_may_come_with_its_place_in_the_structure_and_an_order_of_tabs(
    certified: bytes, judging: Judging
) -> None:
    noted = annotated(certified, NOTE, more=b"/StructParent 2", tabs=b"/S")
    assert outcome(judging(noted)) == ("VALID_EXTENDED", [("annotation", 1, "∅ → Text: Xem lai")])
    note = number_of(noted, b"/Subtype /Text", b"/StructParent 2")
    element = b"<< /Type /StructElem /S /Annot /P %d 0 R /Pg %d 0 R /K << /Type /OBJR /Obj %d 0 R >> >>"
    placed = in_tree(noted, element % (number_of(noted, b"/S /Document"), page_number(noted), note))
    assert outcome(judging(placed)) == ("VALID_EXTENDED", [("annotation", 1, "∅ → Text: Xem lai")])


def test_a_note_may_change_and_go(certified: bytes, judging: Judging) -> None:
    number = number_of(certified, b"/Subtype /Text", b"Xem lai")
    changed = appended(certified, {number: object_of(certified, number).replace(b"Xem lai", b"Da xem")})
    assert outcome(judging(changed)) == ("VALID_EXTENDED", [("annotation", 1, "Text: Xem lai → Text: Da xem")])
    held = page_number(certified)
    without = object_of(certified, held).replace(b"%d 0 R" % number, b"", 1)
    gone = appended(certified, {held: without})
    assert outcome(judging(gone)) == ("VALID_EXTENDED", [("annotation", 1, "Text: Xem lai → ∅")])


@pytest.mark.parametrize(
    ("annotation", "appearance", "form"),
    [
        (HIGHLIGHT, b"", b""),
        (HIGHLIGHT, b"/G gs 1 1 0 rg 0 0 228 20 re f", b"/BBox [0 0 228 20] /Resources << " + MULTIPLY + b" >>"),
        (HIGHLIGHT.replace(b"/Highlight", b"/Underline"), b"1 w 0 2 m 228 2 l S", b"/BBox [0 0 228 20]"),
        (NOTE, b"1 1 0 rg 0 0 20 20 re f", b"/BBox [0 0 20 20]"),
    ],
)  # fmt: skip
def test_marks_on_words_are_permitted_beside_other_permitted_things(
    certified: bytes, pki: Pki, judging: Judging, annotation: bytes, appearance: bytes, form: bytes
) -> None:
    marked = annotated(certified, annotation, appearance=appearance, form=form)
    assert judging(marked).reason == "VALID_EXTENDED"
    later = documents.timestamped(documents.sign(documents.filled(marked), pki.seal, "Sig2", new_field=False), pki.tsa)
    judged = judging(annotated(later, NOTE))
    assert (judged.reason, judged.conclusion) == ("VALID_EXTENDED", "valid")
    kinds = {change.kind for change in judged.signatures[0].facts.changes}
    assert kinds == {"annotation", "field", "signature", "timestamp"}
    # The second signer has signed under the same certification.
    assert [signature.conclusion for signature in judged.signatures] == ["valid"] * 3


@pytest.mark.parametrize(
    ("annotation", "appearance", "form"),
    [
        (NOTE.replace(b"/Text", b"/FreeText"), b"", b""),
        (NOTE.replace(b"/Text", b"/Stamp"), b"0 g 0 0 20 20 re f", b"/BBox [0 0 20 20]"),
        (NOTE.replace(b"/Text", b"/Square"), b"", b""),
        (NOTE.replace(b"/Text", b"/Link"), b"", b""),
        (NOTE.replace(b"320 720", b"600 800"), b"1 g 0 0 20 20 re f", b"/BBox [0 0 20 20]"),
        (NOTE, b"BT /Helv 20 Tf (9) Tj ET", b"/BBox [0 0 20 20]"),
        (NOTE.replace(b"%(more)s", b"/A << /S /JavaScript /JS (1) >> %(more)s"), b"", b""),
        (HIGHLIGHT, b"1 g 0 0 228 20 re f", b"/BBox [0 0 228 20] /Resources << " + MULTIPLY + b" >>"),
        (HIGHLIGHT, b"q /G gs Q 1 g 0 0 228 20 re f", b"/BBox [0 0 228 20] /Resources << " + MULTIPLY + b" >>"),
        (HIGHLIGHT.replace(b"/Highlight", b"/StrikeOut"), b"40 w 0 9 m 228 9 l S", b"/BBox [0 0 228 20]"),
        (HIGHLIGHT.replace(b"/Highlight", b"/StrikeOut"), b"1 w 0 .2 m 2 .2 l S", b"/BBox [0 0 2 .4]"),
    ],
)  # fmt: skip
def test_what_could_pass_for_the_page_is_told_and_not_called_valid(
    certified: bytes, judging: Judging, annotation: bytes, appearance: bytes, form: bytes
) -> None:
    reason, changes = outcome(judging(annotated(certified, annotation, appearance=appearance, form=form)))
    assert reason == "UNKNOWN_CHANGES"
    assert [change[0] for change in changes] == ["annotation"]


@pytest.mark.parametrize("permitted", [None, MDPPerm.NO_CHANGES, MDPPerm.FILL_FORMS])
def test_without_that_permission_no_annotation_may_come(
    page: bytes, pki: Pki, judging: Judging, permitted: MDPPerm | None
) -> None:
    assert judging(annotated(documents.sign(page, pki.officer, certify=permitted), NOTE)).reason == "INVALID_MODIFIED"


def changed_page(pdf: bytes, key: bytes, value: bytes) -> bytes:
    noted = annotated(pdf, NOTE)
    return appended(noted, {page_number(noted): with_entry(object_of(noted, page_number(noted)), key, value)})


def shared_with_the_page(pdf: bytes) -> bytes:
    """The structure's paragraph becomes another: what a screen reader says."""
    number = number_of(pdf, b"/S /P ")
    return appended(pdf, {number: with_entry(object_of(pdf, number), b"/ActualText", b"(Quyet dinh so 99)")})


def element_of_content(pdf: bytes) -> bytes:
    element = b"<< /Type /StructElem /S /P /P %d 0 R /Pg %d 0 R /K [0] >>"
    return in_tree(pdf, element % (number_of(pdf, b"/S /Document"), page_number(pdf)))


def paragraph_gone(pdf: bytes) -> bytes:
    document, paragraph = number_of(pdf, b"/S /Document"), number_of(pdf, b"/S /P ")
    return appended(pdf, {document: object_of(pdf, document).replace(b"%d 0 R " % paragraph, b"", 1)})


@pytest.mark.parametrize(
    "change",
    [
        documents.with_other_text,
        documents.with_other_page,
        lambda pdf: changed_page(pdf, b"/Rotate", b"180"),
        lambda pdf: changed_page(pdf, b"/MediaBox", b"[0 0 300 300]"),
        lambda pdf: changed_page(pdf, b"/Tabs", b"/Q"),
        lambda pdf: changed_page(pdf, b"/AA", b"<< /O << /S /JavaScript /JS (1) >> >>"),
        shared_with_the_page,
        element_of_content,
        paragraph_gone,
    ],
)  # fmt: skip
def test_nothing_else_may_change(certified: bytes, judging: Judging, change: Callable[[bytes], bytes]) -> None:
    assert judging(change(certified)).reason == "INVALID_MODIFIED"


def test_what_an_annotation_shares_with_the_page_may_not_change(page: bytes, pki: Pki, judging: Judging) -> None:
    """Prepared before signing: the appearance of a note is what the page draws as well."""
    held, drawn = page_number(page), size_of(page)
    shape = b"/Type /XObject /Subtype /Form /BBox [0 0 20 20]"
    resources = object_of(page, held)
    prepared = appended(
        page, {drawn: stream(b"0 0 5 5 re f", shape), held: with_entry(resources, b"/Thumb", b"%d 0 R" % drawn)}
    )
    note = number_of(prepared, b"/Subtype /Text", b"Xem lai")
    face = with_entry(object_of(prepared, note), b"/AP", b"<< /N %d 0 R >>" % drawn)
    signed = documents.sign(appended(prepared, {note: face}), pki.officer, certify=MDPPerm.ANNOTATE)
    assert judging(appended(signed, {drawn: stream(b"0 0 9 9 re f", shape)})).reason == "INVALID_MODIFIED"


def test_a_certification_without_its_number_permits_forms() -> None:
    """Table 257: P is 2 unless it says otherwise."""
    name = generic.NameObject
    method = generic.DictionaryObject({name("/TransformMethod"): name("/DocMDP")})
    dictionary = generic.DictionaryObject({name("/Reference"): generic.ArrayObject([method])})
    assert certified_permission(dictionary) == MDPPerm.FILL_FORMS
    method[name("/TransformParams")] = generic.DictionaryObject({name("/P"): generic.NumberObject(3)})
    assert certified_permission(dictionary) == MDPPerm.ANNOTATE
    assert certified_permission(generic.DictionaryObject()) is None
