"""Stage: a home of its own with a SoftHSM token, the fault-injecting module in front of it, and a real keyd.

The token is made by processes of their own, so that nothing is loaded here: this process is a client, as a web process is.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from hsm.client import ClientStore, read_state
from hsm.errors import KeyProcessFailed
from hsm.keyd.places import SOCKET, run_folder
from hsm.keyd.process import KeydSettings, KeyProcess
from hsm.keyd.state import KeyState
from hsm.softhsm import NewToken, configuration, ensure_token, find_module
from hsm.spec import KeySpec, Purpose
from tests.chaos.build import build_faulty_module, require_gcc
from tests.chaos.faults import Faults

LABEL = "chaos"
ROOT = Path(__file__).parents[2]
# Small and short, so that a row takes seconds.
MAX_SESSIONS = 4
# As `antin serve` has them on two processors.
PROCESSES = 2
HANG_SECONDS = 2.0
# As long as a token process has to be well before its end counts as the first again (hsm/keyd/breaker.py).
_CALM_SECONDS = 1.1


class Stage:
    """Token, faults and key process. Build it with `new_stage`."""

    def __init__(self, folder: Path, softhsm: Path, *, processes: int = PROCESSES) -> None:
        self.home = folder / "home"
        self.tokens = self.home / "tokens"
        self.pin_file = self.home / "pin"
        self.so_pin_file = self.home / "so-pin"
        self.module = self.home / "module.so"
        self.log = folder / "keyd.log"
        self.run_folder = run_folder(self.home)
        self.faults = Faults(folder)
        self._softhsm = softhsm
        self.environment = {"SOFTHSM2_CONF": str(self.home / "softhsm2.conf"), **self.faults.environment(softhsm)}
        self.keepers: list[subprocess.Popen[bytes]] = []
        self.is_strained = False
        self.tokens.mkdir(parents=True)
        (self.home / "softhsm2.conf").write_text(configuration("tokens"), "utf-8")
        self.pin_file.write_text(secrets.token_hex(8) + "\n", "utf-8")
        self.so_pin_file.write_text(secrets.token_hex(8) + "\n", "utf-8")
        shutil.copy(build_faulty_module(), self.module)
        token = NewToken(softhsm, LABEL, self.pin_file, self.so_pin_file)
        ensure_token(token, {**os.environ, **self.environment}, self.home)
        self._process = KeyProcess(
            KeydSettings(
                module=self.module,
                token_label=LABEL,
                pin=self.pin_file,
                run_folder=self.run_folder,
                max_sessions=MAX_SESSIONS,
                processes=processes,
                wait_seconds=5.0,
                hang_seconds=HANG_SECONDS,
                keep_alive_seconds=1.0,
                max_connections=128,
                environment=self.environment,
                cwd=self.home,
            )
        )

    def start(self) -> None:
        """Start a keeper, as `antin serve` would; what it writes to its standard error goes to `log`."""
        with _standard_error_to(self.log):
            self.keepers.append(self._process.start(ephemeral=False))

    def ensure_started(self) -> None:
        """Start a keeper unless one of ours runs."""
        if not self.keepers or self.keepers[-1].poll() is not None:
            self.stop()
            self.start()

    def settle(self) -> KeyState:
        """A keeper that is well and has forgotten the trouble before: its back-off and a small pool are no row's beginning."""
        if self.is_strained:
            self.stop()
            self.is_strained = False
        self.ensure_started()
        return self.wait_until(lambda state: is_well(state) and state.since_seconds >= _CALM_SECONDS)

    def start_ephemeral(self) -> None:
        """What a command does that finds nobody."""
        self._process.start(ephemeral=True)

    def stop(self) -> None:
        """End the keeper, and with it the token process."""
        for keeper in self.keepers:
            if keeper.stdin is not None and not keeper.stdin.closed:
                keeper.stdin.close()
            try:
                keeper.wait(10)
            except subprocess.TimeoutExpired:
                keeper.kill()
                keeper.wait()
        self.keepers.clear()

    def write_pin(self, text: str) -> None:
        """Another PIN file in place of the one that is there, whole at every moment."""
        fresh = self.pin_file.with_name("pin.new")
        fresh.write_text(text, "utf-8")
        fresh.replace(self.pin_file)

    def store(self, *, starter: Callable[[], None] | None = None) -> ClientStore:
        """A key store that talks to the key process."""
        return ClientStore(self.run_folder, wait_seconds=20.0, starter=starter)

    def connection(self) -> socket.socket:
        """A bare connection to the key process, for clients that do not keep to what was agreed."""
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        connection.connect(str(self.run_folder / SOCKET))
        return connection

    def new_key(self, spec: KeySpec = KeySpec.P_256) -> bytes:
        """A key for documents; returns its SubjectPublicKeyInfo.

        SoftHSM syncs what it writes. On a disk that is busy with something else that may take longer than a call may take
        here, and then the token process is replaced in the middle: one key more on the token does no harm.
        """
        store = self.store()
        try:
            for _ in range(5):
                with suppress(KeyProcessFailed):
                    return store.generate(spec, "chaos", Purpose.DOCUMENT).public_key_der
                self.wait_until_well()
            raise AssertionError("no key could be made")
        finally:
            store.close()

    def known_key(self) -> tuple[bytes, bytes]:
        """A key put into the token from outside: SubjectPublicKeyInfo and private octets. keyd must not be running."""
        command = [sys.executable, "-P", "-m", "tests.chaos.importing_child", str(self._softhsm), LABEL]
        environment = {**os.environ, **self.environment, "PYTHONPATH": str(ROOT)}
        done = subprocess.run(
            [*command, str(self.pin_file)], cwd=self.home, env=environment, capture_output=True, check=True, timeout=60
        )
        public, private = done.stdout.split()
        return bytes.fromhex(public.decode()), bytes.fromhex(private.decode())

    def state(self) -> KeyState:
        """What the keeper says, waiting for one that is on its way."""
        deadline = time.monotonic() + 10
        while (state := read_state(self.run_folder)) is None:
            assert time.monotonic() < deadline, "no keeper answers"
            time.sleep(0.02)
        return state

    def kill_token_processes(self, *lanes: int) -> None:
        """kill -9 of the processes that hold the token: of these, or of all."""
        for lane, process in enumerate(self.state().processes):
            if process.pid is not None and (lane in lanes or not lanes):
                os.kill(process.pid, signal.SIGKILL)

    def kill_keeper(self) -> None:
        """kill -9 of the keeper."""
        os.kill(self.state().keeper_pid, signal.SIGKILL)

    def wait_until(self, is_so: Callable[[KeyState], bool], seconds: float = 15.0) -> KeyState:
        """The first state of which that is so."""
        deadline = time.monotonic() + seconds
        while True:
            state = self.state()
            if is_so(state):
                return state
            assert time.monotonic() < deadline, state
            time.sleep(0.02)

    def wait_until_well(self, seconds: float = 15.0) -> KeyState:
        return self.wait_until(is_well, seconds)


def is_well(state: KeyState) -> bool:
    """Whether every token process serves."""
    return all(process.state == "ok" for process in state.processes)


@contextmanager
def new_stage(folder: Path, *, processes: int = PROCESSES) -> Iterator[Stage]:
    """A stage whose keyd runs and is well; everything of it is ended afterwards."""
    require_gcc()
    softhsm = find_module()
    if softhsm is None:
        pytest.skip("SoftHSM is not installed (apt-get install softhsm2)")
    stage = Stage(folder, softhsm, processes=processes)
    try:
        stage.start()
        stage.wait_until_well()
        yield stage
    finally:
        stage.faults.clear()
        stage.stop()


@contextmanager
def _standard_error_to(path: Path) -> Iterator[None]:
    """A child that is started in the block writes its standard error to this file."""
    sys.stderr.flush()
    kept = os.dup(2)
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(file)
