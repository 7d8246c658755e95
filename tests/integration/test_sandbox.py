"""The judge process: what passes a limit, dies or lies ends as an error with a code, and the next task is served."""

from __future__ import annotations

import ctypes
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from certs.clock import Clock
from signer.long_file import LongFile, Source
from signer.sandbox import Bounds, Judge, Limits
from signer.validation.errors import (
    SandboxCrashed,
    SandboxMemory,
    SandboxTaskFailed,
    SandboxTimeout,
    SandboxTooLarge,
)
from signer.validation.facts import ValidationInputs
from signer.validation.policy import load_policy
from signer.verification import Known, Verifier, verify_file
from tests.attacks import documents
from tests.attacks.pki import NOW
from tests.fakes.clock import FixedClock

HOSTILE = ("-I", "-X", "utf8", str(Path(__file__).with_name("hostile_child.py")))
LIMITS = Limits(cpu_seconds=1, wall_seconds=4, memory_bytes=400 * 1024 * 1024, message_bytes=50 * 1024 * 1024)


@pytest.fixture
def judge() -> Iterator[Judge]:
    with Judge(LIMITS, child=HOSTILE) as judge:
        yield judge


def test_blobs_come_back_byte_for_byte(judge: Judge) -> None:
    blobs = [b"", os.urandom(3), os.urandom(5_000_000)]
    assert judge.run("echo", {"tên": "Đà Nẵng"}, blobs) == ({"tên": "Đà Nẵng"}, blobs)


def test_an_endless_loop_ends_by_processor_time() -> None:
    # So patient that a busy machine gives it its second.
    with Judge(replace(LIMITS, wall_seconds=60), child=HOSTILE) as judge, pytest.raises(SandboxTimeout) as caught:
        judge.run("spin", {})
    assert caught.value.facts == {"limit": "cpu", "seconds": "1"}


def test_a_process_that_sleeps_ends_by_the_clock_on_the_wall(judge: Judge) -> None:
    begun = time.monotonic()
    with pytest.raises(SandboxTimeout) as caught:
        judge.run("sleep", {})
    assert caught.value.facts["limit"] == "wall"
    assert time.monotonic() - begun < LIMITS.wall_seconds + 2


def test_processor_time_is_counted_per_task(judge: Judge) -> None:
    for _ in range(3):
        assert judge.run("echo", {}, [b"x"]) == ({}, [b"x"])
    with pytest.raises(SandboxTimeout):
        judge.run("spin", {})


def test_memory_beyond_the_limit_is_refused(judge: Judge) -> None:
    with pytest.raises(SandboxMemory) as caught:
        judge.run("hog", {"bytes": 1 << 30})
    assert caught.value.facts == {"megabytes": "400"}


MEGABYTE = 1024 * 1024
NARROWER = Limits(
    memory_bytes=900 * MEGABYTE,
    wall_seconds=30,
    narrower={name: Bounds(300 * MEGABYTE, 5, 3) for name in ("hog", "sleep")},
)


def test_tasks_of_one_kind_have_less_and_the_next_of_another_all_again() -> None:
    with Judge(NARROWER, child=HOSTILE) as judge:
        small, _ = judge.run("feast", {"bytes": MEGABYTE})
        assert judge.run("hog", {"bytes": 100 * MEGABYTE})[0] == {"length": 100 * MEGABYTE}
        large, _ = judge.run("feast", {"bytes": 500 * MEGABYTE})
        assert large == {"length": 500 * MEGABYTE, "pid": small["pid"]}
        with pytest.raises(SandboxMemory) as caught:
            judge.run("hog", {"bytes": 500 * MEGABYTE})
        assert caught.value.facts == {"megabytes": "300"}
        # The blobs of a task count too.
        with pytest.raises(SandboxMemory):
            judge.run("hog", {"bytes": 1}, [bytes(290 * MEGABYTE)])
        begun = time.monotonic()
        with pytest.raises(SandboxTimeout) as late:
            judge.run("sleep", {})
        assert (late.value.facts["seconds"], time.monotonic() - begun < 6) == ("3", True)


def test_memory_that_earlier_tasks_have_kept_is_not_counted_against_a_file() -> None:
    with Judge(NARROWER, child=HOSTILE) as judge:
        kept, _ = judge.run("keep", {"bytes": 280 * MEGABYTE})
        assert judge.run("hog", {"bytes": 100 * MEGABYTE})[0] == {"length": 100 * MEGABYTE}
        assert judge.run("feast", {"bytes": 1})[0]["pid"] != kept["pid"]


