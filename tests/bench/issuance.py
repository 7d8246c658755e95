"""Certificates through the whole cycle, the key in the token, beside django-ca, which lints nothing and signs with a key in a file.

All on SQLite with every commit synced (`synchronous=FULL`), one process each, in turns. django-ca runs as it comes, with SQLite's own journal
mode, and once more in WAL, which is what ours uses and django-ca leaves to whoever sets it up.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from api.loading import spare_what_is_there
from certs.names import parse_subject
from hsm.spec import spki_der
from pki.issuance import IssuanceRequest, issue
from pki.issuance_batch import issue_many
from tests.bench.measure import Row
from tests.key_process import KeyProcessHome, until
from tests.world import ADMIN, SEAL_SUBJECT, build_world

_HERE = Path(__file__).parent
_ENVIRONMENT = Path(sys.prefix) / "django-ca"
_COUNT, _ROUNDS, _BATCH = 200, 5, 100


def run() -> list[Row]:
    """Issue in throw-away homes."""
    with (
        tempfile.TemporaryDirectory(prefix="antin-bench-") as folder,
        _peer(Path(folder), "delete") as peer,
        _peer(Path(folder), "wal") as peer_in_wal,
    ):
        home = KeyProcessHome()
        try:
            home.start()
            assert until(lambda: home.state().state == "ok"), "the key process does not serve"
            world = build_world(Path(folder), keys=home.store())
            subject = parse_subject(SEAL_SUBJECT)
            deps = world.issuing_deps  # built once, as in the processes of `antin serve`

            def requests(count: int) -> list[IssuanceRequest]:
                # A key of its own for each, as in life; the peer does not look.
                keys = (ec.generate_private_key(ec.SECP256R1()).public_key() for _ in range(count))
                return [IssuanceRequest("agency-seal", subject, spki_der(key)) for key in keys]

            def ours(count: int) -> float:
                wanted = requests(count)
                begun = time.perf_counter()
                for request in wanted:
                    issue(request, ADMIN, deps)
                return count / (time.perf_counter() - begun)

            def batches(count: int) -> float:
                wanted = [requests(_BATCH) for _ in range(count // _BATCH)]
                begun = time.perf_counter()
                for each in wanted:
                    issued = issue_many(each, ADMIN, deps)
                    assert not any(isinstance(result, Exception) for result in issued)
                return count / (time.perf_counter() - begun)

            ours(20)
            spare_what_is_there()  # as the processes of `antin serve` do when they are ready
            rounds = [(ours(_COUNT), batches(_COUNT), peer(_COUNT), peer_in_wal(_COUNT)) for _ in range(_ROUNDS)]
            world.close()
        finally:
            home.close()
    alone, together, theirs, theirs_in_wal = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [
        _rate("certificates one by one, peer: django-ca", alone, theirs, 1.0),
        _rate(f"certificates in batches of {_BATCH}, peer: django-ca", together, theirs, 2.0),
        _rate("certificates one by one, peer: django-ca in WAL mode", alone, theirs_in_wal, None),
        _rate(f"certificates in batches of {_BATCH}, peer: django-ca in WAL mode", together, theirs_in_wal, None),
    ]


class _Peer:
    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, count: int) -> float:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{count}\n")
        self._process.stdin.flush()
        return float(self.line())

    def line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


@contextmanager
def _peer(folder: Path, journal_mode: str) -> Iterator[_Peer]:
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(_ENVIRONMENT, with_pip=True)
    lock = _HERE / "requirements-django-ca.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", lock],
        check=True,
    )
    home = folder / f"django-ca-{journal_mode}"
    home.mkdir()
    process = subprocess.Popen(
        [python, "-P", _HERE / "django_ca_peer.py", home, journal_mode],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        peer = _Peer(process)
        assert peer.line() == "ready", "django-ca does not start"
        yield peer
    finally:
        process.communicate()


def _rate(name: str, ours: float, peer: float, goal: float | None) -> Row:
    return Row(name, round(ours), round(peer), round(ours / peer, 2), "/s", _COUNT * _ROUNDS, goal)
