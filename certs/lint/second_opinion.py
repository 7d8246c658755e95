"""The second opinion: what pkilint says about a certificate, CRL or OCSP answer, asked of a process of its own, and what follows.

A finding of RFC 5280 or RFC 6960 that is an error stops the issuance, and so does a warning that no profile excepts with a
reason; findings of EN 319 412 are reported. An opinion that cannot be had is no pass (fail closed). Own rules are rules.py's.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import select
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from certs.errors import LintFailed, LintUnavailable
from certs.lint.shapes import PassedShapes, crl_shape_of, shape_of
from certs.lint.twin import Twin

CHILD = ("-I", "-X", "utf8", "-m", "certs.lint.pkilint_child")
# A passed shape is looked at again in one of so many certificates. Serials are random, so they choose.
SAMPLED = 256
_BLOCKING = ("FATAL", "ERROR", "WARNING")
_EXCEPTABLE = "WARNING"
_LONGEST_ANSWER = 16 * 1024 * 1024
_SHOWN = 5

# The codes that EN 319 412 would object to, or a promise of them.
Opinion = tuple[str, ...] | Future[tuple[str, ...]]


@dataclass(frozen=True)
class Limits:
    """What judging one object may use. `start_seconds` is for importing pkilint, on a machine that is busy with more."""

    memory_bytes: int = 1024 * 1024 * 1024
    cpu_seconds: int = 20
    wall_seconds: float = 30.0
    start_seconds: float = 60.0
    open_files: int = 32


@dataclass(frozen=True)
class Remark:
    """One finding of pkilint. `standard` is pkix or etsi, `severity` FATAL, ERROR, WARNING, NOTICE, INFO or DEBUG."""

    standard: str
    severity: str
    code: str
    text: str


class SecondOpinion:
    """Asks pkilint about the first certificate and CRL of each shape and about samples, and about every OCSP answer given to it.

    The process starts when it is first needed and stays until `close`. For threads: they ask one after the other.
    """

    def __init__(
        self,
        passed: PassedShapes | None = None,
        limits: Limits | None = None,
        *,
        sampled: int = SAMPLED,
        child: Sequence[str] = CHILD,
    ) -> None:
        self._passed = passed or PassedShapes()
        self._limits = limits or Limits()
        self._sampled = sampled
        self._child = tuple(child)
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._end: weakref.finalize[..., SecondOpinion] | None = None
        self._ready = False
        self._linter = f"pkilint {version('pkilint')}"

    def start(self) -> None:
        """Start the process now, so that it imports pkilint while the caller does other things. Returns at once.

        Whatever goes wrong is said when it is asked.
        """
        with self._lock, contextlib.suppress(LintUnavailable):
            self._started()

    def check_certificate(self, twin: Twin) -> tuple[str, ...]:
        """The codes that EN 319 412 would object to; LintFailed when the standards of the internet do, LintUnavailable
        when nobody could say.
        """
        answer = self.check_one_of_many(twin, None)
        assert isinstance(answer, tuple)
        return answer

    def check_one_of_many(self, twin: Twin, aside: Executor | None) -> Opinion:
        """`check_certificate` for whoever has more to do meanwhile: what has to be asked of a sample is asked by a thread of `aside`,
        if there is one.

        When that ends in LintFailed, what followed the sample has to be checked once more: its shape has lost its pass.
        """
        shape = shape_of(twin, self._linter)
        reported = self._passed.find(shape)
        if reported is None:
            return self._judge(twin, shape)
        if not self._is_sample(twin):
            return reported
        return aside.submit(self._judge, twin, shape) if aside is not None else self._judge(twin, shape)

    def _is_sample(self, twin: Twin) -> bool:
        return twin.certificate.serial_number % self._sampled == 0

    def _judge(self, twin: Twin, shape: str) -> tuple[str, ...]:
        holder = twin.profile.holder
        remarks = self.ask("certificate", twin.octets, holder.value if holder else "")
        try:
            _refuse(remarks, [each.code for each in twin.profile.lint_exceptions])
        except LintFailed:
            self._passed.forget(shape)
            raise
        objections = (each.code for each in remarks if each.standard == "etsi" and each.severity in _BLOCKING)
        reported = tuple(dict.fromkeys(objections))
        self._passed.add(shape, reported)
        return reported

    def check_crl(self, der: bytes, exceptions: Sequence[str] = ()) -> None:
        """Raise LintFailed for a CRL that breaks RFC 5280; LintUnavailable when nobody could say and its shape has not passed.

        0.3 ms and 10 kB an entry: give it a twin with the first hundred. A sample of a passed shape that nobody can judge passes: to
        hold back revocations for it would do more harm than what it may find.
        """
        shape, number = crl_shape_of(der, self._linter)
        passed = self._passed.find(shape) is not None
        if passed and number % self._sampled:
            return
        try:
            _refuse(self.ask("crl", der), exceptions)
        except LintUnavailable:
            if not passed:
                raise
        except LintFailed:
            self._passed.forget(shape)
            raise
        else:
            self._passed.add(shape, ())

    def check_ocsp(self, der: bytes, exceptions: Sequence[str] = ()) -> None:
        """Raise LintFailed for an OCSP answer that breaks RFC 6960."""
        _refuse(self.ask("ocsp", der), exceptions)

    def ask(self, kind: str, der: bytes, holder: str = "") -> tuple[Remark, ...]:
        """All that pkilint says about a `certificate`, `crl` or `ocsp`; LintUnavailable when it gives no usable answer."""
        request = {"kind": kind, "der": base64.b64encode(der).decode("ascii"), "holder": holder}
        with self._lock:
            finished = False
            try:
                process = self._running()
                answer = _exchange(process, json.dumps(request).encode() + b"\n", self._limits.wall_seconds)
                remarks = _remarks(answer)
                finished = True
            finally:
                # A process that failed once may be left in any state.
                if not finished:
                    self._discard()
        return remarks

    def close(self) -> None:
        """End the process. It holds nothing worth saving; asking again starts another."""
        with self._lock:
            self._discard()

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._started()
        if not self._ready:
            # The first line of a process says that it has started; only then can an object be to blame.
            try:
                self._ready = bool(_exchange(process, b"", self._limits.start_seconds).get("ready"))
            except LintUnavailable as error:
                raise LintUnavailable(f"the linting process does not start: {error}", reason="start") from error
            if not self._ready:
                raise LintUnavailable("the linting process does not start", reason="start")
        return process

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is not None:
            self._discard()
        if self._process is None:
            limits = {name: getattr(self._limits, name) for name in ("memory_bytes", "cpu_seconds", "open_files")}
            try:
                process = subprocess.Popen(
                    [sys.executable, *self._child, json.dumps(limits)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.DEVNULL,
                    env={},  # no secret, path or proxy of ours is worth inheriting
                    cwd="/",
                    start_new_session=True,  # Ctrl-C at the terminal is the parent's to answer
                    bufsize=0,
                )
            except OSError as error:
                raise LintUnavailable("the linting process cannot be started", reason="start") from error
            self._process = process
            # Whoever forgets to close it leaves no process behind.
            self._end = weakref.finalize(self, _end, process, os.getpid())
        return self._process

    def _discard(self) -> None:
        if self._end is not None:
            self._end()
        self._process = self._end = None
        self._ready = False


def _refuse(remarks: Sequence[Remark], exceptions: Sequence[str]) -> None:
    broken = [
        each
        for each in remarks
        if each.standard == "pkix"
        and each.severity in _BLOCKING
        and not (each.severity == _EXCEPTABLE and each.code in exceptions)
    ]
    if broken:
        raise LintFailed(
            "; ".join(f"{each.code}: {each.text}" for each in broken),
            rules=", ".join(dict.fromkeys(each.code for each in broken)),
            detail="; ".join(each.text for each in broken[:_SHOWN]),
        )


def _remarks(answer: dict[str, Any]) -> tuple[Remark, ...]:
    findings = answer.get("findings")
    if not isinstance(findings, list):
        raise LintUnavailable(
            f"pkilint failed: {answer.get('error')}", reason=str(answer.get("error", "protocol"))[:80]
        )
    try:
        return tuple(Remark(**{name: str(value) for name, value in each.items()}) for each in findings)
    except (TypeError, AttributeError) as error:
        raise LintUnavailable("an answer of another form", reason="protocol") from error


def _exchange(process: subprocess.Popen[bytes], request: bytes, seconds: float) -> dict[str, Any]:
    """Write a line and read a line, at once and until a deadline, so that neither side waits for the other for ever."""
    assert process.stdin is not None
    assert process.stdout is not None
    source, sink = process.stdout.fileno(), process.stdin.fileno()
    os.set_blocking(sink, False)
    deadline = time.monotonic() + seconds
    poll = select.poll()
    poll.register(source, select.POLLIN)
    if request:
        poll.register(sink, select.POLLOUT)
    received = bytearray()
    while not received.endswith(b"\n"):
        left = deadline - time.monotonic()
        if left <= 0:
            raise LintUnavailable("no answer in time", reason="time")
        for descriptor, _ in poll.poll(left * 1000):
            if descriptor == source:
                piece = os.read(source, 1 << 16)
                received += piece
                if not piece:
                    raise LintUnavailable("the linting process died", reason="died")
                if len(received) > _LONGEST_ANSWER:
                    raise LintUnavailable("the answer has no end", reason="protocol")
                continue
            with contextlib.suppress(BlockingIOError, BrokenPipeError):  # the reading side says what happened
                request = request[os.write(sink, request) :]
            if not request:
                poll.unregister(sink)
    try:
        answer = json.loads(received)
    except ValueError as error:
        raise LintUnavailable("an answer that is no JSON", reason="protocol") from error
    return answer if isinstance(answer, dict) else {}


def _end(process: subprocess.Popen[bytes], owner: int) -> None:
    if os.getpid() != owner:
        return  # a fork of ours ends, and the process is not its own
    with contextlib.suppress(OSError):
        process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            with contextlib.suppress(OSError):
                stream.close()