def test_a_judge_says_which_walls_stand_before_the_first_task_and_they_do(tmp_path: Path) -> None:
    (tmp_path / "other").write_bytes(b"secret")
    with Judge(LIMITS, child=HOSTILE) as judge:
        walls = judge.walls()
        ask = {"file": str(tmp_path / "x"), "other": str(tmp_path / "other"), "port": 1}
        facts, _ = judge.run("surroundings", ask)
        own = Path(f"/proc/{facts['pid']}/ns/net").readlink() != Path("/proc/self/ns/net").readlink()
        limits = Path(f"/proc/{facts['pid']}/limits").read_text()
    assert (walls.memory_bytes, walls.is_limited, walls.no_new_privileges) == (LIMITS.memory_bytes, True, True)
    assert str(LIMITS.memory_bytes) in next(
        line for line in limits.splitlines() if line.startswith("Max address space")
    )
    assert walls.own_network is own
    assert facts["wrote"] is False
    has_landlock = ctypes.CDLL(None).syscall(444, None, ctypes.c_size_t(0), ctypes.c_uint(1)) > 0
    assert (walls.landlock > 0) is has_landlock
    if has_landlock:
        assert (facts["made"], facts["read"], facts["listed"], facts["removed"]) == (False, False, False, False)


def test_a_process_that_does_not_start_has_no_walls() -> None:
    with Judge(LIMITS, child=("-I", "/nonexistent/child.py")) as judge, pytest.raises(SandboxCrashed):
        judge.walls()


def test_a_process_that_aborts_is_named_by_its_signal(judge: Judge) -> None:
    with pytest.raises(SandboxCrashed) as caught:
        judge.run("abort", {})
    assert caught.value.facts == {"reason": "SIGABRT"}


def test_an_answer_that_is_no_frame_is_refused(judge: Judge) -> None:
    with pytest.raises(SandboxCrashed) as caught:
        judge.run("nonsense", {})
    assert caught.value.facts == {"reason": "protocol"}


def test_an_error_brings_its_code_and_facts_but_not_its_text(judge: Judge) -> None:
    with pytest.raises(SandboxTaskFailed) as caught:
        judge.run("refuse", {})
    assert (caught.value.kind, caught.value.error_code, caught.value.error_facts) == (
        "Refusal",
        "TEST_REFUSED",
        {"field": "Sig1"},
    )
    assert "quotes" not in str(caught.value)


def test_a_task_outside_the_table_cannot_be_asked_for(judge: Judge) -> None:
    with pytest.raises(SandboxTaskFailed) as caught:
        judge.run("os:system", {})
    assert caught.value.kind == "KeyError"


def test_messages_are_bounded_both_ways(judge: Judge) -> None:
    with pytest.raises(SandboxTooLarge):
        judge.run("echo", {}, [bytes(LIMITS.message_bytes + 1)])
    with pytest.raises(SandboxTaskFailed) as caught:
        judge.run("flood", {"bytes": LIMITS.message_bytes + 1})
    assert caught.value.kind == "FrameSizeError"


@pytest.mark.parametrize("task", ["spin", "abort", "nonsense", "refuse"])
def test_after_a_breach_the_next_task_is_served(judge: Judge, task: str) -> None:
    with pytest.raises((SandboxTimeout, SandboxCrashed, SandboxTaskFailed)):
        judge.run(task, {})
    assert judge.run("echo", {"n": 1}) == ({"n": 1}, [])


def test_a_process_is_replaced_after_its_share_of_tasks(tmp_path: Path) -> None:
    with Judge(Limits(tasks=2), child=HOSTILE) as judge:
        ask = {"file": str(tmp_path / "x"), "port": 1}
        pids = [judge.run("surroundings", ask)[0]["pid"] for _ in range(4)]
    assert pids[0] == pids[1] != pids[2] == pids[3]


