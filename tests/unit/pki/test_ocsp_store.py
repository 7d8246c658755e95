"""Stored OCSP answers: signed for all that lives, given out without any key, and only while they are true."""

from __future__ import annotations

from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from certs.inventory import NewCertificate, add_intent
from hsm.errors import StoreClosed
from hsm.spec import KeySpec, Purpose
from pki.ocsp_answer import ResponseStatus
from pki.ocsp_recent import RecentAnswers
from pki.ocsp_store import LIFETIME, AnswerSigner, StoredAnswers, find_answer_at
from pki.revocation import reinstate
from pki.service_keys import ServiceDesk, ServiceKind, list_services
from tests.unit.pki.services import build_services, make_service, openssl
from tests.world import ADMIN

GOOD, REVOKED = ocsp.OCSPCertStatus.GOOD, ocsp.OCSPCertStatus.REVOKED


@pytest.fixture
def services(world):
    return build_services(world)


@pytest.fixture
def signer(services):
    world = services.world
    return AnswerSigner(world.database, world.clock, world.keys, services.ocsp)


@pytest.fixture
def stored(services):
    return StoredAnswers(services.world.database, services.world.clock)


def request_for(services, *records, digest=None, nonce: bytes = b"") -> bytes:
    builder = ocsp.OCSPRequestBuilder()
    for record in records:
        builder = builder.add_certificate(
            record.certificate(), services.world.issuing.certificate, digest or hashes.SHA1()
        )
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def said(stored, services, record, **how) -> ocsp.OCSPResponse | None:
    found = stored.find(request_for(services, record, **how))
    return None if found is None else ocsp.load_der_ocsp_response(found.answer.der)


def test_every_certificate_that_lives_gets_an_answer_for_both_digests_once(services, signer, stored):
    records = [services.world.seal().record, services.world.officer().record]
    # The responder's and the time-stamping authority's own certificates live too.
    assert signer.is_due()
    assert signer.count_due() == 4
    assert signer.sign_due() == 4
    assert signer.sign_due() == signer.count_due() == 0
    assert not signer.is_due()
    for record in records:
        for digest in (hashes.SHA1(), hashes.SHA256()):
            response = said(stored, services, record, digest=digest)
            assert response.certificate_status is GOOD
            assert isinstance(response.hash_algorithm, type(digest))
            assert response.next_update_utc - response.this_update_utc == LIFETIME


def test_openssl_believes_a_stored_answer(services, signer, stored, tmp_path):
    record = services.world.seal().record
    signer.sign_due()
    request = request_for(services, record, digest=hashes.SHA256())
    (tmp_path / "answer.der").write_bytes(stored.find(request).answer.der)
    for name, certificate in (("leaf", record.certificate()), ("issuing", services.world.issuing.certificate),
                              ("root", services.world.root.certificate)):  # fmt: skip
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    told = openssl(
        "ocsp", "-respin", tmp_path / "answer.der", "-issuer", tmp_path / "issuing.pem", "-sha256", "-cert",
        tmp_path / "leaf.pem", "-CAfile", tmp_path / "root.pem", "-verify_other", tmp_path / "issuing.pem", "-no_nonce",
        "-attime", int(services.world.clock.now().timestamp()),
        "-validity_period", 10**9,  # openssl compares this with its own clock, whatever -attime says
    )  # fmt: skip
    assert "Response verify OK" in told.stderr
    assert "leaf.pem: good" in told.stdout


def test_a_change_of_state_withdraws_the_answer_until_another_is_signed(services, signer, stored):
    world, record = services.world, services.world.seal().record
    signer.sign_due()
    world.revoke(record.serial, "certificateHold")
    assert said(stored, services, record) is None
    assert signer.sign_due() == 1
    response = said(stored, services, record)
    assert (response.certificate_status, response.revocation_reason) == (REVOKED, x509.ReasonFlags.certificate_hold)
    reinstate(record.serial, ADMIN, world.revocation_deps)
    assert said(stored, services, record) is None
    assert signer.sign_due() == 1
    assert said(stored, services, record).certificate_status is GOOD
    world.clock.advance(hours=1)
    world.revoke(record.serial, "keyCompromise", minutes=30)
    assert signer.sign_due() == 1
    response = said(stored, services, record)
    assert response.revocation_reason is x509.ReasonFlags.key_compromise
    since = response.single_extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    assert world.clock.now() - since == timedelta(minutes=30)


def test_a_new_one_is_signed_at_half_of_its_life_and_none_is_given_out_after_its_end(services, signer, stored):
    world, record = services.world, services.world.seal().record
    signer.sign_due()
    world.clock.advance(seconds=(LIFETIME / 2).total_seconds() - 1)
    assert signer.count_due() == 0
    assert not signer.is_due()
    world.clock.advance(seconds=1)
    assert signer.is_due()
    assert signer.count_due() == 3
    assert said(stored, services, record) is not None
    world.clock.advance(seconds=(LIFETIME / 2).total_seconds())
    assert said(stored, services, record) is None


