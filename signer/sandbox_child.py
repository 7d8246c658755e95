"""The judge process from the inside: gives up what it may not need, then does one task after another.

Its parent is sandbox.py. Task names are resolved from a closed table; a message can choose among them and nothing else.
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import importlib
import json
import os
import resource
import socket
import sys
import types
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from signer.landlock import forbid_files_and_network
from signer.long_file import LongFile, Source
from signer.octets import Octets
from signer.sandbox_frame import FrameFormatError, FrameSizeError, encode_frame, read_frame, write_pieces

# A file comes first among the blobs, and a long one as a LongFile; all others are bytes.
Task = Callable[[dict[str, Any], list[Any]], tuple[dict[str, Any], list[bytes]]]

TASKS: Mapping[str, str] = {
    "gather": "signer.validation.door:gather_task",
    "prepare": "signer.preparing:PrepareTask",
    "extend": "signer.appending:extend_task",
    "render": "signer.rendition:RenditionTask",
    "inspect": "signer.inspection:inspect_task",
    "picture": "signer.appearance.upload:picture_task",
    "preview": "signer.previewing:preview_task",
    "revocation": "signer.validation.revocation_answers:revocation_task",
}

_OBJECTS_BETWEEN_COLLECTIONS = 50_000
_PR_SET_NO_NEW_PRIVS = 38
_CLONE_NEWUSER = 0x10000000
_CLONE_NEWNET = 0x40000000


def serve(tasks: Mapping[str, str], settings: dict[str, Any]) -> None:
    """Answer tasks until the parent closes the pipe."""
    limits: dict[str, Any] = settings["limits"]
    source, sink = _take_pipes()
    outside = _namespaces()
    _leave_network()
    _limit(resource.RLIMIT_AS, limits["memory_bytes"])
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_NOFILE, limits["open_files"])
    _leave_out_http()
    loaded: dict[str, Task] = {}
    gc.disable()  # importing makes objects that stay; collecting them again and again takes a tenth of the time
    for name in settings["preload"]:
        with contextlib.suppress(Exception):  # said when the task is asked for
            loaded[name] = _load(tasks, name)
    # From here on no file can grow and no process or thread begin. Compiled modules were written above.
    _limit(resource.RLIMIT_FSIZE, 0)
    with contextlib.suppress(ValueError, OSError):
        _limit(resource.RLIMIT_NPROC, 0)
    landlock = _forbid_files()
    gc.freeze()
    # A file makes some hundred thousand objects that nearly all stay until it is done; looking through them every seven hundred is
    # a third of the time that a long one takes. Memory is bounded anyway.
    gc.set_threshold(_OBJECTS_BETWEEN_COLLECTIONS)
    gc.enable()
    _send(sink, {"ok": True, "ready": True, "walls": _walls(outside, landlock)}, [], limits["message_bytes"])
    line = socket.socket(fileno=source)
    # It never reads ahead into another task: the parent sends one when it has the answer of the one before.
    with open(source, "rb", buffering=1 << 16, closefd=False) as stream:
        while True:
            try:
                announced, descriptors, _, _ = socket.recv_fds(line, 1, 1)
                if not announced:
                    return
                message = read_frame(stream, limits["message_bytes"], partial(_allow, limits))
            except (FrameFormatError, FrameSizeError, MemoryError) as error:
                _send(sink, {"ok": False, "error": {"kind": type(error).__name__}}, [], limits["message_bytes"])
                return
            if message is None:
                return
            header, blobs = message[0], _with_file(message[0], message[1], descriptors)
            answer, parts = _perform(tasks, loaded, header, blobs)
            if blobs and isinstance(blobs[0], LongFile):
                blobs[0].source.close()
            del message, header, blobs
            _send(sink, answer, parts, limits["message_bytes"])
            if not answer["ok"]:
                return


def _perform(
    tasks: Mapping[str, str], loaded: dict[str, Task], header: dict[str, Any], blobs: list[Octets]
) -> tuple[dict[str, Any], list[bytes]]:
    try:
        name = str(header.get("task"))
        if name not in loaded:
            loaded[name] = _load(tasks, name)
        result, parts = loaded[name](header.get("header") or {}, blobs)
    except Exception as error:  # noqa: BLE001  whatever a hostile file provokes must become an answer
        # Class, code and facts only: messages and tracebacks may quote the file.
        facts = getattr(error, "facts", {})
        return {
            "ok": False,
            "error": {
                "kind": type(error).__name__,
                "code": str(getattr(error, "code", "")),
                "facts": {str(k): str(v) for k, v in facts.items()} if isinstance(facts, dict) else {},
            },
        }, []
    return {"ok": True, "header": result}, parts


def _load(tasks: Mapping[str, str], name: str) -> Task:
    """A function, or a class whose one instance is the task: it may remember what it has found out before."""
    module, _, function = tasks[name].partition(":")
    found = getattr(importlib.import_module(module), function)
    task: Task = found() if isinstance(found, type) else found
    return task


def _send(sink: int, answer: dict[str, Any], parts: list[bytes], limit: int) -> None:
    try:
        frame = encode_frame(answer, parts, limit)
    except (FrameSizeError, MemoryError, ValueError, TypeError, RecursionError) as error:
        answer["ok"] = False
        frame = encode_frame({"ok": False, "error": {"kind": type(error).__name__}}, [], limit)
    while frame:
        write_pieces(sink, frame)


def _with_file(header: dict[str, Any], blobs: list[bytes], descriptors: list[int]) -> list[Octets]:
    """The blobs of a message, the first one with the long file before it whose tail it is."""
    if not descriptors:
        return [*blobs]
    return [LongFile(Source(descriptors[0], int(header["file_size"])), blobs[0]), *blobs[1:]]


def _take_pipes() -> tuple[int, int]:
    """Keep line and pipe under other numbers; what a library prints or reads goes nowhere."""
    source, sink = os.dup(0), os.dup(1)
    nowhere = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    os.close(nowhere)
    os.closerange(max(source, sink) + 1, 1024)
    return source, sink


class _NoHttp(types.ModuleType):
    """Stands in the place of an HTTP client: every name of it is an exception class, which annotations and `except` can bear."""

    def __getattr__(self, name: str) -> type[Exception]:
        if name.startswith("__"):
            raise AttributeError(name)
        return type(name, (Exception,), {})


def _leave_out_http() -> None:
    """PyHanko imports an HTTP client that nothing here may use.

    Without it a start takes 0.1 s less, and the process that reads hostile files has a parser of network protocols less.
    """
    sys.modules["aiohttp"] = _NoHttp("aiohttp")


def _leave_network() -> None:
    """Never gain privileges, and leave the network where the kernel lets us; a refusal is not an error, and is said (_walls)."""
    with contextlib.suppress(OSError, AttributeError):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        if libc.unshare(_CLONE_NEWNET) != 0:
            libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNET)


def _forbid_files() -> int:
    """The version of the kernel's rules that hold; a kernel without them, or that refuses, is not an error, and is said."""
    try:
        return forbid_files_and_network()
    except (OSError, AttributeError):
        return 0


