"""Time-stamping authorities of others: what their answers must be like, the order they are asked in, and that none costs a signature."""

from __future__ import annotations

import hashlib
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from asn1crypto import tsp
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding

from api.fetching import HttpFetcher
from certs.clock import SystemClock
from signer.documents import document_by_code
from signer.errors import OwnOutputBroken, Unavailable
from signer.judging import JudgeDesk
from signer.outside_timestamps import OutsideServer, OutsideTimestamper, TimestamperChain
from signer.sandbox import Judge
from signer.strangers import StrangerEvidence
from signer.timestamps import OwnTimestamper
from signer.validation.facts import TrustAnchor
from tests.attacks.documents import sign
from tests.attacks.pki import NOW, Party, make, make_crl, usage
from tests.fakes.clock import FixedClock
from tests.strangers import (
    STAMP_TYPE,
    Stranger,
    addresses,
    answering,
    closing,
    dripping,
    redirecting,
    saying,
    serving,
    sleeping,
    stamping,
)  # fmt: skip
from tests.unit.signer.office import PDF, Office

HASHED = hashlib.sha256(b"a signature value").digest()
KEY = rsa.generate_private_key(65537, 2048)
STAMPS = usage(digital_signature=True)


def tsa(issuer: Party | None = None, key: object = KEY, **how: object) -> Party:
    return make("TSA của người khác", issuer, key=key, timestamping=True, key_usage=STAMPS, **how)


@pytest.fixture(scope="module")
def root() -> Party:
    return make("Root của người khác", ca=True, not_after=NOW + timedelta(days=3650))


@pytest.fixture
def stranger() -> Iterator[Stranger]:
    with serving() as stranger:
        yield stranger


class Asking:
    """An outside authority as it is asked, on a clock that stands still, with the codes that were told of it."""

    def __init__(self, stranger: Stranger, *anchors: Party, **how: object) -> None:
        self.clock = FixedClock()
        self.told: list[str] = []
        server = OutsideServer(stranger.url("/tsa"), tuple(each.certificate for each in anchors), **how)
        self.server = OutsideTimestamper(server, HttpFetcher(), self.clock, lambda _, code: self.told.append(code))

    def refusal(self) -> str:
        with pytest.raises(Unavailable) as refused:
            self.server.timestamp_digest(HASHED)
        assert self.told[-1] == refused.value.code
        return refused.value.code


def test_a_good_answer_is_taken_whoevers_software_made_it(stranger, root):
    asking = Asking(stranger, root)
    stranger.handlers["/tsa"] = stamping(tsa(make("Trung gian", root, ca=True)), asking.clock.now)
    token = asking.server.timestamp_digest(HASHED)
    assert asking.server.check_digest(token, HASHED) == asking.clock.now()
    assert len(asking.server.stamped_by(token, HASHED).path) == 3
    assert asking.told == [""]
    with pytest.raises(OwnOutputBroken):
        asking.server.check_digest(token, hashlib.sha256(b"another").digest())
    assert asking.server.stamped_by(token, hashlib.sha256(b"another").digest()) is None


def other_hash(request: tsp.TimeStampReq) -> None:
    request["message_imprint"]["hashed_message"] = hashlib.sha256(b"another").digest()


def other_algorithm(request: tsp.TimeStampReq) -> None:
    request["message_imprint"]["hash_algorithm"]["algorithm"] = "sha512"


def other_nonce(request: tsp.TimeStampReq) -> None:
    request["nonce"] = request["nonce"].native + 1


def no_nonce(request: tsp.TimeStampReq) -> None:
    del request["nonce"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (other_hash, "TSA_IMPRINT_WRONG"),
        (other_algorithm, "TSA_IMPRINT_WRONG"),
        (other_nonce, "TSA_NONCE_WRONG"),
        (no_nonce, "TSA_NONCE_WRONG"),
    ],
)
def test_an_answer_to_another_request_is_refused(stranger, root, change, code):
    asking = Asking(stranger, root)
    stranger.handlers["/tsa"] = stamping(tsa(root), asking.clock.now, change)
    assert asking.refusal() == code


