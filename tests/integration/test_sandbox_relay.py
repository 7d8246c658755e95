"""The judge that is relieved: its successor runs before its own tasks are served, and nothing is left of either."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from signer.sandbox import Limits
from signer.sandbox_relay import RelayedJudge
from signer.validation.errors import SandboxFailure

HOSTILE = ("-I", "-X", "utf8", str(Path(__file__).with_name("hostile_child.py")))
LIMITS = Limits(tasks=4, cpu_seconds=2, wall_seconds=20)


def _pid(judge: RelayedJudge, folder: Path) -> int:
    pid: int = judge.run("surroundings", {"file": str(folder / "x"), "port": 1})[0]["pid"]
    return pid


def _children() -> set[int]:
    """Processes of ours that run the program, by what the system says."""
    found = set()
    for folder in Path("/proc").iterdir():
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            ours = parent == os.getpid() and b"hostile_child" in (folder / "cmdline").read_bytes()
        except (OSError, IndexError, ValueError):
            continue
        if ours:
            found.add(int(folder.name))
    return found


def test_the_next_process_is_there_before_the_first_one_ends(tmp_path: Path) -> None:
    before = _children()
    with RelayedJudge(LIMITS, child=HOSTILE, ahead=2) as judge:
        first = _pid(judge, tmp_path)
        assert _children() - before == {first}
        assert _pid(judge, tmp_path) == first
        (successor,) = _children() - before - {first}
        deadline = time.monotonic() + 10
        assert [_pid(judge, tmp_path) for _ in range(2)] == [first, first]
        assert [_pid(judge, tmp_path) for _ in range(4)] == [successor] * 4
        assert _pid(judge, tmp_path) not in (first, successor)
        assert time.monotonic() < deadline
    assert _children() == before


def test_one_that_dies_early_is_replaced_and_relieved_all_the_same(tmp_path: Path) -> None:
    before = _children()
    with RelayedJudge(LIMITS, child=HOSTILE, ahead=2) as judge:
        first = _pid(judge, tmp_path)
        with pytest.raises(SandboxFailure):
            judge.run("abort", {})
        pids = [_pid(judge, tmp_path) for _ in range(9)]
    assert first not in pids
    assert len(set(pids)) == 3
    assert _children() == before


def test_a_task_that_takes_long_has_a_successor_ready_when_its_process_dies_of_it(tmp_path: Path) -> None:
    before = _children()
    with RelayedJudge(LIMITS, child=HOSTILE, ahead=2) as judge:
        first = _pid(judge, tmp_path)
        with pytest.raises(SandboxFailure):
            judge.run("spin", {})
        (ready,) = _children() - before
        assert ready != first
        assert _pid(judge, tmp_path) == ready
    assert _children() == before


def test_a_process_that_dies_at_once_is_started_anew_before_anybody_asks(tmp_path: Path) -> None:
    before = _children()
    with RelayedJudge(LIMITS, child=HOSTILE) as judge:
        first = _pid(judge, tmp_path)
        with pytest.raises(SandboxFailure):
            judge.run("abort", {})
        (ready,) = _children() - before
        assert ready != first
        assert _pid(judge, tmp_path) == ready


def test_a_process_says_with_its_first_task_whether_it_could_leave_the_network(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "antin")
    with RelayedJudge(LIMITS, child=HOSTILE) as judge:
        pid = _pid(judge, tmp_path)
        is_apart = Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
    (said,) = [each for each in caplog.records if each.getMessage() == "judge process ready"]
    assert (vars(said)["own_network"], vars(said)["memory_mb"]) == (is_apart, LIMITS.memory_bytes // 2**20)


def test_a_task_in_the_middle_can_be_broken_off(tmp_path: Path) -> None:
    judge = RelayedJudge(LIMITS, child=HOSTILE)
    judge.start()
    pid = _pid(judge, tmp_path)
    judge.abort()
    with pytest.raises(SandboxFailure):
        judge.run("abort", {})
    judge.close()
    judge.close()
    assert not Path(f"/proc/{pid}").exists()
