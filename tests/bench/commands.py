"""What a person waits for: `antin --help`, and `antin verify` beside the bare import of the library it stands on."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
from pathlib import Path

from tests.bench.measure import Row, faster, interleaved, processor_seconds

_ANTIN = str(Path(sys.executable).with_name("antin"))
_HELP_GOAL_SECONDS = 0.3


def run(home: Path, folder: Path) -> list[Row]:
    """Make a demo home and time the commands in it."""
    environment = {**os.environ, "ANTIN_HOME": str(home)}
    for command in (["init", "--demo"], ["demo"]):
        subprocess.run([_ANTIN, *command], env=environment, check=True, stdout=subprocess.DEVNULL)
    return [_help(environment), _verify(home, environment)]


def _help(environment: dict[str, str]) -> Row:
    """Processor seconds; the peer is the goal itself."""
    rounds = 9
    ours = statistics.median(processor_seconds([_ANTIN, "--help"], environment) for _ in range(rounds))
    return faster("antin --help, processor time, peer: 0.3 s", ours, _HELP_GOAL_SECONDS, rounds, goal=1.0)


def _verify(home: Path, environment: dict[str, str]) -> Row:
    """A small file with one signature. The goal: at most 2.5 times the import, so a ratio of 0.4 or more."""
    file = str(home / "demo" / "steps" / "cong-van-officer.pdf")

    def call(command: list[str]) -> None:
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)

    rounds = 9
    ours, peer = interleaved(
        [
            lambda: call([_ANTIN, "verify", file]),
            lambda: call([sys.executable, "-c", "import pyhanko.sign.validation"]),
        ],
        rounds,
    )
    return faster("antin verify, peer: import pyhanko.sign.validation", ours, peer, rounds, goal=0.4)