def test_an_old_answer_over_the_same_hash_is_refused(stranger, root):
    asking = Asking(stranger, root)
    kept: list[bytes] = []
    fresh = stamping(tsa(root), asking.clock.now)

    def replaying(request, body):
        kept.append(fresh(request, body)[2])
        return 200, STAMP_TYPE, kept[0]

    stranger.handlers["/tsa"] = replaying
    asking.server.timestamp_digest(HASHED)
    assert asking.refusal() == "TSA_NONCE_WRONG"


@pytest.mark.parametrize(
    ("party", "code"),
    [
        (lambda root: tsa(root, not_after=NOW - timedelta(days=1)), "TSA_EXPIRED"),
        (lambda root: tsa(root, not_before=NOW + timedelta(days=1)), "TSA_EXPIRED"),
        (lambda _: tsa(make("Root lạ", ca=True)), "TSA_PATH_UNKNOWN"),
        (lambda root: tsa(make("Không phải CA", root)), "TSA_PATH_UNKNOWN"),
        (lambda root: tsa(make("CA hết hạn", root, ca=True, not_after=NOW - timedelta(days=1))), "TSA_PATH_UNKNOWN"),
        (lambda root: make("Không phải TSA", root, key=KEY), "TSA_SIGNER_WRONG"),
        (lambda root: tsa(root, rsa.generate_private_key(65537, 1024)), "TSA_ALGORITHM_WEAK"),
    ],
    ids=["expired", "not-yet", "another-root", "issuer-no-ca", "issuer-expired", "no-tsa", "rsa-1024"],
)
def test_a_signer_who_may_not_stamp_is_refused(stranger, root, party, code):
    asking = Asking(stranger, root)
    stranger.handlers["/tsa"] = stamping(party(root), asking.clock.now)
    assert asking.refusal() == code


def test_a_certificate_that_has_ended_is_refused_also_when_the_time_is_set_back_to_before_its_end(stranger, root):
    asking = Asking(stranger, root)
    ended = tsa(root, not_after=NOW - timedelta(minutes=1))
    stranger.handlers["/tsa"] = stamping(ended, lambda: asking.clock.now() - timedelta(minutes=2))
    assert asking.refusal() == "TSA_EXPIRED"


def test_a_clock_that_is_far_off_is_refused(stranger, root):
    asking = Asking(stranger, root)
    for minutes, good in ((-6, False), (-4, True), (4, True), (6, False)):
        offset = timedelta(minutes=minutes)
        stranger.handlers["/tsa"] = stamping(tsa(root), lambda offset=offset: asking.clock.now() + offset)
        if good:
            asking.server.timestamp_digest(HASHED)
        else:
            assert asking.refusal() == "TSA_TIME_WRONG"


def damaged(root: Party, change: Callable[[bytes], bytes]):
    fresh = stamping(tsa(root), FixedClock().now)

    def answer(request, body):
        status, media_type, content = fresh(request, body)
        return status, media_type, change(content)

    return answer


def with_changed_time(content: bytes) -> bytes:
    assert content.count(b"20261121031530Z") == 1
    return content.replace(b"20261121031530Z", b"20261121031531Z")


def refusing(content: bytes) -> bytes:
    response = tsp.TimeStampResp.load(content)
    return tsp.TimeStampResp(
        {"status": {"status": "rejection"}, "time_stamp_token": response["time_stamp_token"]}
    ).dump()


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (with_changed_time, "TSA_SIGNATURE_WRONG"),
        (lambda content: content[:-1] + bytes((content[-1] ^ 1,)), "TSA_SIGNATURE_WRONG"),
        (lambda content: content[:-20], "TSA_UNREADABLE"),
        (lambda _: b"\x30\x03\x02\x01\x00", "TSA_UNREADABLE"),
        (lambda _: b"\x30\x05\x30\x03\x02\x01\x00", "TSA_UNREADABLE"),  # granted, and no token
        (lambda _: b"", "TSA_UNREADABLE"),
        (lambda _: b"no answer at all", "TSA_UNREADABLE"),
        (lambda _: bytes(5000), "TSA_UNREADABLE"),
        (refusing, "TSA_REFUSES"),
    ],
)  # fmt: skip
def test_an_answer_that_is_damaged_or_none_is_refused(stranger, root, change, code):
    asking = Asking(stranger, root)
    stranger.handlers["/tsa"] = damaged(root, change)
    assert asking.refusal() == code


