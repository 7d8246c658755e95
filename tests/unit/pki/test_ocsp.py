"""An OCSP answer says what the inventory says, signed by the delegated key; OpenSSL and another reader believe it."""

from __future__ import annotations

import hashlib
import shutil

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509 import ocsp

from certs.clock import SystemClock
from certs.errors import DatabaseUnavailable
from certs.inventory import NewCertificate, add_intent
from hsm import der
from hsm.spec import KeySpec
from pki.ocsp import OcspResponder
from pki.ocsp_answer import ResponseStatus
from pki.revocation import REASONS, reinstate
from pki.service_keys import ServiceDesk, ServiceKind, list_services
from tests.fakes.clock import FixedClock
from tests.unit.pki.services import build_services, openssl
from tests.world import ADMIN, build_world

STRANGER = 0x5A << 152


@pytest.fixture
def services(world):
    return build_services(world)


def request_for(services, serial, *, issuer=None, digest=None, nonce=None) -> bytes:
    issuer = issuer or services.world.issuing.certificate
    key = issuer.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    digest = digest or hashes.SHA1()
    name, spki = (hashlib.new(digest.name, part).digest() for part in (issuer.subject.public_bytes(), key))
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(name, spki, serial, digest)
    if nonce is not None:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def asked(services, serial, **how) -> ocsp.OCSPResponse:
    number = int(serial, 16) if isinstance(serial, str) else serial
    answer = services.ocsp.answer(request_for(services, number, **how))
    assert answer.status is ResponseStatus.SUCCESSFUL, answer.cause
    return ocsp.load_der_ocsp_response(answer.der)


def verify(response, key):
    message, digest = response.tbs_response_bytes, response.signature_hash_algorithm
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(response.signature, message, ec.ECDSA(digest))
    else:
        pss = padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)
        key.verify(response.signature, message, pss, digest)


@pytest.mark.parametrize("digest", [hashes.SHA1(), hashes.SHA256()])
def test_a_good_certificate_is_good_by_either_digest(services, digest):
    serial = services.world.seal().record.serial
    response = asked(services, serial, digest=digest)
    assert response.certificate_status is ocsp.OCSPCertStatus.GOOD
    assert response.serial_number == int(serial, 16)
    assert isinstance(response.hash_algorithm, type(digest))
    assert response.this_update_utc == response.produced_at_utc == services.world.clock.now()
    assert 0 < (response.next_update_utc - response.this_update_utc).total_seconds() <= 3600


def test_the_signer_is_the_delegated_key_named_by_its_hash(services):
    response = asked(services, services.world.seal().record.serial)
    (responder,) = response.certificates
    verify(response, responder.public_key())
    responder.verify_directly_issued_by(services.world.issuing.certificate)
    point = responder.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    assert (response.responder_key_hash, response.responder_name) == (hashlib.sha1(point).digest(), None)
    usage = responder.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [x509.ExtendedKeyUsageOID.OCSP_SIGNING]
    responder.extensions.get_extension_for_class(x509.OCSPNoCheck)
    with pytest.raises(InvalidSignature):
        verify(response, services.world.issuing.certificate.public_key())


@pytest.mark.parametrize("reason", sorted(set(REASONS) - {"certificateHold", "unspecified"}))
def test_a_revoked_certificate_is_revoked_with_time_and_reason(services, reason):
    world = services.world
    serial = world.seal().record.serial
    world.clock.advance(days=3)
    world.revoke(serial, reason, days=2)
    at = world.clock.now()
    world.clock.advance(days=1)
    response = asked(services, serial)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_time_utc == at
    assert response.revocation_reason is REASONS[reason]
    since = response.single_extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    assert (at - since).days == 2


def test_unspecified_is_said_by_saying_no_reason(services):
    serial = services.world.seal().record.serial
    services.world.revoke(serial, "unspecified")
    response = asked(services, serial)
    assert response.certificate_status is ocsp.OCSPCertStatus.REVOKED
    assert response.revocation_reason is None


def test_a_suspended_certificate_is_on_hold_and_good_again_after_reinstatement(services):
    world = services.world
    serial = world.seal().record.serial
    world.revoke(serial, "certificateHold")
    assert asked(services, serial).revocation_reason is x509.ReasonFlags.certificate_hold
    reinstate(serial, ADMIN, world.revocation_deps)
    assert asked(services, serial).certificate_status is ocsp.OCSPCertStatus.GOOD


def test_a_serial_that_was_never_issued_is_unknown_and_never_good(services):
    for serial in (STRANGER, 1):
        assert asked(services, serial).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_an_intent_is_unknown_until_it_is_revoked(services):
    world = services.world
    record = world.seal().record
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
    values = {name: getattr(record, name) for name in kept}
    intent = NewCertificate(serial=f"{STRANGER:x}", public_key_der=record.public_key_der, **values)
    with world.database.write() as session:
        add_intent(session, intent)
    assert asked(services, STRANGER).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    world.revoke(intent.serial)
    assert asked(services, STRANGER).certificate_status is ocsp.OCSPCertStatus.REVOKED


def test_certificates_of_another_issuer_are_unknown_even_when_the_serial_is_ours(services):
    world = services.world
    serial = world.seal().record.serial
    assert asked(services, serial, issuer=world.root.certificate).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    own = world.issuing.serial
    # The root issued it and has no responder; `issuing` may not speak for the root.
    assert asked(services, own).certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert asked(services, own, issuer=world.root.certificate).certificate_status is ocsp.OCSPCertStatus.UNKNOWN


