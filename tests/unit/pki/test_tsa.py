"""A time-stamp token is what RFC 3161 says, OpenSSL verifies it, and every request that gets none is told why."""

from __future__ import annotations

import hashlib
import shutil
import threading

import pytest
from asn1crypto import cms, tsp
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given, settings
from hypothesis import strategies as st

from certs.clock import SystemClock
from hsm import der
from hsm.spec import KeySpec
from pki.audit import list_acts
from pki.errors import TokenWrong
from pki.service_keys import ServiceKind, list_services
from pki.tsa.authority import refusal
from pki.tsa.failure import Failure, RequestRefused
from pki.tsa.request import MOST_OCTETS, build_request, parse_request
from pki.tsa.token import check_token
from tests.fakes.clock import FixedClock
from tests.unit.pki.services import POLICY, build_services, openssl
from tests.world import ADMIN, build_world

HASHED = hashlib.sha256(b"document").digest()
SHA256 = der.algorithm("2.16.840.1.101.3.4.2.1")


@pytest.fixture
def services(world):
    return build_services(world)


def imprint(algorithm: bytes = SHA256, hashed: bytes = HASHED) -> bytes:
    return der.sequence(algorithm, der.octets(hashed))


def request(*parts: bytes, version: int = 1, of: bytes | None = None) -> bytes:
    return der.sequence(der.integer(version), of or imprint(), *parts)


def stamped(services, asked: bytes) -> tsp.TimeStampResp:
    answer = services.tsa.answer(asked)
    assert answer.failure is None, answer.cause
    return tsp.TimeStampResp.load(answer.der, strict=True)


def token_info(response: tsp.TimeStampResp) -> tsp.TSTInfo:
    return response["time_stamp_token"]["content"]["encap_content_info"]["content"].parsed


def status_alone(answer: bytes) -> tsp.PKIStatusInfo:
    """The status of a TimeStampResp that holds nothing else (asn1crypto knows none without a token)."""
    outer = der.Reader(answer)
    inner = outer.enter()
    outer.end()
    status = tsp.PKIStatusInfo.load(der.tlv(der.SEQUENCE, inner.take(der.SEQUENCE)), strict=True)
    inner.end()
    return status


def test_the_token_says_what_was_asked_when_and_by_which_policy(services):
    services.world.clock.advance(microseconds=120_999)
    info = token_info(stamped(services, build_request("sha256", HASHED, nonce=2**63 + 1)))
    assert info["version"].native == "v1"
    assert info["policy"].dotted == POLICY
    assert info["message_imprint"]["hashed_message"].native == HASHED
    assert info["nonce"].native == 2**63 + 1
    assert info["accuracy"]["seconds"].native == 1
    assert info["ordering"].native is False
    assert info["gen_time"].contents == b"20261121031530.12Z"
    assert info["tsa"].native is None
    assert info["extensions"].native is None


def test_no_fraction_is_written_when_there_is_none_and_no_nonce_when_none_was_sent(services):
    info = token_info(stamped(services, request()))
    assert info["gen_time"].contents == b"20261121031530Z"
    assert info["nonce"].native is None


def test_the_signature_is_over_attributes_that_name_the_tsas_certificate(services):
    token = stamped(services, build_request("sha256", HASHED))["time_stamp_token"]
    assert token["content_type"].native == "signed_data"
    signed = token["content"]
    assert signed["version"].native == "v3"
    assert signed["encap_content_info"]["content_type"].native == "tst_info"
    (info,) = signed["signer_infos"]
    attributes = {attribute["type"].native: attribute["values"][0] for attribute in info["signed_attrs"]}
    assert set(attributes) == {"content_type", "message_digest", "signing_certificate_v2"}
    assert attributes["content_type"].native == "tst_info"
    content = signed["encap_content_info"]["content"].contents
    assert attributes["message_digest"].native == hashlib.sha256(content).digest()
    certificate = services.tsa.service().certificate.public_bytes(Encoding.DER)
    (named,) = attributes["signing_certificate_v2"]["certs"]
    assert named["cert_hash"].native == hashlib.sha256(certificate).digest()
    assert named["hash_algorithm"]["algorithm"].native == "sha256"


