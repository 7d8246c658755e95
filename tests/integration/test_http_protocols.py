"""OCSP, CRL, CA certificates and time-stamps over HTTP, judged by tools that know nothing of us."""

from __future__ import annotations

import base64
import email.utils
import shutil
import subprocess
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.integration.http_service import Service, problem


@pytest.fixture(scope="module")
def certificates(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """root.pem, issuing.pem and both, as fetched; officer.pem."""
    folder = tmp_path_factory.mktemp("certificates")
    for name in ("root", "issuing"):
        answer = service.http.get(f"/ca/{name}.cer")
        assert answer.headers["content-type"] == "application/pkix-cert"
        certificate = x509.load_der_x509_certificate(answer.content)
        (folder / f"{name}.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "chain.pem").write_bytes((folder / "issuing.pem").read_bytes() + (folder / "root.pem").read_bytes())
    (folder / "officer.pem").write_text(service.user.antin("cert", "show", "officer", "--pem"))
    return folder


def request_for(folder: Path, name: str = "officer.pem", nonce: bytes = b"") -> bytes:
    certificate = x509.load_pem_x509_certificate((folder / name).read_bytes())
    issuer = x509.load_pem_x509_certificate((folder / "issuing.pem").read_bytes())
    builder = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, SHA256())
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(nonce), critical=False)
    return builder.build().public_bytes(Encoding.DER)


def issue(service: Service, folder: Path, name: str) -> str:
    request = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (service.user.folder / "csr.pem").write_text(request.stdout)
    issued = service.user.json(
        "cert", "issue", "--profile", "officer", "--subject", f"CN={name},O=Sở Thử nghiệm,C=VN", "--csr", "csr.pem"
    )
    (folder / f"{name}.pem").write_text(service.user.antin("cert", "show", issued["serial"], "--pem"))
    return issued["serial"]


