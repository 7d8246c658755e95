"""Commands without the start of an interpreter: a process that has loaded `antin` and forks for each command that a test runs.

What runs is the command itself, in a process of its own with its own folder, environment and descriptors; only loading the
modules, which is most of a short command's time, is done once. Tests of start and end of a process run the executable.

Nothing of PKCS#11, no database and no thread exists in the process that forks.
"""

from __future__ import annotations

import array
import atexit
import contextlib
import gc
import importlib
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from sqlalchemy.orm import configure_mappers

from api.loading import load
from tests import warm_start

_READY = b"ready"
_LONGEST_REQUEST = 1 << 17
# What commands load; each loads the rest by itself.
_LOADED = (
    "api.cli.main", "api.cli.context", "api.cli.cert", "api.cli.sign", "api.cli.verify", "api.cli.doctor", "api.cli.init",
    "api.ahead", "api.founding", "api.checkup", "api.cli.failures", "api.cli.audit", "api.cli.backup", "api.cli.hsm", "api.cli.token",
)  # fmt: skip


class CommandServer:
    """The forking process of one test process, started with the first command."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._address = ""

    def run(
        self, words: Sequence[str], folder: Path, environment: Mapping[str, str], seconds: float
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end, as `subprocess.run` would; TimeoutExpired kills it."""
        request = json.dumps({"words": list(words), "folder": str(folder), "environment": dict(environment)}).encode()
        assert len(request) < _LONGEST_REQUEST
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
                line.connect(self._started())
                line.settimeout(seconds)
                handed = array.array("i", [out.fileno(), err.fileno()])
                line.sendmsg([request], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, handed)])
                try:
                    code = int(line.recv(64))
                except TimeoutError as late:
                    # Whoever waits for the command at the other end kills it when this line is closed.
                    raise subprocess.TimeoutExpired(list(words), seconds) from late
            texts = []
            for file in (out, err):
                file.seek(0)
                texts.append(file.read().decode())
        return subprocess.CompletedProcess(list(words), code, *texts)

    def _started(self) -> str:
        with self._lock:
            if self._process is None:
                # A name without a file: nothing is left of it when the process goes.
                self._address = f"\0antin-test-{uuid.uuid4().hex}"
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "tests.command_server", self._address[1:]],
                    stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[1],
                    env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8"},
                )  # fmt: skip
                assert self._process.stdout is not None
                assert self._process.stdout.read(len(_READY)) == _READY
            return self._address


def _serve(address: str) -> None:
    """Fork for each connection, for as long as the test process lives."""
    # Not a TemporaryDirectory: every fork would remove it at its end.
    folder = tempfile.mkdtemp(prefix="antin-warm-")
    file = str(Path(warm_start.__file__).resolve())
    standing_by = [
        subprocess.Popen(
            [sys.executable, "-I", "-X", "utf8", file, "stand-by", module, address],
            stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, env={}, cwd="/",
        )
        for module in warm_start.WARM
    ]  # fmt: skip
    sys.executable = warm_start.interpreter(folder, address)
    _fork_for_each(address)
    shutil.rmtree(folder)
    for each in standing_by:
        each.kill()
        each.wait()


def _fork_for_each(address: str) -> None:
    for name in _LOADED:
        load(name)
    configure_mappers()
    # What is there by now is shared with every fork, and stays so only while no collector writes into it.
    gc.collect()
    gc.freeze()
    door = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    door.bind(f"\0{address}")
    door.listen(64)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    sys.stdout.buffer.write(_READY)
    sys.stdout.flush()
    while True:
        # The other end of our standard input closes when the test process ends, however it ends.
        if sys.stdin in select.select([door, sys.stdin], [], [])[0]:
            return
        line, _ = door.accept()
        if os.fork() == 0:
            door.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _attend(line)
        line.close()


def _attend(line: socket.socket) -> None:
    """Start the command of one request, wait for it and tell its exit code; kill it when nobody waits any more."""
    request, ancillary, _, _ = line.recvmsg(_LONGEST_REQUEST, socket.CMSG_SPACE(8))
    handed = array.array("i")
    handed.frombytes(ancillary[0][2][:8])
    asked = json.loads(request)
    child = os.fork()
    if child == 0:
        line.close()
        _become(asked, *handed)
    threading.Thread(target=_kill_when_left, args=(line, child), daemon=True).start()
    status = os.waitpid(child, 0)[1]
    with contextlib.suppress(OSError):
        line.send(str(os.waitstatus_to_exitcode(status)).encode())
    os._exit(0)


def _kill_when_left(line: socket.socket, child: int) -> None:
    with contextlib.suppress(OSError):
        if not line.recv(1):
            os.kill(child, signal.SIGKILL)


def _become(asked: dict[str, object], out: int, err: int) -> None:
    """Be the process that the request describes, and end as it would."""
    nothing = os.open(os.devnull, os.O_RDONLY)
    for target, descriptor in enumerate((nothing, out, err)):
        os.dup2(descriptor, target)
    os.closerange(3, 256)
    os.chdir(str(asked["folder"]))
    os.environ.clear()
    os.environ.update(asked["environment"])  # type: ignore[call-overload]  # a mapping of texts, from our own other half
    words = asked["words"]
    assert isinstance(words, list)
    sys.argv[:] = ["antin", *words]
    code = _code_of(importlib.import_module("api.cli.main").main)
    # As the interpreter ends, but for taking every module apart, which would copy what is shared.
    threading._shutdown()  # type: ignore[attr-defined]  # nothing public waits for the threads that are not daemons
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _code_of(main: Callable[[], int]) -> int:
    try:
        return main()
    except SystemExit as end:  # argparse
        return end.code if isinstance(end.code, int) else int(end.code is not None)


if __name__ == "__main__":
    _serve(sys.argv[1])
