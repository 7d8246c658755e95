"""Journey: certificates are issued, shown, revoked and published; OpenSSL judges what comes out."""

from __future__ import annotations

import re
import subprocess
from datetime import datetime
from pathlib import Path

import pytest

from certs.clock import for_people
from tests.installation import OFFICER_NAME, User

# Subject and extensions that a request may ask for and never gets.
_GREEDY_REQUEST = (
    "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", "key.pem", "-out", "request.csr",
    "-subj", "/CN=Minister of Everything/O=Somebody else", "-addext", "basicConstraints=critical,CA:TRUE",
)  # fmt: skip


def openssl(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["openssl", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def office(user: User) -> User:
    """A user with the published certificates and lists of his authorities beside him, in PEM."""
    for name in ("root", "issuing"):
        (user.folder / f"{name}.pem").write_text(user.antin("ca", "show", name, "--pem"))
    return user


def check_with_crl(user: User, certificate: str) -> subprocess.CompletedProcess[str]:
    """`openssl verify -crl_check_all` with what the public folder holds."""
    lists = ""
    for name in ("root", "issuing"):
        crl = user.home / "public" / "crl" / f"{name}.crl"
        lists += openssl(user.folder, "crl", "-inform", "DER", "-in", str(crl)).stdout
    (user.folder / "crls.pem").write_text(lists)
    return openssl(
        user.folder, "verify", "-x509_strict", "-crl_check_all", "-CAfile", "root.pem", "-untrusted", "issuing.pem",
        "-CRLfile", "crls.pem", certificate,
    )  # fmt: skip


def test_a_request_gives_its_key_and_nothing_else(office: User) -> None:
    assert openssl(office.folder, *_GREEDY_REQUEST).returncode == 0
    issued = office.json(
        "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--csr", "request.csr", "-o", "out.pem"
    )
    assert issued["credential"] is None
    assert issued["common_name"] == "Trần Thị Thử Nghiệm"
    text = openssl(office.folder, "x509", "-in", "out.pem", "-noout", "-text").stdout
    assert "Minister" not in text
    assert "CA:TRUE" not in text
    public = openssl(office.folder, "x509", "-in", "out.pem", "-noout", "-pubkey").stdout
    assert public == openssl(office.folder, "pkey", "-in", "key.pem", "-pubout").stdout
    assert check_with_crl(office, "out.pem").stdout == "out.pem: OK\n"
    # A key that is not in the token makes no credential.
    office.refused(2, "sign", "paper.pdf", "--as", issued["serial"], "-o", "x.pdf")


def test_a_certificate_without_a_request_comes_with_a_key_in_the_token_and_a_credential(office: User) -> None:
    pem = office.antin("cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME)
    assert pem == office.antin("cert", "show", "officer-2", "--pem")
    record = office.json("cert", "show", "officer-2")
    assert re.fullmatch(r"[0-9a-f]{32,40}", record["serial"])
    assert {
        "serial",
        "profile",
        "subject",
        "common_name",
        "issuer",
        "state",
        "not_before",
        "not_after",
        "sha256",
    } <= set(record)
    assert (record["profile"], record["issuer"], record["state"]) == ("officer", "issuing", "active")
    assert office.json("cert", "show", record["serial"].upper()) == record
    office.sign("paper.pdf", "officer-2", "out.pdf")


def test_refusals_of_issuing_leave_no_key_no_certificate_and_no_output(office: User) -> None:
    (office.folder / "no.csr").write_text(
        "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"
    )
    before = [office.json("cert", "list"), office.json("doctor"), office.files()]
    officer = ("cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME)
    office.refused(2, "cert", "issue", "--profile", "baker", "--subject", OFFICER_NAME)
    office.refused(2, "cert", "issue", "--profile", "root", "--subject", OFFICER_NAME)
    office.refused(2, "cert", "issue", "--profile", "officer", "--subject", "Trần Thị Thử")
    office.refused(2, *officer, "--csr", "no.csr")
    office.refused(2, *officer, "--csr", "missing.csr")
    office.refused(2, *officer, "--credential", "Not A Name")
    office.refused(2, *officer, "--credential", "seal")
    office.refused(2, *officer, "-o", "no/such/folder.pem")
    office.refused(2, *officer, "--image", "paper.pdf")
    office.refused(2, *officer, ANTIN_KEYS__CREDENTIAL="rsa-1024")
    assert [office.json("cert", "list"), office.json("doctor"), office.files()] == before


def test_a_revoked_credential_signs_no_more_and_its_signatures_prove_no_time(office: User) -> None:
    office.sign("paper.pdf", "officer", "a.pdf")
    (office.folder / "officer.pem").write_text(office.antin("cert", "show", "officer", "--pem"))
    assert check_with_crl(office, "officer.pem").returncode == 0
    begun = office.json("cert", "show", "officer")["not_before"]
    office.antin("cert", "revoke", "officer", "--reason", "keyCompromise", "--since", begun)
    record = office.json("cert", "show", "officer")
    assert (record["state"], record["revocation_reason"]) == ("revoked", "keyCompromise")
    assert record["suspect_since"] == begun
    assert "revoked" in office.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "b.pdf")
    verdict = office.json("verify", "a.pdf", code=3)
    assert (verdict["conclusion"], verdict["reason"]) == ("indeterminate", "UNKNOWN_REVOKED_NO_TIME")
    assert verdict["signatures"][0]["integrity"] == "intact"
    assert verdict["signatures"][0]["revocation"] == "revoked"
    refused = check_with_crl(office, "officer.pem")
    assert refused.returncode != 0
    assert "certificate revoked" in refused.stderr
    office.refused(1, "cert", "revoke", "officer", "--reason", "superseded")
    assert [each["state"] for each in office.json("cert", "list", "--state", "revoked")] == ["revoked"]


def test_a_suspended_credential_signs_no_more_and_is_not_called_revoked(office: User) -> None:
    office.sign("paper.pdf", "officer", "a.pdf")
    office.antin("cert", "revoke", "officer", "--reason", "certificateHold")
    assert office.json("cert", "show", "officer")["state"] == "suspended"
    office.refused(1, "sign", "paper.pdf", "--as", "officer", "-o", "b.pdf")
    verdict = office.json("verify", "a.pdf", code=3)
    assert (verdict["reason"], verdict["signatures"][0]["revocation"]) == ("UNKNOWN_SUSPENDED", "suspended")


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("officer", "--reason", "removeFromCRL"), 2),
        (("nobody", "--reason", "superseded"), 2),
        (("officer", "--reason", "superseded", "--since", "0001-01-01T00:00:00+14:00"), 2),
        (("officer", "--reason", "superseded", "--since", "9999-01-01T00:00:00Z"), 1),
    ],
)
def test_a_revocation_that_cannot_be_meant_changes_nothing(user: User, words: tuple[str, ...], code: int) -> None:
    user.refused(code, "cert", "revoke", *words)
    assert user.sql("SELECT count(*) FROM certificates WHERE state != 'active'") == [(0,)]


