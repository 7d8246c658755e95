"""Journey: an agency's system signs, looks up, fetches and recalls over HTTP; everybody verifies."""

from __future__ import annotations

import json
import re
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.auth.tokens import SCOPES
from api.problems import STATUS_OF_CODE
from signer.metadata import LENGTHS
from tests.installation import VALID_BY_PDFSIG, signatures_by_pdfsig
from tests.integration.http_service import Service, problem


def test_a_document_signed_over_http_is_the_one_that_is_registered_fetched_and_verified(
    service: Service, pdf: bytes, tmp_path
) -> None:
    answer = service.sign(pdf, level="B-T", metadata='{"Subject": "Về việc thử nghiệm", "CodeNotation": "UBND-VP"}')
    assert answer.status_code == 201, answer.text
    signed = answer.json()
    assert set(signed) == {
        "code",
        "sha256",
        "status",
        "issued",
        "number",
        "level",
        "pending_level",
        "findings",
        "links",
    }
    assert (signed["status"], signed["level"]) == ("in-force", "B-T")
    assert (signed["issued"], signed["number"]) == (False, None)  # a person's signature alone issues nothing
    assert answer.headers["location"] == signed["links"]["self"]

    file = service.http.get(signed["links"]["file"])
    assert file.headers["content-type"] == "application/pdf"
    assert file.content.startswith(pdf)
    (tmp_path / "signed.pdf").write_bytes(file.content)
    assert signatures_by_pdfsig(tmp_path / "signed.pdf") == [VALID_BY_PDFSIG]

    record = service.http.get(signed["links"]["self"]).json()
    assert (record["code"], record["sha256"], record["status"]) == (signed["code"], signed["sha256"], "in-force")
    assert record["notation"] == "UBND-VP"
    verdict = service.verify(file.content)
    assert (verdict["conclusion"], verdict["sha256"]) == ("valid", signed["sha256"])
    assert verdict["document"] == {"code": signed["code"], "status": "in-force"}
    assert verdict["signatures"][0]["proven_time"] is not None


def test_http_and_command_line_give_the_same_verdict(service: Service, pdf: bytes) -> None:
    signed = service.http.get(service.sign(pdf).json()["links"]["file"]).content
    for name, content in (
        ("paper.pdf", pdf),
        ("signed.pdf", signed),
        ("cut.pdf", signed[:-900]),
        ("text.txt", b"no pdf"),
        ("empty.pdf", b""),
    ):
        (service.user.folder / name).write_bytes(content)
        said = service.verify(content, name)
        known = json.loads(service.user.run("verify", name, "--json").stdout)
        assert {**said, "checked_at": ""} == {**known, "checked_at": ""}


def test_the_seal_follows_the_officer_and_both_share_one_document(service: Service, pdf: bytes) -> None:
    problem(service.sign(pdf, "seal"), 409, "ISSUE_WITHOUT_OFFICER")
    first = service.sign(pdf).json()
    approved = service.http.get(first["links"]["file"]).content
    assert service.http.get(first["links"]["self"]).json()["issued"] is False
    second = service.sign(approved, "seal")
    assert second.status_code == 201, second.text
    assert second.json()["code"] == first["code"]
    record = service.http.get(first["links"]["self"]).json()
    assert record["number"] >= 1
    assert record["issued_at"] is not None
    assert (
        (second.json()["issued"], second.json()["number"])
        == (record["issued"], record["number"])
        == (True, record["number"])
    )


def test_a_document_is_issued_once_also_from_the_file_that_the_officer_alone_signed(
    service: Service, pdf: bytes
) -> None:
    first = service.sign(pdf).json()
    approved = service.http.get(first["links"]["file"]).content
    assert service.sign(approved, "seal").status_code == 201
    issued = service.http.get(first["links"]["file"]).content
    for file in (approved, issued):
        said = problem(service.sign(file, "seal"), 409, "ALREADY_ISSUED")["detail"]
        assert first["links"]["file"] in said
        assert f"antin document show {first['code']} -o FILE" in said
    assert service.http.get(first["links"]["file"]).content == issued
    (service.user.folder / "approved.pdf").write_bytes(approved)
    assert first["code"] in service.user.refused(1, "sign", "approved.pdf", "--as", "seal", "-o", "again.pdf")
    # What the sentence says works, and nothing is overwritten by it.
    service.user.antin("document", "show", first["code"], "-o", "issued.pdf")
    assert (service.user.folder / "issued.pdf").read_bytes() == issued
    service.user.refused(2, "document", "show", first["code"], "-o", "issued.pdf")


