"""Journey: what is revoked while the service runs is on the published lists within seconds, whatever becomes of the worker."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.installation import User
from tests.integration.http_service import Service, command_of, descendants, running

_ROOT = Path(__file__).parents[2]
_REVOKER = Path(__file__).with_name("revoker.py")


def revoked(user: User, count: int, reason: str) -> list[tuple[str, int]]:
    """Certificates that another process has revoked; serial and partition of each."""
    done = subprocess.run(
        [sys.executable, _REVOKER, str(count), reason],
        cwd=user.folder, env=user.surroundings(PYTHONPATH=str(_ROOT)), capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [(serial, int(shard)) for serial, shard in (line.split() for line in done.stdout.splitlines())]


def listed(service: Service, path: str) -> set[str]:
    answer = service.http.get(path)
    assert answer.status_code == 200, path
    return {f"{entry.serial_number:x}" for entry in x509.load_der_x509_crl(answer.content)}


def eventually(claim: Callable[[], bool], seconds: float = 20.0) -> float:
    """How long it took until the claim was true."""
    begun = time.monotonic()
    while not claim():
        assert time.monotonic() < begun + seconds, "it never came true"
        time.sleep(0.05)
    return time.monotonic() - begun


def workers_of(service: Service) -> list[int]:
    return [each for each in descendants(service.process.pid) if b"api.worker" in command_of(each)]


def check_archive(user: User) -> None:
    """Every file of a list is whole and is what the database has under its number, and no number was given twice."""
    rows = user.sql("SELECT authority, number, sha256, delta_sha256 FROM crls ORDER BY id")
    numbers = [(authority, number) for authority, number, _, _ in rows]
    assert len(numbers) == len(set(numbers))
    for name in ("root", "issuing"):
        given = [number for authority, number in numbers if authority == name]
        assert given == sorted(given)
    known = {digest for _, _, *digests in rows for digest in digests if digest}
    files = [path for path in (user.home / "public" / "crl").rglob("*") if path.is_file()]
    assert files
    for path in files:
        assert hashlib.sha256(path.read_bytes()).hexdigest() in known, path
        assert path.suffix == ".crl", path


def test_a_revocation_is_on_the_lists_within_seconds_and_a_compromised_key_at_once(user: User) -> None:
    user.antin("ca", "partition", "issuing", "3")
    with running(user, "--workers", "1") as service:
        ((early, shard),) = revoked(user, 1, "keyCompromise")
        own = f"/crl/issuing/s/{shard}.crl"
        assert eventually(lambda: early in listed(service, own)) < 5.0
        assert early in listed(service, f"/crl/issuing/s/{shard}/delta.crl")
        eventually(lambda: early in listed(service, "/crl/issuing/delta.crl"))
        ((late, shard),) = revoked(user, 1, "superseded")
        assert eventually(lambda: late in listed(service, f"/crl/issuing/s/{shard}.crl")) < 10.0
        eventually(lambda: {early, late} <= listed(service, "/crl/issuing/delta.crl"))
        ready = service.http.get("/readyz").json()
        assert (ready["status"], ready["worker"]["state"]) == ("ready", "ok")
        assert ready["worker"]["jobs"]["crl"]["done_at"] is not None
        assert "antin_worker_up 1.0" in service.http.get("/metrics").text
        assert service.http.get("/crl/issuing/s/4.crl").status_code == 404
        number = user.json("ca", "crl", "issuing", "--shard", str(shard))["number"]
        by_number = service.http.get(f"/crl/issuing/{number}.crl").content
        assert by_number == service.http.get(f"/crl/issuing/s/{shard}.crl").content
    check_archive(user)
    assert user.findings() == {}


@pytest.mark.slow
@pytest.mark.walk
def test_a_worker_that_is_killed_again_and_again_loses_no_revocation_and_leaves_no_half_list(user: User) -> None:
    everything: set[str] = set()
    with running(user, "--workers", "1") as service:
        for pause in (0.0, 0.01, 0.03):
            eventually(lambda: len(workers_of(service)) == 1)
            (worker,) = workers_of(service)
            begun = intents(user)
            everything.update(serial for serial, _ in revoked(user, 2, "keyCompromise"))
            # In the middle of a build, or a moment later.
            until = time.monotonic() + 2
            while intents(user) == begun and time.monotonic() < until:
                time.sleep(0.002)
            time.sleep(pause)
            os.kill(worker, signal.SIGKILL)
            check_archive(user)
        eventually(lambda: everything <= listed(service, "/crl/issuing.crl"))
        # The next worker looks through the folder before anything else.
        eventually(lambda: everything <= listed_in(user))
        eventually(lambda: service.http.get("/readyz").json()["worker"]["state"] == "ok")
        assert any(each["event"] == "worker died" for each in service.log_lines())
    check_archive(user)
    assert user.findings() == {}


def intents(user: User) -> int:
    ((count,),) = user.sql("SELECT count(*) FROM crls")
    return int(count)


def listed_in(user: User) -> set[str]:
    crl = x509.load_der_x509_crl((user.home / "public" / "crl" / "issuing.crl").read_bytes())
    return {f"{entry.serial_number:x}" for entry in crl}


def test_two_services_on_one_database_issue_each_list_once(user: User) -> None:
    with running(user, "--workers", "1") as service:
        # Somebody at the command line is as eager as the worker.
        pairs = revoked(user, 3, "keyCompromise")
        answers = [user.start("ca", "publish") for _ in range(2)]
        assert [each.communicate(timeout=60)[1] for each in answers] == ["", ""]
        eventually(lambda: {serial for serial, _ in pairs} <= listed(service, "/crl/issuing.crl"))
        rows = user.sql("SELECT revocation_epoch FROM crls WHERE authority = 'issuing' AND sha256 IS NOT NULL")
        epochs = [epoch for (epoch,) in rows]
        assert len(epochs) == len(set(epochs))
    check_archive(user)


def test_the_list_of_a_time_before_can_be_had_at_the_command_line(user: User) -> None:
    before = datetime.now(UTC)
    old = (user.home / "public" / "crl" / "issuing.crl").read_bytes()
    time.sleep(1.1)
    user.antin("cert", "revoke", "officer", "--reason", "superseded")
    user.antin("ca", "crl", "issuing", "--at", before.isoformat(), "-o", "then.crl")
    user.antin("ca", "crl", "issuing", "-o", "now.crl")
    user.antin("ca", "crl", "issuing", "--delta", "-o", "delta.crl")
    assert (user.folder / "then.crl").read_bytes() == old
    assert len(x509.load_der_x509_crl(old)) == 0
    for file in ("now.crl", "delta.crl"):
        crl = x509.load_der_x509_crl((user.folder / file).read_bytes())
        assert len(crl) == 1
        assert crl.public_bytes(Encoding.DER)
    assert "no such CRL" in user.refused(1, "ca", "crl", "issuing", "--at", "2020-01-01T00:00:00Z")
    assert "no such CRL" in user.refused(1, "ca", "crl", "issuing", "--number", "99")
    assert "--shard" in user.refused(2, "ca", "crl", "issuing", "--number", "1", "--shard", "1")
    assert "then.crl" in user.refused(2, "ca", "crl", "issuing", "-o", "then.crl")
    user.antin("ca", "partition", "issuing", "3")
    assert "3 to 1024" in user.refused(1, "ca", "partition", "issuing", "2")
    assert user.json("ca", "crl", "issuing", "--shard", "2")["shard"] == 2
