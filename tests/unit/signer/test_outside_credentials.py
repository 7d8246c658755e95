"""signer/outside_credentials.py: a card or a service elsewhere signs as an officer or as the seal, in the order of ND30, until it is ended."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from datetime import timedelta

import pytest

from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.errors import ApprovalNeeded, RoleMissing
from signer.appearance.font_shelf import FontShelf
from signer.batches import NewBatch, add_batch
from signer.credential_renewal import CredentialRenewal, renew_credential
from signer.credentials import list_credentials
from signer.documents import document_by_code
from signer.enrolment import EnrolmentDeps
from signer.errors import Refused, SignerError, UsageWrong
from signer.given import Given
from signer.handing_over import finish_document, prepare_document
from signer.outside_credentials import (
    NewOutside,
    OutsideCredential,
    OutsideDeps,
    end_outside,
    enrol_outside,
    list_outside,
)
from signer.prepared import PreparedDocument
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.uploads import UploadStore
from tests.attacks.pki import NOW
from tests.signing_world import Pictures
from tests.unit.signer.elsewhere import Card, make_card, record
from tests.unit.signer.office import PDF, Office
from tests.world import ADMIN, AGENCY


@pytest.fixture
def office(office: Office, pictures: Pictures) -> Office:
    """The office with fonts: a seal writes number and date."""
    font = FontShelf(pictures.fonts, pictures.cache).font
    return dataclasses.replace(office, deps=dataclasses.replace(office.deps, font=font))


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises((Refused, UsageWrong)) as caught:
        call()
    assert isinstance(caught.value, SignerError)
    return caught.value.code


def deps(office: Office, *acts: Act) -> OutsideDeps:
    return OutsideDeps(office.world.database, office.world.clock, ApprovalRules(acts=frozenset(acts)), "pss")


def enrol(
    office: Office, card: Card, name: str = "card", role: str = "officer", actor: Actor = ADMIN, *acts: Act, **more: str
) -> OutsideCredential:
    wish = card.wish
    told = {"holder": "Trần Văn Thẻ", "reference": "12/QĐ-UBND", "agency": AGENCY} | more
    return enrol_outside(NewOutside(name, role, wish.certificate, wish.others, **told), actor, deps(office, *acts))


def prepare(office: Office, name: str, pdf: bytes = PDF) -> PreparedDocument:
    return prepare_document(SignRequest(pdf, "a.pdf", name, placement="none"), ADMIN, office.handover)


def signed_by(office: Office, card: Card, name: str, pdf: bytes = PDF) -> SignedDocument:
    one = prepare(office, name, pdf)
    return finish_document(one.id, Given(card.sign(one.to_be_signed)), ADMIN, office.handover)


def test_an_officer_and_a_seal_whose_keys_are_both_elsewhere_issue_a_document(office: Office) -> None:
    person, stamp = make_card(), make_card()
    enrol(office, person, "chair")
    enrol(office, stamp, "stamp", "seal")
    approved = signed_by(office, person, "chair")
    one = prepare(office, "stamp", approved.content)
    assert (one.intent, one.number and one.number.number, one.credential) == ("issue", 1, "stamp")
    issued = finish_document(one.id, Given(stamp.sign(one.to_be_signed)), ADMIN, office.handover)
    assert (issued.code, issued.issued, issued.number) == (approved.code, True, 1)
    with office.world.database.read() as session:
        document = document_by_code(session, issued.code)
    assert [(act.credential, act.intent, act.state) for act in document.acts] == [
        ("chair", "approve", "done"), ("stamp", "issue", "done"),
    ]  # fmt: skip
    assert (document.agency, document.number) == (AGENCY, 1)
    # The same seal once more, and a second original beside it, are refused as for keys of the house.
    assert refusal(lambda: prepare(office, "stamp", issued.content)) == "ALREADY_ISSUED"


def test_a_person_counts_as_an_officer_only_while_he_is_enrolled_as_one(office: Office) -> None:
    person, stamp, clerk = make_card(), make_card(), make_card()
    enrol(office, stamp, "stamp", "seal")
    unknown = prepare_document(SignRequest(PDF, "a.pdf", "", placement="none"), ADMIN, office.handover, person.wish)
    signed = finish_document(unknown.id, Given(person.sign(unknown.to_be_signed)), ADMIN, office.handover)
    assert refusal(lambda: prepare(office, "stamp", signed.content)) == "ISSUE_WITHOUT_OFFICER"
    enrol(office, clerk, "other-stamp", "seal")
    enrol(office, person, "chair")
    assert prepare(office, "stamp", signed.content).intent == "issue"
    end_outside("chair", "lost", ADMIN, office.world.database, office.world.clock)
    assert refusal(lambda: prepare(office, "stamp", signed.content)) == "ISSUE_WITHOUT_OFFICER"


def test_what_an_officer_of_the_house_signed_is_sealed_with_a_key_elsewhere(office: Office) -> None:
    stamp = make_card()
    enrol(office, stamp, "stamp", "seal")
    assert refusal(lambda: prepare(office, "stamp")) == "ISSUE_WITHOUT_OFFICER"
    issued = signed_by(office, stamp, "stamp", office.sign("B-B"))
    assert issued.issued
    judged = office.judging.verify(issued.content, "a.pdf").judged.signatures
    assert [each.integrity for each in judged] == ["intact", "intact"]


def test_a_changed_file_does_not_count(office: Office) -> None:
    person, stamp = make_card(), make_card()
    enrol(office, person, "chair")
    enrol(office, stamp, "stamp", "seal")
    signed = bytearray(signed_by(office, person, "chair").content)
    signed[PDF.index(b"Tf") + 1] ^= 1
    assert refusal(lambda: prepare(office, "stamp", bytes(signed))) == "INPUT_SIGNATURE_BROKEN"


def test_one_that_is_ended_signs_nothing_also_where_it_was_prepared_before(office: Office) -> None:
    card = make_card()
    assert enrol(office, card).ended_at is None
    one = prepare(office, "card")
    ended = end_outside("card", "Mất thẻ", ADMIN, office.world.database, office.world.clock)
    assert (ended.end_reason, ended.ended_at) == ("Mất thẻ", office.world.clock.now())
    given = Given(card.sign(one.to_be_signed))
    assert refusal(lambda: finish_document(one.id, given, ADMIN, office.handover)) == "CREDENTIAL_ENDED"
    assert record(office, one).state == "waiting"
    assert refusal(lambda: prepare(office, "card")) == "CREDENTIAL_ENDED"
    again = lambda: end_outside("card", "x", ADMIN, office.world.database, office.world.clock)  # noqa: E731
    assert refusal(again) == "CREDENTIAL_ENDED"
    # The same card may be enrolled anew, under another name.
    assert enrol(office, card, "card-2").name == "card-2"


def test_one_whose_certificate_ends_signs_nothing_and_counts_no_more(office: Office) -> None:
    person, stamp = make_card(not_after=NOW + timedelta(days=30)), make_card()
    enrol(office, person, "chair")
    enrol(office, stamp, "stamp", "seal")
    signed = signed_by(office, person, "chair").content
    office.world.clock.advance(days=40)
    assert refusal(lambda: prepare(office, "chair")) == "CREDENTIAL_EXPIRED"
    assert refusal(lambda: prepare(office, "stamp", signed)) == "ISSUE_WITHOUT_OFFICER"


def test_only_its_own_certificate_signs_for_it(office: Office) -> None:
    card, other = make_card(), make_card()
    enrol(office, card)
    one = prepare(office, "card")
    wrong = Given(other.sign(one.to_be_signed))
    assert refusal(lambda: finish_document(one.id, wrong, ADMIN, office.handover)) == "PREPARED_SIGNATURE_WRONG"
    cms = Given(cms=other.cms(bytes.fromhex(one.digest)))
    assert refusal(lambda: finish_document(one.id, cms, ADMIN, office.handover)) == "PREPARED_SIGNED_BY_ANOTHER"


def test_the_key_process_is_not_asked_for_it(office: Office) -> None:
    enrol(office, make_card())
    request = SignRequest(PDF, "a.pdf", "card", placement="none")
    assert refusal(lambda: sign_document(request, ADMIN, office.deps)) == "CREDENTIAL_OUTSIDE"
    uploads = UploadStore(office.blobs.parent / "uploads", office.blobs.parent / "key")
    batch = NewBatch(1, "00", "card", None, "B-B", [])
    world = office.world
    assert refusal(lambda: add_batch(batch, ADMIN, world.database, uploads, world.clock)) == "CREDENTIAL_OUTSIDE"
    enrolment = EnrolmentDeps(world.keys, world.issuing_deps, "pss")
    wanted = CredentialRenewal("card")
    assert refusal(lambda: renew_credential(wanted, ADMIN, enrolment)) == "CREDENTIAL_OUTSIDE"
    with world.database.read() as session:
        assert [each.name for each in list_credentials(session)] == ["officer"]
        assert [each.name for each in list_outside(session)] == ["card"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"name": "Chair"}, "CREDENTIAL_NAME_MALFORMED"),
        ({"name": "officer"}, "CREDENTIAL_EXISTS"),
        ({"role": "chair"}, "CREDENTIAL_ROLE_UNKNOWN"),
        ({"holder": " "}, "CREDENTIAL_TEXT_WRONG"),
        ({"reference": "a\nb"}, "CREDENTIAL_TEXT_WRONG"),
        ({"agency": "x" * 65}, "CREDENTIAL_TEXT_WRONG"),
    ],
)
def test_nonsense_is_refused(office: Office, change: dict[str, str], code: str) -> None:
    assert refusal(lambda: enrol(office, make_card(), **change)) == code


def test_a_certificate_is_enrolled_once_and_one_that_may_not_sign_never(office: Office) -> None:
    card = make_card()
    enrol(office, card)
    assert refusal(lambda: enrol(office, card, "seal", "seal")) == "CERTIFICATE_ENROLLED"
    # The same key with another certificate, and a key of the house, are no second signer either.
    twin = make_card(card.person.key)
    assert refusal(lambda: enrol(office, twin, "seal", "seal")) == "CERTIFICATE_ENROLLED"
    old = make_card(not_after=NOW - timedelta(days=1))
    assert refusal(lambda: enrol(office, old, "old")) == "CREDENTIAL_EXPIRED"


def test_who_may_enrol_and_whom_he_may_have_to_ask(office: Office) -> None:
    card = make_card()
    with pytest.raises(RoleMissing):
        enrol(office, card, actor=Actor("nobody"))
    with pytest.raises(ApprovalNeeded):
        enrol(office, card, "card", "officer", ADMIN, Act.CREDENTIAL_ENROL)
    assert office.rows("SELECT count(*) FROM outside_credentials") == [(0,)]
    enrol(office, card)
    with pytest.raises(RoleMissing):
        end_outside("card", "lost", Actor("nobody"), office.world.database, office.world.clock)
    end_outside("card", "lost", ADMIN, office.world.database, office.world.clock)
    rows = office.rows("SELECT action FROM audit WHERE action LIKE 'credential.%' ORDER BY seq")
    assert rows[-2:] == [("credential.enrol",), ("credential.end",)]