def test_of_two_requests_that_seal_one_document_at_once_one_wins(service: Service, pdf: bytes) -> None:
    approved = service.http.get(service.sign(pdf).json()["links"]["file"]).content
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(lambda _: service.sign(approved, "seal"), range(6)))
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409, 409, 409]
    (won,) = [answer.json() for answer in answers if answer.status_code == 201]
    assert {answer.json()["code"] for answer in answers if answer.status_code == 409} == {"ALREADY_ISSUED"}
    assert service.http.get(won["links"]["self"]).json()["number"] == won["number"]


def test_a_recalled_document_takes_no_more_signatures(service: Service, pdf: bytes) -> None:
    first = service.sign(pdf).json()
    approved = service.http.get(first["links"]["file"]).content
    assert service.send("POST", f"{first['links']['self']}/recall", json={"reason": "Sai"}).status_code == 200
    for credential in ("seal", "officer"):
        said = problem(service.sign(approved, credential), 409, "DOCUMENT_NOT_IN_FORCE")["detail"]
        assert "recalled already, since " in said
    (service.user.folder / "recalled.pdf").write_bytes(approved)
    refusal = service.user.refused(1, "sign", "recalled.pdf", "--as", "seal", "-o", "sealed.pdf")
    assert "takes no more signatures" in refusal


def test_without_a_key_every_post_is_a_new_document(service: Service, pdf: bytes) -> None:
    assert service.sign(pdf).json()["code"] != service.sign(pdf).json()["code"]


def test_a_recall_is_seen_by_every_process_at_once(service: Service, pdf: bytes) -> None:
    signed = service.sign(pdf).json()
    content = service.http.get(signed["links"]["file"]).content
    own = signed["links"]["self"]
    recalled = service.send("POST", f"{own}/recall", json={"reason": "Sai thể thức <b>"})
    assert recalled.status_code == 200, recalled.text
    assert recalled.json()["status"] == "recalled"
    assert recalled.json()["changes"][0]["reason"] == "Sai thể thức <b>"
    # New connections, so that both processes are met.
    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(lambda _: service.send("GET", own, headers={"Connection": "close"}).json()["status"], range(24))
        )
        verdicts = list(pool.map(lambda _: service.verify(content)["reason"], range(8)))
    assert set(answers) == {"recalled"}
    assert set(verdicts) == {"DOC_RECALLED"}
    done = service.user.run("document", "recall", signed["code"], "--reason", "again")
    assert done.returncode == 1
    assert "recalled already" in done.stderr
    problem(service.send("POST", f"{own}/recall", json={"reason": "again"}), 409, "DOCUMENT_NOT_IN_FORCE")


def test_a_recall_at_the_command_line_is_seen_over_http(service: Service, pdf: bytes) -> None:
    signed = service.sign(pdf).json()
    assert service.user.json("document", "recall", signed["code"], "--reason", "Ban hành nhầm")["status"] == "recalled"
    record = service.http.get(signed["links"]["self"]).json()
    assert [change["reason"] for change in record["changes"]] == ["Ban hành nhầm"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "FORM_VALUE_WRONG"),
        ({"reason": 5}, 400, "FORM_VALUE_WRONG"),
        ({"reason": "x", "more": 1}, 400, "FORM_VALUE_WRONG"),
        ({"reason": "  "}, 400, "RECALL_REASON_MISSING"),
        ({"reason": "x" * 501}, 400, "RECALL_REASON_TOO_LONG"),
        ({"reason": "turned \u202e around"}, 400, "RECALL_REASON_CHARACTER"),
    ],
)
def test_a_recall_needs_a_reason_that_can_be_shown(service: Service, pdf: bytes, body, status, code) -> None:
    own = service.sign(pdf).json()["links"]["self"]
    problem(service.send("POST", f"{own}/recall", json=body), status, code)
    assert service.http.get(own).json()["status"] == "in-force"