def _namespaces() -> dict[str, str]:
    found = {}
    for kind in ("net", "user"):
        with contextlib.suppress(OSError):
            found[kind] = str(Path(f"/proc/self/ns/{kind}").readlink())
    return found


def _walls(outside: dict[str, str], landlock: int) -> dict[str, Any]:
    """What stands around this process, asked of the system and not of what was attempted."""
    inside = _namespaces()
    privileges = "NoNewPrivs:\t1" in Path("/proc/self/status").read_text(encoding="ascii", errors="replace")
    return {
        "memory_bytes": resource.getrlimit(resource.RLIMIT_AS)[1],
        "open_files": resource.getrlimit(resource.RLIMIT_NOFILE)[1],
        "file_bytes": resource.getrlimit(resource.RLIMIT_FSIZE)[1],
        "core_bytes": resource.getrlimit(resource.RLIMIT_CORE)[1],
        "no_new_privileges": privileges,
        "own_network": "net" in outside and inside.get("net") not in (None, outside["net"]),
        "own_user": "user" in outside and inside.get("user") not in (None, outside["user"]),
        "landlock": landlock,
    }


def _limit(what: int, value: int) -> None:
    """Lower both bounds to value, so that they cannot be raised again; a bound that is tighter already stays."""
    _, hard = resource.getrlimit(what)
    bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (bound, bound))


def _allow(limits: dict[str, Any], message: dict[str, Any]) -> None:
    """Before the octets of a task are read: what this one may use, within what the process may."""
    bounds = limits["narrower"].get(str(message.get("task")), limits)
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    wanted = int(bounds["memory_bytes"])
    resource.setrlimit(resource.RLIMIT_AS, (wanted if hard == resource.RLIM_INFINITY else min(wanted, hard), hard))
    _allow_processor_time(min(bounds["cpu_seconds"], limits["cpu_seconds"]))


def _allow_processor_time(seconds: int) -> None:
    """Processor time is counted over the life of the process, so each task moves the soft bound."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    bound = int(usage.ru_utime + usage.ru_stime) + 1 + seconds
    resource.setrlimit(resource.RLIMIT_CPU, (bound if hard == resource.RLIM_INFINITY else min(bound, hard), hard))


if __name__ == "__main__":
    serve(TASKS, json.loads(sys.argv[1]))
