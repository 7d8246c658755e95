"""Where a stamp was asked to stand, through the whole preparing: fields and points over text, a seal over a signature, the policy's option."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont

from signer.appearance.geometry import seal_rect
from signer.appearance.survey import Survey
from signer.errors import Refused
from signer.plan import Plan, Prepared
from tests.drafts import Draft
from tests.signing_world import DIAMETER_MM, SigningWorld


@pytest.fixture
def draft(pictures) -> Draft:
    pdfmetrics.registerFont(TTFont("Tinos-Test", str(Path(pictures.fonts) / "Tinos-Regular.ttf")))
    return Draft()


class Allowing:
    """Prepares as if the office's policy allowed to cover what is there."""

    def __init__(self, signing: SigningWorld) -> None:
        self._judging = signing.judging

    def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
        return self._judging.prepare(pdf, dataclasses.replace(plan, may_cover=True))


def code_of(call) -> str:
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.code


def test_a_named_field_over_text_is_refused_unless_the_policy_allows_it(signing: SigningWorld, draft: Draft) -> None:
    draft.write("Ý kiến của người ký", 300, 300).field("ChuKy", (290, 280, 420, 340))
    pdf = draft.fill(bottom=500).done()
    assert code_of(lambda: signing.sign(pdf, field="ChuKy")) == "FIELD_COVERS_TEXT"
    allowed = dataclasses.replace(signing, deps=dataclasses.replace(signing.deps, preparer=Allowing(signing)))
    assert allowed.sign(pdf, field="ChuKy").placed == "field"
    assert allowed.sign(draft_at_text(), placement="1,300,500").placed == "given"
    assert code_of(lambda: signing.sign(draft_at_text(), placement="1,300,500")) == "PLACEMENT_COVERS_TEXT"


def draft_at_text() -> bytes:
    return Draft().fill().done()


def test_a_named_field_over_a_printed_line_is_what_its_author_wanted(signing: SigningWorld, draft: Draft) -> None:
    pdf = draft.write("______________", 300, 300).field("ChuKy", (290, 280, 420, 340)).done()
    assert signing.sign(pdf, field="ChuKy").placed == "field"


def test_a_seal_may_be_put_over_the_signature_and_over_no_text(signing: SigningWorld, draft: Draft) -> None:
    signed = signing.sign(draft.fill(bottom=400).done(), placement="1,330,200").content
    with Survey(signed) as survey:
        box = next(each.rect for each in survey.page(0).widgets() if each.name == "Signature1")
    x, y, _, _ = seal_rect(box, DIAMETER_MM)
    assert code_of(lambda: signing.sign(signed, "seal", placement="1,330,420")) == "PLACEMENT_COVERS_TEXT"
    issued = signing.sign(signed, "seal", placement=f"1,{x + 4:.1f},{y + 6:.1f}")
    assert issued.placed == "given"
    assert signing.verdict(issued.content).conclusion == "valid"


@pytest.mark.parametrize(
    ("placement", "code"),
    [
        ("anchor:KHÔNG CÓ Ở ĐÂY", "ANCHOR_MISSING"),
        ("anchor:Trung tâm", "ANCHOR_AMBIGUOUS"),
        ("anchor:Trung tâm#1", "ANCHOR_WITHOUT_ROOM"),
        ("margin:1", "PLACEMENT_WITHOUT_ROOM"),
        ("margin:9", "PLACEMENT_OFF_PAGE"),
    ],
)
def test_each_place_that_cannot_be_had_has_its_own_reason(
    signing: SigningWorld, draft: Draft, placement: str, code: str
) -> None:
    before = signing.actions()
    assert code_of(lambda: signing.sign(draft.fill().done(), placement=placement)) == code
    assert signing.actions() == before