def test_a_code_is_read_as_people_type_it_and_an_unknown_one_is_not_found(service: Service, pdf: bytes) -> None:
    code = service.sign(pdf).json()["code"]
    typed = "-".join(re.findall("....", code.lower()))
    assert service.http.get(f"/api/v1/documents/{typed}").json()["code"] == code
    for wrong, reason in (
        ("nothing", "CODE_MALFORMED"),
        (code[:-1] + ("A" if code[-1] != "A" else "B"), "CODE_MISTYPED"),
    ):
        for path in (f"/api/v1/documents/{wrong}", f"/api/v1/documents/{wrong}/file"):
            problem(service.http.get(path), 404, reason)


def test_names_and_metadata_are_for_those_with_a_token(service: Service, pdf: bytes) -> None:
    own = service.sign(pdf, name="thư mật.pdf", metadata='{"Subject": "Kín"}').json()["links"]["self"]
    public = service.send("GET", own, token=None).json()
    assert {"name", "subject", "metadata", "signatures"} & set(public) == set()
    full = service.send("GET", own).json()
    assert (full["name"], full["subject"]) == ("thư mật.pdf", "Kín")
    assert full["signatures"][0]["actor"].startswith("token ")
    other = service.issue_token("--scope", "ra")
    assert "name" not in service.send("GET", own, token=other).json()


