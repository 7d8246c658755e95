"""What comes after a certification that permits annotations (ISO 32000-2 12.8.2.2, P=3): they, what belongs to them, and nothing else."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from pyhanko.pdf_utils import generic
from pyhanko.sign.fields import MDPPerm

from signer.validation.changes import certified_permission
from signer.validation.policy import JudgedFile
from tests.attacks import documents
from tests.attacks.annotations import (
    HIGHLIGHT,
    MULTIPLY,
    NOTE,
    annotated,
    annotation_attacks,
    in_tree,
    page_number,
    prepared_page,
    reworded,
)
from tests.attacks.pki import Pki
from tests.attacks.updates import appended, number_of, object_of

Judging = Callable[..., JudgedFile]


@pytest.fixture(scope="module")
def page() -> bytes:
    return prepared_page()


@pytest.fixture(scope="module")
def certified(page: bytes, pki: Pki) -> bytes:
    return documents.sign(page, pki.officer, certify=MDPPerm.ANNOTATE)


@pytest.fixture(scope="module")
def family(pki: Pki) -> dict[str, bytes]:
    return {attack.name: attack.pdf for attack in annotation_attacks(pki)}


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
    assert outcome(judging(reworded(certified))) == (
        "VALID_EXTENDED",
        [("annotation", 1, "Text: Xem lai → Text: Da xem")],
    )
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


def test_what_could_pass_for_the_page_is_told_and_not_called_valid(family: dict[str, bytes], judging: Judging) -> None:
    shown = {name: outcome(judging(pdf)) for name, pdf in family.items() if name.startswith("note_p3_shows_")}
    assert len(shown) == 11
    for name, (reason, changes) in shown.items():
        assert (reason, [change[0] for change in changes]) == ("UNKNOWN_CHANGES", ["annotation"]), name


def test_without_that_permission_no_annotation_may_come_and_with_it_nothing_else(
    family: dict[str, bytes], judging: Judging
) -> None:
    others = {name: judging(pdf).reason for name, pdf in family.items() if not name.startswith("note_p3_shows_")}
    assert len(others) == 19
    assert others == dict.fromkeys(others, "INVALID_MODIFIED")


def test_a_certification_without_its_number_permits_forms() -> None:
    """Table 257: P is 2 unless it says otherwise."""
    name = generic.NameObject
    method = generic.DictionaryObject({name("/TransformMethod"): name("/DocMDP")})
    dictionary = generic.DictionaryObject({name("/Reference"): generic.ArrayObject([method])})
    assert certified_permission(dictionary) == MDPPerm.FILL_FORMS
    method[name("/TransformParams")] = generic.DictionaryObject({name("/P"): generic.NumberObject(3)})
    assert certified_permission(dictionary) == MDPPerm.ANNOTATE
    assert certified_permission(generic.DictionaryObject()) is None
