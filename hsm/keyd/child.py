"""TokenChild: the token process as its keeper sees it: spawned, listened to, told to end, killed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hsm.channel import INLINE_LIMIT, send_listener
from hsm.keyd.arguments import Arguments, as_arguments
from hsm.keyd.pin_refusal import Identity
from hsm.keyd.state import Sessions
from hsm.pin import PinDescriptor

END = b'{"end": true}'
CHECK = b'{"check": true}'
LISTENER = b'{"listener": true}'


@dataclass(frozen=True)
class Failure:
    """Why a token process said that it ends: an error's code, the CK_RV, and words."""

    code: str
    rv: str | None
    facts: dict[str, str]
    pin: Identity | None = None  # the PIN source that it had read last

    @property
    def reason(self) -> str:
        return self.rv or self.code


class TokenChild:
    """One token process. `gone` becomes readable when it has ended, `link` when it says something."""

    def __init__(self, arguments: Arguments, listener: socket.socket, inherited: Sequence[int], now: float) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        descriptors = [listener.fileno(), theirs.fileno(), *inherited]
        if isinstance(arguments.pin, PinDescriptor):
            descriptors.append(arguments.pin.number)
        command = [sys.executable, "-P", "-m", "hsm.keyd.token_process", *as_arguments(arguments)]
        command += ["--keeper", str(os.getpid()), "--listener", str(listener.fileno()), "--link", str(theirs.fileno())]
        command += ["--lane", str(arguments.lane), "--turns", str(arguments.turns)]
        if arguments.ephemeral:
            command.append("--ephemeral")
        try:
            # The lock goes with it: when the keeper is killed, nobody opens the token before this one has gone too.
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=descriptors
            )
        except OSError:
            ours.close()
            raise
        finally:
            theirs.close()
        ours.setblocking(False)
        self.link = ours
        self.gone = os.pidfd_open(self._process.pid)
        self.started = self.last_heard = now
        self.ready = False
        self.oldest_call = 0.0
        self.sessions = Sessions()
        self.connections = 0
        self.idle = False
        self.is_silent = False  # it has closed its end of the link
        self.failure: Failure | None = None
        self.kill_reason = ""

    @property
    def pid(self) -> int:
        return self._process.pid

    def hear(self) -> list[dict[str, Any]]:
        """Everything it has said since. What says how it is doing is noted here; the rest is for the keeper."""
        told: list[dict[str, Any]] = []
        while True:
            try:
                message = self.link.recv(INLINE_LIMIT)
            except BlockingIOError:
                return told
            except ConnectionResetError:
                message = b""
            if not message:
                self.is_silent = True
                return told
            line = json.loads(message)
            self._note(line)
            told.append(line)

    def tell_end(self) -> None:
        """Ask it to finish what it is doing, and to go."""
        with contextlib.suppress(OSError):
            self.link.send(END)

    def tell_check(self) -> None:
        """Ask it to see whether the token is still there, and to go if not."""
        with contextlib.suppress(OSError):
            self.link.send(CHECK)

    def hand_over(self, listener: socket.socket) -> None:
        """Give it a new listening socket in place of the one it has."""
        with contextlib.suppress(OSError):
            send_listener(self.link, LISTENER, listener)

    def kill(self, reason: str) -> None:
        """End it now."""
        if not self.kill_reason:
            self.kill_reason = reason
            with contextlib.suppress(OSError):
                signal.pidfd_send_signal(self.gone, signal.SIGKILL)

    def reap(self) -> str:
        """After `gone`: why it ended."""
        code = self._process.wait()
        self.link.close()
        os.close(self.gone)
        if self.kill_reason:
            return self.kill_reason
        if self.failure is not None:
            return self.failure.reason
        return signal.Signals(-code).name if code < 0 else f"exit {code}"

    def _note(self, line: dict[str, Any]) -> None:
        beat = line.get("beat")
        if beat is not None:
            self.oldest_call = beat["oldest"]
            self.sessions = Sessions(beat["sessions"], beat["limit"])
        if "connections" in line:
            self.connections = line["connections"]
        if "failed" in line:
            failed = line["failed"]
            pin = failed["pin"]
            self.failure = Failure(failed["code"], failed["rv"], failed["facts"], None if pin is None else tuple(pin))
        self.idle = self.idle or bool(line.get("idle"))
        self.ready = self.ready or bool(line.get("ready"))