def test_a_certificate_shows_its_state_and_hides_persons_numbers_from_strangers(service: Service) -> None:
    request = subprocess.run(
        ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "/dev/null", "-subj", "/CN=x"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    (service.user.folder / "csr.pem").write_text(request.stdout)
    subject = "CN=Lê Thị Thử,UID=CCCD:001099001234,O=Sở Thử nghiệm,C=VN"
    issued = service.user.json("cert", "issue", "--profile", "officer", "--subject", subject, "--csr", "csr.pem")
    path = f"/api/v1/certificates/{issued['serial'].upper()}"
    public = service.send("GET", path, token=None).json()
    assert public["state"] == "active"
    assert "CCCD:********1234" in public["subject"]
    assert "001099001234" not in str(public)
    assert "pem" not in public
    full = service.send("GET", path, token=service.issue_token("--scope", "audit")).json()
    assert "001099001234" in full["subject"]
    assert full["pem"].startswith("-----BEGIN CERTIFICATE-----")
    service.user.antin("cert", "revoke", issued["serial"], "--reason", "keyCompromise")
    for _ in range(6):
        revoked = service.send("GET", path, token=None, headers={"Connection": "close"}).json()
        assert (revoked["state"], revoked["revocation_reason"]) == ("revoked", "keyCompromise")
    problem(service.http.get("/api/v1/certificates/00ff"), 404, "CERTIFICATE_NOT_FOUND")
    problem(service.http.get("/api/v1/certificates/nothing"), 404, "CERTIFICATE_NOT_FOUND")


def test_logs_name_no_person_no_token_no_code_and_no_query(service: Service, pdf: bytes) -> None:
    answer = service.send(
        "POST",
        "/api/v1/documents?secret=query",
        headers={"X-Request-Id": "from-the-caller.1"},
        files={"file": ("tên riêng.pdf", pdf)},
        data={"credential": "officer"},
    )
    assert answer.headers["x-request-id"] == "from-the-caller.1"
    code = answer.json()["code"]
    service.http.get(f"/api/v1/documents/{code}")
    forged = service.http.get("/healthz", headers={"X-Request-Id": "a\tb c"})
    assert re.fullmatch("[0-9a-f]{32}", forged.headers["x-request-id"])
    text = service.log.read_text("utf-8")
    assert not any(word in text for word in (service.token, "secret=query", "tên riêng", code, "127.0.0.1", "Nguyễn"))
    (line,) = [each for each in service.log_lines() if each.get("request") == "from-the-caller.1"]
    assert (line["method"], line["route"], line["status"]) == ("POST", "/api/v1/documents", 201)
    assert line["ms"] > 0
    assert {"time", "level", "pid"} <= set(line)


def test_metrics_count_by_route_over_all_processes(service: Service) -> None:
    for _ in range(10):
        service.http.get("/healthz", headers={"Connection": "close"})
    text = service.http.get("/metrics").text
    counted = re.search(r'antin_http_requests_total\{method="GET",route="/healthz",status="200"\} ([0-9.]+)', text)
    assert counted is not None
    assert float(counted[1]) >= 10
    assert "/api/v1/documents/" not in {found for found in re.findall(r'route="([^"]*)"', text) if "{" not in found}
    problem(service.http.get("/metrics", headers={"X-Forwarded-For": "203.0.113.9"}), 403, "METRICS_PRIVATE")


def test_the_service_says_what_it_offers(service: Service) -> None:
    assert service.http.get("/healthz").json() == {"status": "ok"}
    ready = service.http.get("/readyz").json()
    assert (ready["status"], ready["checks"]) == ("ready", {"database": "ok", "keys": "ok", "crl": "ok"})
    hsm = {name: ready["hsm"][name] for name in ("state", "breaker", "reason", "retry_after")}
    assert hsm == {"state": "ok", "breaker": "closed", "reason": "", "retry_after": 0}
    assert 'antin_hsm_state{state="ok"} 1.0' in service.http.get("/metrics").text
    manual = service.http.get("/docs")
    assert manual.status_code == 200
    assert "<script" not in manual.text
    for path in service.http.get("/openapi.json").json()["paths"]:
        assert f" {path}</h3>" in manual.text
    # Examples for whoever reads, at the address by which he came, with everything that decides about him.
    assert f"{service.url}/api/v1/documents" in manual.text
    assert "<strong>accept a document only if <code>conclusion</code> is <code>valid</code>" in manual.text
    for word in (*SCOPES, *LENGTHS, *STATUS_OF_CODE, "DOC_RECALLED", "INVALID_MODIFIED"):
        assert f"<code>{word}</code>" in manual.text
    assert 'href="/"' in manual.text
    assert 'href="/docs"' in service.http.get("/").text
    problem(service.http.get("/api/v1/nothing"), 404, "NOT_FOUND")
    assert problem(service.http.put("/api/v1/verify"), 405, "METHOD_NOT_ALLOWED")


def test_every_answer_has_the_security_headers(service: Service) -> None:
    for path in ("/healthz", "/docs", "/api/v1/nothing", "/crl/issuing.crl", "/openapi.json"):
        headers = service.http.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert "server" not in headers


def test_an_encrypted_file_is_signed_and_verified_with_its_password(service: Service, pdf: bytes, tmp_path) -> None:
    (tmp_path / "clear.pdf").write_bytes(pdf)
    subprocess.run(
        ["qpdf", "--encrypt", "s3cr3t-open", "s3cr3t-owner", "256", "--", "clear.pdf", "locked.pdf"],
        cwd=tmp_path, check=True,
    )  # fmt: skip
    locked = (tmp_path / "locked.pdf").read_bytes()
    problem(service.sign(locked), 422, "INPUT_ENCRYPTED")
    problem(service.sign(locked, password="s3cr3t-wrong"), 422, "INPUT_PASSWORD_WRONG")
    problem(service.sign(locked, password="x" * 200), 400, "PASSWORD_MALFORMED")
    signed = service.sign(locked, password="s3cr3t-open")
    assert signed.status_code == 201, signed.text
    file = service.http.get(signed.json()["links"]["file"]).content
    assert file.startswith(locked)
    assert service.verify(file)["reason"] == "UNREADABLE_ENCRYPTED"
    answer = service.http.post("/api/v1/verify", files={"file": ("a.pdf", file)}, data={"password": "s3cr3t-owner"})
    assert answer.json()["conclusion"] == "valid"
