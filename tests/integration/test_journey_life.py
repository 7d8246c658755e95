"""Journey: a certificate is renewed, re-keyed, suspended, reinstated and looked back at, by the command line and over HTTP."""

from __future__ import annotations

import hashlib
import json
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from tests.installation import User
from tests.integration.http_service import Service, problem


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tick() -> None:
    """Into the next second: what people type has no finer times."""
    time.sleep(1.1)


def serial_of(user: User, which: str) -> str:
    return user.json("cert", "show", which)["serial"]


def request(folder: Path, name: str) -> str:
    """A request with a new key, as an outsider makes it."""
    subprocess.run(
        ["openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", f"{name}.key", "-out",
         f"{name}.csr", "-subj", "/CN=Somebody else"],
        cwd=folder, capture_output=True, check=True,
    )  # fmt: skip
    return f"{name}.csr"


def test_a_credential_is_renewed_and_goes_on_signing(user: User) -> None:
    old = serial_of(user, "officer")
    early = user.refused(1, "cert", "renew", "officer")
    assert "--force" in early
    made = user.json("cert", "renew", "officer", "--force", "--days", "400")
    assert (made["replaces"], made["credential"], made["state"]) == (old, "officer", "active")
    assert serial_of(user, "officer") == made["serial"] != old
    assert user.json("cert", "show", old)["replaced_by"] == [made["serial"]]
    user.sign("paper.pdf", "officer", "signed.pdf", "--placement", "none")
    verdict = json.loads(user.run("verify", "signed.pdf", "--json").stdout)
    assert (verdict["conclusion"], verdict["signatures"][0]["signer"]["serial"]) == ("valid", made["serial"])


def test_a_renewal_says_the_new_term_beside_the_old_one(user: User) -> None:
    assert "(term: 5 days; the old one: 731)" in user.antin("cert", "renew", "officer", "--force", "--days", "5")
    assert "(term: 731 days; the old one: 5)" in user.antin("cert", "renew", "officer", "--force")
    request(user.folder, "gate")
    subject = "CN=kiosk-7,O=Sở Thử nghiệm,C=VN"
    old = user.json(
        "cert", "issue", "--profile", "kiosk", "--subject", subject, "--csr", "gate.csr", "--days", "5", "-o", "k.pem"
    )
    done = user.run("cert", "renew", old["serial"], "--force")
    # The certificate alone is on standard output, for whoever reads it from there.
    assert x509.load_pem_x509_certificate(done.stdout.encode())
    assert done.stdout.startswith("-----BEGIN CERTIFICATE-----")
    assert "the old one: 5)" in done.stderr


def test_a_re_key_makes_the_next_credential_and_revokes_the_old_one_when_asked(user: User) -> None:
    old = serial_of(user, "seal")
    made = user.json("cert", "renew", "seal", "--rekey", "--revoke-old")
    assert (made["replaces"], made["credential"]) == (old, "seal-2")
    assert user.json("cert", "show", old)["revocation_reason"] == "superseded"
    assert "renewed" in user.refused(1, "cert", "renew", "seal")
    assert "--rekey" in user.refused(2, "cert", "renew", "seal-2", "--csr", "x.csr")
    assert "seal-2" in user.refused(2, "cert", "renew", "seal-2", "--rekey", "--csr", "x.csr")


def test_the_key_of_an_outsider_is_renewed_and_replaced_by_another(user: User) -> None:
    subject = "CN=kiosk-7,O=Sở Thử nghiệm,C=VN"
    first = request(user.folder, "first")
    user.antin("cert", "issue", "--profile", "kiosk", "--subject", subject, "--csr", first, "-o", "first.pem")
    old = x509.load_pem_x509_certificate((user.folder / "first.pem").read_bytes())
    serial = f"{old.serial_number:x}"
    user.antin("cert", "renew", serial, "--force", "-o", "again.pem")
    again = x509.load_pem_x509_certificate((user.folder / "again.pem").read_bytes())
    assert again.public_key() == old.public_key()
    assert "--csr" in user.refused(2, "cert", "renew", f"{again.serial_number:x}", "--rekey")
    second = request(user.folder, "second")
    pem = user.antin("cert", "renew", f"{again.serial_number:x}", "--rekey", "--csr", second)
    new = x509.load_pem_x509_certificate(pem.encode())
    assert new.public_key() != old.public_key()
    assert user.json("cert", "show", f"{new.serial_number:x}")["subject"] == subject


