"""A document that is prepared, waits and is finished later: what comes out, once, and what is refused meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature
from sqlalchemy import text

from certs.names import parse_subject
from certs.serial import serial_hex
from hsm.spec import spki_der
from pki.issuance import IssuanceRequest, issue
from pki.revocation import revoke
from signer.credentials import set_certificate
from signer.documents import document_by_code
from signer.errors import Refused, Unavailable, UsageWrong
from signer.handing_over import cancel_document
from signer.prepared import LEASE, PreparedDocument, StoredClaim
from signer.validation.facts import TrustAnchor, ValidationInputs
from tests.attacks.pki import NOW, Party, make_crl, usage
from tests.unit.signer.elsewhere import cancel, finish, make_card, officers_value, prepare, record
from tests.unit.signer.office import Office
from tests.world import ADMIN, OFFICER_SUBJECT


def refusal(call: Callable[[], object]) -> str:
    """The code with which it is refused."""
    with pytest.raises(Refused) as caught:
        call()
    return caught.value.code


def blobs(office: Office) -> int:
    return sum(path.is_file() for path in office.blobs.rglob("*"))


def test_a_value_made_elsewhere_hours_later_becomes_the_signature_that_signing_at_once_had_made(office: Office) -> None:
    one = prepare(office, level="B-LTA", metadata={"Subject": "Về việc thử"})
    assert (one.state, one.credential, one.certificate_serial) == ("waiting", "officer", office.serial)
    assert one.expires_at == one.claimed_time + timedelta(days=3)
    assert office.rows("SELECT count(*) FROM documents") == [(0,)]
    office.world.clock.advance(hours=5)
    office.world.crls()
    signed = finish(office, one, signature=officers_value(office, one))
    assert (signed.code, signed.level, signed.pending, signed.field) == (one.code, "B-LTA", None, one.field)
    judged = office.judged(signed.content)
    assert (judged.conclusion, judged.facts.level, judged.facts.claimed_time) == (
        "valid",
        "PAdES-B-LTA",
        one.claimed_time,
    )
    ended = record(office, one)
    assert (ended.state, ended.failure) == ("finished", "")
    with office.world.database.read() as session:
        document = document_by_code(session, one.code)
        assert (document.subject, document.sha256, document.acts[0].state) == ("Về việc thử", signed.sha256, "done")
        assert document.acts[0].id == ended.act_id
    # The prepared file is gone; the signed one is what is kept.
    assert blobs(office) == 1
    assert [row[0] for row in office.rows("SELECT action FROM audit WHERE action LIKE 'document.%' ORDER BY seq")] == [
        "document.prepare", "document.prepare.take", "document.sign.intent", "document.sign",
    ]  # fmt: skip


def test_the_key_of_the_house_may_sign_later_too(office: Office) -> None:
    one = prepare(office)
    office.world.clock.advance(hours=1)
    signed = finish(office, one)
    assert office.judged(signed.content).conclusion == "valid"


def test_what_is_shown_to_an_outside_signer_is_enough_to_sign_with(office: Office) -> None:
    """`hash` is what a bare signer that hashes nothing itself is given."""
    one = prepare(office)
    key = office.world.keys._held
    (private,) = (
        held.key
        for held in key.values()
        if held.ref.public_key_der == office.deps.desk.usable("officer").public_key_der
    )
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    digest = hashes.Hash(hashes.SHA256())
    digest.update(one.to_be_signed)
    value = private.sign(digest.finalize(), ec.ECDSA(Prehashed(hashes.SHA256())))
    assert office.judged(finish(office, one, signature=value).content).conclusion == "valid"


@pytest.mark.parametrize(
    ("key", "padding"),
    [
        (lambda: ec.generate_private_key(ec.SECP256R1()), "pss"),
        (lambda: ec.generate_private_key(ec.SECP384R1()), "pss"),
        (lambda: rsa.generate_private_key(65537, 2048), "pss"),
        (lambda: rsa.generate_private_key(65537, 2048), "pkcs1v15"),
    ],
    ids=["p-256", "p-384", "rsa-pss", "rsa-pkcs1"],
)
def test_a_certificate_from_outside_signs_with_every_kind_of_key(
    office: Office, key: Callable[[], ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey], padding: str
) -> None:
    card = make_card(key(), padding=padding)
    one = prepare(office, card)
    signed = finish(office, one, signature=card.sign(one.to_be_signed))
    anchors = (TrustAnchor(card.root.der, "government"),)
    judged = office.judged(signed.content, extra=ValidationInputs(office.world.clock.now(), anchors))
    # Nobody has said whether the card was revoked; all else is as it should be.
    assert (judged.reason, judged.integrity, judged.facts.ess) == ("UNKNOWN_REVOCATION", "intact", "ok")
    assert (judged.trust, judged.facts.signer.sha256) == ("government", card.person.sha256)
    with office.world.database.read() as session:
        (act,) = document_by_code(session, signed.code).acts
    assert (act.credential, act.state, act.intent) == (None, "done", "approve")
    assert act.signed_by == act.certificate_serial == serial_hex(card.person.certificate.serial_number)


def test_a_value_that_a_token_gives_as_two_halves_is_taken_too(office: Office) -> None:
    card = make_card()
    one = prepare(office, card)
    r, s = decode_dss_signature(card.sign(one.to_be_signed))
    signed = finish(office, one, signature=r.to_bytes(32, "big") + s.to_bytes(32, "big"))
    assert office.judged(signed.content).integrity == "intact"


@pytest.mark.parametrize("with_lists", [False, True])
def test_a_level_above_is_reached_or_waits_as_for_any_signature(office: Office, with_lists: bool) -> None:
    card = make_card()
    one = prepare(office, card, level="B-LT")
    crls = (make_crl(card.root), make_crl(card.issuing)) if with_lists else ()
    signed = finish(office, one, signature=card.sign(one.to_be_signed), crls=crls)
    assert (signed.level, signed.pending) == (("B-LT", None) if with_lists else ("B-T", "B-LT"))
    waiting = office.rows("SELECT level, state, failure FROM level_requests")
    assert waiting == ([] if with_lists else [("B-LT", "waiting", "REVOCATION_UNAVAILABLE")])
    anchors = (TrustAnchor(card.root.der, "government"),)
    judged = office.judged(signed.content, extra=ValidationInputs(office.world.clock.now(), anchors))
    assert (judged.facts.reached, judged.conclusion) == (("B-LT", "valid") if with_lists else ("B-T", "indeterminate"))
    assert judged.proven_time is not None


def test_a_card_that_the_lists_call_revoked_signs_nothing(office: Office) -> None:
    card = make_card()
    one = prepare(office, card)
    revoked = {card.person.certificate.serial_number: (NOW, x509.ReasonFlags.key_compromise)}
    crls = (make_crl(card.root), make_crl(card.issuing, revoked))
    value = card.sign(one.to_be_signed)
    assert refusal(lambda: finish(office, one, signature=value, crls=crls)) == "PREPARED_NOT_SOUND"
    assert record(office, one).state == "waiting"


def test_where_a_root_was_named_the_path_must_lead_to_it(office: Office) -> None:
    card, other = make_card(), make_card()
    card.root = card.issuing
    one = prepare(office, card)
    value = card.sign(one.to_be_signed)
    wrong = (TrustAnchor(other.root.der, "unknown"),)
    assert refusal(lambda: finish(office, one, signature=value, anchors=wrong)) == "PREPARED_NOT_SOUND"
    assert finish(office, one, signature=value).code == one.code


@pytest.mark.parametrize(
    ("wishes", "code"),
    [
        ({"key_usage": usage(key_encipherment=True)}, "OUTSIDE_KEY_USAGE"),
        ({"ca": True, "key_usage": usage(key_cert_sign=True, digital_signature=True)}, "OUTSIDE_IS_AUTHORITY"),
        ({"not_after": NOW - timedelta(days=1)}, "CREDENTIAL_EXPIRED"),
        ({"not_before": NOW + timedelta(days=1)}, "CREDENTIAL_NOT_YET_VALID"),
        ({"key": rsa.generate_private_key(65537, 1024)}, "OUTSIDE_KEY_REFUSED"),
        ({"key": ec.generate_private_key(ec.SECP256K1())}, "OUTSIDE_KEY_REFUSED"),
    ],
)
def test_a_certificate_that_may_not_sign_documents_is_refused_at_once(
    office: Office, wishes: dict[str, object], code: str
) -> None:
    card = make_card(**wishes)
    assert refusal(lambda: prepare(office, card)) == code
    assert (office.rows("SELECT count(*) FROM prepared_documents"), blobs(office)) == ([(0,)], 0)


def test_a_chain_must_be_the_certificates_own(office: Office) -> None:
    card, other = make_card(), make_card()
    card.issuing = other.issuing
    assert refusal(lambda: prepare(office, card)) == "OUTSIDE_CHAIN_BROKEN"


def test_it_is_for_persons_a_seal_from_outside_issues_nothing(office: Office) -> None:
    card = make_card()
    assert refusal(lambda: prepare(office, card, intent="issue")) == "INTENT_NOT_ALLOWED"


def test_a_wrong_value_is_refused_and_the_document_waits_on(office: Office) -> None:
    card, other = make_card(), make_card()
    one, two = prepare(office, card), prepare(office, card)
    before = office.rows("SELECT count(*) FROM audit")
    for value in (other.sign(one.to_be_signed), card.sign(two.to_be_signed), b"", b"\x30", bytes(64), bytes(5000)):
        assert refusal(lambda value=value: finish(office, one, signature=value)) == "PREPARED_SIGNATURE_WRONG"
    assert refusal(lambda: finish(office, one)) == "PREPARED_KEY_ELSEWHERE"
    assert record(office, one) == one
    # Nothing was written, so nothing is left behind either.
    assert office.rows("SELECT count(*) FROM audit") == before
    assert office.rows("SELECT count(*) FROM documents") == [(0,)]
    finish(office, one, signature=card.sign(one.to_be_signed))


@pytest.mark.parametrize(
    ("reason", "code"), [("keyCompromise", "CREDENTIAL_REVOKED"), ("certificateHold", "CREDENTIAL_SUSPENDED")]
)
def test_a_credential_that_is_revoked_while_it_waits_signs_nothing_any_more(
    office: Office, reason: str, code: str
) -> None:
    one = prepare(office)
    value = officers_value(office, one)
    revoke(office.serial, reason, ADMIN, office.world.revocation_deps)
    assert refusal(lambda: finish(office, one, signature=value)) == code
    assert refusal(lambda: finish(office, one)) == code
    assert record(office, one) == one


def test_a_card_of_ours_that_is_revoked_while_it_waits_signs_nothing_either(office: Office) -> None:
    """Issued by the house, its key on a card: the inventory knows its state, whatever lists say."""
    key = ec.generate_private_key(ec.SECP256R1())
    request = IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), spki_der(key.public_key()))
    issued = issue(request, ADMIN, office.world.issuing_deps)
    card = make_card(key)
    card.person = Party(issued.certificate(), key)
    card.root, card.issuing = (Party(issuer.certificate, key) for issuer in (office.world.root, office.world.issuing))
    one = prepare(office, card)
    value = card.sign(one.to_be_signed)
    office.world.revoke(issued.serial)
    assert refusal(lambda: finish(office, one, signature=value)) in ("CREDENTIAL_REVOKED", "PREPARED_NOT_SOUND")
    assert refusal(lambda: prepare(office, card)) == "CREDENTIAL_REVOKED"
    assert record(office, one).state == "waiting"


def test_a_certificate_that_ends_while_it_waits_signs_nothing_any_more(office: Office) -> None:
    card = make_card(not_after=NOW + timedelta(hours=1))
    one = prepare(office, card)
    office.world.clock.advance(hours=2)
    assert refusal(lambda: finish(office, one, signature=card.sign(one.to_be_signed))) == "CREDENTIAL_EXPIRED"


def test_what_was_prepared_for_a_certificate_is_not_signed_with_its_successor(office: Office) -> None:
    one = prepare(office)
    successor = office.world.officer().record
    with office.world.database.write() as session:
        set_certificate(session, "officer", successor.serial, office.world.clock.now())
    assert refusal(lambda: finish(office, one)) == "PREPARED_CERTIFICATE_CHANGED"


@pytest.mark.parametrize(
    "change",
    ["UPDATE prepared_documents SET hole_end = hole_end - 2", "UPDATE prepared_documents SET input_size = input_size - 1",
     "UPDATE prepared_documents SET claimed_time = '2026-11-20 00:00:00.000000', subfilter = 'pkcs7'"],
)  # fmt: skip
def test_a_record_that_was_altered_is_noticed(office: Office, change: str) -> None:
    one = prepare(office)
    with office.world.database.write() as session:
        session.execute(text(change))
    assert refusal(lambda: finish(office, one, signature=officers_value(office, one))) == "PREPARED_ALTERED"


def test_a_prepared_file_that_was_altered_or_is_gone_is_refused(office: Office) -> None:
    one = prepare(office)
    (path,) = (path for path in office.blobs.rglob("*") if path.is_file())
    content = path.read_bytes()
    path.write_bytes(content.replace(b"Page", b"PAGE", 1))
    assert refusal(lambda: finish(office, one)) == "PREPARED_ALTERED"
    path.unlink()
    assert refusal(lambda: finish(office, one)) == "PREPARED_MISSING"
    path.write_bytes(content)
    finish(office, one)


def test_it_is_finished_once(office: Office) -> None:
    one = prepare(office)
    finish(office, one)
    assert refusal(lambda: finish(office, one)) == "PREPARED_FINISHED"
    assert refusal(lambda: cancel(office, one)) == "PREPARED_FINISHED"
    with pytest.raises(UsageWrong):
        cancel_document("0" * 16, ADMIN, office.handover)


def claim(office: Office, one: PreparedDocument) -> StoredClaim:
    return StoredClaim(one.id, one.code, ADMIN, office.world.clock)


def test_of_two_who_take_it_up_one_has_it_until_his_time_is_over(office: Office) -> None:
    one = prepare(office)
    with office.world.database.write() as session:
        claim(office, one).take(session)
    for call in (lambda: finish(office, one), lambda: cancel(office, one)):
        assert refusal(call) == "PREPARED_TAKEN"
    # Whoever had it is dead: somebody else finishes it, and the first one comes too late.
    office.world.clock.advance(seconds=LEASE.total_seconds())
    finish(office, one)
    with office.world.database.write() as session:
        assert refusal(lambda: claim(office, one).finish(session, 0)) == "PREPARED_TAKEN"


def test_what_fails_in_the_middle_waits_again_and_its_act_says_why(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = prepare(office)

    def full(_content: bytes) -> str:
        raise Unavailable("DISK_FULL", path="x", reason="full")

    put = office.deps.blobs.put
    monkeypatch.setattr(office.deps.blobs, "put", full)
    with pytest.raises(Unavailable):
        finish(office, one)
    waiting = record(office, one)
    assert (waiting.state, waiting.failure, waiting.taken_at) == ("waiting", "DISK_FULL", None)
    assert office.rows("SELECT state, failure FROM signing_acts") == [("failed", "DISK_FULL")]
    monkeypatch.setattr(office.deps.blobs, "put", put)
    # The document has its code already, from the attempt before.
    assert finish(office, one).code == one.code
    assert office.rows("SELECT state FROM signing_acts ORDER BY id") == [("failed",), ("done",)]