def test_what_has_ended_or_was_never_finished_gets_none(services, signer, stored):
    world, record = services.world, services.world.seal().record
    kept = (
        "profile",
        "subject",
        "common_name",
        "organization",
        "issuer",
        "not_before",
        "not_after",
        "tbs",
        "created_at",
    )
    ref = world.keys.generate(KeySpec.P_256, "unfinished", Purpose.DOCUMENT)
    with world.database.write() as session:
        add_intent(session, NewCertificate(
            serial="5a" * 20, public_key_der=ref.public_key_der, **{name: getattr(record, name) for name in kept}
        ))  # fmt: skip
    assert signer.sign_due() == 3
    world.clock.advance(days=(record.not_after - world.clock.now()).days + 1)
    make_service(world, ServiceKind.OCSP)
    signer.sign_due()
    assert said(stored, services, record) is None


def test_only_plain_questions_about_one_certificate_are_answered_from_here(services, signer, stored):
    seal, officer = services.world.seal().record, services.world.officer().record
    signer.sign_due()
    assert stored.find(request_for(services, seal)) is not None
    assert stored.find(request_for(services, seal, nonce=b"n" * 16)) is None
    assert stored.find(request_for(services, seal, digest=hashes.SHA512())) is None
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        b"n" * 20, b"k" * 20, int(seal.serial, 16), hashes.SHA1()
    )
    assert stored.find(builder.build().public_bytes(Encoding.DER)) is None  # this serial of another issuer
    assert stored.find(b"nonsense") is None
    assert stored.find(request_for(services, officer)[:-1]) is None
    # Without the NULL that nearly all clients send, the octets that come back would not be those that were asked with.
    bare = request_for(services, seal).replace(
        bytes.fromhex("300906052b0e03021a0500"), bytes.fromhex("300706052b0e03021a")
    )
    assert stored.find(bare) is None


def test_answers_of_a_revoked_responder_are_given_out_no_more(services, signer, stored):
    world, record = services.world, services.world.seal().record
    signer.sign_due()
    assert said(stored, services, record) is not None
    with world.database.read() as session:
        (service,) = list_services(session, ServiceKind.OCSP)
    world.revoke(service.serial, "keyCompromise")
    world.clock.advance(seconds=61)
    assert said(stored, services, record) is None


def test_a_renewed_responder_signs_anew_while_its_old_answers_are_still_good(services, signer, stored):
    world, record = services.world, services.world.seal().record
    world.clock.advance(days=60)
    signer.sign_due()
    before = said(stored, services, record)
    make_service(world, ServiceKind.OCSP)
    world.clock.advance(seconds=61)
    assert said(stored, services, record).certificates == before.certificates
    assert signer.sign_due() == 4  # the new certificate of the responder lives too
    assert said(stored, services, record).certificates != before.certificates


def test_a_clock_set_back_gives_out_nothing_from_the_future(services, signer, stored):
    world, record = services.world, services.world.seal().record
    world.clock.advance(days=1)
    signer.sign_due()
    world.clock.advance(hours=-20)
    assert said(stored, services, record) is None
    assert signer.sign_due() == 3
    assert said(stored, services, record).this_update_utc == world.clock.now()


def test_what_was_said_at_a_time_can_be_asked_for_later(services, signer):
    world, record = services.world, services.world.seal().record
    begun = world.clock.now()
    signer.sign_due()
    world.clock.advance(hours=2)
    world.revoke(record.serial, "superseded")
    signer.sign_due()
    world.clock.advance(days=400)

    def at(moment):
        with world.database.read() as session:
            found = find_answer_at(session, record.serial, moment)
        return None if found is None else ocsp.load_der_ocsp_response(found.der).certificate_status

    assert at(begun - timedelta(seconds=1)) is None
    assert at(begun) is at(begun + timedelta(hours=2, seconds=-1)) is GOOD
    assert at(begun + timedelta(hours=2)) is REVOKED
    assert at(world.clock.now()) is None


def test_a_limit_is_kept_and_the_next_call_goes_on(services, signer):
    for _ in range(3):
        services.world.seal()
    assert signer.sign_due(2) == 2
    assert signer.sign_due(2) == 2
    assert signer.sign_due(2) == 1


def test_while_the_token_is_away_stored_answers_are_served_and_nothing_is_lost(services, signer):
    world, record = services.world, services.world.seal().record
    signer.sign_due()
    later = services.world.officer().record
    desk = ServiceDesk(world.database, world.keys, world.clock)
    recent = RecentAnswers(type(services.ocsp)(world.database, world.clock, desk), world.database, world.clock)
    world.keys.close()
    assert ocsp.load_der_ocsp_response(recent.answer(request_for(services, record)).der).certificate_status is GOOD
    assert recent.answer(request_for(services, later)).status is ResponseStatus.TRY_LATER
    assert recent.answer(request_for(services, record, nonce=b"n" * 16)).status is ResponseStatus.TRY_LATER
    world.revoke(record.serial)
    assert recent.answer(request_for(services, record)).status is ResponseStatus.TRY_LATER
    with pytest.raises(StoreClosed):
        signer.sign_due()