@pytest.mark.parametrize(
    ("handler", "code"),
    [
        (saying(500, STAMP_TYPE, b""), "FETCH_STATUS"),
        (redirecting("/elsewhere"), "FETCH_STATUS"),
        (saying(200, "text/html", b"<p>log in"), "FETCH_TYPE_WRONG"),
        (saying(200, STAMP_TYPE, bytes(20_000)), "FETCH_TOO_LARGE"),
        (closing, "FETCH_FAILED"),
        (dripping, "FETCH_TIMEOUT"),
        (sleeping(1.0, saying(200, STAMP_TYPE, b"")), "FETCH_TIMEOUT"),
    ],
)
def test_a_server_that_is_wrong_or_slow_is_refused(stranger, root, handler, code):
    asking = Asking(stranger, root, seconds=0.4)
    stranger.handlers["/tsa"] = handler
    assert asking.refusal() == code


def test_one_that_fails_again_and_again_is_left_alone_for_a_while(stranger, root):
    asking = Asking(stranger, root)
    stranger.handlers["/tsa"] = saying(503, STAMP_TYPE, b"")
    assert [asking.refusal() for _ in range(4)] == ["FETCH_STATUS"] * 3 + ["TSA_RESTS"]
    stranger.handlers["/tsa"] = stamping(tsa(root), asking.clock.now)
    assert asking.refusal() == "TSA_RESTS"
    asking.clock.advance(seconds=31)
    asking.server.timestamp_digest(HASHED)
    assert len(stranger.asked) == 4