def test_a_suspension_stops_a_credential_and_is_remembered_after_its_end(user: User) -> None:
    serial = serial_of(user, "officer")
    assert user.json("cert", "suspend", "officer")["state"] == "suspended"
    tick()
    at = now()
    tick()  # a list of the next change would be of the same second
    user.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "x.pdf")
    assert "suspended" in user.refused(1, "cert", "suspend", serial)
    advice = [each["facts"]["name"] for each in user.json("doctor") if each["code"] == "DOCTOR_CREDENTIAL_SUSPENDED"]
    assert advice == ["officer"]
    user.antin("cert", "reinstate", serial)
    assert "active" in user.refused(1, "cert", "reinstate", serial)
    user.sign("paper.pdf", "officer", "x.pdf", "--placement", "none")
    past = user.json("cert", "show", "officer", "--at", at)
    assert (past["state"], past["today"]["state"], [each["act"] for each in past["later"]]) == (
        "suspended",
        "suspended",
        ["reinstate"],
    )
    assert {each["listed"]["reason"] for each in past["crls"]} == {"certificateHold"}
    tick()
    assert user.json("cert", "show", "officer", "--at", now())["state"] == "active"
    assert [(each["authority"], each["state"]) for each in past["issuers"]] == [
        ("issuing", "active"),
        ("root", "active"),
    ]


def test_a_stranger_checks_a_certificate_at_a_time_with_nothing_but_the_evidence(user: User) -> None:
    serial = serial_of(user, "officer")
    good_at = datetime.now(UTC)
    tick()
    user.antin("cert", "revoke", "officer", "--reason", "keyCompromise")
    tick()
    said = user.antin("cert", "show", serial, "--at", good_at.isoformat(), "--evidence", "good")
    for path in (user.folder / "good").iterdir():
        assert path.name in said, said
    assert "good: certificate.cer, ca-issuing.cer, ca-root.cer" in said
    bad_at = datetime.now(UTC)
    user.antin("cert", "show", serial, "--at", bad_at.isoformat(), "--evidence", "bad")
    assert openssl_judges(user.folder / "good", good_at) == (0, "")
    code, problem = openssl_judges(user.folder / "bad", bad_at)
    assert (code, "certificate revoked" in problem) == (2, True), problem