def test_the_process_has_no_environment_no_files_to_write_and_no_core(judge: Judge, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        facts, _ = judge.run("surroundings", {"file": str(tmp_path / "x"), "port": server.getsockname()[1]})
    assert set(facts["environment"]) <= {"LC_CTYPE"}
    assert facts["wrote"] is False
    assert facts["core"] == 0
    assert facts["no_new_privileges"] is True
    assert len(facts["descriptors"]) <= 6  # three to nowhere, two pipes, the folder being listed
    if os.geteuid() == 0 and Path("/proc/self/ns/net").exists():
        assert facts["connected"] is False


def long_file(path: Path, tail: bytes = b"") -> LongFile:
    return LongFile(Source(os.open(path, os.O_RDONLY), path.stat().st_size), tail)


def test_a_long_file_goes_over_as_a_descriptor_that_cannot_be_written_to(judge: Judge, tmp_path: Path) -> None:
    path = tmp_path / "long"
    # Longer than any message may be, and than the memory of the process.
    size = LIMITS.memory_bytes + 1
    with path.open("wb") as file:
        file.write(b"begin")
        file.truncate(size)
    seen = []
    for _ in range(80):
        answer, parts = judge.run("peek", {"octets": 5}, [long_file(path, b"-tail"), b"another"])
        assert (answer["size"], answer["wrote"], parts) == (size + 5, [False, False], [b"begin", b"-tail"])
        seen.append(answer["descriptors"])
    # More than the process may have open, had it kept them.
    assert max(seen) == min(seen)
    assert judge.run("echo", {}, [b"x"]) == ({}, [b"x"])


def test_a_process_that_died_over_a_long_file_is_replaced(judge: Judge, tmp_path: Path) -> None:
    (tmp_path / "long").write_bytes(bytes(100))
    with pytest.raises(SandboxCrashed):
        judge.run("abort", {}, [long_file(tmp_path / "long")])
    assert judge.run("peek", {"octets": 1}, [long_file(tmp_path / "long")])[1] == [b"\0", b"\0"]


def test_threads_take_turns(judge: Judge) -> None:
    answers: dict[int, int] = {}

    def ask(number: int) -> None:
        answers[number] = judge.run("echo", {"n": number})[0]["n"]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == {number: number for number in range(6)}


def test_nothing_is_left_running_after_close(tmp_path: Path) -> None:
    with Judge(LIMITS, child=HOSTILE) as judge:
        pid = judge.run("surroundings", {"file": str(tmp_path / "x"), "port": 1})[0]["pid"]
    assert not Path(f"/proc/{pid}").exists()


def test_a_program_that_is_not_there_is_a_crash_and_no_hang() -> None:
    with Judge(LIMITS, child=("-I", "/nonexistent/child.py")) as judge, pytest.raises(SandboxCrashed) as caught:
        judge.run("echo", {})
    assert caught.value.facts == {"reason": "start"}


# Hostile files, through the real tasks.


def _verifier(judge: Judge, clock: Clock) -> Verifier:
    return Verifier(judge, ValidationInputs(at=NOW), lambda _certificates, _revisions: Known(), clock, load_policy())


def _pdf(objects: dict[int, bytes], root: int = 1) -> bytes:
    out, places = b"%PDF-1.7\n", {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%d 1\n%010d 00000 n \n" % (n, place) for n, place in sorted(places.items()))
    start = len(out)
    return (
        out
        + b"xref\n0 1\n0000000000 65535 f \n"
        + table
        + b"trailer\n<< /Size 99 /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (root, start)
    )


def _xref_stream(dictionary: bytes, data: bytes) -> bytes:
    head = b"%PDF-1.7\n1 0 obj\n<< /Type /Catalog >>\nendobj\n"
    body = (
        b"2 0 obj\n<< /Type /XRef /Root 1 0 R /Length %d %s >>\nstream\n" % (len(data), dictionary)
        + data
        + b"\nendstream\nendobj\n"
    )
    return head + body + b"startxref\n%d\n%%%%EOF\n" % len(head)


def _bomb() -> bytes:
    data = zlib.compress(bytes(1_000_000_000 // 2), 9)
    return _xref_stream(b"/W [1 8 1] /Size 50000000 /Filter /FlateDecode", data)


HOSTILE_FILES = {
    "a cross-reference stream of two thousand million entries": lambda: _xref_stream(
        b"/W [0 0 0] /Size 2147483647 /Index [0 2147483647]", b""
    ),
    "a deflate bomb": _bomb,
    "a table that comes before itself": lambda: (
        b"%PDF-1.7\nxref\n0 0\ntrailer\n<< /Size 1 /Prev 9 >>\nstartxref\n9\n%%EOF\n"
    ),
    "a page tree that is its own child": lambda: _pdf(
        {1: b"<< /Type /Catalog /Pages 2 0 R >>", 2: b"<< /Type /Pages /Kids [2 0 R] /Count 1 >>"}
    ),
    "a form that is its own child": lambda: _pdf(
        {1: b"<< /Type /Catalog /AcroForm << /Fields [3 0 R] >> >>", 3: b"<< /T (a) /FT /Sig /Kids [3 0 R] >>"}
    ),
    "an object that is its own value": lambda: _pdf({1: b"1 0 R"}),
    "arrays nested a hundred thousand deep": lambda: _pdf(
        {1: b"<< /Type /Catalog /AcroForm " + b"[" * 100_000 + b" >>"}
    ),
    "a million objects": lambda: _pdf({1: b"<< /Type /Catalog >>"}) + b"2 0 obj\nnull\nendobj\n" * 1_000_000,
    "a million byte ranges": lambda: _pdf({1: b"<< /Type /Catalog >>"}) + b"/ByteRange [0 10 20 30]\n" * 1_000_000,
    "ten megabytes of digits": lambda: (
        b"%PDF-1.7\n" + b"1" * 10_000_000 + b"\nstartxref\n" + b"9" * 4000 + b"\n%%EOF\n"
    ),
    "ten megabytes of obj": lambda: documents.page_pdf() + b"obj" * 3_000_000,
}


@pytest.mark.parametrize("name", HOSTILE_FILES)
def test_a_hostile_file_ends_within_the_limits(name: str) -> None:
    limits = Limits(cpu_seconds=5, wall_seconds=10, memory_bytes=512 * 1024 * 1024)
    with Judge(limits, preload=("gather",)) as judge:
        verifier = _verifier(judge, FixedClock(NOW))
        begun = time.monotonic()
        verdict = verify_file(HOSTILE_FILES[name](), "hostile.pdf", verifier)
        # The wall, and on a busy machine as much again to start and to end the process.
        assert time.monotonic() - begun < 2 * limits.wall_seconds
        assert verdict.conclusion in ("unreadable", "unsigned", "indeterminate")
        assert verify_file(documents.page_pdf(), "next.pdf", verifier).conclusion == "unsigned"
