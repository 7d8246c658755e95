"""The judge process with tasks that misbehave: the same program as signer.sandbox_child, with another table of tasks."""

from __future__ import annotations

import json
import os
import resource
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from signer.sandbox_child import serve

Answer = tuple[dict[str, Any], list[bytes]]


class Refusal(Exception):
    """An error like those of our packages: a code and facts."""

    code = "TEST_REFUSED"

    def __init__(self) -> None:
        super().__init__("a text that quotes the file")
        self.facts = {"field": "Sig1"}


def echo(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return header, blobs


def spin(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    while True:
        pass


def sleep(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    time.sleep(60)
    return {}, []


def hog(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return {"length": len(bytes(header["bytes"]))}, []


def feast(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return {"length": len(bytes(header["bytes"])), "pid": os.getpid()}, []


_KEPT: list[bytes] = []


def keep(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    """What an earlier task may leave behind."""
    _KEPT.append(bytes(header["bytes"]))
    return {"pid": os.getpid()}, []


def abort(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    os.abort()


def nonsense(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    for descriptor in range(3, 32):
        try:
            os.write(descriptor, b"not a frame at all")
        except OSError:
            continue
    return {}, []


def refuse(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    raise Refusal


def flood(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    return {}, [bytes(header["bytes"])]


def peek(header: dict[str, Any], blobs: list[Any]) -> Answer:
    """What a long file looks like from here, and whether it can be written to."""
    file = blobs[0]
    wrote = []
    for deed in (lambda: os.pwrite(file.source.fileno(), b"x", 0), lambda: os.ftruncate(file.source.fileno(), 1)):
        try:
            deed()
            wrote.append(True)
        except OSError:
            wrote.append(False)
    descriptors = len(list(Path("/proc/self/fd").iterdir()))
    return {"size": len(file), "wrote": wrote, "descriptors": descriptors}, [
        file[: header["octets"]],
        file[-header["octets"] :],
    ]


def _can(deed: Callable[[], object]) -> bool:
    try:
        deed()
    except OSError:
        return False
    return True


def surroundings(header: dict[str, Any], blobs: list[bytes]) -> Answer:
    """What the process can reach."""
    facts: dict[str, Any] = {
        "pid": os.getpid(),
        "environment": sorted(os.environ),
        "descriptors": sorted(int(entry.name) for entry in Path("/proc/self/fd").iterdir()),
    }
    try:
        Path(header["file"]).write_bytes(b"x")
        facts["wrote"] = True
    except OSError:
        facts["wrote"] = False
    facts["made"] = Path(header["file"]).exists()
    facts["read"] = _can(lambda: Path(header["other"]).read_bytes()) if "other" in header else None
    facts["listed"] = _can(lambda: list(Path(header["file"]).parent.iterdir()))
    facts["removed"] = _can(lambda: Path(header["other"]).unlink()) if "other" in header else None
    with socket.socket() as connection:
        connection.settimeout(1)
        try:
            connection.connect(("127.0.0.1", header["port"]))
            facts["connected"] = True
        except OSError:
            facts["connected"] = False
    facts["core"] = resource.getrlimit(resource.RLIMIT_CORE)[0]
    facts["no_new_privileges"] = "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="ascii")
    return facts, []


if __name__ == "__main__":
    sys.modules["hostile_child"] = sys.modules["__main__"]
    names = (
        "echo",
        "spin",
        "sleep",
        "hog",
        "abort",
        "nonsense",
        "refuse",
        "flood",
        "surroundings",
        "peek",
        "feast",
        "keep",
    )
    serve({name: f"hostile_child:{name}" for name in names}, json.loads(sys.argv[1]))
