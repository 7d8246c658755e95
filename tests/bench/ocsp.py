"""OCSP as clients ask for it: about many certificates, by POST and by GET, beside an empty route of the same server; and signed live."""

from __future__ import annotations

import base64
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from api.wiring import Installation, open_installation
from certs.names import parse_subject
from hsm.spec import spki_der
from pki.issuance import IssuanceRequest, issue
from pki.roles import owner
from tests.bench.measure import Row

# So many certificates are asked about, each by either digest.
_CERTIFICATES = 100
_THREADS = 4
_ACTOR = owner("bench")
_PRESIGNED_GOAL, _LIVE_GOAL = 0.6, 1800.0
# How long a service may take to sign the answers: its worker looks every 15 seconds.
_PATIENCE_SECONDS = 60.0

# Requests, connections, how many: seconds that it took. It raises for an answer that is not 200.
Load = Callable[[Sequence[bytes], int], float]


def certify(environment: Mapping[str, str]) -> list[bytes]:
    """Make certificates to ask about, before anything serves; the requests for them, in DER."""
    requests = []
    with open_installation(environment) as installation:
        issuing = installation.issuing()
        issuer = issuing.issuer.certificate
        for number in range(_CERTIFICATES):
            key = spki_der(ec.generate_private_key(ec.SECP256R1()).public_key())
            subject = parse_subject(f"CN=Nguyễn Văn Đo {number},T=Chuyên viên,O=Sở Thử nghiệm,C=VN")
            certificate = issue(IssuanceRequest("officer", subject, key), _ACTOR, issuing).certificate()
            for digest in (SHA1(), SHA256()):
                builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, digest)
                requests.append(builder.build().public_bytes(Encoding.DER))
    return requests


def wait_until_signed(environment: Mapping[str, str]) -> None:
    """Until the service's worker has signed an answer for everything that lives."""
    with open_installation(environment, starts_keys=False) as installation:
        until = time.monotonic() + _PATIENCE_SECONDS
        while installation.ocsp_signer.is_due():
            assert time.monotonic() < until, "the worker has not signed the answers"
            time.sleep(0.2)


def measure_stored(requests: Sequence[bytes], empty: bytes, load: Load, count: int) -> list[Row]:
    """Rates over HTTP of one web process, in turns with an empty route, which is what OCSP could at best reach."""
    posted = [_post(each) for each in requests]
    fetched = [_get(each) for each in requests]
    kinds: tuple[Sequence[bytes], ...] = ([empty], posted, fetched)
    rates: list[list[float]] = [[] for _ in kinds]
    for kind in kinds:
        load(kind, 2 * len(requests))
    for _ in range(5):
        for kind, taken in zip(kinds, rates, strict=True):
            taken.append(count / load(kind, count))
    bare, *ours = (statistics.median(each) for each in rates)
    return [
        Row(f"OCSP signed before, {how}, peer: an empty route", round(rate), round(bare), round(rate / bare, 2), "/s", count * 5, _PRESIGNED_GOAL)
        for how, rate in zip(("POST", "GET"), ours, strict=True)
    ]  # fmt: skip


def measure_live(environment: Mapping[str, str], requests: Sequence[bytes], count: int) -> Row:
    """Answers with a nonce, each signed by the token of the key process, asked for by one process, without HTTP."""
    with open_installation(environment) as installation:
        asked = [_with_nonce(der, number) for number, der in zip(range(count), _repeated(requests), strict=False)]
        _answer(installation, asked[:100])
        rates = []
        for _ in range(3):
            begun = time.perf_counter()
            _answer(installation, asked)
            rates.append(count / (time.perf_counter() - begun))
    rate = statistics.median(rates)
    return Row("OCSP signed live, one process, peer: 1800/s", round(rate), _LIVE_GOAL, round(rate / _LIVE_GOAL, 2), "/s", count * 3, 1.0)  # fmt: skip


def _answer(installation: Installation, asked: Sequence[bytes]) -> None:
    """On so many threads at once as a web process has for it: one waits for the token while another asks the database."""
    with ThreadPoolExecutor(_THREADS) as threads:
        for answer in threads.map(installation.ocsp.answer, asked):
            assert answer.cause is None
            assert not answer.cacheable  # the nonce is in it


def _repeated(requests: Sequence[bytes]) -> Sequence[bytes]:
    return list(requests) * 100


def _with_nonce(der: bytes, number: int) -> bytes:
    request = ocsp.load_der_ocsp_request(der)
    builder = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        request.issuer_name_hash, request.issuer_key_hash, request.serial_number, request.hash_algorithm
    )
    nonce = x509.OCSPNonce(number.to_bytes(32, "big"))
    return builder.add_extension(nonce, critical=False).build().public_bytes(Encoding.DER)


def _post(der: bytes) -> bytes:
    head = f"POST /ocsp HTTP/1.1\r\nHost: bench\r\nContent-Type: application/ocsp-request\r\nContent-Length: {len(der)}\r\n\r\n"
    return head.encode() + der


def _get(der: bytes) -> bytes:
    """RFC 6960 A.1: base64 in the path, with what a path cannot hold escaped."""
    text = base64.b64encode(der).decode().replace("+", "%2B").replace("=", "%3D")
    return f"GET /ocsp/{text} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