def openssl_judges(folder: Path, at: datetime) -> tuple[int, str]:
    """Whether the path was good at that time, by the files of the folder alone."""
    lists = [word for path in sorted(folder.glob("*-crl.crl")) for word in ("-CRLfile", path.name)]
    done = subprocess.run(
        ["openssl", "verify", "-no-CApath", "-no-CAstore", "-attime", str(int(at.timestamp())), "-trusted", "ca-root.cer",
         "-untrusted", "ca-issuing.cer", "-crl_check_all", *lists, "certificate.cer"],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stderr


def test_a_compromise_that_becomes_known_after_a_revocation_is_told_to_everybody(user: User) -> None:
    serial = serial_of(user, "seal")
    begun = now()
    tick()
    revoked_at = user.json("cert", "revoke", "seal", "--reason", "superseded")["revoked_at"]
    tick()
    between = now()
    tick()
    said = user.antin("cert", "revoke", serial, "--reason", "keyCompromise", "--since", begun)
    assert "the reason is keyCompromise now" in said
    record = user.json("cert", "show", serial)
    assert (record["revoked_at"], record["revocation_reason"]) == (revoked_at, "keyCompromise")
    crl = x509.load_der_x509_crl((user.home / "public" / "crl" / "issuing.crl").read_bytes())
    entry = crl.get_revoked_certificate_by_serial_number(int(serial, 16))
    assert entry is not None
    reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason
    assert reason is x509.ReasonFlags.key_compromise
    past = user.json("cert", "show", serial, "--at", between)
    assert (past["revocation_reason"], past["today"]["revocation_reason"]) == ("superseded", "keyCompromise")
    assert "the reason became keyCompromise" in user.antin("cert", "show", serial, "--at", between)
    for action in (("revoke", serial, "--reason", "superseded"), ("reinstate", serial), ("suspend", serial)):
        user.refused(1, "cert", *action)


def test_the_past_is_told_with_evidence_that_openssl_reads(user: User) -> None:
    serial = serial_of(user, "seal")
    begun = datetime.now(UTC)
    tick()
    user.antin("cert", "revoke", "seal", "--reason", "keyCompromise", "--since", begun.isoformat())
    tick()
    at = now()
    past = user.json("cert", "show", serial, "--at", at, "--evidence", "proof")
    assert (past["state"], past["revocation_reason"]) == ("revoked", "keyCompromise")
    assert past["certificate"]["serial"] == serial
    files = {path.name: path.read_bytes() for path in (user.folder / "proof").iterdir()}
    assert json.loads(files["history.json"]) == past
    assert sorted(past["evidence"]) == sorted(files)
    digests = {hashlib.sha256(content).hexdigest() for content in files.values()}
    assert {each["sha256"] for each in past["crls"]} | {past["certificate"]["sha256"]} <= digests
    crl = next(name for name in files if name.startswith("issuing-") and name.endswith("-crl.crl"))
    said = subprocess.run(
        ["openssl", "crl", "-in", user.folder / "proof" / crl, "-noout", "-text"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert serial.upper() in said.stdout
    assert "proof" in user.refused(2, "cert", "show", serial, "--at", at, "--evidence", "proof")
    before = user.json("cert", "show", serial, "--at", (begun + timedelta(seconds=0.5)).isoformat())
    assert (before["state"], before["today"]["state"]) == ("active", "suspect")
    people = user.antin("cert", "show", serial, "--at", at, ANTIN_LANG="vi")
    assert "đã thu hồi từ" in people
    assert "+07:00" in people


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "officer", "--at", "yesterday"), 2), (("show", "officer", "--at", "2026-11-21T10:00:00"), 2),
        (("show", "officer", "--at", "2999-01-01T00:00:00Z"), 2), (("show", "ff", "--at", "2026-01-01T00:00:00Z"), 2),
        (("show", "officer", "--evidence", "x"), 2), (("show", "officer", "--pem", "--at", "2026-01-01T00:00:00Z"), 2),
        (("renew", "nobody"), 2), (("renew", "officer", "--days", "0"), 2), (("renew", "officer", "--csr", "x"), 2),
        (("suspend", "nobody"), 2), (("reinstate", "nobody"), 2), (("suspend", "officer", "--since", "2999-01-01T00:00:00Z"), 1),
        (("revoke", "officer", "--reason", "superseded", "--since", "1999-01-01T00:00:00Z"), 1), (("notices", "--limit", "0"), 2),
    ],
)  # fmt: skip
def test_nonsense_gets_one_clear_line_and_changes_nothing(user: User, words: tuple[str, ...], code: int) -> None:
    before = user.sql("SELECT count(*) FROM audit")
    user.refused(code, "cert", *words)
    assert user.sql("SELECT count(*) FROM audit") == before


def test_a_time_before_its_issuance_is_answered_and_not_refused(user: User) -> None:
    past = user.json("cert", "show", "officer", "--at", "2020-01-01T00:00:00+07:00")
    assert (past["state"], past["crls"], past["ocsp"]) == ("not-issued", [], None)


