"""What nobody should send: each gets one clear problem, nothing is half done, and the service goes on."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.installation import User
from tests.integration.http_service import Service, problem, running, web_processes

BOUNDARY = "frontier"
FORM = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
HOSTILE = "\u202egnp.<img src=x onerror=alert(1)>\u0000\u200b\u0007 a\u0306.pdf"


def part(name: str, content: bytes, *more: str) -> bytes:
    disposition = "; ".join(("form-data", f'name="{name}"', *more))
    return f"--{BOUNDARY}\r\nContent-Disposition: {disposition}\r\n\r\n".encode() + content + b"\r\n"


END = f"--{BOUNDARY}--\r\n".encode()


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "FORM_MALFORMED"),
        (b"no form at all", "FORM_MALFORMED"),
        (part("file", b"%PDF-", 'filename="a.pdf"'), "FORM_MALFORMED"),  # no end
        (part("file", b"%PDF-", 'filename="a.pdf"')[:-20] + END, "FORM_MALFORMED"),
        (END, "FORM_FILE_MISSING"),
        (part("file", b"letter.pdf") + END, "FORM_FILE_IS_TEXT"),  # curl -F file=letter.pdf
        (part("other", b"x", 'filename="a.pdf"') + END, "FORM_FIELD_UNKNOWN"),
        (part("more", b"x") + part("file", b"%PDF-", 'filename="a.pdf"') + END, "FORM_FIELD_UNKNOWN"),
        (part("file", b"%PDF-", 'filename="a.pdf"') * 2 + END, "FORM_MALFORMED"),
        (part("file", b"%PDF-", 'filename="a.pdf"') + part("x", b"\xff\xfe") + END, "FORM_MALFORMED"),
        (f"--{BOUNDARY}\r\nNo-Disposition: x\r\n\r\n1\r\n".encode() + END, "FORM_MALFORMED"),
        (part("a", b"x" * 70_000) + END, "FORM_MALFORMED"),
        (part("a", b"x") * 50 + END, "FORM_MALFORMED"),
    ],
)
def test_a_broken_form_is_malformed(service: Service, body: bytes, code: str) -> None:
    problem(service.http.post("/api/v1/verify", content=body, headers=FORM), 400, code)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/pdf",
        "application/json",
        "application/x-www-form-urlencoded",
        "multipart/mixed; boundary=b",
        "",
        "multipart/form-data",
    ],
)
def test_another_media_type_is_refused(service: Service, pdf: bytes, media_type: str) -> None:
    for path in ("/api/v1/verify", "/api/v1/documents"):
        answer = service.send("POST", path, content=pdf, headers={"Content-Type": media_type})
        problem(
            answer,
            400 if media_type == "multipart/form-data" else 415,
            "FORM_MALFORMED" if media_type == "multipart/form-data" else "MEDIA_TYPE_WRONG",
        )
    if media_type != "application/json":
        own = "/api/v1/documents/AAAA/recall"
        answer = service.send("POST", own, content=b"{}", headers={"Content-Type": media_type})
        problem(answer, 415, "MEDIA_TYPE_WRONG")
    for path in ("/ocsp", "/tsa"):
        problem(service.http.post(path, content=b"0", headers={"Content-Type": media_type}), 415, "MEDIA_TYPE_WRONG")


def test_a_nested_form_is_just_a_file_that_is_no_pdf(service: Service) -> None:
    inner = b'--inner\r\nContent-Disposition: form-data; name="file"\r\n\r\n%PDF-\r\n--inner--\r\n'
    body = part("file", inner, 'filename="form"') + END
    answer = service.http.post("/api/v1/verify", content=body, headers=FORM)
    assert (answer.status_code, answer.json()["conclusion"]) == (200, "unreadable")


@pytest.mark.parametrize(
    ("content", "reason"),
    [(b"", "UNREADABLE_EMPTY"), (b"\x89PNG\r\n", "UNREADABLE_PHOTO"), (b"%PDF-1.7\n%%EOF", "UNREADABLE_DAMAGED")],
)
def test_whatever_file_is_sent_gets_a_verdict(service: Service, content: bytes, reason: str) -> None:
    verdict = service.verify(content)
    assert (verdict["conclusion"], verdict["reason"]) == ("unreadable", reason)


@pytest.mark.parametrize(
    ("content", "fields", "status", "code"),
    [
        (b"", {}, 400, "INPUT_EMPTY"),
        (b"plain text", {}, 415, "INPUT_NOT_PDF"),
        (b"%PDF-1.7\nnothing", {}, 422, "INPUT_DAMAGED"),
        (None, {"credential": "nobody"}, 422, "CREDENTIAL_UNKNOWN"),
        (None, {"credential": "../../etc"}, 422, "CREDENTIAL_UNKNOWN"),
        (None, {"credential": ""}, 400, "FORM_FIELD_MISSING"),
        (None, {"intent": "destroy"}, 400, "FORM_VALUE_WRONG"),
        (None, {"intent": "issue"}, 422, "INTENT_NOT_ALLOWED"),
        (None, {"level": "B-X"}, 400, "FORM_VALUE_WRONG"),
        (None, {"placement": "somewhere"}, 400, "PLACEMENT_MALFORMED"),
        (None, {"metadata": "{"}, 400, "METADATA_NOT_OBJECT"),
        (None, {"metadata": "[" * 30_000}, 400, "METADATA_NOT_OBJECT"),
        (None, {"metadata": "[]"}, 400, "METADATA_NOT_OBJECT"),
        (None, {"metadata": '{"CodeNotation": 12}'}, 400, "METADATA_TYPE"),
        (None, {"metadata": '{"IssuedDate": "2026-13-45"}'}, 400, "METADATA_DATE"),
        (None, {"metadata": '{"Subject": "a\\u202eb"}'}, 400, "METADATA_CHARACTER"),
        (None, {"metadata": '{"Subject": "a\\u0000b"}'}, 400, "METADATA_CHARACTER"),
        (None, {"metadata": '{"Subjet": "a"}'}, 400, "METADATA_MISSPELT"),
        (None, {"metadata": '{"Số": "a"}'}, 400, "METADATA_UNKNOWN"),
        (None, {"metadata": json.dumps({"Subject": "a" * 501})}, 400, "METADATA_TOO_LONG"),
    ],
)
def test_a_request_that_cannot_be_signed_leaves_no_document(
    service: Service, pdf: bytes, content, fields, status, code
) -> None:
    before = service.user.json("document", "list")
    answer = service.sign(pdf if content is None else content, fields.pop("credential", "officer"), **fields)
    problem(answer, status, code)
    assert service.user.json("document", "list") == before
    assert service.user.sql("SELECT count(*) FROM signing_acts WHERE state = 'intent'") == [(0,)]


def test_hostile_names_come_back_harmless(service: Service, pdf: bytes) -> None:
    body = part("file", pdf, f'filename="{HOSTILE}"') + END
    verdict = service.http.post("/api/v1/verify", content=body, headers=FORM)
    assert verdict.headers["content-type"] == "application/json"
    name = verdict.json()["file"]
    assert name == "gnp.<img src=x onerror=alert(1)> ă.pdf"
    for sent, kept in (
        ("../../etc/passwd", "passwd"),
        ("C:\\Users\\x\\a.pdf", "a.pdf"),
        ("", "document.pdf"),
        ("a" * 400, "a" * 255),
    ):
        answer = service.http.post(
            "/api/v1/verify", content=part("file", b"x", f'filename="{sent}"') + END, headers=FORM
        )
        assert answer.json()["file"] == kept
    markup = '{"Subject": "<script>alert(1)</script>"}'
    own = service.sign(pdf, name="<b>.pdf", metadata=markup).json()["links"]["self"]
    record = service.send("GET", own)
    assert record.headers["content-type"] == "application/json"
    assert record.json()["subject"] == "<script>alert(1)</script>"


def test_a_file_over_the_limit_is_refused_while_it_is_sent_and_the_client_sees_why(service: Service) -> None:
    """100 MB, once with its length said before and once without."""

    def pieces():
        yield part("file", b"", 'filename="big.pdf"')[:-2]
        for _ in range(100):
            yield bytes(1 << 20)
        yield b"\r\n" + END

    whole = b"".join(pieces())
    for content in (whole, pieces()):
        answer = service.http.post("/api/v1/verify", content=content, headers=FORM)
        assert "50 MB" in problem(answer, 413, "BODY_TOO_LARGE")["detail"]
    del whole
    memory = max(_resident_mb(pid) for pid in web_processes(service.process.pid))
    assert memory < 400
    assert service.http.get("/healthz").status_code == 200
    problem(
        service.send(
            "POST",
            "/api/v1/documents/AAAA/recall",
            content=b'{"reason": "' + b"x" * 70_000 + b'"}',
            headers={"Content-Type": "application/json"},
        ),
        413,
        "BODY_TOO_LARGE",
    )


def _resident_mb(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) // 1024 for line in lines if line.startswith("VmRSS"))


def test_the_limit_is_a_setting(user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1", ANTIN_WEB__MAX_UPLOAD_MB="1", ANTIN_WEB__UPLOAD_SECONDS="2") as service:
        assert service.verify(pdf)["conclusion"] == "unsigned"
        answer = service.http.post("/api/v1/verify", files={"file": ("a.pdf", bytes(2 << 20))})
        problem(answer, 413, "BODY_TOO_LARGE")
        # A body that comes byte by byte is given up after the time of the setting, others are served meanwhile.
        parts = urlsplit(service.url)
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
            line.sendall(
                f"POST /api/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: {FORM['Content-Type']}\r\nContent-Length: 100000\r\n\r\n".encode()
                + part("file", b"%PDF-", 'filename="a.pdf"')[:-2]
            )
            begun = time.monotonic()
            line.settimeout(0.2)
            answer_bytes = b""
            while time.monotonic() - begun < 20 and b"BODY_TOO_SLOW" not in answer_bytes:
                try:
                    line.sendall(b"x")
                    answer_bytes += line.recv(4096)
                except TimeoutError:
                    assert service.http.get("/healthz").status_code == 200
            assert answer_bytes.startswith(b"HTTP/1.1 408")
            assert time.monotonic() - begun < 10


def test_a_body_that_breaks_off_is_no_request(service: Service, pdf: bytes) -> None:
    before = service.user.json("document", "list")
    parts = urlsplit(service.url)
    whole = part("credential", b"officer") + part("file", pdf, 'filename="a.pdf"') + END
    for cut in (0, 10, len(whole) // 2, len(whole) - 1):
        with socket.create_connection((parts.hostname, parts.port), timeout=30) as line:
            head = f"POST /api/v1/documents HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {service.token}\r\n"
            head += f"Content-Type: {FORM['Content-Type']}\r\nContent-Length: {len(whole)}\r\n\r\n"
            line.sendall(head.encode() + whole[:cut])
    assert service.http.get("/healthz").status_code == 200
    assert service.user.json("document", "list") == before
    time.sleep(0.3)
    assert not [line for line in service.log_lines() if line.get("status") == 500]


def test_nothing_in_a_path_or_query_makes_a_defect(service: Service) -> None:
    for path in (
        "/api/v1/documents/%00",
        "/api/v1/documents/%ff%fe",
        "/api/v1/documents/" + "A" * 5000,
        "/api/v1/certificates/%E2%80%AE",
        "/crl/..%2f..%2fantin.crl",
        "/crl/%00.crl",
        "/ca/root%00.cer",
        "/ca/ROOT.cer",
        "/crl/root/99999999999999999999.crl",
        "/crl/root/0.crl",
        "/crl/root/-1.crl",
        "/v1/../etc",
    ):
        answer = service.http.get(path)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    "request_line",
    [
        b"\x16\x03\x01 TLS to a plain port",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_gets_a_problem_as_well(service: Service, request_line: bytes) -> None:
    parts = urlsplit(service.url)
    with socket.create_connection((parts.hostname, parts.port), timeout=10) as line:
        line.sendall(request_line + b"\r\n\r\n")
        answer = b""
        while piece := line.recv(4096):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400")
    assert b"application/problem+json" in head
    assert json.loads(body)["code"] == "REQUEST_MALFORMED"
    assert service.http.get("/healthz").status_code == 200
