"""A service as an operator runs it: `antin serve` as a process on a port of its own, called over HTTP."""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.installation import ANTIN, FoundedHome, User

STARTS_WITHIN = 60.0


@dataclass
class Service:
    """One running service. `http` sends no token; `with_token` does."""

    user: User
    process: subprocess.Popen[str]
    url: str
    log: Path
    token: str
    http: httpx.Client

    def send(self, method: str, path: str, *, token: str | None = "", **more: Any) -> httpx.Response:
        """One request, with the service's token unless another or None is given."""
        headers = dict(more.pop("headers", {}))
        presented = self.token if token == "" else token
        if presented is not None:
            headers["Authorization"] = f"Bearer {presented}"
        return self.http.request(method, path, headers=headers, **more)

    def sign(
        self, pdf: bytes, credential: str = "officer", *, name: str = "paper.pdf", key: str | None = None, **fields: str
    ) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return self.send(
            "POST",
            "/api/v1/documents",
            headers=headers,
            files={"file": (name, pdf)},
            data={"credential": credential, **fields},
        )

    def verify(self, pdf: bytes, name: str = "paper.pdf") -> dict[str, Any]:
        answer = self.send("POST", "/api/v1/verify", token=None, files={"file": (name, pdf)})
        assert answer.status_code == 200, answer.text
        return answer.json()

    def issue_token(self, *words: str) -> str:
        return self.user.antin("token", "issue", *words).strip()

    def log_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text("utf-8").splitlines()]

    def stop(self) -> float:
        """SIGTERM; how many seconds it took."""
        begun = time.monotonic()
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=20)
        return time.monotonic() - begun


def descendants(pid: int) -> set[int]:
    """Every process below one, as the kernel has them now."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rsplit(")", 1)[1].split()[1])
            except (OSError, IndexError):
                continue
            children.setdefault(parent, []).append(int(entry.name))
    found: set[int] = set()
    waiting = [pid]
    while waiting:
        for child in children.get(waiting.pop(), []):
            found.add(child)
            waiting.append(child)
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def web_processes(pid: int) -> list[int]:
    return [each for each in descendants(pid) if b"api.web_process" in command_of(each)]


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


@contextmanager
def running(user: User, *words: str, **environment: str) -> Iterator[Service]:
    """A service of a user's home, ready to answer; stopped at the end if the test has not done it."""
    token = user.antin("token", "issue", "--scope", "sign").strip()
    log = user.folder / "service.log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [ANTIN, "serve", "--port", "0", *words],
            cwd=user.folder,
            env=user.surroundings(**environment),
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
    assert process.stdout is not None
    try:
        ready, _, _ = select.select([process.stdout], [], [], STARTS_WITHIN)
        line = process.stdout.readline() if ready else ""
        assert line.startswith("Antin serves http://127.0.0.1:"), (line, log.read_text())
        url = line.split()[2]
        with httpx.Client(base_url=url, timeout=60, trust_env=False) as http:
            yield Service(user, process, url, log, token, http)
    finally:
        below = descendants(process.pid) if process.poll() is None else set()
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(timeout=10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()
        for pid in below:
            if is_alive(pid):
                os.kill(pid, signal.SIGKILL)


@pytest.fixture(scope="module")
def service(founded: FoundedHome, paper: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for the tests of one module, in a demonstration home of its own."""
    folder = tmp_path_factory.mktemp("service")
    founded.copy_to(folder / "home")
    (folder / "work").mkdir()
    shutil.copy(paper, folder / "work" / "paper.pdf")
    with running(User(folder / "home", folder / "work")) as service:
        yield service


@pytest.fixture(scope="session")
def pdf(paper: Path) -> bytes:
    return paper.read_bytes()


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is this problem, in the form of RFC 9457."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert (body["status"], body["code"], body["type"]) == (status, code, f"urn:antin:problem:{code}")
    assert body["detail"] not in ("", code)
    # One style: a sentence of its own.
    assert not body["detail"][0].islower()
    assert body["detail"].endswith((".", "?", "!"))
    return body
