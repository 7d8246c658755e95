"""KeyProcess: the key process of a token as whoever starts it sees it. Its arguments hold no secret.

It leaves to its caller to watch a keeper that was started to stay, and to reap it.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from hsm.errors import KeyProcessFailed
from hsm.keyd.arguments import as_arguments
from hsm.keyd.places import LOG, prepare_run_folder
from hsm.pin import PinDescriptor, PinSource, check_pin_source

_START_SECONDS = 20.0
_LOG_OCTETS = 1024 * 1024


@dataclass(frozen=True)
class KeydSettings:
    """Which token, by which PIN, and how it is used. `environment` is added to the process's own; SoftHSM needs `cwd`.

    A call that takes longer than `hang_seconds` costs the token process its life. A keeper that stays has so many token
    `processes`, an ephemeral one has one; they share `max_sessions` and `max_connections`.
    """

    module: Path
    token_label: str
    pin: PinSource
    run_folder: Path
    max_sessions: int = 8
    wait_seconds: float = 10.0
    hang_seconds: float = 20.0
    keep_alive_seconds: float = 10.0
    max_connections: int = 128
    processes: int = 1
    environment: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None


class KeyProcess:
    """Starts keepers."""

    def __init__(self, settings: KeydSettings) -> None:
        self.settings = settings

    def start(self, ephemeral: bool, after_deaths: int = 0) -> subprocess.Popen[bytes]:
        """Start a keeper and wait until it listens; KeyProcessFailed says why it does not.

        An ephemeral one ends with its last connection, and needs nobody to watch or reap it; when another keeper is
        there already, it leaves it to that one. One that is not ephemeral ends when the handle's `stdin` is closed, so
        with the process that holds it; an ephemeral keeper steps aside for it. `after_deaths` of its forerunners it counts as
        `keeper.died`: none of them can tell of its own.
        """
        settings = self.settings
        check_pin_source(settings.pin)
        prepare_run_folder(settings.run_folder)
        reading, writing = os.pipe()
        try:
            process = self._spawn(writing, ephemeral=ephemeral, after_deaths=after_deaths)
        except OSError as error:
            os.close(reading)
            raise KeyProcessFailed(f"cannot start the key process: {error}", reason=type(error).__name__) from error
        finally:
            os.close(writing)
        if ephemeral:
            # It outlives this call, and perhaps this process: someone has to take its exit status.
            threading.Thread(target=process.wait, name="keyd-reaper", daemon=True).start()
        with os.fdopen(reading, "rb") as channel:
            told = _first_line(channel.fileno())
        if told is None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
            process.kill()
            process.wait()
            raise KeyProcessFailed("the key process does not start", reason=f"exit {process.returncode}")
        if not told.get("listens"):
            process.wait()
            _close_lifeline(process)
            raise KeyProcessFailed(f"the key process does not start: {told.get('reason')}", reason=str(told["reason"]))
        return process

    def _spawn(self, ready: int, *, ephemeral: bool, after_deaths: int) -> subprocess.Popen[bytes]:
        settings = self.settings
        command = [sys.executable, "-P", "-m", "hsm.keyd", *as_arguments(settings), "--ready", str(ready)]
        command.append(f"--after-deaths={after_deaths}")
        descriptors = [ready]
        if isinstance(settings.pin, PinDescriptor):
            descriptors.append(settings.pin.number)
        errors = None
        if ephemeral:
            command += ["--ephemeral", "--processes=1"]
            errors = _open_log(settings.run_folder / LOG)
        try:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL if ephemeral else subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                cwd=settings.cwd,
                env={**os.environ, **settings.environment},
                pass_fds=descriptors,
                # Others may be using it when the person at this terminal presses Ctrl-C.
                start_new_session=True,
            )
        finally:
            if errors is not None:
                os.close(errors)


def _first_line(descriptor: int) -> dict[str, object] | None:
    """What the keeper says of its start; None when it ends, or says nothing, before."""
    deadline = time.monotonic() + _START_SECONDS
    told = b""
    while not told.endswith(b"\n"):
        ready, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        piece = os.read(descriptor, 4096) if ready else b""
        if not piece:
            return None
        told += piece
    line: dict[str, object] = json.loads(told)
    return line


def _open_log(path: Path) -> int:
    """The log of keepers that commands start: their standard error is the command's, which shows one clear line."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW
    with suppress(OSError):
        if path.lstat().st_size > _LOG_OCTETS:
            path.replace(path.with_name(path.name + ".old"))
    return os.open(path, flags, 0o600)


def _close_lifeline(process: subprocess.Popen[bytes]) -> None:
    if process.stdin is not None:
        process.stdin.close()
