"""A death at every step of issuance, singly and for a batch: nothing is lost or doubled, the doctor names it, one command mends it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.installation import User

_CHILD = Path(__file__).with_name("issuer_dies.py")
_LONG_AGO = "2026-01-01 00:00:00.000000"
_MOST_STEPS = 12
_SUBJECT = "CN={},OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN"


def _request(user: User, name: str) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256())
    path = user.folder / f"{name}.csr"
    path.write_bytes(request.public_bytes(serialization.Encoding.PEM))
    return path


def _deaths(user: User, how: str, lines: int) -> Iterator[list[Path]]:
    """Kill a process at its first step, another one at its second, and so on until one comes through; the requests of each."""
    for step in range(1, _MOST_STEPS):
        files = [_request(user, f"{how}-{step}-{line}") for line in range(lines)]
        child = subprocess.run(
            [sys.executable, _CHILD, how, str(step), f"hồ sơ {step}", *files],
            cwd=user.folder, env=user.surroundings(), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        yield files
        if child.returncode == 0:
            return
        assert child.returncode == -signal.SIGKILL, child.stderr
    pytest.fail("the walk does not end")


def _states(user: User) -> Counter[str]:
    return Counter(dict(user.sql("SELECT state, count(*) FROM certificates WHERE profile = 'system' GROUP BY state")))


def _check_whole(user: User) -> None:
    """What is finished has its rows, what is begun has its intent, no serial stands twice, and the chains are whole."""
    rows = user.sql("SELECT serial, state, der IS NULL FROM certificates WHERE profile = 'system'")
    begun = [serial for (serial,) in user.sql("SELECT subject_id FROM audit WHERE action = 'certificate.intend'")]
    done = {serial for (serial,) in user.sql("SELECT subject_id FROM audit WHERE action = 'certificate.issue'")}
    assert len(begun) == len(set(begun))
    assert {serial for serial, _, _ in rows} <= set(begun)
    assert {serial for serial, state, _ in rows if state == "active"} == {s for s, _, _ in rows} & done
    assert not any(unfinished for _, state, unfinished in rows if state == "active")
    assert user.run("audit", "verify").returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(("how", "lines"), [("one", 1), pytest.param("many", 3, marks=pytest.mark.walk)])
def test_a_death_at_any_step_of_issuance_is_named_and_mended(user: User, how: str, lines: int) -> None:
    tried = list(_deaths(user, how, lines))
    # Registration, intent, signature, completion: a step before and one after each, and the one that came through.
    assert len(tried) == 9
    states = _states(user)
    # Deaths after the intent and before the completion: two around the signature, one on each side of it.
    assert states == {"intent": 4 * lines, "active": 2 * lines}
    _check_whole(user)

    user.sql("UPDATE certificates SET created_at = ? WHERE state = 'intent'", _LONG_AGO)
    wrong = [each for each in user.json("doctor", code=1) if each["severity"] == "wrong"]
    assert [each["code"] for each in wrong] == ["DOCTOR_CERTIFICATE_INTENT"] * 4 * lines
    mended = user.run("doctor", "--mend")
    assert mended.returncode == 0, mended.stdout + mended.stderr
    assert mended.stderr.count("\n") == 4 * lines
    assert user.findings() == {}
    assert _states(user) == {"revoked": 4 * lines, "active": 2 * lines}

    # Every registration that a death left is good for its certificate.
    registrations = user.json("registration", "list")
    assert Counter(each["state"] for each in registrations) == {"confirmed": 2, "issuing": 4, "issued": 2}
    for each in registrations:
        if each["state"] != "issued":
            user.antin("cert", "issue", "--registration", str(each["id"]), "-o", f"r{each['id']}.pem")
    assert {each["state"] for each in user.json("registration", "list")} == {"issued"}
    assert _states(user)["active"] == 2 * lines + 6
    _check_whole(user)


@pytest.mark.slow
def test_a_list_that_was_killed_goes_on_where_it_ended(user: User) -> None:
    count = 230
    lines = [
        {"profile": "system", "subject": _SUBJECT.format(f"Máy {n}"), "csr": _request(user, f"m{n}").name}
        for n in range(count)
    ]
    (user.folder / "list.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    words = ("cert", "issue", "--batch", "list.jsonl", "-o", "out")
    victim = user.start(*words)
    deadline = time.monotonic() + 100
    while victim.poll() is None and not list(user.folder.glob("out/*.pem")) and time.monotonic() < deadline:
        time.sleep(0.005)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    before = {path.name: path.read_bytes() for path in user.folder.glob("out/*.pem")}
    assert 0 < len(before) < count

    results = user.json(*words)
    assert len(results) == count
    # What the first run had finished is taken up, also where death came between commit and file.
    assert sum(each["issued_before"] for each in results) >= len(before)
    assert all((user.folder / "out" / name).read_bytes() == pem for name, pem in before.items())
    assert len(list(user.folder.glob("out/*.pem"))) == count
    doubles = "SELECT count(*) FROM certificates WHERE profile = 'system' AND state = 'active' GROUP BY key_id HAVING count(*) > 1"
    assert user.sql(doubles) == []
    assert _states(user)["active"] == count
    _check_whole(user)
