"""A key process for tests: a token of its own in a folder of its own, reached as the product reaches it."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from hsm.client import ClientStore, KeyState, read_state
from hsm.handles import Scheme
from hsm.keyd.places import LOCK, LOG, is_locked
from hsm.keyd.process import KeydSettings, KeyProcess
from hsm.softhsm import NewToken, configuration, ensure_token, find_module
from hsm.spec import KeyRef, KeySpec, Purpose
from tests.signable import SHA256, attributes


class KeyProcessHome:
    """A token, its PIN and a run folder; starts keepers there and sees to it that none stays."""

    def __init__(self, **settings: Any) -> None:
        self.home = Path(tempfile.mkdtemp(prefix="antin-keyd-"))
        self.run = self.home / "run"
        self.pin_file = self.home / "pin"
        self.pin_file.write_text(secrets.token_hex(8) + "\n")
        (self.home / "so-pin").write_text(secrets.token_hex(8) + "\n")
        # A token folder of its own, which no process but the one under test uses, so that a test may move it away.
        self.tokens = self.home / "tokens"
        self.tokens.mkdir()
        (self.home / "softhsm2.conf").write_text(configuration("tokens"))
        module = find_module()
        assert module is not None
        self.settings = KeydSettings(
            module,
            "keyd",
            self.pin_file,
            self.run,
            environment={"SOFTHSM2_CONF": str(self.home / "softhsm2.conf")},
            cwd=self.home,
        )
        token = NewToken(module, "keyd", self.pin_file, self.home / "so-pin")
        ensure_token(token, {**os.environ, **self.settings.environment}, self.home)
        self.settings = replace(self.settings, **settings)
        self._stores: list[ClientStore] = []
        self._keepers: list[subprocess.Popen[bytes]] = []

    def start(self, *, ephemeral: bool = False, **settings: Any) -> subprocess.Popen[bytes]:
        keeper = KeyProcess(replace(self.settings, **settings)).start(ephemeral)
        self._keepers.append(keeper)
        return keeper

    def starter(self) -> None:
        self.start(ephemeral=True)

    def store(self, *, starts: bool = False, wait_seconds: float = 20.0) -> ClientStore:
        store = ClientStore(self.run, wait_seconds=wait_seconds, starter=self.starter if starts else None)
        self._stores.append(store)
        return store

    def state(self) -> KeyState:
        state = read_state(self.run)
        assert state is not None
        return state

    def log(self) -> str:
        return (self.run / LOG).read_text()

    def close(self) -> None:
        for store in self._stores:
            store.close()
        for keeper in self._keepers:
            if keeper.poll() is None:
                keeper.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                keeper.wait(10)
            if keeper.stdin is not None:
                keeper.stdin.close()
        assert until(lambda: not is_locked(self.run / LOCK), 5.0), "a key process is left behind"
        shutil.rmtree(self.home)


def until(is_so: Callable[[], Any], seconds: float = 15.0) -> Any:
    """What `is_so` says as soon as it says something, or what it says at the end."""
    deadline = time.monotonic() + seconds
    while not (told := is_so()) and time.monotonic() < deadline:
        time.sleep(0.02)
    return told


def is_alive(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


@pytest.fixture
def key_home():
    """A home without a running key process."""
    if find_module() is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    home = KeyProcessHome()
    yield home
    home.close()


def document_key(store: ClientStore) -> KeyRef:
    return store.generate(KeySpec.P_256, "test", Purpose.DOCUMENT)


def sign(store: ClientStore, ref: KeyRef, text: object = "m") -> None:
    message = attributes(text)
    (signature,) = store.sign_many(ref.public_key_der, [message], Scheme.ECDSA, SHA256)
    ref.public_key().verify(signature, message, ec.ECDSA(SHA256))
