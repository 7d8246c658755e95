"""The service as processes: it starts once, survives the death of a worker, and ends whole and in time."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from alembic import command

from api.migrations.runner import build_config
from api.wiring import open_installation
from tests.installation import User
from tests.integration.http_service import command_of, descendants, is_alive, running, web_processes


def eventually(claim: Callable[[], bool], seconds: float = 15.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if claim():
            return True
        time.sleep(0.05)
    return claim()


def connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    return socket.create_connection((parts.hostname, parts.port), timeout=10)


def test_sigterm_ends_every_process_within_five_seconds_whatever_is_going_on(user: User, pdf: bytes) -> None:
    with running(user, "--workers", "2") as service, contextlib.ExitStack() as lines:
        assert service.verify(pdf)["conclusion"] == "unsigned"
        below = descendants(service.process.pid)
        assert len(web_processes(service.process.pid)) == 2
        assert any(b"signer.sandbox_child" in command_of(pid) for pid in below)
        # One client sends its file byte by byte, one says nothing, one keeps its connection.
        slow, _silent, kept = (lines.enter_context(connected(service.url)) for _ in range(3))
        slow.sendall(
            b"POST /api/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: 5000\r\n\r\n--b\r\n"
        )
        kept.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert kept.recv(20).startswith(b"HTTP/1.1 200")
        assert service.stop() < 5.0
        assert service.process.returncode == 0
        assert [pid for pid in below if is_alive(pid)] == []
        with pytest.raises(httpx.ConnectError):
            service.http.get("/healthz")
        lines.close()
        assert [path.name for path in (user.home / "run").iterdir() if path.suffix not in (".lock", ".log")] == []
    # Nothing is left that keeps the next one from starting.
    with running(user, "--workers", "1") as again:
        assert again.http.get("/readyz").status_code == 200


def test_sigterm_does_not_wait_for_a_file_that_is_being_judged(user: User) -> None:
    """A judge process that hangs: stopped from outside in the middle of a file."""
    with running(user, "--workers", "1") as service, contextlib.ExitStack() as lines:
        service.verify(b"%PDF-1.4 nothing")
        judges = [pid for pid in descendants(service.process.pid) if b"signer.sandbox_child" in command_of(pid)]
        for pid in judges:
            os.kill(pid, signal.SIGSTOP)
        line = lines.enter_context(connected(service.url))
        body = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.pdf"\r\n\r\n%PDF-1.4\r\n--b--\r\n'
        line.sendall(
            b"POST /api/v1/verify HTTP/1.1\r\nHost: x\r\nContent-Type: multipart/form-data; boundary=b\r\nContent-Length: %d\r\n\r\n"
            % len(body)
            + body
        )
        time.sleep(0.5)
        assert service.stop() < 5.0
        assert [pid for pid in judges if is_alive(pid)] == []


def test_a_second_service_on_the_same_home_is_refused_and_the_first_goes_on(user: User) -> None:
    with running(user, "--workers", "1") as service:
        assert "runs on this home already" in user.refused(5, "serve", "--port", "0")
        assert service.http.get("/healthz").status_code == 200


def test_the_log_says_at_the_start_which_walls_stand_around_the_files_of_strangers(user: User) -> None:
    with running(user, "--workers", "1", ANTIN_VALIDATION__MEMORY_MB="400") as service:
        assert eventually(lambda: any(line["event"] == "serving" for line in service.log_lines()))
        events = [line for line in service.log_lines() if line["event"].startswith("judge process walls")]
        (web,) = web_processes(service.process.pid)
        judges = [pid for pid in descendants(web) if b"signer.sandbox_child" in command_of(pid)]
        apart = {Path(f"/proc/{pid}/ns/net").readlink() != Path("/proc/self/ns/net").readlink() for pid in judges}
    (said,) = events
    assert (said["memory_mb"], said["judging_mb"], said["judging_seconds"]) == (1536, 400, 9.0)
    assert (said["rlimits"], said["no_new_privileges"]) == (True, True)
    assert {said["own_network"]} == apart
    assert said["level"] == ("info" if said["own_network"] else "warning")
    found = {each["code"]: each for each in user.json("doctor") if each["check"] == "judge"}
    assert found["DOCTOR_JUDGE_BOUNDED"]["facts"]["memory"] == "512"
    assert ("DOCTOR_JUDGE_OFFLINE" in found) is said["own_network"]
    assert ("DOCTOR_JUDGE_NO_FILES" in found) is (said["landlock"] > 0)


def test_a_port_that_is_taken_or_not_ours_is_one_line(user: User) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert port in user.refused(5, "serve", "--port", port)
    assert "203.0.113.1" in user.refused(5, "serve", "--host", "203.0.113.1", "--port", "0")
    user.refused(2, "serve", "--host", "no such host", "--port", "0")
    for words in (("--port", "70000"), ("--port", "x"), ("--workers", "0")):
        user.refused(2, "serve", *words)


def test_without_a_home_there_is_nothing_to_serve(tmp_path) -> None:
    stranger = User(tmp_path / "home", tmp_path)
    assert "antin init" in stranger.refused(2, "serve", "--port", "0")
    assert not stranger.home.exists()


def test_a_web_process_that_dies_is_replaced_and_counts_stay(user: User) -> None:
    with running(user, "--workers", "2") as service:
        first = set(web_processes(service.process.pid))
        victim = min(first)
        os.kill(victim, signal.SIGKILL)
        assert eventually(lambda: len(set(web_processes(service.process.pid)) - {victim}) == 2)
        assert eventually(lambda: all(is_ready(service.http) for _ in range(4)))
        assert any(line["event"] == "worker died" and line["exit"] == -signal.SIGKILL for line in service.log_lines())
        # Its judge processes did not outlive it for long.
        assert eventually(lambda: all(is_alive(pid) for pid in descendants(service.process.pid)))


def test_connections_are_shared_out_and_one_that_hangs_keeps_nobody_waiting(user: User) -> None:
    with running(user, "--workers", "2") as service, contextlib.ExitStack() as lines:
        workers = web_processes(service.process.pid)
        before = [open_sockets(pid) for pid in workers]

        def answered() -> bool:
            line = lines.enter_context(connected(service.url))
            line.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return line.recv(20).startswith(b"HTTP/1.1 200")

        assert all(answered() for _ in range(12))
        # Each has half of them, give or take one that is still closing.
        gained = [open_sockets(pid) - had for pid, had in zip(workers, before, strict=True)]
        assert sum(gained) >= 12
        assert min(gained) >= 5, gained
        os.kill(workers[0], signal.SIGSTOP)
        try:
            assert all(answered() for _ in range(6)), "all went to the one that is well"
        finally:
            os.kill(workers[0], signal.SIGCONT)


def open_sockets(pid: int) -> int:
    return sum(str(each.readlink()).startswith("socket:") for each in Path("/proc", str(pid), "fd").iterdir())


def is_ready(http: httpx.Client) -> bool:
    try:
        return http.get("/healthz", headers={"Connection": "close"}).status_code == 200
    except httpx.TransportError:
        return False


@pytest.mark.walk
def test_without_the_supervisor_the_web_processes_end_too(user: User) -> None:
    with running(user, "--workers", "2") as service:
        below = descendants(service.process.pid)
        service.process.kill()
        service.process.wait()
        assert eventually(lambda: not any(is_alive(pid) for pid in below), 10)
    with running(user, "--workers", "1") as again:
        assert again.http.get("/healthz").status_code == 200


@pytest.mark.walk
def test_a_moved_database_schema_is_brought_up_before_serving(user: User) -> None:
    """A home of an older release: serving migrates it."""
    with open_installation(user.surroundings()) as installation, installation.database.engine.begin() as connection:
        config = build_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0003")
    user.run("token", "list")
    user.antin("init")
    with running(user, "--workers", "1") as service:
        assert service.http.get("/readyz").status_code == 200
