"""The fault-injecting module itself, in a process of its own, with nothing above it that would mend anything."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.chaos.build import build_faulty_module, require_gcc
from tests.chaos.faults import Faults
from tests.softhsm import SoftHSMToken, new_token

ROOT = Path(__file__).parents[2]


class Child:
    """The child of faulty_child.py: tell it what to do, read what came of it."""

    def __init__(self, token: SoftHSMToken, faults: Faults) -> None:
        command = [sys.executable, "-P", "-m", "tests.chaos.faulty_child"]
        self.process = subprocess.Popen(
            [*command, str(build_faulty_module()), token.label, str(token.pin_file)],
            env={**os.environ, "PYTHONPATH": str(ROOT), **faults.environment(token.module_path)},
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def start(self, command: str) -> None:
        assert self.process.stdin is not None
        print(command, file=self.process.stdin, flush=True)

    def do(self, command: str) -> list[str]:
        assert self.process.stdout is not None
        self.start(command)
        return self.process.stdout.readline().split()

    def end(self) -> tuple[int, str]:
        """Exit code, and what it wrote to its standard error."""
        _, said = self.process.communicate(timeout=20)
        return self.process.returncode, said


@pytest.fixture(scope="module")
def token() -> SoftHSMToken:
    require_gcc()
    return new_token()


@pytest.fixture
def faults(tmp_path: Path) -> Faults:
    return Faults(tmp_path)


@pytest.fixture
def new_child(token: SoftHSMToken, faults: Faults) -> Iterator[Callable[[], Child]]:
    children: list[Child] = []

    def start() -> Child:
        children.append(Child(token, faults))
        return children[-1]

    yield start
    for child in children:
        child.process.kill()
        child.process.communicate()


@pytest.fixture
def child(new_child: Callable[[], Child]) -> Child:
    """Logged in, with a key of its session."""
    child = new_child()
    assert child.do("login") == ["ok"]
    return child


def test_without_rules_every_call_passes_and_is_counted(child, faults):
    before = faults.counts()
    assert child.do("sign 5") == ["ok"] * 5
    done = faults.counts().since(before)
    assert (done.calls["C_SignInit"], done.calls["C_Sign"], done.calls["C_Sign.length"]) == (5, 5, 5)
    assert done.signatures == 5
    assert not any(done.faults.values())


@pytest.mark.parametrize(
    ("when", "wanted"),
    [
        ("nth 3", "..x......"),
        ("every 4", "...x...x."),
        ("from 7", "......xxx"),
        ("between 2 4", ".xxx....."),
        ("always", "xxxxxxxxx"),
        ("probability 0 seed 1", "........."),
        ("probability 1 seed 1", "xxxxxxxxx"),
    ],
)
def test_a_rule_bites_when_it_says_so(child, faults, when, wanted):
    faults.set(f"C_GenerateRandom {when} return CKR_DEVICE_ERROR")
    assert child.do("random 9") == [{"x": "CKR_DEVICE_ERROR", ".": "ok"}[mark] for mark in wanted]


def test_a_rule_may_bite_only_so_many_times(child, faults):
    faults.set("C_GenerateRandom from 2 return 0x30 times 2  # words for people")
    assert child.do("random 5") == ["ok", "CKR_DEVICE_ERROR", "CKR_DEVICE_ERROR", "ok", "ok"]


def test_a_probability_bites_the_same_calls_each_time(child, faults):
    rule = "C_GenerateRandom probability 0.3 seed 7 return CKR_DEVICE_ERROR"
    faults.set(rule)
    first = child.do("random 200")
    faults.set(rule)
    assert child.do("random 200") == first
    assert 30 < first.count("CKR_DEVICE_ERROR") < 90
    faults.set(rule.replace("7", "8"))
    assert child.do("random 200") != first


def test_a_rule_for_a_time_ends_by_itself(child, faults):
    faults.set("C_GenerateRandom for 0.3 return CKR_GENERAL_ERROR")
    assert child.do("random") == ["CKR_GENERAL_ERROR"]
    time.sleep(0.4)
    assert child.do("random") == ["ok"]


def test_faults_change_while_the_process_runs(child, faults):
    faults.set("C_GenerateRandom always return CKR_HOST_MEMORY")
    assert child.do("random") == ["CKR_HOST_MEMORY"]
    faults.clear()
    assert child.do("random") == ["ok"]


def test_calls_are_counted_over_all_processes(new_child, child, faults):
    """A fault that is meant once must not strike every process that replaces the one that died of it."""
    faults.set("C_GenerateRandom nth 2 crash")
    assert child.do("random") == ["ok"]
    child.do("random")
    code, _ = child.end()
    assert code == -signal.SIGABRT
    successor = new_child()
    assert successor.do("login") == ["ok"]
    assert successor.do("random 4") == ["ok"] * 4
    assert faults.counts().faults["C_GenerateRandom"] == 1


def test_a_process_killed_while_others_count_stops_nobody(new_child, child, faults):
    other = new_child()
    assert other.do("login") == ["ok"]
    for _ in range(5):
        victim = new_child()
        assert victim.do("login") == ["ok"]
        victim.start("threads 4 100000")
        assert other.do("random 200") == ["ok"] * 200
        victim.process.kill()
        victim.process.wait()
        assert other.do("random 200") == ["ok"] * 200
    assert child.do("random") == ["ok"]


def test_threads_meet_every_fault_once(child, faults):
    faults.set("C_GenerateRandom every 10 return CKR_DEVICE_ERROR")
    answers = child.do("threads 8 250")
    assert (answers.count("CKR_DEVICE_ERROR"), answers.count("ok")) == (200, 1800)


def test_a_refused_signature_was_not_made_and_ends_the_operation(child, faults):
    before = faults.counts()
    faults.set("C_Sign nth 1 return CKR_DEVICE_ERROR", "C_Sign.length nth 3 return CKR_FUNCTION_CANCELED")
    assert child.do("sign 4") == ["CKR_DEVICE_ERROR", "ok", "CKR_FUNCTION_CANCELED", "ok"]
    assert faults.counts().since(before).signatures == 2


def test_a_lost_signature_was_made(child, faults):
    before = faults.counts()
    faults.set("C_Sign nth 1 lose CKR_DEVICE_ERROR")
    assert child.do("sign 2") == ["CKR_DEVICE_ERROR", "ok"]
    assert faults.counts().since(before).signatures == 2


def test_a_corrupted_signature_does_not_verify(child, faults):
    faults.set("C_Sign nth 2 corrupt")
    assert child.do("sign 3") == ["ok", "wrong", "ok"]


def test_a_delay_delays_and_the_next_rule_is_looked_at(child, faults):
    faults.set("C_GenerateRandom always delay 120", "C_GenerateRandom nth 2 return CKR_DEVICE_ERROR")
    begun = time.monotonic()
    assert child.do("random 2") == ["ok", "CKR_DEVICE_ERROR"]
    assert 0.24 <= time.monotonic() - begun < 2


def test_a_call_that_hangs_does_not_come_back_and_stops_no_other(child, new_child, faults):
    faults.set("C_GenerateRandom nth 1 hang")
    child.start("random")
    time.sleep(0.3)
    other = new_child()
    assert other.do("login") == ["ok"]
    assert other.do("random") == ["ok"]
    assert child.process.poll() is None
    child.process.kill()
    assert child.end() == (-signal.SIGKILL, "")


def test_dropped_sessions_are_gone_for_real(child, faults):
    assert child.do("open") == ["ok"]
    faults.set("C_SignInit nth 1 drop-sessions")
    assert child.do("sign") == ["CKR_SESSION_HANDLE_INVALID"]
    assert child.do("random") == ["CKR_SESSION_HANDLE_INVALID"]


def test_a_forgotten_login_is_gone_for_real(child, faults):
    faults.set("C_SignInit nth 1 forget-login")
    assert child.do("sign") == ["CKR_OBJECT_HANDLE_INVALID"]
    assert child.do("random") == ["ok"]


def test_sessions_are_limited_as_on_a_small_token(child, faults):
    faults.set("C_OpenSession always limit 3")
    assert child.do("open 4") == ["ok", "ok", "CKR_SESSION_COUNT", "CKR_SESSION_COUNT"]
    assert child.do("close") == ["ok"]


def test_wrong_pins_are_counted_and_lock_the_token(new_child, faults):
    faults.set("C_Login always lock-pin 2")
    child = new_child()
    assert [child.do("login wrong")[0] for _ in range(3)] == ["CKR_PIN_INCORRECT"] * 2 + ["CKR_PIN_LOCKED"]
    assert child.do("login") == ["CKR_PIN_LOCKED"]
    counts = faults.counts()
    assert (counts.wrong_pins, counts.calls["C_Login"]) == (2, 4)


@pytest.mark.parametrize(
    "rule",
    [
        "C_Singe always hang",
        "C_Sign sometimes hang",
        "C_Sign always explode",
        "C_Sign always return CKR_NO_SUCH_VALUE",
        "C_Sign always return",
        "C_Sign nth x hang",
        "C_Sign every 0 hang",
        "C_Sign probability 0.5 hang",
        "C_SignInit always corrupt",
        "C_Sign always lock-pin 1",
        "C_Sign always limit 1",
        "C_Sign always vouch",
        "C_OpenSession always drop-sessions",
        "C_Sign always hang at once",
    ],
)
def test_a_script_that_makes_no_sense_ends_the_process(new_child, faults, rule):
    """A test must not pass because its fault never happened."""
    faults.set(rule)
    code, said = new_child().end()
    assert code == -signal.SIGABRT
    assert rule in said
