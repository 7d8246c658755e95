"""Keys through the key process, every signature verified, beside python-pkcs11 in one process without a check.

Ours are what X.509 and CMS take: over the whole message, ECDSA as a DER Ecdsa-Sig-Value. The peer that goals are held
against only signs; beside one that hashes and encodes as well stands a row without a goal. Everything that loads the module is a
process of its own: SoftHSM reads its settings once.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import ec

from hsm.handles import Scheme
from hsm.spec import KeyRef, KeySpec, Purpose
from tests.bench.key_load import MESSAGE, SHA256
from tests.bench.measure import Row, faster, interleaved
from tests.chaos.build import build_faulty_module
from tests.chaos.faults import Faults
from tests.key_process import KeyProcessHome, kill, until

# Other benchmarks change the working folder; the children find their module from here.
_CHECKOUT = Path(__file__).resolve().parents[2]
_CLIENTS, _CLIENT_PROCESSES, _PEER_SESSIONS = 8, 2, 4
_TOKEN_PROCESSES = min(2, os.cpu_count() or 1)  # as `antin serve` has them
_SECONDS, _ROUNDS = 0.8, 11
_DELAY_MS, _SLOW_SESSIONS, _SLOW_CLIENTS = 5, 8, 32
_ADDED_AT_MOST = 0.0003
_FEW, _MANY = 10, 10_000


def run(*, full: bool) -> list[Row]:
    """Sign in throw-away homes."""
    rows: list[Row] = []
    with _home() as home:
        store = home.store()
        p256 = store.generate(KeySpec.P_256, "bench", Purpose.DOCUMENT)
        rsa = store.generate(KeySpec.RSA_2048, "bench", Purpose.DOCUMENT)
        rows += [
            *_beside_peer(home, "keys: P-256, verified, 8 clients of 2 processes", p256, Scheme.ECDSA, 1, goal=0.4),
            *_beside_peer(
                home, "keys: P-256, verified, 8 clients of 2 processes, 32 a message", p256, Scheme.ECDSA, 32, goal=0.6
            ),
            *_beside_peer(
                home, "keys: RSA-2048, verified, 8 clients of 2 processes", rsa, Scheme.RSA_PKCS1V15, 1, goal=0.85
            ),
            *_added(home, p256),
        ]
    if shutil.which("gcc"):
        rows.append(_slow_token())
    if full:
        rows.append(_crowded())
    return rows


@contextlib.contextmanager
def _home(**settings: Any) -> Iterator[KeyProcessHome]:
    home = KeyProcessHome(**{"processes": _TOKEN_PROCESSES, **settings})
    try:
        home.start()
        assert until(lambda: home.state().state == "ok"), "the key process does not serve"
        yield home
    finally:
        home.close()


class _Signers:
    """Processes that sign at the same time when told to."""

    def __init__(self, home: KeyProcessHome, count: int, **asked: Any) -> None:
        command = [sys.executable, "-m", "tests.bench.key_load", json.dumps(_about(home) | asked)]
        self._processes = [
            subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment(home), cwd=_CHECKOUT
            )
            for _ in range(count)
        ]
        for process in self._processes:
            assert _line(process) == "ready"

    def rate(self, seconds: float) -> float:
        """Signatures a second by all of them."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{seconds}\n")
            process.stdin.flush()
        return sum(float(_line(process)) for process in self._processes)

    def close(self) -> None:
        for process in self._processes:
            process.communicate()