def test_no_more_requests_are_open_at_once_than_there_are_places(stranger, root):
    asking = Asking(stranger, root, parallel=2, seconds=5.0)
    stranger.handlers["/tsa"] = sleeping(0.1, stamping(tsa(root), asking.clock.now))
    threads = [threading.Thread(target=asking.server.timestamp_digest, args=(HASHED,)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asking.told, stranger.open_most) == ([""] * 6, 2)


def openssl(*arguments: object) -> None:
    subprocess.run(["openssl", *map(str, arguments)], capture_output=True, check=True)


@pytest.mark.parametrize("key", [KEY, ec.generate_private_key(ec.SECP384R1())], ids=["rsa", "p-384"])
def test_openssl_as_the_authority(stranger, tmp_path: Path, key):
    clock = SystemClock()
    began = clock.now() - timedelta(days=1)
    root = make("Root của OpenSSL", ca=True, not_before=began, not_after=began + timedelta(days=30))
    party = tsa(root, key, not_before=began, not_after=began + timedelta(days=20))
    (tmp_path / "tsa.pem").write_bytes(party.certificate.public_bytes(Encoding.PEM))
    pem = key.private_bytes(Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (tmp_path / "key.pem").write_bytes(pem)
    (tmp_path / "serial").write_text("01")
    (tmp_path / "ts.cnf").write_text(
        f"[tsa]\ndefault_tsa = own\n[own]\nserial = {tmp_path}/serial\ncrypto_device = builtin\nsigner_digest = sha384\n"
        "default_policy = 1.2.3.4.1\ndigests = sha256\nordering = no\ness_cert_id_chain = no\ness_cert_id_alg = sha256\n"
    )

    def answer(_request, body):
        (tmp_path / "query").write_bytes(body)
        openssl("ts", "-reply", "-config", tmp_path / "ts.cnf", "-section", "own", "-queryfile", tmp_path / "query",
                "-signer", tmp_path / "tsa.pem", "-inkey", tmp_path / "key.pem", "-out", tmp_path / "reply")  # fmt: skip
        return 200, STAMP_TYPE, (tmp_path / "reply").read_bytes()

    stranger.handlers["/tsa"] = answer
    server = OutsideServer(stranger.url("/tsa"), (root.certificate,))
    outside = OutsideTimestamper(server, HttpFetcher(), clock, lambda *_: None)
    token = outside.timestamp_digest(HASHED)
    assert abs(outside.check_digest(token, HASHED) - clock.now()) < timedelta(minutes=1)


def outside_office(
    office: Office, judge: Judge, *servers: OutsideTimestamper, fetches: bool = False, own: bool = False
):
    """The office whose documents are stamped by these, and by its own authority after them where `own` says so."""
    world = office.world
    anchors = {der: None for each in servers for der in each._server.anchors}
    trusted = [TrustAnchor(each.public_bytes(Encoding.DER), "unknown", stamps_only=True) for each in anchors]
    judging = JudgeDesk(judge, world.database, world.clock, trusted)
    chain = TimestamperChain([*servers, *([OwnTimestamper(office.services.tsa)] if own else [])])
    strangers = StrangerEvidence(HttpFetcher(allows_private=True), world.clock) if fetches else None
    extender = replace(office.deps.extender, timestamper=chain, strangers=strangers, appender=judging)
    deps = replace(office.deps, extender=extender, preparer=judging, judge_earlier=judging.earlier_signatures)
    return replace(office, deps=deps, judging=judging)


def asked_at(office: Office, stranger: Stranger, path: str, root: Party) -> OutsideTimestamper:
    server = OutsideServer(stranger.url(path), (root.certificate,), seconds=1.0)
    return OutsideTimestamper(server, HttpFetcher(), office.world.clock, lambda *_: None)


def test_the_next_one_is_asked_when_one_fails_and_our_own_where_the_list_has_it(office, judge, stranger, root):
    clock = office.world.clock
    stranger.handlers |= {"/a": saying(500, STAMP_TYPE, b""), "/b": stamping(tsa(root), clock.now)}
    first, second = (asked_at(office, stranger, path, root) for path in ("/a", "/b"))
    signed = outside_office(office, judge, first, second).signed("B-T")
    assert (signed.level, signed.pending, stranger.asked) == ("B-T", None, ["/a", "/b"])
    stranger.handlers["/b"] = closing
    there = outside_office(office, judge, first, second, own=True)
    assert there.signed("B-LTA").level == "B-LTA"
    away = outside_office(office, judge, first, second).signed("B-T")
    assert (away.level, away.pending) == ("B-B", "B-T")
    with office.world.database.read() as session:
        assert document_by_code(session, away.code).pending.failure == "TIMESTAMP_UNAVAILABLE"


@pytest.mark.parametrize("level", ["B-LT", "B-LTA"])
def test_a_stamp_of_others_is_proved_by_what_their_services_say(office, judge, stranger, root, level):
    clock = office.world.clock
    # The responder is the root itself; of the root nothing is asked.
    party = tsa(root, more=addresses(stranger.url("/ocsp")))
    stranger.handlers |= {"/tsa": stamping(party, clock.now), "/ocsp": answering(party, root, clock.now)}
    outside = asked_at(office, stranger, "/tsa", root)
    unproved = outside_office(office, judge, outside).signed(level)
    assert (unproved.level, unproved.pending) == ("B-T", level)
    there = outside_office(office, judge, outside, fetches=True)
    signed = there.signed(level)
    assert (signed.level, signed.pending) == (level, None)
    judged = there.judged(signed.content)
    assert (judged.conclusion, judged.facts.reached, judged.proven_time) == ("valid", level, clock.now())


def test_whom_the_time_is_believed_by_is_not_believed_about_who_signed(office, judge, stranger, root):
    from_tree = make("Kẻ mạo danh", root)
    there = outside_office(office, judge, asked_at(office, stranger, "/tsa", root))
    judged = there.judged(sign(PDF, from_tree))
    assert (judged.reason, judged.trust) == ("UNKNOWN_ISSUER", "unknown")


def test_lists_serve_where_no_responder_answers(office, judge, stranger, root):
    clock = office.world.clock
    party = tsa(root, more=addresses(stranger.url("/ocsp"), stranger.url("/crl")))
    stranger.handlers |= {
        "/tsa": stamping(party, clock.now),
        "/ocsp": answering(party, tsa(root), clock.now),  # nobody whom the issuer delegated to
        "/crl": saying(200, "application/pkix-crl", make_crl(root)),
    }
    there = outside_office(office, judge, asked_at(office, stranger, "/tsa", root), fetches=True)
    assert there.signed("B-LT").level == "B-LT"
    assert stranger.asked == ["/tsa", "/ocsp", "/crl"]


def test_the_anchor_certificates_of_a_token_are_not_taken_for_the_ones_of_the_settings(stranger, root):
    asking = Asking(stranger, make("Root khác", ca=True))
    stranger.handlers["/tsa"] = stamping(tsa(root), asking.clock.now)
    assert asking.refusal() == "TSA_PATH_UNKNOWN"
