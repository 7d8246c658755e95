"""Journey: a registration authority's system has certificates issued over HTTP, by what it says or by a registration."""

from __future__ import annotations

import json
import subprocess

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from certs.names import rfc4514, subject_of
from tests.integration.http_service import Service, problem
from tests.integration.strange_requests import SUBJECT, good_request, strange_requests

_PATH = "/api/v1/certificates"


@pytest.fixture(scope="module")
def token(service: Service) -> str:
    return service.issue_token("--scope", "ra")


def wish(csr: bytes | None = None, **more: object) -> dict[str, object]:
    return {"profile": "system", "subject": SUBJECT, "csr": (csr or good_request()).decode("latin-1"), **more}


def post(service: Service, token: str, body: object) -> httpx.Response:
    """As a client sends it that writes every character as an escape, also half of a surrogate pair."""
    headers = {"Content-Type": "application/json"}
    return service.send("POST", _PATH, token=token, content=json.dumps(body), headers=headers)


def rows(service: Service) -> int:
    ((count,),) = service.user.sql("SELECT count(*) FROM certificates")
    return int(count)


def test_a_certificate_is_issued_for_the_key_of_a_request_and_says_only_what_was_asked(
    service: Service, token: str
) -> None:
    csr = good_request()
    answer = service.send("POST", _PATH, token=token, json=wish(csr, san=["cua.huonggiang.vn"], days=30))
    assert answer.status_code == 201, answer.text
    record = answer.json()
    assert answer.headers["location"] == f"{_PATH}/{record['serial']}"
    assert (record["profile"], record["state"], record["registration"]) == ("system", "active", None)
    certificate = x509.load_pem_x509_certificate(record["pem"].encode())
    # The request's own names and its wish to be an authority were not even read.
    assert rfc4514(subject_of(certificate)) == SUBJECT
    with pytest.raises(x509.ExtensionNotFound):
        certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert _key(certificate) == _key(x509.load_pem_x509_csr(csr))
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["cua.huonggiang.vn"]
    assert service.send("GET", answer.headers["location"], token=token).json() == record
    folder = service.user.folder
    (folder / "leaf.pem").write_text(record["pem"])
    for name in ("root", "issuing"):
        (folder / f"{name}.pem").write_text(service.user.antin("ca", "show", name, "--pem"))
    verified = subprocess.run(
        ["openssl", "verify", "-CAfile", "root.pem", "-untrusted", "issuing.pem", "leaf.pem"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert verified.returncode == 0, verified.stderr


def _key(holder: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    spki = serialization.PublicFormat.SubjectPublicKeyInfo
    return holder.public_key().public_bytes(serialization.Encoding.DER, spki)


def test_a_repeated_request_is_the_same_certificate_under_its_key(service: Service, token: str) -> None:
    body, headers = wish(), {"Idempotency-Key": "gateway-1"}
    first = service.send("POST", _PATH, token=token, json=body, headers=headers)
    again = service.send("POST", _PATH, token=token, json=body, headers=headers)
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.json() == first.json()
    problem(service.send("POST", _PATH, token=token, json=wish(), headers=headers), 409, "IDEMPOTENCY_KEY_REUSED")


def test_evidence_stores_a_registration_and_a_registration_issues_once(service: Service, token: str) -> None:
    record = service.send("POST", _PATH, token=token, json=wish(evidence="hồ sơ 12/2026")).json()
    shown = service.user.json("registration", "show", str(record["registration"]))
    assert (shown["state"], shown["evidence"], shown["certificate"]) == ("issued", "hồ sơ 12/2026", record["serial"])
    by_number = {"registration": record["registration"]}
    problem(service.send("POST", _PATH, token=token, json=by_number), 409, "REGISTRATION_USED")

    (service.user.folder / "other.csr").write_bytes(good_request())
    asked = ("--profile", "system", "--subject", SUBJECT, "--csr", "other.csr", "--evidence", "hồ sơ 13/2026")
    number = service.user.json("registration", "add", *asked)["id"]
    problem(service.send("POST", _PATH, token=token, json={"registration": number}), 409, "REGISTRATION_NOT_OPEN")
    service.user.antin("registration", "confirm", str(number))
    issued = service.send("POST", _PATH, token=token, json={"registration": number})
    assert (issued.status_code, issued.json()["registration"]) == (201, number)
    problem(service.send("POST", _PATH, token=token, json={"registration": 10**30}), 422, "REGISTRATION_UNKNOWN")
    incomplete = wish(subject="CN=a,O=b,C=VN", evidence="hồ sơ 14/2026")
    problem(service.send("POST", _PATH, token=token, json=incomplete), 422, "REGISTRATION_INCOMPLETE")


def test_who_may_not_issue_gets_no_certificate(service: Service) -> None:
    before = rows(service)
    problem(service.send("POST", _PATH, token=None, json=wish()), 401, "TOKEN_MISSING")
    problem(service.send("POST", _PATH, json=wish()), 403, "TOKEN_SCOPE_MISSING")
    service.user.antin("person", "add", "auditor-dung", "--full-name", "Dung", "--role", "auditor")
    auditor = service.issue_token("--person", "auditor-dung", "--scope", "ra")
    for body in (wish(), wish(evidence="hồ sơ 1"), {"registration": 1}):
        problem(service.send("POST", _PATH, token=auditor, json=body), 403, "ROLE_MISSING")
    assert rows(service) == before


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "FORM_FIELD_MISSING"),
        ([], "BODY_NOT_JSON"),
        ({"profile": 1}, "FORM_VALUE_WRONG"),
        ({"profile": "system", "subject": SUBJECT, "csr": "x", "days": True}, "FORM_VALUE_WRONG"),
        ({"profile": "system", "subject": SUBJECT, "csr": "x", "san": [1]}, "FORM_VALUE_WRONG"),
        ({"registration": 1, "profile": "system"}, "FORM_VALUE_WRONG"),
        ({"ca": "true"}, "FORM_FIELD_UNKNOWN"),
        ({"profile": "system", "subject": SUBJECT, "csr": "\ud800"}, "CSR_MALFORMED"),
    ],
)
def test_a_body_that_cannot_be_meant_is_refused(service: Service, token: str, body: object, code: str) -> None:
    problem(post(service, token, body), 400, code)


