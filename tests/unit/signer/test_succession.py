"""signer/succession.py and lineage.py: which document may take another's place, and what is known of both afterwards."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from signer.codes import grouped, new_code
from signer.errors import Refused, UsageWrong
from signer.lineage import CORRECTED, REPLACED, Lineage, lineage_of
from signer.recall import recall_document
from signer.succession import Succession, record_succession
from tests.fakes.clock import START
from tests.signing_world import CLERK, SigningWorld, plain_paper

PAPER = plain_paper()
WHY = "Sai nội dung"
Sign = Callable[[], str]


@pytest.fixture
def sign(signing: SigningWorld) -> Sign:
    """A document that an officer has signed; its code."""
    return lambda: signing.sign(PAPER, placement="none").code


def succeed(signing: SigningWorld, code: str, by: str, status: str = REPLACED, reason: str = WHY) -> str:
    wanted = Succession(code, by, status, reason)
    return record_succession(wanted, CLERK, signing.world.database, signing.world.clock).status


def recall(signing: SigningWorld, code: str) -> None:
    recall_document(code, "Sai thẩm quyền", CLERK, signing.world.database, signing.world.clock)


def lineage(signing: SigningWorld, code: str) -> Lineage:
    with signing.world.database.read() as session:
        return lineage_of(session, code)


def refusal(signing: SigningWorld, code: str, by: str, status: str = REPLACED) -> str:
    """Why it was refused; nothing may have changed then."""
    before = signing.rows("SELECT * FROM documents"), signing.rows("SELECT * FROM document_status_changes")
    acts = signing.actions()
    with pytest.raises((Refused, UsageWrong)) as caught:
        succeed(signing, code, by, status)
    assert (signing.rows("SELECT * FROM documents"), signing.rows("SELECT * FROM document_status_changes")) == before
    assert signing.actions() == acts
    return caught.value.code


def test_a_replaced_document_leads_to_the_one_that_holds_and_back(signing: SigningWorld, sign: Sign) -> None:
    first, second, third = sign(), sign(), sign()
    assert succeed(signing, grouped(first).lower(), grouped(second)) == "replaced"
    assert succeed(signing, second, third) == "replaced"
    found = lineage(signing, first)
    assert [(each.status, each.by, each.reason, each.actor, each.changed_at) for each in found.changes] == [
        ("replaced", second, WHY, CLERK.name, START)
    ]
    assert (found.replaces, found.corrects, found.holds_now) == ((), (), third)
    assert lineage(signing, second).replaces == (first,)
    assert (lineage(signing, third).replaces, lineage(signing, third).holds_now) == ((second,), third)
    assert signing.actions()[-2:] == ["document.replace"] * 2
    recall(signing, third)
    assert {lineage(signing, each).holds_now for each in (first, second, third)} == {None}


def test_a_corrected_document_stays_in_force_with_all_its_corrections(signing: SigningWorld, sign: Sign) -> None:
    paper, letter, second_letter, replacement = sign(), sign(), sign(), sign()
    assert succeed(signing, paper, letter, CORRECTED) == "corrected"
    assert succeed(signing, paper, second_letter, CORRECTED) == "corrected"
    found = lineage(signing, paper)
    assert (found.corrections, found.holds_now) == ((letter, second_letter), paper)
    assert lineage(signing, letter).corrects == (paper,)
    assert signing.actions()[-1] == "document.correct"
    assert succeed(signing, paper, replacement) == "replaced"
    assert lineage(signing, paper).holds_now == replacement


def test_the_verdict_says_it_and_the_signature_stays_as_good_as_it_was(signing: SigningWorld, sign: Sign) -> None:
    signed = signing.sign(PAPER, placement="none")
    letter, later, last = sign(), sign(), sign()
    succeed(signing, signed.code, letter, CORRECTED)
    verdict = signing.verdict(signed.content)
    assert (verdict.reason, verdict.exit_code) == ("VALID", 0)
    assert verdict.document is not None
    assert (verdict.document.status, verdict.document.see) == ("corrected", (letter,))
    succeed(signing, signed.code, later)
    succeed(signing, later, last)
    verdict = signing.verdict(signed.content)
    assert (verdict.conclusion, verdict.reason, verdict.exit_code) == ("valid", "DOC_REPLACED", 1)
    assert verdict.document is not None
    assert verdict.document.see == (last,)
    assert verdict.to_json()["document"] == {"code": signed.code, "status": "replaced"}


def test_what_is_out_of_force_is_neither_replaced_nor_replaces(signing: SigningWorld, sign: Sign) -> None:
    recalled, replaced, free, other = sign(), sign(), sign(), sign()
    recall(signing, recalled)
    succeed(signing, replaced, free)
    for gone in (recalled, replaced):
        for status in (REPLACED, CORRECTED):
            assert refusal(signing, gone, other, status) == "DOCUMENT_NOT_IN_FORCE"
            assert refusal(signing, other, gone, status) == "SUCCESSOR_NOT_IN_FORCE"


def test_no_way_leads_back_to_where_it_began(signing: SigningWorld, sign: Sign) -> None:
    first, second, third = sign(), sign(), sign()
    assert refusal(signing, first, first) == "SUCCESSOR_SAME"
    succeed(signing, first, second, CORRECTED)
    succeed(signing, second, third, CORRECTED)
    for status in (REPLACED, CORRECTED):
        assert refusal(signing, third, first, status) == "SUCCESSOR_CIRCLE"
        assert refusal(signing, second, first, status) == "SUCCESSOR_CIRCLE"
    assert refusal(signing, first, second, CORRECTED) == "SUCCESSOR_ALREADY"
    assert succeed(signing, first, third) == "replaced"


def test_what_only_a_person_has_signed_takes_the_place_of_no_issued_document(signing: SigningWorld, sign: Sign) -> None:
    approved = signing.sign(PAPER)
    issued = signing.sign(approved.content, "seal")
    draft = signing.sign(plain_paper("Another"))
    assert refusal(signing, issued.code, draft.code) == "SUCCESSOR_NOT_ISSUED"
    signing.sign(draft.content, "seal")
    assert succeed(signing, issued.code, draft.code) == "replaced"
    assert succeed(signing, sign(), draft.code) == "replaced"


def test_a_document_whose_signature_never_ended_replaces_none(signing: SigningWorld, sign: Sign) -> None:
    code, failed = sign(), sign()
    with signing.world.database.write() as session:
        session.connection().exec_driver_sql("UPDATE signing_acts SET state = 'failed' WHERE document_id = 2")
    assert refusal(signing, code, failed) == "SUCCESSOR_NOT_SIGNED"


def test_codes_and_reasons_that_cannot_be_meant_are_said_so(signing: SigningWorld, sign: Sign) -> None:
    code = sign()
    assert refusal(signing, code, new_code()) == "CODE_NOT_FOUND"
    assert refusal(signing, new_code(), code) == "CODE_NOT_FOUND"
    assert refusal(signing, code, "x") == "CODE_MALFORMED"
    with pytest.raises(UsageWrong) as caught:
        succeed(signing, code, sign(), reason=" ")
    assert caught.value.code == "RECALL_REASON_MISSING"


def test_it_takes_the_same_right_as_a_recall(signing: SigningWorld, sign: Sign) -> None:
    wanted = Succession(sign(), sign(), REPLACED, WHY)
    with pytest.raises(RoleMissing):
        record_succession(wanted, Actor("nobody"), signing.world.database, signing.world.clock)


def test_a_replaced_document_takes_no_more_signatures(signing: SigningWorld, sign: Sign) -> None:
    signed = signing.sign(PAPER)
    succeed(signing, signed.code, sign())
    with pytest.raises(Refused) as caught:
        signing.sign(signed.content, "seal")
    assert caught.value.code == "DOCUMENT_NOT_IN_FORCE"
