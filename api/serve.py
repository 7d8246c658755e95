"""The supervisor of `antin serve`: one socket, n web processes on it, worker and key process beside them; watches, replaces, ends them."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

from api.ahead import judge_limits
from api.errors import ComponentError, UsageError
from api.fair_listening import Shares
from api.home import Home
from api.key_watch import SOON_SECONDS, KeyWatch, pause_after
from api.keys import key_process
from api.lifeline import READY
from api.logs import set_up_logs
from api.metrics import SHARED_FOLDER, forget_process
from api.migrations.runner import upgrade
from api.wiring import Installation, open_installation
from api.worker_state import FILE as WORKER_STATE
from hsm.keyd.process import KeyProcess
from signer.validation.errors import SandboxFailure

_BACKLOG = 1024
# SIGTERM ends everything within five seconds (interface.md): what has not gone by itself after these is killed. The key
# process comes last, so that signatures that were begun are finished.
_PATIENCE_SECONDS = 3.5
# How long readiness is not announced because nobody knows yet whether keys can be used.
_KEYS_SECONDS = 10.0


@dataclass
class _Worker:
    """One place for a process, and the process in it now: numbers below the count are web processes, the last is the worker."""

    number: int
    process: subprocess.Popen[bytes]
    control: socket.socket
    started_at: float
    ready: bool = False
    failures: int = 0


def serve(
    environment: Mapping[str, str], home: Home, address: tuple[str, int], workers: int,
    announce: Callable[[str, bool], None],
) -> None:  # fmt: skip
    """Serve until SIGTERM or SIGINT. Raises before anything is started when it cannot be done here."""
    with _only_one(home):
        with open_installation(environment) as installation:
            installation.judge.start()
            upgrade(installation.database.engine)
            walls = _walls(installation)
            keys, training = key_process(home, installation.settings), installation.training
        with _listen(*address) as listening, _metrics_folder(home) as shared:
            surroundings = {**environment, "ANTIN_HOME": str(home.root), SHARED_FOLDER: str(shared)}
            supervisor = Supervisor(listening, workers, surroundings, shared, keys, training=training)
            supervisor.say(walls)
            host, port = listening.getsockname()[:2]
            try:
                supervisor.run(lambda: announce(f"http://{f'[{host}]' if ':' in host else host}:{port}", training))
            finally:
                (home.run / WORKER_STATE).unlink(missing_ok=True)


def _walls(installation: Installation) -> dict[str, object] | None:
    """What a judge process of this home, started for it, says of itself, and what it may use for a stranger's file."""
    judging = judge_limits(installation.settings).of("gather")
    try:
        walls = installation.judging.walls()
    except SandboxFailure:
        return None
    return {
        **walls.to_log(), "judging_mb": judging.memory_bytes // 2**20, "judging_seconds": judging.wall_seconds,
    }  # fmt: skip


