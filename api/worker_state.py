"""What the worker says of itself: a small file in `run/` that it writes anew, and that /readyz and /metrics read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

FILE = "worker.json"
# A worker that has said nothing for so long is away, or hangs.
_FRESH = timedelta(seconds=20)


@dataclass(frozen=True)
class JobState:
    """How one job is doing. `code` is why it failed last, empty when it did not; `done_at` when it last did something."""

    state: str
    code: str = ""
    runs: int = 0
    failures: int = 0
    done_at: str | None = None


@dataclass(frozen=True)
class WorkerState:
    """The worker at a moment."""

    pid: int
    at: str
    jobs: Mapping[str, JobState]

    @property
    def is_well(self) -> bool:
        return all(job.state == "ok" for job in self.jobs.values())


def write_worker_state(folder: Path, state: WorkerState) -> None:
    """Put it where the others look, whole."""
    partial = folder / f".{FILE}.{state.pid}"
    partial.write_text(json.dumps(asdict(state)), encoding="utf-8")
    partial.replace(folder / FILE)


def read_worker_state(folder: Path, now: datetime) -> WorkerState | None:
    """What the worker last said; None when there is none, or it has been silent for too long."""
    try:
        told = json.loads((folder / FILE).read_text("utf-8"))
        state = WorkerState(
            int(told["pid"]), str(told["at"]), {name: JobState(**job) for name, job in told["jobs"].items()}
        )
        at = datetime.fromisoformat(state.at).astimezone(UTC)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return state if abs(now - at) < _FRESH else None