@pytest.mark.parametrize(
    ("change", "status", "code"),
    [
        ({"profile": "baker\ud800"}, 400, "PROFILE_UNKNOWN"),
        ({"profile": "issuing"}, 422, "ISSUER_MAY_NOT_ISSUE"),
        ({"days": 10**40}, 400, "VALIDITY_REFUSED"),
        ({"days": 0}, 400, "VALIDITY_REFUSED"),
        ({"san": ["*.vn"]}, 400, "SAN_REFUSED"),
        ({"evidence": "a\u202eb"}, 400, "REGISTRATION_TEXT_REFUSED"),
        ({"evidence": "a\x00b"}, 400, "REGISTRATION_TEXT_REFUSED"),
    ],
)
def test_a_wish_that_cannot_be_granted_is_refused(
    service: Service, change: dict[str, object], status: int, code: str
) -> None:
    admin = service.issue_token("--scope", "ra", "ca")
    before = rows(service)
    problem(post(service, admin, wish(**change)), status, code)
    assert rows(service) == before


def test_strange_requests_are_refused_by_their_fault_and_leave_nothing(service: Service, token: str) -> None:
    used = good_request()
    taken = wish(used, subject=SUBJECT.replace("Cổng", "Cửa"))
    assert service.send("POST", _PATH, token=token, json=taken).status_code == 201
    before = rows(service)
    for strange in strange_requests(used):
        body = wish(strange.csr, subject=strange.subject)
        answer = service.send("POST", _PATH, token=token, json=body)
        assert (strange.name, answer.status_code) == (strange.name, strange.status), answer.text
        problem(answer, strange.status, strange.http_code or strange.code)
    assert rows(service) == before
