"""The judge process as its parent sees it: start, one task at a time, limits, throw away. Inside it runs sandbox_child.

Nothing that a stranger wrote is parsed in the parent: the answer is a bounded JSON header and opaque blobs, never a
pickle. A long file goes over as a descriptor that can only be read from.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import TracebackType
from typing import Any, Self

from signer.long_file import LongFile
from signer.octets import Octets
from signer.sandbox_frame import (
    NO_FILE,
    WITH_FILE,
    FrameFormatError,
    FrameReader,
    FrameSizeError,
    encode_frame,
    write_pieces,
)
from signer.sandbox_walls import Walls
from signer.validation.errors import (
    SandboxCrashed,
    SandboxFailure,
    SandboxMemory,
    SandboxTaskFailed,
    SandboxTimeout,
    SandboxTooLarge,
)

_LOG = logging.getLogger("antin")
_SLOW_SECONDS = 0.3
_PIPE_BYTES = 1024 * 1024  # halves the time a large file takes to cross
CHILD = ("-I", "-X", "utf8", "-m", "signer.sandbox_child")


@dataclass(frozen=True)
class Bounds:
    """What tasks of one kind may use; never more than the limits of their process."""

    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float


@dataclass(frozen=True)
class Limits:
    """What one task may use, and how many tasks a process serves before a fresh one takes its place.

    `narrower` has, by the names of tasks, those that may use less. `memory_bytes` is all that the process has mapped.
    """

    memory_bytes: int = 1536 * 1024 * 1024
    cpu_seconds: int = 20
    wall_seconds: float = 30.0
    message_bytes: int = 512 * 1024 * 1024
    open_files: int = 64
    tasks: int = 200
    narrower: Mapping[str, Bounds] = field(default_factory=dict)

    def of(self, task: str) -> Bounds:
        """What this task may use."""
        own = self.narrower.get(task)
        if own is None:
            return Bounds(self.memory_bytes, self.cpu_seconds, self.wall_seconds)
        return Bounds(
            min(own.memory_bytes, self.memory_bytes),
            min(own.cpu_seconds, self.cpu_seconds),
            min(own.wall_seconds, self.wall_seconds),
        )


class Judge:
    """A disposable process that works on one untrusted file at a time; reused while it behaves, else replaced.

    Any thread may call `run`; calls wait for each other. `child` names the program (tests bring tasks of their own).
    """

    def __init__(
        self,
        limits: Limits | None = None,
        *,
        preload: Iterable[str] = (),
        child: Sequence[str] = CHILD,
        when_slow: Callable[[], None] | None = None,
    ) -> None:
        """`when_slow`: called once in the middle of a task that takes long."""
        self._when_slow = when_slow
        self.limits = limits or Limits()
        self._preload = tuple(preload)
        self._child = tuple(child)
        self._process: subprocess.Popen[bytes] | None = None
        # To its standard input: a socket, which takes descriptors over too.
        self._line: socket.socket | None = None
        self._served = 0
        self._walls: Walls | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process now, so that it imports while the caller does other things. Returns at once."""
        with self._lock:
            self._alive()

    def run(
        self, task: str, header: dict[str, Any], blobs: Sequence[Octets] = ()
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Have one task done. Raises a SandboxFailure when limits are passed, the process dies or the task raises.

        The first of the blobs may be a long file: the task gets it as one, and reads from it what it needs.
        """
        message: dict[str, Any] = {"task": task, "header": header}
        sent = [blob.tail if isinstance(blob, LongFile) else blob for blob in blobs]
        file = blobs[0] if blobs and isinstance(blobs[0], LongFile) else None
        if file is not None:
            message["file_size"] = file.size
        bounds = self.limits.of(task)
        with self._lock:
            until = time.monotonic() + bounds.wall_seconds
            used = self._served > 0
            try:
                return self._done(message, sent, file, bounds, until)
            except SandboxMemory:
                # What earlier tasks have left mapped is not this file's fault: it is asked again in a fresh process, in the time left.
                if not used or task not in self.limits.narrower:
                    raise
                return self._done(message, sent, file, bounds, until)

    def walls(self) -> Walls:
        """What the process itself says about the walls around it, once it has started. Raises a SandboxFailure when it does not."""
        with self._lock:
            process = self._alive()
            if self._walls is None:
                bounds = self.limits.of("")
                try:
                    self._exchange(process, [], bounds, time.monotonic() + bounds.wall_seconds, answers=False)
                except SandboxFailure:
                    self._discard()
                    raise
            assert self._walls is not None
            return self._walls

    def _done(
        self, message: dict[str, Any], sent: Sequence[bytes], file: LongFile | None, bounds: Bounds, until: float
    ) -> tuple[dict[str, Any], list[bytes]]:
        try:
            frame = encode_frame(message, sent, self.limits.message_bytes)
        except FrameSizeError as error:
            raise _too_large(error) from error
        process = self._alive()
        self._served += 1
        finished = False
        try:
            if file is None:
                frame.insert(0, memoryview(NO_FILE))
            else:
                self._announce(file)
            answer, parts = self._exchange(process, frame, bounds, until)
            finished = bool(answer.get("ok"))
        finally:
            # A process that passed a limit, or whose task raised, may be left in any state: it serves nobody else.
            if not finished or self._served >= self.limits.tasks:
                self._discard()
        if not finished:
            raise _failure(answer, bounds)
        body = answer.get("header")
        if not isinstance(body, dict):
            raise SandboxCrashed("the answer has no header", reason="protocol")
        return body, parts

    def close(self) -> None:
        """End the process. It holds nothing worth saving; closing twice is harmless."""
        with self._lock:
            self._discard()

    def abort(self) -> None:
        """End the process at once, also in the middle of a task: whoever waits for its answer gets SandboxCrashed."""
        process = self._process
        if process is not None:
            with contextlib.suppress(OSError):
                process.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _alive(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._discard()
        if self._process is None:
            self._line, far_end = socket.socketpair()
            settings = json.dumps({"limits": asdict(self.limits), "preload": self._preload})
            try:
                self._process = subprocess.Popen(
                    [sys.executable, *self._child, settings],
                    stdin=far_end.fileno(),
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={},  # no secret, path or proxy of ours is worth inheriting
                    cwd="/",
                    close_fds=True,
                    start_new_session=True,  # Ctrl-C at the terminal is the parent's to answer
                    bufsize=0,
                )
            except OSError as error:
                raise SandboxCrashed("the judge process cannot be started", reason="start") from error
            finally:
                far_end.close()
            self._served, self._walls = 0, None
            assert self._process.stdout is not None
            self._line.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _PIPE_BYTES)
            with contextlib.suppress(OSError):  # a user may have used up the pages granted to pipes
                fcntl.fcntl(self._process.stdout.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        return self._process

    def _announce(self, file: LongFile) -> None:
        """An octet before each task says whether a descriptor comes with it: here one does."""
        assert self._line is not None
        # Whoever has died does not listen any more; what it died of is found out when its answer is waited for.
        with contextlib.suppress(OSError):
            socket.send_fds(self._line, [WITH_FILE], [file.source.fileno()])

    def _discard(self) -> None:
        process, self._process = self._process, None
        self._served = 0
        if self._line is not None:
            self._line.close()
            self._line = None
        if process is None:
            return
        with contextlib.suppress(OSError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            with contextlib.suppress(OSError):
                process.stdout.close()

    def _exchange(
        self,
        process: subprocess.Popen[bytes],
        frame: list[memoryview],
        bounds: Bounds,
        deadline: float,
        *,
        answers: bool = True,
    ) -> tuple[dict[str, Any], list[bytes]]:
        """Write the task and read the answer at once, so that neither side can block the other past the deadline.

        Without `answers` only until the process says that it has started.
        """
        assert self._line is not None
        assert process.stdout is not None
        source, sink = process.stdout.fileno(), self._line.fileno()
        os.set_blocking(source, False)
        os.set_blocking(sink, False)
        reader = FrameReader(self.limits.message_bytes)
        poll = select.poll()
        poll.register(source, select.POLLIN)
        when_slow = self._when_slow
        # A small task fits into the pipe at once, and then there is only the answer to wait for.
        if _write_some(sink, frame):
            poll.register(sink, select.POLLOUT)
        while True:
            left = deadline - time.monotonic()
            if left <= 0:
                raise SandboxTimeout("no answer in time", limit="wall", seconds=f"{bounds.wall_seconds:g}")
            events = poll.poll((left if when_slow is None else min(left, _SLOW_SECONDS)) * 1000)
            if when_slow is not None and not events and self._walls is not None:
                when_slow()
                when_slow = None
            for descriptor, _ in events:
                if descriptor == sink:
                    if not _write_some(sink, frame):
                        poll.unregister(sink)
                    continue
                try:
                    done = reader.read_some(source)
                except FrameSizeError as error:
                    raise _too_large(error) from error
                except FrameFormatError as error:
                    raise SandboxCrashed("the answer breaks the protocol", reason="protocol") from error
                if done is None:
                    raise self._death(process, bounds, deadline)
                if done and self._walls is not None:
                    return reader.header, reader.blobs()
                if done:
                    # The first frame of a process says that it has started; only then can a file be to blame.
                    self._walls = Walls.read(reader.header)
                    _LOG.info("judge process ready", extra=self._walls.to_log())
                    if not answers:
                        return {}, []
                    reader = FrameReader(self.limits.message_bytes)

    def _death(self, process: subprocess.Popen[bytes], bounds: Bounds, deadline: float) -> Exception:
        """Why the pipe ended in the middle of a task."""
        try:
            status = process.wait(timeout=max(0.1, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            return SandboxTimeout("no answer in time", limit="wall", seconds=f"{bounds.wall_seconds:g}")
        if self._walls is None:
            return SandboxCrashed("the judge process does not start", reason="start")
        if status == -signal.SIGXCPU:
            return SandboxTimeout("too much processor time", limit="cpu", seconds=str(bounds.cpu_seconds))
        try:
            reason = signal.Signals(-status).name if status < 0 else f"exit {status}"
        except ValueError:
            reason = f"signal {-status}"
        return SandboxCrashed("the judge process died", reason=reason)


def _write_some(sink: int, frame: list[memoryview]) -> bool:
    """Write what fits into the pipe; False when there is nothing left to write, or nobody to read it."""
    while frame:
        try:
            write_pieces(sink, frame)
        except BlockingIOError:
            return True
        except (BrokenPipeError, ConnectionResetError):
            frame.clear()  # the reading side says what happened
            return False
    return False


def _too_large(error: FrameSizeError) -> SandboxTooLarge:
    return SandboxTooLarge("a message passes the limit", bytes=str(error.size), limit=str(error.limit))


def _failure(answer: dict[str, Any], bounds: Bounds) -> Exception:
    error = answer.get("error")
    if not isinstance(error, dict):
        return SandboxCrashed("the answer is neither a result nor an error", reason="protocol")
    kind = str(error.get("kind", ""))[:80]
    if kind == "MemoryError":
        return SandboxMemory("the task ran out of memory", megabytes=str(bounds.memory_bytes // (1024 * 1024)))
    given = error.get("facts")
    facts = {str(name): str(value) for name, value in given.items()} if isinstance(given, dict) else {}
    return SandboxTaskFailed(
        "the task raised", kind=kind, error_code=str(error.get("code", ""))[:80], error_facts=facts
    )