def test_notices_are_made_by_a_command_and_listed(user: User) -> None:
    assert user.json("cert", "notices") == {"due": [], "notices": []}
    made = user.json("cert", "renew", "officer", "--force", "--days", "1")
    # Nobody has a certificate that outlives it.
    user.antin("cert", "revoke", made["replaces"], "--reason", "superseded")
    # Its whole term is no longer than the smallest threshold: it is announced at once, and only once.
    assert user.json("cert", "notices")["due"] == [{"serial": made["serial"], "days": 1}]
    assert [each["days"] for each in user.json("cert", "notices", "--run")["notices"]] == [1]
    assert user.json("cert", "notices")["due"] == []
    user.sql(
        "UPDATE certificates SET not_after = ? WHERE serial = ?",
        _stored(datetime.now(UTC) - timedelta(hours=1)),
        made["serial"],
    )
    due = user.json("cert", "notices")["due"]
    assert due == [{"serial": made["serial"], "days": 0}]
    notice, _ = user.json("cert", "notices", "--run")["notices"]
    assert (notice["serial"], notice["days"], notice["sent_at"]) == (made["serial"], 0, None)
    assert made["serial"] in user.antin("cert", "notices")


def _stored(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S.%f")


@pytest.fixture(scope="module")
def registrar(service: Service) -> str:
    return service.issue_token("--scope", "ra", "--name", "registrar")


def test_a_registration_system_suspends_reinstates_revokes_and_may_ask_twice(service: Service, registrar: str) -> None:
    made = service.user.json("cert", "renew", "officer", "--force")
    path = f"/api/v1/certificates/{made['replaces']}"

    def ask(deed: str, **body: object) -> tuple[int, str]:
        answer = service.send("POST", f"{path}/{deed}", token=registrar, **({"json": body} if body else {}))
        return answer.status_code, answer.json().get("state", answer.json().get("code"))

    assert [ask("suspend"), ask("suspend")] == [(200, "suspended")] * 2
    assert [ask("reinstate"), ask("reinstate")] == [(200, "active")] * 2
    assert [ask("revoke", reason="superseded"), ask("revoke", reason="superseded")] == [(200, "revoked")] * 2
    assert [ask("revoke", reason="keyCompromise"), ask("revoke", reason="keyCompromise")] == [(200, "revoked")] * 2
    assert service.send("GET", path, token=None).json()["revocation_reason"] == "keyCompromise"
    assert ask("revoke", reason="superseded") == (409, "ALREADY_REVOKED")
    assert ask("suspend") == (409, "ALREADY_REVOKED")
    assert ask("reinstate") == (409, "NOT_SUSPENDED")
    assert ask("renew") == (409, "RENEWAL_OF_REVOKED")
    acts = service.user.sql("SELECT action FROM audit WHERE subject_id = ? ORDER BY seq", made["replaces"])
    assert [action for (action,) in acts][2:] == [
        "certificate.suspend", "certificate.reinstate", "certificate.revoke", "certificate.revoke",
    ]  # fmt: skip


def test_a_registration_system_renews_and_re_keys(service: Service, registrar: str) -> None:
    user = service.user
    request(user.folder, "portal")
    subject = "CN=kiosk-9,O=Sở Thử nghiệm,C=VN"
    old = user.json("cert", "issue", "--profile", "kiosk", "--subject", subject, "--csr", "portal.csr")["serial"]
    path = f"/api/v1/certificates/{old}/renew"
    early = service.send("POST", path, token=registrar)
    problem(early, 409, "RENEWAL_TOO_EARLY")
    request(user.folder, "other")
    body = {"csr": (user.folder / "other.csr").read_text(), "days": 30}
    answer = service.send("POST", path, token=registrar, json=body)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["replaces"], answer.json()["subject"]) == (old, subject)
    assert service.send("GET", answer.headers["location"], token=registrar).json()["pem"] == answer.json()["pem"]
    problem(service.send("POST", path, token=registrar, json=body), 409, "ALREADY_RENEWED")


