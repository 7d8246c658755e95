"""Journey: a registration is added, confirmed and issued at the command line; a list is issued, and strange requests are refused."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.installation import User
from tests.integration.strange_requests import SUBJECT, good_request, strange_requests

_PLAIN = "CN=Trần Thị Thử,O=Sở Thử nghiệm,C=VN"


def _list(user: User, *lines: dict[str, object]) -> tuple[str, ...]:
    (user.folder / "list.jsonl").write_text("\n\n".join(json.dumps(line) for line in lines) + "\n")
    return ("cert", "issue", "--batch", "list.jsonl", "-o", "out")


def test_a_registration_goes_from_asking_to_a_certificate_that_names_it(user: User) -> None:
    (user.folder / "r.csr").write_bytes(good_request())
    added = user.antin("registration", "add", "--profile", "system", "--subject", SUBJECT, "--csr", "r.csr")
    assert "registration confirm 1" in added
    assert "--evidence" in user.refused(2, "registration", "confirm", "1")
    assert "open" in user.refused(1, "cert", "issue", "--registration", "1", "-o", "a.pem")
    confirmed = user.json("registration", "confirm", "1", "--evidence", "hồ sơ 12/2026")
    assert (confirmed["state"], confirmed["evidence"]) == ("confirmed", "hồ sơ 12/2026")
    assert "--subject" in user.refused(2, "cert", "issue", "--registration", "1", "--subject", SUBJECT)
    issued = user.json("cert", "issue", "--registration", "1", "-o", "a.pem")
    assert user.json("cert", "show", issued["serial"])["registration"] == 1
    (shown,) = user.json("registration", "list", "--state", "issued")
    assert (shown["id"], shown["certificate"]) == (1, issued["serial"])
    assert "issued" in user.refused(1, "registration", "refuse", "1", "--reason", "nhầm")


def test_where_a_profile_needs_a_registration_the_refusal_says_what_to_do(user: User) -> None:
    strict = {"ANTIN_REGISTRATION__REQUIRED": "officer"}
    issue = ("cert", "issue", "--profile", "officer")
    line = user.refused(1, *issue, "--subject", _PLAIN, **strict)
    assert "--evidence" in line
    assert "antin registration add" in line
    whole = "CN=Trần Thị Thử,SN=Trần,GN=Thử,T=Chuyên viên,serialNumber=IDCVN-012345678901,O=Sở Thử nghiệm,C=VN"
    record = user.json(*issue, "--subject", whole, "--evidence", "hồ sơ 7/2026", "-o", "o.pem", **strict)
    assert record["credential"] == "officer-2"
    assert user.json("cert", "show", record["serial"])["registration"] == 1
    # A setting that no officer could fulfil stops the start by its name.
    assert "registration.required" in user.refused(2, *issue, "--subject", _PLAIN, ANTIN_REGISTRATION__REQUIRED="tsa")


def test_common_name_organisation_and_country_are_enough_for_every_kind(user: User) -> None:
    for name in ("officer", "agency-seal", "kiosk", "system", "tls-server"):
        (user.folder / f"{name}.csr").write_bytes(good_request())
    plain = [
        {"profile": name, "subject": _PLAIN, "csr": f"{name}.csr"}
        for name in ("officer", "agency-seal", "kiosk", "system")
    ]
    server = {"profile": "tls-server", "subject": "CN=cua.huonggiang.vn,O=Sở Thử nghiệm,C=VN", "csr": "tls-server.csr"}
    results = user.json(*_list(user, *plain, server | {"san": ["cua.huonggiang.vn"]}))
    assert [(each["profile"], each["state"]) for each in results] == [
        (name, "active") for name in ("officer", "agency-seal", "kiosk", "system", "tls-server")
    ]
    read = subprocess.run(
        ["openssl", "x509", "-in", user.folder / "out" / "kiosk.pem", "-noout", "-subject", "-nameopt", "utf8,RFC2253"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert read.stdout.strip().lower().endswith("c=vn")


def test_strange_requests_in_a_list_are_refused_by_their_fault_and_stop_no_other(user: User) -> None:
    used = good_request()
    strange = strange_requests(used)
    lines = [{"profile": "system", "subject": SUBJECT.replace("Cổng", "Cửa"), "csr": "first.csr"}]
    (user.folder / "first.csr").write_bytes(used)
    for each in strange:
        (user.folder / f"{each.name}.csr").write_bytes(each.csr)
        lines.append({"profile": "system", "subject": each.subject, "csr": f"{each.name}.csr"})
    (user.folder / "last.csr").write_bytes(good_request())
    lines.append({"profile": "system", "subject": SUBJECT, "csr": "last.csr"})
    results = user.json(*_list(user, *lines), code=2)
    assert [each.get("error") for each in results] == [None, *(each.code for each in strange), None]
    assert {path.name for path in (user.folder / "out").iterdir()} == {"first.pem", "last.pem"}
    said = user.run(*_list(user, *lines))
    assert said.returncode == 2
    assert said.stdout.count("\n") == 2
    assert said.stderr.count("\n") == len(strange)
    assert "list.jsonl:3: " in said.stderr


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "list.jsonl"),
        (b"[]", "line 1"),
        (b'{"profile": "system"}\n', "subject"),
        (b'{"profile": "system", "subject": "x", "csr": "r.csr", "dais": 3}', "days"),
        (b'{"registration": true}', "registration"),
        (b'{"registration": 1}\n{"registration": 1}', "registration-1.pem"),
        (b"\xff\xfe", "UTF-8"),
        (b"[" * 100_000, "line 1"),
    ],
)
def test_a_list_that_cannot_be_meant_issues_nothing(user: User, content: bytes, said: str) -> None:
    (user.folder / "list.jsonl").write_bytes(content)
    assert said in user.refused(2, "cert", "issue", "--batch", "list.jsonl", "-o", "out")
    assert not (user.folder / "out").exists()
