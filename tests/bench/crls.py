"""Revocation lists: ours, check against the database included, beside `cryptography`'s builder that is given the whole list."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile

from tests.bench.measure import Row, faster

_MEMORY_GOAL_MB = 100.0
_REPUBLISH_GOAL_SECONDS = 1.0


def run(*, full: bool = False) -> list[Row]:
    """A long list, its memory, and one revocation in a partitioned authority; the million in `--full` only."""
    count, shards = (1_000_000, 64) if full else (50_000, 8)
    title = f"{count:,} revoked".replace(",", " ")
    whole = _measure(count, 0)
    parts = _measure(count, shards)
    # The partition's list and the delta of the full one.
    assert (whole["lists"], parts["lists"]) == (1, 2)
    peer = _run("peer", str(count))["peer"]
    memory, seconds = whole["memory_mb"], parts["seconds"]
    return [
        faster(f"CRL of {title}, peer: cryptography", whole["seconds"], peer, count, goal=3.0),
        Row(
            "  memory of the process, peer: 100 MB",
            memory, _MEMORY_GOAL_MB, round(_MEMORY_GOAL_MB / memory, 2), "MB", count, 1.0,
        ),
        faster(f"one revocation, {shards} partitions, peer: 1 s", seconds, _REPUBLISH_GOAL_SECONDS, count, goal=1.0),
    ]  # fmt: skip


def _measure(count: int, shards: int) -> dict[str, float]:
    """In a process of its own: memory is that of the whole process, at its highest."""
    with tempfile.TemporaryDirectory(prefix="antin-bench-crl-") as folder:
        setup = [sys.executable, "-m", "tests.bench.crl_setup", folder, str(count), str(shards)]
        subprocess.run(setup, check=True, stdout=subprocess.DEVNULL)
        return _run(folder)


def _run(*words: str) -> dict[str, float]:
    done = subprocess.run([sys.executable, "-m", "tests.bench.crl_load", *words], check=True, capture_output=True)
    answer: dict[str, float] = json.loads(done.stdout)
    return answer