def _beside_peer(home: KeyProcessHome, name: str, ref: KeyRef, scheme: Scheme, many: int, goal: float) -> list[Row]:
    same = {"key": ref.public_key_der.hex(), "scheme": scheme.value, "many": many}
    forms = (False, True) if scheme is Scheme.ECDSA else (False,)
    # Clients are threads with a connection each, as those of web processes are; a process for each costs more cold Python.
    ours = _Signers(home, _CLIENT_PROCESSES, kind="client", threads=_CLIENTS // _CLIENT_PROCESSES, **same)
    apart = _Signers(home, _CLIENTS, kind="client", threads=1, **same)
    peers = [_Signers(home, 1, kind="peer", threads=_PEER_SESSIONS, encodes=encodes, **same) for encodes in forms]
    rates = _medians(*(partial(signers.rate, _SECONDS) for signers in (ours, apart, *peers)))
    for signers in (ours, apart, *peers):
        signers.close()
    rows = [_more(name, rates[0], rates[2], goal), _more(f"{name}, a process each", rates[1], rates[2], None)]
    if len(peers) > 1:
        rows.append(_more(f"{name} / peer encodes", rates[0], rates[3], None))
    return rows


def _added(home: KeyProcessHome, ref: KeyRef) -> list[Row]:
    over, here = json.loads(_told(home, kind="side by side", key=ref.public_key_der.hex()))
    return [
        faster("keys: P-256, verified, through the socket / in process", over, here, 1000),
        faster("keys: added by the socket / allowed", max(over - here, 1e-6), _ADDED_AT_MOST, 1000, 1.0),
    ]


def _slow_token() -> Row:
    """A token that takes 5 ms for each signature: what 8 sessions can give is 1,600 a second."""
    softhsm = KeyProcessHome()
    faults = Faults(softhsm.home)
    faults.set(f"C_Sign always delay {_DELAY_MS}")
    environment = {**softhsm.settings.environment, **faults.environment(softhsm.settings.module)}
    try:
        softhsm.start(
            module=build_faulty_module(),
            environment=environment,
            max_sessions=_SLOW_SESSIONS,
            processes=_TOKEN_PROCESSES,
        )
        ref = softhsm.store().generate(KeySpec.P_256, "bench", Purpose.DOCUMENT)
        same = {"key": ref.public_key_der.hex(), "scheme": Scheme.ECDSA.value, "many": 1}
        signers = _Signers(softhsm, 4, kind="client", threads=_SLOW_CLIENTS // 4, **same)
        rate = statistics.median(signers.rate(_SECONDS) for _ in range(_ROUNDS))
        signers.close()
    finally:
        softhsm.close()
    most = _SLOW_SESSIONS * 1000 / _DELAY_MS
    return _more(
        f"keys: {_DELAY_MS} ms a signature, {_SLOW_SESSIONS} sessions, {_SLOW_CLIENTS} clients / most", rate, most, 0.9
    )


def _crowded() -> Row:
    """A signature after the first use among 10,000 keys, beside one among 10."""
    with _home() as few, _home() as many:
        calls: list[Callable[[], object]] = []
        for home, count in ((many, _MANY), (few, _FEW)):
            ref = home.store().generate(KeySpec.P_256, "bench", Purpose.DOCUMENT)
            _fill(home, count - 1)
            key = home.store(wait_seconds=60.0).get(ref.public_key_der)
            assert isinstance(key, ec.EllipticCurvePrivateKey)
            calls.append(partial(key.sign, MESSAGE, ec.ECDSA(SHA256)))
        return faster(
            "keys: P-256 among 10,000 keys / among 10", *interleaved(calls, 1000, warm_up=50), 1000, round(1 / 1.2, 3)
        )


def _fill(home: KeyProcessHome, count: int) -> None:
    """More keys: a few are made, and their files copied. A search looks at each, and making 10,000 would take minutes."""
    made = min(count, _FEW)
    _told(home, kind="fill", count=made)
    (folder,) = home.tokens.iterdir()
    objects = sorted(path for path in folder.glob("*.object") if path.name != "token.object")[2 : 2 + 2 * made]
    for number in range(count - made):
        for path in objects[2 * (number % made) : 2 * (number % made) + 2]:
            shutil.copy(path, folder / f"{uuid.uuid4()}.object")
    # SoftHSM looks for new files when it opens a token.
    before = {each.pid for each in home.state().processes}
    for pid in before:
        assert pid is not None
        kill(pid)
    assert until(
        lambda: home.state().state == "ok" and not before & {each.pid for each in home.state().processes}, 240.0
    )


def _medians(*rates: Callable[[], float]) -> list[float]:
    rounds = [[rate() for rate in rates] for _ in range(_ROUNDS)]
    return [statistics.median(column) for column in zip(*rounds, strict=True)]


def _more(name: str, ours: float, peer: float, goal: float | None) -> Row:
    """Signatures a second; the ratio is ours / peer."""
    return Row(name, round(ours), round(peer), round(ours / peer, 2), "/s", _ROUNDS, goal)


def _about(home: KeyProcessHome) -> dict[str, Any]:
    settings = home.settings
    return {
        "run": str(home.run), "module": str(settings.module), "label": settings.token_label, "pin": str(home.pin_file),
    }  # fmt: skip


def _told(home: KeyProcessHome, **asked: Any) -> str:
    command = [sys.executable, "-m", "tests.bench.key_load", json.dumps(_about(home) | asked)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=_environment(home), cwd=_CHECKOUT)
    return done.stdout


def _environment(home: KeyProcessHome) -> dict[str, str]:
    # The module counts a relative token folder from the working folder, and these processes work in ours.
    configuration = home.home / "bench.conf"
    text = (home.home / "softhsm2.conf").read_text().replace("= tokens\n", f"= {home.tokens}\n")
    configuration.write_text(text)
    return {**os.environ, "SOFTHSM2_CONF": str(configuration)}


def _line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()
