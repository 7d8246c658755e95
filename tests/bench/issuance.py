"""Certificates through the whole cycle, the key in the token, beside django-ca, which lints nothing and signs with a key in a file.

Both on SQLite in WAL with every commit synced, one process each, in turns.
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

from certs.names import parse_subject
from hsm.spec import KeySpec, Purpose
from pki.issuance import IssuanceRequest, issue
from tests.bench.measure import Row
from tests.key_process import KeyProcessHome, until
from tests.world import ADMIN, SEAL_SUBJECT, build_world

_HERE = Path(__file__).parent
_ENVIRONMENT = Path(sys.prefix) / "django-ca"
_COUNT, _ROUNDS = 200, 5


def run() -> list[Row]:
    """Issue in throw-away homes."""
    with tempfile.TemporaryDirectory(prefix="antin-bench-") as folder, _peer(Path(folder)) as peer:
        home = KeyProcessHome()
        try:
            home.start()
            assert until(lambda: home.state().state == "ok"), "the key process does not serve"
            world = build_world(Path(folder), keys=home.store())
            ref = world.keys.generate(KeySpec.P_256, "bench", Purpose.DOCUMENT)
            request = IssuanceRequest("agency-seal", parse_subject(SEAL_SUBJECT), ref.public_key_der)

            def ours(count: int) -> float:
                begun = time.perf_counter()
                for _ in range(count):
                    issue(request, ADMIN, world.issuing_deps)
                return count / (time.perf_counter() - begun)

            ours(20)
            rounds = [(ours(_COUNT), peer(_COUNT)) for _ in range(_ROUNDS)]
            world.close()
        finally:
            home.close()
    alone, theirs = (statistics.median(column) for column in zip(*rounds, strict=True))
    return [_rate("certificates one by one, peer: django-ca", alone, theirs, 1.0)]


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
def _peer(folder: Path) -> Iterator[_Peer]:
    python = _ENVIRONMENT / "bin" / "python"
    if not python.exists():
        venv.create(_ENVIRONMENT, with_pip=True)
    lock = _HERE / "requirements-django-ca.txt"
    subprocess.run(
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "-r", lock],
        check=True,
    )
    (folder / "django-ca").mkdir()
    process = subprocess.Popen(
        [python, "-P", _HERE / "django_ca_peer.py", folder / "django-ca"],
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