def openssl(*words: str | Path) -> str:
    done = subprocess.run(["openssl", *words], capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def test_openssl_ocsp_says_good_then_revoked(service: Service, certificates: Path) -> None:
    serial = issue(service, certificates, "Thu")
    words = (
        "ocsp",
        "-issuer",
        certificates / "issuing.pem",
        "-cert",
        certificates / "Thu.pem",
        "-CAfile",
        certificates / "root.pem",
        "-verify_other",
        certificates / "issuing.pem",
        "-url",
        f"{service.url}/ocsp",
    )
    good = openssl(*words)
    assert "Response verify OK" in good
    assert "Thu.pem: good" in good
    service.user.antin("cert", "revoke", serial, "--reason", "keyCompromise")
    for _ in range(4):
        revoked = openssl(*words)
        assert "Response verify OK" in revoked
        assert "Thu.pem: revoked" in revoked
        assert "keyCompromise" in revoked


def test_ocsptool_accepts_the_answer(service: Service, certificates: Path, tmp_path: Path) -> None:
    if shutil.which("ocsptool") is None:
        pytest.skip("ocsptool is not installed (apt-get install gnutls-bin)")
    answer = service.http.post(
        "/ocsp", content=request_for(certificates), headers={"Content-Type": "application/ocsp-request"}
    )
    (tmp_path / "answer.der").write_bytes(answer.content)
    done = subprocess.run(
        ["ocsptool", "--verify-response", "--load-response", tmp_path / "answer.der", "--load-trust", certificates / "chain.pem"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Verifying OCSP Response: Success" in done.stdout + done.stderr


def test_a_get_is_answered_like_a_post_and_may_be_cached_until_it_ends(service: Service, certificates: Path) -> None:
    body = request_for(certificates)
    text = base64.b64encode(body).decode()
    for path in (
        quote(text, safe=""),
        quote(text, safe="/"),
        text,
        text.rstrip("="),
        base64.urlsafe_b64encode(body).decode(),
    ):
        answer = service.http.get(f"/ocsp/{path}")
        assert answer.headers["content-type"] == "application/ocsp-response"
        parsed = ocsp.load_der_ocsp_response(answer.content)
        assert parsed.certificate_status is ocsp.OCSPCertStatus.GOOD
        # RFC 5019 6.2
        assert email.utils.parsedate_to_datetime(answer.headers["last-modified"]) == parsed.this_update_utc
        assert email.utils.parsedate_to_datetime(answer.headers["expires"]) <= parsed.next_update_utc
        directives = dict(part.strip().partition("=")[::2] for part in answer.headers["cache-control"].split(","))
        assert {"public", "no-transform", "must-revalidate"} <= set(directives)
        assert 0 < int(directives["max-age"]) <= 3600
        assert answer.headers["etag"].strip('"')
    with_nonce = service.http.get(
        "/ocsp/" + quote(base64.b64encode(request_for(certificates, nonce=b"n" * 16)).decode(), safe="")
    )
    assert with_nonce.headers["cache-control"] == "no-store"
    posted = service.http.post("/ocsp", content=body, headers={"Content-Type": "application/ocsp-request"})
    assert posted.headers["cache-control"] == "no-store"


def test_base64_with_slashes_reaches_the_responder_whole(service: Service, certificates: Path) -> None:
    issuer = x509.load_pem_x509_certificate((certificates / "issuing.pem").read_bytes())
    # A serial of ones gives a row of slashes.
    certificate_id = ocsp.OCSPRequestBuilder().add_certificate_by_hash(
        b"\xff" * 20, b"\xff" * 20, (1 << 152) - 1, SHA1()
    )
    text = base64.b64encode(certificate_id.build().public_bytes(Encoding.DER)).decode()
    assert "//" in text
    parsed = ocsp.load_der_ocsp_response(service.http.get(f"/ocsp/{text}").content)
    assert parsed.response_status is ocsp.OCSPResponseStatus.SUCCESSFUL
    assert parsed.certificate_status is ocsp.OCSPCertStatus.UNKNOWN
    assert issuer is not None


@pytest.mark.parametrize(
    "body",
    [b"", b"0", b"\x30\x80", b"GET / HTTP/1.1", b"\x30\x03\x02\x01\x00", bytes(20_000), b"\x30\x84\xff\xff\xff\xff"],
)
def test_a_malformed_ocsp_request_gets_the_protocols_own_answer(service: Service, body: bytes) -> None:
    answer = service.http.post("/ocsp", content=body, headers={"Content-Type": "application/ocsp-request"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/ocsp-response")
    assert answer.content == bytes.fromhex("30030a0101")
    path = base64.b64encode(body).decode() or "%20"
    if len(body) < 10_000:
        assert service.http.get(f"/ocsp/{quote(path, safe='')}").content == bytes.fromhex("30030a0101")


@pytest.mark.parametrize("path", ["!!!", "%FF", "a", "a b", "%E1%BA%A4"])
def test_a_path_that_is_no_base64_is_malformed(service: Service, path: str) -> None:
    answer = service.http.get(f"/ocsp/{path}")
    assert (answer.status_code, answer.content) == (200, bytes.fromhex("30030a0101"))


def test_openssl_ts_verifies_a_token(service: Service, certificates: Path, tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(b"some data")
    openssl("ts", "-query", "-data", tmp_path / "data", "-sha256", "-cert", "-out", tmp_path / "query")
    query = (tmp_path / "query").read_bytes()
    answer = service.http.post("/tsa", content=query, headers={"Content-Type": "application/timestamp-query"})
    assert answer.headers["content-type"] == "application/timestamp-reply"
    (tmp_path / "reply").write_bytes(answer.content)
    words = ("-CAfile", certificates / "root.pem", "-untrusted", certificates / "issuing.pem")
    assert "Verification: OK" in openssl(
        "ts", "-verify", "-queryfile", tmp_path / "query", "-in", tmp_path / "reply", *words
    )


@pytest.mark.parametrize("body", [b"", b"0", bytes(5000), b"\x30\x03\x02\x01\x01"])
def test_a_malformed_time_stamp_query_gets_a_rejection(service: Service, body: bytes, tmp_path: Path) -> None:
    answer = service.http.post("/tsa", content=body, headers={"Content-Type": "application/timestamp-query"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/timestamp-reply")
    (tmp_path / "reply").write_bytes(answer.content)
    assert "Rejected" in openssl("ts", "-reply", "-in", tmp_path / "reply", "-text")


def test_crls_are_served_whole_with_their_number_and_known_ones_are_not_sent_again(service: Service) -> None:
    answer = service.http.get("/crl/issuing.crl")
    assert answer.headers["content-type"] == "application/pkix-crl"
    crl = x509.load_der_x509_crl(answer.content)
    assert email.utils.parsedate_to_datetime(answer.headers["last-modified"]) == crl.last_update_utc
    assert email.utils.parsedate_to_datetime(answer.headers["expires"]) <= crl.next_update_utc
    assert answer.content == (service.user.home / "public" / "crl" / "issuing.crl").read_bytes()
    number = crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
    assert service.http.get(f"/crl/issuing/{number}.crl").content == answer.content
    known = service.http.get("/crl/issuing.crl", headers={"If-None-Match": answer.headers["etag"]})
    assert (known.status_code, known.content) == (304, b"")
    assert known.headers["etag"] == answer.headers["etag"]
    assert service.http.get("/crl/issuing.crl", headers={"If-None-Match": '"other"'}).status_code == 200
    head = service.http.head("/crl/issuing.crl")
    assert (head.status_code, head.headers["content-length"], head.content) == (200, str(len(answer.content)), b"")
    problem(service.http.get("/crl/nobody.crl"), 404, "AUTHORITY_UNKNOWN")
    problem(service.http.get(f"/crl/issuing/{number + 1000}.crl"), 404, "CRL_NOT_FOUND")
    problem(service.http.get("/ca/nobody.cer"), 404, "AUTHORITY_UNKNOWN")


def test_a_revocation_is_on_the_served_crl_at_once(service: Service, certificates: Path) -> None:
    serial = issue(service, certificates, "Crl")
    service.user.antin("cert", "revoke", serial, "--reason", "superseded")
    for _ in range(4):
        crl = x509.load_der_x509_crl(service.http.get("/crl/issuing.crl", headers={"Connection": "close"}).content)
        assert crl.get_revoked_certificate_by_serial_number(int(serial, 16)) is not None