def test_publish_writes_what_is_due_and_with_all_the_rest(user: User) -> None:
    assert user.json("ca", "publish") == []
    published = user.json("ca", "publish", "--all")
    assert [(each["authority"], each["number"]) for each in published] == [("root", 2), ("issuing", 2)]
    for name in ("root", "issuing"):
        folder = user.home / "public" / "crl"
        assert (folder / f"{name}.crl").read_bytes() == (folder / name / "2.crl").read_bytes()
        assert (folder / name / "1.crl").exists()
        text = openssl(folder, "crl", "-inform", "DER", "-in", f"{name}.crl", "-noout", "-crlnumber", "-text").stdout
        assert "crlNumber=0x02" in text.replace("crlNumber=02", "crlNumber=0x02")


def test_authorities_are_listed_parents_first_and_shown_by_name(user: User) -> None:
    listed = user.json("ca", "list")
    assert [(each["name"], each["parent"]) for each in listed] == [("root", None), ("issuing", "root")]
    assert {"name", "parent", "subject", "state", "not_after"} <= set(listed[0])
    assert user.json("ca", "show", "issuing")["serial"] == listed[1]["serial"]
    user.refused(2, "ca", "show", "nobody")


def test_hsm_status_tells_the_token_and_exits_5_when_it_is_away(user: User) -> None:
    (status,) = user.json("hsm", "status")
    assert (status["token"], status["state"]) == ("antin", "ok")
    assert set(status["sessions"]) == {"open", "limit"}
    assert "pid" in status
    (away,) = user.json("hsm", "status", code=5, ANTIN_HSM__TOKEN_LABEL="another")
    assert (away["token"], away["state"]) == ("another", "away")
    assert user.json("hsm", "status", code=5, ANTIN_HSM__MODULE="/no/such/module.so")[0]["state"] == "away"