def test_an_ended_certificate_is_still_answered_for_with_the_archive_cutoff(services):
    world = services.world
    serial = world.seal().record.serial
    world.clock.advance(days=30)
    world.revoke(serial, "superseded")
    world.clock.advance(days=29)
    assert (
        b"\x2b\x06\x01\x05\x05\x07\x30\x01\x06" not in services.ocsp.answer(request_for(services, int(serial, 16))).der
    )
    world.clock.advance(days=731)
    build_services(world)  # renews the responder
    answer = services.ocsp.answer(request_for(services, int(serial, 16)))
    assert ocsp.load_der_ocsp_response(answer.der).revocation_reason is x509.ReasonFlags.superseded
    start = world.issuing.certificate.not_valid_before_utc
    assert der.oid("1.3.6.1.5.5.7.48.1.6") + der.octets(der.generalized_time(start)) in answer.der


def test_a_nonce_comes_back_and_makes_the_answer_uncacheable(services):
    serial = int(services.world.seal().record.serial, 16)
    for nonce in (b"a", b"b" * 32, b"c" * 128):
        answer = services.ocsp.answer(request_for(services, serial, nonce=nonce))
        response = ocsp.load_der_ocsp_response(answer.der)
        assert response.extensions.get_extension_for_class(x509.OCSPNonce).value.nonce == nonce
        assert not answer.cacheable
    plain = services.ocsp.answer(request_for(services, serial))
    assert plain.cacheable
    assert (plain.next_update - plain.this_update).total_seconds() == 3600


@pytest.mark.parametrize("nonce", [b"", b"d" * 129])
def test_a_nonce_of_a_forbidden_length_is_malformed(services, nonce):
    answer = services.ocsp.answer(request_for(services, STRANGER, nonce=nonce))
    assert answer.status is ResponseStatus.MALFORMED_REQUEST


def test_one_answer_never_outlives_its_signers_certificate(services):
    services.world.clock.advance(days=90, minutes=-10)
    response = asked(services, STRANGER)
    assert response.next_update_utc == response.certificates[0].not_valid_after_utc


def test_no_responder_in_force_is_unauthorized(services):
    world = services.world
    with world.database.read() as session:
        serial = next(r.serial for r in list_services(session) if r.name == "ocsp")
    world.revoke(serial)
    world.clock.advance(seconds=61)
    answer = services.ocsp.answer(request_for(services, STRANGER))
    assert (answer.status, answer.der) == (ResponseStatus.UNAUTHORIZED, bytes.fromhex("30030a0106"))
    assert ocsp.load_der_ocsp_response(answer.der).response_status is ocsp.OCSPResponseStatus.UNAUTHORIZED


def test_a_database_that_is_away_or_a_key_that_is_gone_is_try_later(services, tmp_path):
    world = services.world
    request = request_for(services, STRANGER)
    world.keys.destroy(
        services.desk.usable(ServiceKind.OCSP)[0]
        .certificate.public_key()
        .public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    gone = services.ocsp.answer(request)
    assert gone.der == bytes.fromhex("30030a0103")
    world.close()
    (tmp_path / "antin.db").unlink(missing_ok=True)  # there is none on PostgreSQL, where the database is gone by now
    (tmp_path / "antin.db").mkdir()
    fresh = OcspResponder(world.database, world.clock, ServiceDesk(world.database, world.keys, world.clock))
    away = fresh.answer(request)
    assert away.status is ResponseStatus.TRY_LATER
    assert isinstance(away.cause, DatabaseUnavailable)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("spec", [KeySpec.P_256, KeySpec.P_384, KeySpec.RSA_2048])
def test_openssl_believes_good_then_revoked_and_several_at_once(tmp_path, spec):
    world = build_world(tmp_path, clock=FixedClock(SystemClock().now()))
    services = build_services(world, spec)
    first, second = world.seal().record, world.officer().record
    for name, certificate in (
        ("root", world.root.certificate),
        ("issuing", world.issuing.certificate),
        ("first", first.certificate()),
        ("second", second.certificate()),
    ):
        (tmp_path / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    asks = ("-issuer", tmp_path / "issuing.pem", "-cert", tmp_path / "first.pem", "-cert", tmp_path / "second.pem")
    again = ("-serial", "0x1234", "-sha256", "-cert", tmp_path / "first.pem")
    made = openssl("ocsp", *asks, *again, "-reqout", tmp_path / "request")
    assert made.returncode == 0, made.stderr
    world.revoke(second.serial, "superseded")
    (tmp_path / "answer").write_bytes(services.ocsp.answer((tmp_path / "request").read_bytes()).der)
    believed = openssl(
        "ocsp", *asks, "-serial", "0x1234", "-no_nonce", "-reqin", tmp_path / "request", "-respin", tmp_path / "answer",
        "-CAfile", tmp_path / "root.pem", "-verify_other", tmp_path / "issuing.pem",
    )  # fmt: skip
    assert "Response verify OK" in believed.stderr
    assert f"{tmp_path}/first.pem: good" in believed.stdout
    assert f"{tmp_path}/second.pem: revoked" in believed.stdout
    assert "Reason: superseded" in believed.stdout
    assert "0x1234: unknown" in believed.stdout
    world.close()
