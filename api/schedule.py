"""The schedule: looks after each job on a thread of its own, under a lock of the database, and backs off when one fails."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from api.cli.failures import error_code
from api.errors import ApiError
from api.jobs import Job
from api.worker_state import JobState, WorkerState, write_worker_state
from certs.clock import Clock
from certs.db import Database
from certs.errors import CertsError
from hsm.errors import HSMError
from pki.errors import PkiError
from signer.errors import SignerError

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 15.0
_TELL_SECONDS = 5.0
_EXPECTED = (CertsError, HSMError, PkiError, SignerError, ApiError, OSError)


class Schedule:
    """Runs jobs until told to stop. A job that fails stops no other, and a failure is logged when it changes, not each time."""

    def __init__(
        self, jobs: Sequence[Job], database: Database, clock: Clock, folder: Path, logger: logging.Logger
    ) -> None:
        self._database = database
        self._clock = clock
        self._folder = folder
        self._logger = logger
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._states = {job.name: JobState("ok") for job in jobs}
        self._threads = [
            threading.Thread(target=self._look_after, args=(job,), name=f"job-{job.name}", daemon=True) for job in jobs
        ]

    def start(self) -> None:
        """Begin. Returns at once."""
        self._tell()
        for thread in self._threads:
            thread.start()

    def wait(self) -> None:
        """Say now and then how the jobs are doing, until `stop` is called."""
        while not self._stopping.wait(_TELL_SECONDS):
            self._tell()

    def stop(self) -> None:
        """Begin no job any more. May be called from a signal handler."""
        self._stopping.set()

    def join(self, seconds: float) -> None:
        """Wait for what is being done; what takes longer dies with the process, and is finished by the next one."""
        for thread in self._threads:
            thread.join(seconds / len(self._threads))

    def _look_after(self, job: Job) -> None:
        failures = 0
        pause = 0.0
        while not self._stopping.wait(pause):
            code = self._attempt(job)
            failures = failures + 1 if code else 0
            pause = min(_FIRST_PAUSE * 2 ** min(failures - 1, 10), _LONGEST_PAUSE) if code else job.seconds

    def _attempt(self, job: Job) -> str:
        """One look, and the work if there is any; the code of what went wrong, or nothing."""
        did = False
        try:
            if job.is_due():
                with self._database.alone(f"job-{job.name}"):
                    if not self._stopping.is_set() and job.is_due():
                        job.run()
                        did = True
        except _EXPECTED as error:
            code = _code_of(error)
            self._note(job, code, did=False, detail=str(error))
            return code
        except Exception as error:  # one job's defect must not end the others; it is logged with its kind
            self._logger.exception("job broke", extra={"job": job.name})
            self._note(job, "INTERNAL_ERROR", did=False, detail=type(error).__name__)
            return "INTERNAL_ERROR"
        self._note(job, "", did=did)
        return ""

    def _note(self, job: Job, code: str, *, did: bool, detail: str = "") -> None:
        with self._lock:
            before = self._states[job.name]
            now = replace(
                before,
                state="failing" if code else "ok",
                code=code,
                runs=before.runs + did,
                failures=before.failures + bool(code),
                done_at=self._clock.now().isoformat() if did else before.done_at,
            )
            self._states[job.name] = now
        if code and code != before.code:
            self._logger.warning("job failing", extra={"job": job.name, "code": code, "error": detail})
        elif before.code and not code:
            self._logger.info("job well again", extra={"job": job.name})
        elif did:
            self._logger.info("job done", extra={"job": job.name})
        if did or code != before.code:
            self._tell()

    def _tell(self) -> None:
        with self._lock:
            state = WorkerState(os.getpid(), self._clock.now().isoformat(), dict(self._states))
            try:
                write_worker_state(self._folder, state)
            except OSError as error:
                # A full disk: readers see that nothing was said.
                self._logger.warning("worker state not written", extra={"error": error.strerror or ""})


def _code_of(error: Exception) -> str:
    return "STORAGE_UNAVAILABLE" if isinstance(error, OSError) else error_code(error)
