"""The arguments of a key process: settings as a command line, and back. Paths and numbers, never a secret."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Protocol

from hsm.pin import PinDescriptor, PinSource

_DESCRIPTOR = "fd:"


class _Settings(Protocol):
    """What KeydSettings and parsed arguments have in common."""

    @property
    def module(self) -> Path: ...
    @property
    def token_label(self) -> str: ...
    @property
    def pin(self) -> PinSource: ...
    @property
    def run_folder(self) -> Path: ...
    @property
    def max_sessions(self) -> int: ...
    @property
    def wait_seconds(self) -> float: ...
    @property
    def hang_seconds(self) -> float: ...
    @property
    def keep_alive_seconds(self) -> float: ...
    @property
    def max_connections(self) -> int: ...
    @property
    def processes(self) -> int: ...


class Arguments(argparse.Namespace):
    """Parsed arguments of keeper and token process."""

    module: Path
    token_label: str
    pin: PinSource
    run_folder: Path
    max_sessions: int
    wait_seconds: float
    hang_seconds: float
    keep_alive_seconds: float
    max_connections: int
    processes: int
    ephemeral: bool
    after_deaths: int
    ready: int
    keeper: int
    lane: int
    turns: int
    listener: int
    link: int

    def of_lane(self, number: int) -> Arguments:
        """Those of one token process: its share of what the token and the clients have between them."""
        count = self.processes
        sessions = self.max_sessions // count + (number < self.max_sessions % count)
        connections = -(-self.max_connections // count)
        changed = {"lane": number, "max_sessions": sessions, "max_connections": connections}
        return Arguments(**{**vars(self), **changed})


def as_arguments(settings: _Settings) -> list[str]:
    """The command line of these settings."""
    pin = settings.pin
    values = {
        "module": settings.module.absolute(),
        "token-label": settings.token_label,
        "pin": pin if isinstance(pin, PinDescriptor) else pin.absolute(),
        "run-folder": settings.run_folder.absolute(),
        "max-sessions": settings.max_sessions,
        "wait-seconds": settings.wait_seconds,
        "hang-seconds": settings.hang_seconds,
        "keep-alive-seconds": settings.keep_alive_seconds,
        "max-connections": settings.max_connections,
        "processes": max(1, min(settings.processes, settings.max_sessions)),  # each needs a session
    }
    return [f"--{name}={value}" for name, value in values.items()]


def parse_arguments(words: list[str]) -> Arguments:
    """The settings of a command line."""
    parser = argparse.ArgumentParser(prog="python -m hsm.keyd", allow_abbrev=False)
    parser.add_argument("--module", type=Path, required=True)
    parser.add_argument("--token-label", required=True)
    parser.add_argument("--pin", type=_pin_source, required=True, help="a file, or fd:N")
    parser.add_argument("--run-folder", type=Path, required=True)
    parser.add_argument("--max-sessions", type=int, default=8)
    parser.add_argument("--wait-seconds", type=float, default=10.0)
    parser.add_argument("--hang-seconds", type=float, default=20.0)
    parser.add_argument("--keep-alive-seconds", type=float, default=10.0)
    parser.add_argument("--max-connections", type=int, default=128)
    parser.add_argument("--processes", type=int, default=1, help="token processes")
    parser.add_argument("--ephemeral", action="store_true", help="end with the last connection")
    parser.add_argument(
        "--after-deaths", type=int, default=0, help="of keepers before this one, which nobody told to end"
    )
    parser.add_argument("--ready", type=int, default=-1, help="descriptor to say on that it listens")
    parser.add_argument("--keeper", type=int, default=0, help="of a token process: its keeper's process id")
    parser.add_argument("--lane", type=int, default=0, help="of a token process: which of its keeper's it is")
    parser.add_argument("--turns", type=int, default=-1, help="of a token process: the file in which logins take turns")
    parser.add_argument("--listener", type=int, default=-1, help="of a token process: the listening socket")
    parser.add_argument("--link", type=int, default=-1, help="of a token process: the socket to its keeper")
    return parser.parse_args(words, namespace=Arguments())


def _pin_source(text: str) -> PinSource:
    if text.startswith(_DESCRIPTOR):
        return PinDescriptor(int(text.removeprefix(_DESCRIPTOR)))
    return Path(text)
