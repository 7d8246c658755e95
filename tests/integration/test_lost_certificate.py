"""A certificate whose record was lost between a backup and its restoration: every place says what is known of it."""

from __future__ import annotations

import json
import shutil
import time
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from tests.installation import OFFICER_NAME, User
from tests.integration.http_service import Service, running


def lose_and_restore(user: User) -> tuple[User, str]:
    """An officer's certificate that only the audit trail and `late.pem` know."""
    recipient = user.antin("backup", "keygen", "-o", "recovery.key").strip()
    user.antin("backup", "create", "--recipient", recipient, "-o", "home.backup")
    late = user.json("cert", "issue", "--profile", "officer", "--subject", OFFICER_NAME, "-o", "late.pem")["serial"]
    user.antin("audit", "export", "-o", "trail.jsonl")
    shutil.rmtree(user.home)
    user = User(user.home, user.folder)
    user.antin("backup", "restore", "home.backup", "--identity", "recovery.key", "--audit-export", "trail.jsonl")
    return user, late


def page(service: Service, **query: str) -> str:
    answer = service.send("GET", "/certificates", token=None, params={"lang": "en", **query})
    assert answer.status_code == 200, answer.text
    return answer.text


def page_of_file(service: Service, file: bytes) -> tuple[int, str]:
    answer = service.send("POST", "/certificates?lang=en", token=None, files={"file": ("late.pem", file)})
    return answer.status_code, answer.text


def impostor(file: Path) -> bytes:
    """A certificate with the same names and serial that somebody else signed."""
    real = x509.load_pem_x509_certificate(file.read_bytes())
    key = ec.generate_private_key(ec.SECP256R1())
    made = (
        x509.CertificateBuilder()
        .subject_name(real.subject)
        .issuer_name(real.issuer)
        .serial_number(real.serial_number)
        .public_key(key.public_key())
        .not_valid_before(real.not_valid_before_utc)
        .not_valid_after(real.not_valid_after_utc)
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(Encoding.DER)


def wait_until(moment: datetime) -> None:
    """The end of the lost days is shown in whole seconds, so it can be up to one second ahead; what comes next is after it."""
    while datetime.now(UTC) <= moment:
        time.sleep(0.05)


def test_a_lost_certificate_is_known_by_its_serial_and_its_file_before_and_after_it_is_revoked(user: User) -> None:
    user, late = lose_and_restore(user)
    known = user.json("cert", "show", late)
    assert known["state"] == "intent"
    assert known["record_lost"]["from"] <= known["not_before"] <= known["record_lost"]["to"]  # in whole seconds
    assert "lost with the data from" in user.antin("cert", "show", late)
    with running(user) as service:
        address = f"/api/v1/certificates/{late}"
        shown = service.send("GET", address, token=None)
        assert shown.status_code == 200, shown.text
        assert (shown.json()["state"], shown.json()["record_lost"]) == ("intent", known["record_lost"])
        said = page(service, serial=late)
        assert "RECORD LOST" in said
        assert "NOT ISSUED HERE" not in said

        officers = service.issue_token("--scope", "ra")
        wait_until(datetime.fromisoformat(known["record_lost"]["to"]))
        done = service.send("POST", f"{address}/revoke", token=officers, json={"reason": "cessationOfOperation"})
        assert done.status_code == 200, done.text
        assert (done.json()["state"], done.json()["record_lost"]) == ("revoked", known["record_lost"])
        said = page(service, serial=late)
        assert "lost with the data from" in said
        assert "REVOKED" in said
        status, said = page_of_file(service, (user.folder / "late.pem").read_bytes())
        assert status == 200
        assert "REVOKED" in said
        assert "lost with the data from" in said
        # Of what somebody else signed nothing is said, whatever its serial.
        status, said = page_of_file(service, impostor(user.folder / "late.pem"))
        assert (status, "NOT ISSUED HERE" in said) == (404, True)

        now = datetime.now(UTC).isoformat()
        past = service.send("GET", address, token=None, params={"at": now}).json()
        assert (past["state"], past["certificate"]["record_lost"]) == ("revoked", known["record_lost"])
        # Between its issuance and the restore it was in force, as the audit trail tells.
        lived = service.send("GET", address, token=None, params={"at": known["record_lost"]["to"]}).json()
        assert (lived["state"], [event["act"] for event in lived["later"]]) == ("active", ["revoke"])
        assert "REVOKED" in page(service, serial=late, at=now)
    told = json.loads(user.antin("cert", "show", late, "--at", now, "--json"))
    assert (told["state"], told["certificate"]["record_lost"]) == ("revoked", known["record_lost"])