def test_documents_are_found_by_their_code_however_it_is_typed(user: User) -> None:
    code = user.sign("paper.pdf", "officer", "a.pdf")["code"]
    for typed in (code, code.lower(), f"{code[:4]}-{code[4:8]} {code[8:]}"):
        assert user.json("document", "show", typed)["code"] == code
    wrong = code[:-1] + ("2" if code[-1] != "2" else "3")
    user.refused(2, "document", "show", wrong)
    user.refused(2, "document", "show", "2" * 20)
    assert [each["code"] for each in user.json("document", "list")] == [code]


def _request(user: User, name: str, *kind: str) -> str:
    made = openssl(
        user.folder, "req", "-new", *kind, "-nodes", "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", "/CN=x"
    )
    assert made.returncode == 0, made.stderr
    return f"{name}.csr"


_P_256 = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


def test_a_server_gets_the_names_that_were_typed_and_openssl_takes_it_for_one(office: User) -> None:
    names = ("--san", "mc.huonggiang.vn", "--san", "www.huonggiang.vn")
    subject = ("--profile", "tls-server", "--subject", "CN=mc.huonggiang.vn,O=Sở Thử nghiệm,C=VN")
    csr = _request(office, "server", "-newkey", "rsa:2048")
    office.refused(2, "cert", "issue", *subject, "--csr", csr)
    office.refused(2, "cert", "issue", *subject, "--csr", csr, "--san", "www.huonggiang.vn")
    office.refused(2, "cert", "issue", *subject, "--csr", csr, *names, "--san", "*.huonggiang.vn")
    office.antin("cert", "issue", *subject, "--csr", csr, *names, "-o", "server.pem")
    for name in names[1::2]:
        judged = openssl(
            office.folder, "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", name, "-CAfile", "root.pem",
            "-untrusted", "issuing.pem", "server.pem",
        )  # fmt: skip
        assert judged.stdout == "server.pem: OK\n", judged.stderr


@pytest.mark.parametrize("profile", ["citizen", "kiosk", "system"])
def test_persons_and_machines_bring_keys_of_their_own(office: User, profile: str) -> None:
    organization = "" if profile == "citizen" else "O=Sở Thử nghiệm,"
    subject = f"CN=Thử nghiệm,{organization}C=VN"
    csr = _request(office, profile, *_P_256)
    issued = office.json("cert", "issue", "--profile", profile, "--subject", subject, "--csr", csr, "-o", "leaf.pem")
    assert (issued["profile"], issued["state"]) == (profile, "active")
    assert check_with_crl(office, "leaf.pem").stdout == "leaf.pem: OK\n"
    # The same key for the same holder once more, and for nobody else.
    office.antin("cert", "issue", "--profile", profile, "--subject", subject, "--csr", csr, "-o", "again.pem")
    line = office.refused(1, "cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "--csr", csr)
    assert profile in line


@pytest.mark.parametrize(
    ("subject", "said"),
    [
        ("CN=a,UID=CCDC:012345678901,C=VN", "CCDC"),
        ("CN=a,UID=CCCD:01234567890,C=VN", "CCCD:012345678901"),
        ("CN=a,UID=CCCD:012345678901,serialNumber=IDCVN-012345678902,C=VN", "serialNumber"),
        ("CN=a,emailAddress=a@b.vn,C=VN", "--san"),
        ("CN=a\u202eb,C=VN", "U+202E"),
        ("CN=a\\00,C=VN", "U+0000"),
        (f"CN={'ơ' * 65},C=VN", "65"),
        ("CN=a,O=b,C=VN", "O"),
    ],
)
def test_a_subject_that_cannot_be_is_refused_in_one_line(office: User, subject: str, said: str) -> None:
    csr = _request(office, "r", *_P_256)
    assert said in office.refused(2, "cert", "issue", "--profile", "citizen", "--subject", subject, "--csr", csr)


def test_a_citizens_number_is_whole_for_the_officer(office: User) -> None:
    csr = _request(office, "r", *_P_256)
    subject = "CN=a,UID=CCCD:012345678901,C=VN"
    issued = office.json("cert", "issue", "--profile", "citizen", "--subject", subject, "--csr", csr, "-o", "a.pem")
    shown = office.antin("cert", "show", issued["serial"])
    assert "CCCD:012345678901" in shown
    # People read their own time; programs read UTC.
    ends = datetime.fromisoformat(office.json("cert", "show", issued["serial"])["not_after"])
    assert for_people(ends) in shown