@pytest.mark.parametrize(("wanted", "count"), [(True, 2), (False, 0)])
def test_certificates_are_there_exactly_when_they_are_asked_for(services, wanted, count):
    signed = stamped(services, build_request("sha256", HASHED, wants_certificates=wanted))["time_stamp_token"][
        "content"
    ]
    certificates = signed["certificates"]
    if not count:
        assert certificates.native is None  # RFC 3161 2.4.1: the field MUST NOT be present
        return
    subjects = {certificate.chosen.subject.native["common_name"] for certificate in certificates}
    assert subjects == {"Hương Giang TSA", "Hương Giang Issuing CA"}


@pytest.mark.parametrize("digest", ["sha256", "sha384", "sha512"])
def test_each_digest_comes_back_as_it_was_sent(services, digest):
    hashed = hashlib.new(digest, b"document").digest()
    asked = build_request(digest, hashed)
    back = token_info(stamped(services, asked))["message_imprint"].dump()
    assert back == tsp.TimeStampReq.load(asked)["message_imprint"].dump()
    with_null = imprint(der.algorithm("2.16.840.1.101.3.4.2.1", der.tlv(der.NULL, b"")))
    assert token_info(stamped(services, request(of=with_null)))["message_imprint"].dump() == with_null


def test_serials_are_never_the_same_from_several_threads(services):
    asked = build_request("sha256", HASHED)
    serials: list[int] = []

    def work():
        serials.extend(token_info(stamped(services, asked))["serial_number"].native for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(serials)) == len(serials) == 200
    assert min(serials) > 2**150


TRUE = der.tlv(der.BOOLEAN, b"\xff")
EXTENSION = der.tlv(0xA0, der.sequence(der.oid("1.2.3"), der.octets(b"")))
REFUSED = {
    "nothing": (b"", Failure.BAD_DATA_FORMAT),
    "text": (b"GET / HTTP/1.1", Failure.BAD_DATA_FORMAT),
    "bytes behind it": (request() + b"\0", Failure.BAD_DATA_FORMAT),
    "too long": (request(der.integer(1 << 8 * MOST_OCTETS)), Failure.BAD_DATA_FORMAT),
    "version 2": (request(version=2), Failure.BAD_REQUEST),
    "SHA-1": (request(of=imprint(der.algorithm("1.3.14.3.2.26"), b"a" * 20)), Failure.BAD_ALG),
    "a digest with parameters": (
        request(of=imprint(der.algorithm("2.16.840.1.101.3.4.2.1", der.integer(1)))),
        Failure.BAD_ALG,
    ),
    "a hash of another length": (request(of=imprint(hashed=b"a" * 31)), Failure.BAD_DATA_FORMAT),
    "another policy": (request(der.oid("1.2.3.4")), Failure.UNACCEPTED_POLICY),
    "a nonce of 65 octets": (request(der.integer(1 << 519)), Failure.BAD_REQUEST),
    "an extension": (request(TRUE, EXTENSION), Failure.UNACCEPTED_EXTENSION),
    "parts in the wrong order": (request(TRUE, der.integer(5)), Failure.BAD_DATA_FORMAT),
}


@pytest.mark.parametrize("what", REFUSED)
def test_a_request_that_gets_no_token_is_told_why(services, what):
    asked, failure = REFUSED[what]
    answer = services.tsa.answer(asked)
    assert answer.failure is failure
    assert status_alone(answer.der)["status"].native == "rejection"
    assert isinstance(answer.cause, RequestRefused)


@pytest.mark.parametrize("failure", Failure)
def test_the_failure_is_the_bit_of_its_number_and_the_last_one_written(failure):
    bits = status_alone(refusal(failure))["fail_info"]
    contents = bits.contents
    assert int.from_bytes(contents[1:], "big") >> contents[0] == 1
    assert len(contents[1:]) * 8 - contents[0] == failure + 1


def test_the_policy_and_a_false_written_out_are_accepted(services):
    asked = request(der.oid(POLICY), der.integer(-5), der.tlv(der.BOOLEAN, b"\0"))
    assert token_info(stamped(services, asked))["nonce"].native == -5


