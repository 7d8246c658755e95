"""Times calls side by side: one of each in turn, so that a busy moment of the machine meets all of them; medians."""

from __future__ import annotations

import statistics
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from os import wait4


@dataclass(frozen=True)
class Row:
    """One comparison. `ratio` is how many times better ours is; `goal` the least it should be, None where there is none."""

    name: str
    ours: float
    peer: float
    ratio: float
    unit: str
    n: int
    goal: float | None = None

    def as_json(self) -> dict[str, object]:
        return {key: value for key, value in asdict(self).items() if key != "goal"}


def interleaved(calls: Sequence[Callable[[], object]], rounds: int, warm_up: int = 2) -> list[float]:
    """Median seconds of each call."""
    taken: list[list[float]] = [[] for _ in calls]
    for number in range(rounds + warm_up):
        for call, times in zip(calls, taken, strict=True):
            start = time.perf_counter()
            call()
            if number >= warm_up:
                times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in taken]


def processor_seconds(command: Sequence[str], environment: dict[str, str]) -> float:
    """Processor time of a command and of every process it waited for, in seconds. Its exit code is not judged here."""
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, _, usage = wait4(process.pid, 0)
    process.returncode = 0
    return usage.ru_utime + usage.ru_stime


def faster(name: str, ours: float, peer: float, n: int, goal: float | None = None) -> Row:
    """Seconds into milliseconds; the ratio is peer / ours."""
    return Row(name, round(ours * 1000, 3), round(peer * 1000, 3), round(peer / ours, 2), "ms", n, goal)