@pytest.mark.parametrize(
    ("deed", "body", "status", "code"),
    [
        ("revoke", {}, 400, "FORM_VALUE_WRONG"), ("revoke", {"reason": "nix"}, 400, "REVOCATION_REASON_UNKNOWN"),
        ("revoke", {"reason": "certificateHold"}, 400, "FORM_VALUE_WRONG"), ("revoke", {"reason": 4}, 400, "FORM_VALUE_WRONG"),
        ("revoke", {"reason": "superseded", "since": "2999-01-01T00:00:00Z"}, 400, "REVOCATION_SINCE_REFUSED"),
        ("revoke", {"reason": "superseded", "since": "1999-01-01T00:00:00Z"}, 400, "REVOCATION_SINCE_BEFORE_KEY"),
        ("suspend", {"since": "now"}, 400, "TIME_MALFORMED"), ("suspend", {"more": 1}, 400, "FORM_VALUE_WRONG"),
        ("reinstate", [], 400, "FORM_VALUE_WRONG"), ("renew", {"days": True}, 400, "FORM_VALUE_WRONG"),
        ("renew", {"days": 0}, 400, "FORM_VALUE_WRONG"), ("renew", {"csr": "no"}, 400, "CSR_MALFORMED"),
    ],
)  # fmt: skip
def test_a_request_that_cannot_be_meant_is_refused(
    service: Service, registrar: str, deed: str, body: object, status: int, code: str
) -> None:
    serial = serial_of(service.user, "seal")
    problem(service.send("POST", f"/api/v1/certificates/{serial}/{deed}", token=registrar, json=body), status, code)
    assert service.user.json("cert", "show", serial)["state"] == "active"


def test_who_has_no_right_to_it_changes_no_certificate(service: Service) -> None:
    path = f"/api/v1/certificates/{serial_of(service.user, 'seal')}/suspend"
    problem(service.send("POST", path, token=None), 401, "TOKEN_MISSING")
    problem(service.send("POST", path), 403, "TOKEN_SCOPE_MISSING")
    unknown = service.issue_token("--scope", "ra", "--name", "another")
    problem(service.send("POST", "/api/v1/certificates/ff/suspend", token=unknown), 404, "CERTIFICATE_NOT_FOUND")


def test_anybody_may_ask_for_the_past_and_fetch_its_lists(service: Service) -> None:
    serial = serial_of(service.user, "seal")
    tick()
    answer = service.send("GET", f"/api/v1/certificates/{serial}", token=None, params={"at": now()})
    assert answer.status_code == 200, answer.text
    past = answer.json()
    assert (past["state"], past["serial"]) == ("active", serial)
    assert "pem" not in past["certificate"]
    for each in past["crls"]:
        octets = service.send("GET", each["file"], token=None).content
        assert hashlib.sha256(octets).hexdigest() == each["sha256"]
    # A plus sign that nobody escaped.
    assert (
        service.http.get(f"/api/v1/certificates/{serial}?at=2020-01-01T00:00:00+07:00").json()["state"] == "not-issued"
    )
    problem(service.http.get(f"/api/v1/certificates/{serial}?at=2999-01-01T00:00:00Z"), 400, "HISTORY_TIME_REFUSED")
    problem(service.http.get(f"/api/v1/certificates/{serial}?at=now"), 400, "TIME_MALFORMED")
    problem(service.http.get(f"/api/v1/certificates/{serial}/ocsp?at=2020-01-01T00:00:00Z"), 404, "OCSP_ANSWER_NONE")


def test_the_page_shows_the_past_in_three_languages(service: Service) -> None:
    serial = serial_of(service.user, "seal")
    tick()
    local = (datetime.now(UTC) + timedelta(hours=7)).strftime("%Y-%m-%dT%H:%M:%S")
    for language, word in (("vi", "KHI ĐÓ CÒN HIỆU LỰC"), ("en", "WAS IN FORCE"), ("ko", "당시 유효")):
        page = service.http.get("/certificates", params={"serial": serial, "at": local, "lang": language})
        assert page.status_code == 200
        assert word in page.text.split("</h1>")[0]
        assert f'value="{local}"' in page.text
        assert "/crl/issuing/" in page.text
    for when, status in (("2999-01-01", 400), ("nonsense", 400), ("2026-13-01T00:00", 400), ("", 200)):
        answer = service.http.get("/certificates", params={"serial": serial, "at": when, "lang": "en"})
        assert (answer.status_code, "Traceback" in answer.text) == (status, False)
    assert (
        "NOT ISSUED YET"
        in service.http.get("/certificates", params={"serial": serial, "at": "2020-01-01", "lang": "en"}).text
    )