def test_without_a_key_in_force_the_answer_is_system_failure(services):
    world = services.world
    with world.database.read() as session:
        (record,) = list_services(session, ServiceKind.TSA)
    world.keys.destroy(
        services.tsa.service().certificate.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    )
    assert services.tsa.answer(request()).failure is Failure.SYSTEM_FAILURE
    world.revoke(record.serial)
    world.clock.advance(seconds=61)
    assert services.tsa.answer(request()).failure is Failure.SYSTEM_FAILURE


def test_the_tally_is_one_audit_row_for_all_that_happened_since_the_last(services):
    assert not services.tsa.write_tally(ADMIN)
    for _ in range(3):
        services.tsa.answer(request())
    services.world.clock.advance(minutes=5)
    services.tsa.answer(b"")
    assert services.tsa.write_tally(ADMIN)
    assert not services.tsa.write_tally(ADMIN)
    with services.world.database.read() as session:
        act = list_acts(session, subject_id="tsa")[-1]
    assert act.action == "tsa.tally"
    assert act.details == {
        "since": "2026-11-21T03:15:30Z",
        "until": "2026-11-21T03:20:30Z",
        "granted": "3",
        "bad_data_format": "1",
    }


@pytest.mark.parametrize("spec", [KeySpec.P_256, KeySpec.P_384, KeySpec.RSA_2048])
@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_verifies_the_token_by_query_and_by_data(tmp_path, spec):
    world = build_world(tmp_path, clock=FixedClock(SystemClock().now()))
    services = build_services(world, spec)
    (tmp_path / "root.pem").write_bytes(world.root.certificate.public_bytes(Encoding.PEM))
    (tmp_path / "data").write_bytes(b"data")
    (tmp_path / "other").write_bytes(b"other")
    made = openssl("ts", "-query", "-data", tmp_path / "data", "-sha512", "-cert", "-out", tmp_path / "query")
    assert made.returncode == 0, made.stderr
    (tmp_path / "reply").write_bytes(services.tsa.answer((tmp_path / "query").read_bytes()).der)
    text = openssl("ts", "-reply", "-in", tmp_path / "reply", "-text").stdout
    assert "Status: Granted." in text
    assert f"Policy OID: {POLICY}" in text
    how = ("-in", tmp_path / "reply", "-CAfile", tmp_path / "root.pem")
    assert openssl("ts", "-verify", "-queryfile", tmp_path / "query", *how).stdout == "Verification: OK\n"
    assert openssl("ts", "-verify", "-data", tmp_path / "data", *how).stdout == "Verification: OK\n"
    assert openssl("ts", "-verify", "-data", tmp_path / "other", *how).returncode != 0
    world.close()


def test_our_own_check_gives_the_time_and_finds_each_wrong_part(services):
    service = services.tsa.service()
    token = stamped(services, build_request("sha256", HASHED, nonce=1))["time_stamp_token"].dump()
    assert check_token(token, "sha256", HASHED, service) == services.world.clock.now()

    def wrong(changed: bytes, hashed: bytes = HASHED) -> str:
        with pytest.raises(TokenWrong) as refused:
            check_token(changed, "sha256", hashed, service)
        return refused.value.facts["part"]

    assert wrong(token, b"x" * 32) == "imprint"
    assert wrong(token + b"\0") == "structure"
    assert wrong(token[:-1]) == "structure"
    assert wrong(token.replace(b"20261121031530Z", b"20261121031529Z")) == "attributes"
    assert wrong(token[:-1] + bytes((token[-1] ^ 1,))) == "signature"
    loaded = cms.ContentInfo.load(token)
    loaded["content"]["signer_infos"][0]["signed_attrs"][0]["values"] = ["data"]
    assert wrong(loaded.dump(force=True)) in {"attributes", "structure"}


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_no_damage_to_a_request_raises_anything_but_a_refusal(data):
    whole = build_request("sha512", b"a" * 64, nonce=2**64)
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    try:
        parsed = parse_request(bytes(damaged[: data.draw(st.integers(0, len(whole)))]))
    except RequestRefused:
        return
    assert parsed.imprint in damaged
