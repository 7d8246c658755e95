"""A part of the service is away: what needs it says 503 and when to come again, everything else goes on, nothing is half done."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from tests.installation import User
from tests.integration.http_service import problem, running
from tests.postgres import sqlite_only


@contextmanager
def locked(database: Path) -> Iterator[None]:
    """Somebody else writes and does not come to an end."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


def test_without_a_key_verification_and_lists_go_on_and_signing_says_when_to_come_again(user: User, pdf: bytes) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf")
    signed = (user.folder / "signed.pdf").read_bytes()
    wrong = user.folder / "wrong-pin"
    wrong.write_text("0000")
    root, issuing, officer = (
        x509.load_pem_x509_certificate(user.antin(*words).encode())
        for words in (
            ("ca", "show", "root", "--pem"),
            ("ca", "show", "issuing", "--pem"),
            ("cert", "show", "officer", "--pem"),
        )
    )
    assert root is not None
    with running(user, "--workers", "1", ANTIN_HSM__PIN_FILE=str(wrong)) as service:
        answer = service.sign(pdf)
        problem(answer, 503, "KEYS_UNAVAILABLE")
        assert int(answer.headers["retry-after"]) > 0
        assert "0000" not in answer.text
        assert service.verify(signed)["conclusion"] == "valid"
        assert service.http.get("/crl/issuing.crl").status_code == 200
        assert service.http.get("/healthz").status_code == 200
        ready = service.http.get("/readyz")
        assert problem(ready, 503, "NOT_READY")["checks"]["keys"] != "ok"
        assert problem(ready, 503, "NOT_READY")["checks"]["database"] == "ok"
        # With a nonce no answer can have been made before.
        asked = ocsp.OCSPRequestBuilder().add_certificate(officer, issuing, SHA256())
        request = asked.add_extension(x509.OCSPNonce(b"n" * 16), critical=False).build().public_bytes(Encoding.DER)
        told = service.http.post("/ocsp", content=request, headers={"Content-Type": "application/ocsp-request"})
        assert ocsp.load_der_ocsp_response(told.content).response_status is ocsp.OCSPResponseStatus.TRY_LATER
        assert not [line for line in service.log_lines() if line.get("status") == 500]
    assert user.sql("SELECT count(*) FROM signing_acts WHERE state = 'intent'") == [(0,)]


@sqlite_only
def test_a_database_that_cannot_be_written_stops_signing_only_until_it_can(user: User, pdf: bytes) -> None:
    user.sign("paper.pdf", "officer", "signed.pdf")
    signed = (user.folder / "signed.pdf").read_bytes()
    with running(user, "--workers", "1", ANTIN_DATABASE__BUSY_SECONDS="0.2") as service:
        with locked(user.home / "antin.db"):
            for key in (None, "tried while locked"):
                problem(service.sign(pdf, key=key), 503, "REGISTER_UNAVAILABLE")
            assert service.verify(signed)["conclusion"] == "valid"
            assert service.http.get("/readyz").status_code == 200
        assert service.sign(pdf, key="tried while locked").status_code == 201
    assert user.sql("SELECT state, count(*) FROM signing_acts GROUP BY state") == [("done", 2)]
    assert user.findings() == {}


@sqlite_only
def test_a_database_that_is_gone_is_said_and_found_again(user: User, pdf: bytes) -> None:
    with running(user, "--workers", "1") as service:
        own = service.sign(pdf).json()["links"]["self"]
        # Another file in its place, as after a failed restore: none of the tables is there.
        database = user.home / "antin.db"
        for name in ("antin.db", "antin.db-wal", "antin.db-shm"):
            if (user.home / name).exists():
                (user.home / name).rename(user.home / f"away-{name}")
        database.write_bytes(b"not a database" * 1000)
        service.process.send_signal(0)
        seen = [service.http.get(own, headers={"Connection": "close"}) for _ in range(3)]
        assert {answer.status_code for answer in seen} <= {200, 503}
        for answer in seen:
            if answer.status_code == 503:
                problem(answer, 503, "REGISTER_UNAVAILABLE")
        assert service.http.get("/healthz").status_code == 200
        assert not [line for line in service.log_lines() if line.get("status") == 500]