class Supervisor:
    """Keeps n web processes alive on one listening socket, the worker, and the key process that all of them ask."""

    def __init__(
        self, listening: socket.socket, count: int, environment: Mapping[str, str], shared: Path, keys: KeyProcess, *,
        training: bool = False,
    ) -> None:  # fmt: skip
        self._listening = listening
        self._environment = dict(environment)
        self._shared = shared
        self._logger = set_up_logs()
        self._keys = KeyWatch(keys, self._logger)
        self._count = count
        self._training = training
        self._workers: list[_Worker] = []
        self._stopping = False
        self._shares_descriptor = Shares.create(count)
        self._shares = Shares(self._shares_descriptor)

    def run(self, when_ready: Callable[[], None]) -> None:
        """Start them, call back once when all accept requests, and watch until a signal says stop."""
        wake, waker = socket.socketpair()
        waker.setblocking(False)
        with wake, waker, _signals(self._on_signal), _wake_up(waker):
            try:
                self._keys.start()
                self._workers = [self._start(number, 0) for number in range(self._count + 1)]
                announced = False
                begun = time.monotonic()
                while not self._stopping:
                    starting = [each.control for each in self._workers if not each.ready]
                    select.select([wake, *starting], [], [], 0.5 if announced else 0.05)
                    self._read_wake_ups(wake)
                    self._look_after()
                    keys_known = self._keys.is_settled() or time.monotonic() - begun > _KEYS_SECONDS
                    if not announced and keys_known and all(each.ready for each in self._workers):
                        announced = True
                        self._logger.info("serving", extra={"training": self._training})
                        when_ready()
            finally:
                self._end_all()

    def say(self, walls: Mapping[str, object] | None) -> None:
        """Within which limits and behind which walls files are read; None when the process that reads them does not start."""
        if walls is None:
            self._logger.error("judge process does not start")
        elif walls["rlimits"] and walls["own_network"]:
            self._logger.info("judge process walls", extra=walls)
        else:
            self._logger.warning("judge process walls incomplete", extra=walls)

    def _on_signal(self, number: int, _: FrameType | None) -> None:
        if number != signal.SIGCHLD:
            self._stopping = True

    def _read_wake_ups(self, wake: socket.socket) -> None:
        wake.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while wake.recv(256):
                pass

    def _look_after(self) -> None:
        for place, worker in enumerate(self._workers):
            if not worker.ready:
                with contextlib.suppress(BlockingIOError, OSError):
                    worker.ready = worker.control.recv(1) == READY
            status = worker.process.poll()
            if status is not None and not self._stopping:
                self._workers[place] = self._replace(worker, status)

    def _replace(self, dead: _Worker, status: int) -> _Worker:
        self._logger.warning("worker died", extra={"worker": dead.number, "exit": status})
        dead.control.close()
        if dead.number < self._count:
            self._shares.forget(dead.number)
        forget_process(self._shared, dead.process.pid)
        lived = time.monotonic() - dead.started_at
        failures = 0 if lived > SOON_SECONDS else dead.failures + 1
        pause = pause_after(failures)
        # Signals end the pause: a stop must not wait for it.
        until = time.monotonic() + pause
        while not self._stopping and (left := until - time.monotonic()) > 0:
            time.sleep(min(0.1, left))
        return self._start(dead.number, failures)

    def _start(self, number: int, failures: int) -> _Worker:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            is_web = number < self._count
            # The worker gets no listening socket: it has no business with anybody outside.
            descriptors: tuple[int, ...] = (theirs.fileno(),)
            numbers = descriptors
            if is_web:
                descriptors = (self._listening.fileno(), theirs.fileno(), self._shares_descriptor)
                numbers = (*descriptors, number)
            module = "api.web_process" if is_web else "api.worker"
            process = subprocess.Popen(
                [sys.executable, "-P", "-m", "api.loading", module, *map(str, numbers)],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=descriptors,
                start_new_session=True,  # Ctrl-C at the terminal is ours to answer
            )
        return _Worker(number, process, ours, time.monotonic(), failures=failures)

    def _end_all(self) -> None:
        self._listening.close()
        for worker in self._workers:
            with contextlib.suppress(OSError):
                worker.process.terminate()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        for worker in self._workers:
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                self._logger.warning("worker killed", extra={"worker": worker.number})
                worker.process.kill()
                worker.process.wait()
            worker.control.close()
        self._keys.stop()
        self._logger.info("stopped")


@contextlib.contextmanager
def _signals(handler: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    wanted = (signal.SIGTERM, signal.SIGINT, signal.SIGCHLD)
    before = [signal.signal(number, handler) for number in wanted]
    try:
        yield
    finally:
        for number, earlier in zip(wanted, before, strict=True):
            signal.signal(number, earlier)


@contextlib.contextmanager
def _wake_up(waker: socket.socket) -> Iterator[None]:
    """A signal is seen at once, also in the middle of a wait."""
    before = signal.set_wakeup_fd(waker.fileno(), warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)


@contextlib.contextmanager
def _only_one(home: Home) -> Iterator[None]:
    """The lock falls with the process that holds it, however that ends."""
    home.run.mkdir(mode=0o700, exist_ok=True)
    with (home.run / "serve.lock").open("w", encoding="ascii") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise ComponentError("SERVE_RUNNING", home=str(home.root)) from None
        yield


@contextlib.contextmanager
def _metrics_folder(home: Home) -> Iterator[Path]:
    """Where the web processes share their counts; each service has a fresh one."""
    for left in home.run.glob("metrics-*"):
        shutil.rmtree(left, ignore_errors=True)
    with tempfile.TemporaryDirectory(prefix="metrics-", dir=home.run, ignore_cleanup_errors=True) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _listen(host: str, port: int) -> Iterator[socket.socket]:
    facts = {"host": host, "port": str(port)}
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listening:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listening.bind(address)
            listening.listen(_BACKLOG)
            yield listening
    except socket.gaierror:
        raise UsageError("HOST_UNKNOWN", host=host) from None
    except OverflowError:
        raise UsageError("PORT_WRONG", port=str(port)) from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise ComponentError("PORT_TAKEN", **facts) from None
        if error.errno in (errno.EACCES, errno.EPERM, errno.EADDRNOTAVAIL):
            raise ComponentError("PORT_REFUSED", **facts, reason=os.strerror(error.errno)) from None
        raise
