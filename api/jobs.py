"""The jobs of the worker: what each looks for, and what it does when there is something. When they run is for schedule.py."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from api.logs import LOGGER
from api.notice_delivery import carry_notices
from api.publishing import write_issued, write_public_files
from api.service_upkeep import make_services, services_due
from api.wiring import Installation
from certs.errors import LintUnavailable
from hsm.errors import HSMError
from pki.authorities import AuthorityRecord, AuthorityState, list_authorities
from pki.crl import publish_due
from pki.crl_due import list_due
from pki.errors import PkiError
from pki.roles import Permission, system_part
from signer.batch_work import forget_orphans, has_waiting, work_off
from signer.handing_over import clear_prepared, has_ended_prepared
from signer.leveling import has_due, reach_due
from signer.renewal import has_renewals, renew_due

ACTOR = system_part(
    "worker", Permission.SIGN_CRL, Permission.MANAGE_SERVICES, Permission.ISSUE, Permission.EXTEND_DOCUMENTS,
    Permission.EXPIRE_DOCUMENTS,
)  # fmt: skip
# How long an authority without changes is left alone: what is due by its age can wait that long.
_LOOK_SECONDS = 30.0
_SWEEP_SECONDS = 600.0
_BATCH_SECONDS = 5.0
# An upload takes less before its batch is registered.
_ORPHAN_SECONDS = 3600.0
_LONGEST_RUN_SECONDS = 60.0


class Job(Protocol):
    """Something that has to be done now and then. Both methods may raise; then it is tried again later."""

    name: str
    # How long after a look that found nothing the next one comes.
    seconds: float

    def is_due(self) -> bool:
        """Whether there is anything to do; cheap, and asks no key."""
        ...

    def run(self) -> None:
        """Do it. One process of all that share the database is in here."""
        ...


class CrlJob:
    """Issues the CRLs that are due and keeps the public folder as the database says."""

    name = "crl"
    seconds = 0.5

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._quiet: dict[str, tuple[int, int, float]] = {}
        self._swept_at: float | None = None
        self._due: list[str] = []

    def is_due(self) -> bool:
        installation = self._installation
        now, policy = installation.clock.now(), installation.crls.policy
        self._due = []
        with installation.database.read() as session:
            for authority in list_authorities(session):
                if authority.state is AuthorityState.PENDING or self._is_quiet(authority):
                    continue
                if list_due(session, authority, policy, now):
                    self._due.append(authority.name)
                elif not list_due(session, authority, policy, now, hurry=True):
                    # Nothing waits for others either.
                    told = (authority.revocation_epoch, authority.crl_partitions)
                    self._quiet[authority.name] = (*told, time.monotonic() + _LOOK_SECONDS)
        return bool(self._due) or self._sweep_due()

    def run(self) -> None:
        installation = self._installation
        failure: PkiError | HSMError | LintUnavailable | None = None
        for name in self._due:
            try:
                issued = publish_due(installation.issuer(name), ACTOR, installation.crls)
            except (PkiError, HSMError, LintUnavailable) as error:
                failure = error  # the key of one authority is away, or a list is refused: the others go on
            else:
                # Until the files are there, a sweep is due: a full disk must not be forgotten.
                self._swept_at, swept_at = None, self._swept_at
                write_issued(installation, issued)
                self._swept_at = swept_at
        if self._sweep_due():
            write_public_files(installation)
            self._swept_at = time.monotonic()
        if failure is not None:
            raise failure

    def _is_quiet(self, authority: AuthorityRecord) -> bool:
        epoch, partitions, until = self._quiet.get(authority.name, (-1, -1, 0.0))
        told = (authority.revocation_epoch, authority.crl_partitions)
        return told == (epoch, partitions) and time.monotonic() < until

    def _sweep_due(self) -> bool:
        return self._swept_at is None or time.monotonic() >= self._swept_at + _SWEEP_SECONDS


@dataclass
class ServiceJob:
    """Renews the certificates of OCSP responder and time-stamping authority."""

    installation: Installation
    name: str = "services"
    seconds: float = 300.0

    def is_due(self) -> bool:
        return bool(services_due(self.installation))

    def run(self) -> None:
        make_services(self.installation, ACTOR)


@dataclass
class AnswerJob:
    """Signs OCSP answers before they are asked for."""

    installation: Installation
    name: str = "ocsp"
    seconds: float = 15.0

    def is_due(self) -> bool:
        return self.installation.ocsp_signer.is_due()

    def run(self) -> None:
        self.installation.ocsp_signer.sign_due()


@dataclass
class NoticeJob:
    """Makes notices of certificates that end soon, and passes them on."""

    installation: Installation
    name: str = "notices"
    seconds: float = 300.0

    def is_due(self) -> bool:
        return self.installation.notices.is_due()

    def run(self) -> None:
        carry_notices(self.installation, ACTOR, logging.getLogger(LOGGER))


@dataclass
class LevelJob:
    """Reaches levels of signatures for which a time-stamp or a proof was missing when they were made."""

    installation: Installation
    name: str = "levels"
    seconds: float = 15.0

    def is_due(self) -> bool:
        return has_due(self.installation.leveling)

    def run(self) -> None:
        _work_off(lambda: reach_due(ACTOR, self.installation.leveling), self.is_due)


@dataclass
class RenewalJob:
    """Covers archive time-stamps by new ones before they prove nothing any more."""

    installation: Installation
    name: str = "renewals"
    seconds: float = 300.0

    def is_due(self) -> bool:
        return has_renewals(self.installation.leveling)

    def run(self) -> None:
        _work_off(lambda: renew_due(ACTOR, self.installation.leveling), self.is_due)


def _work_off(do_some: Callable[[], object], is_due: Callable[[], bool]) -> None:
    """Batch after batch until nothing is due, but not without end: between two looks the lock of a job is free."""
    until = time.monotonic() + _LONGEST_RUN_SECONDS
    do_some()
    while time.monotonic() < until and is_due():
        do_some()


class BatchJob:
    """Signs the documents of batches."""

    name = "batches"
    seconds = 0.5

    def __init__(self, installation: Installation) -> None:
        self._installation = installation
        self._swept_at: float | None = None

    def is_due(self) -> bool:
        return has_waiting(self._installation.batches) or self._sweep_due()

    def run(self) -> None:
        deps = self._installation.batches
        if self._sweep_due():
            forget_orphans(deps, time.time() - _ORPHAN_SECONDS)  # compared with times of the file system
            self._swept_at = time.monotonic()
        # Then others are asked whether they have anything to do, and the service whether it goes on.
        until = time.monotonic() + _BATCH_SECONDS
        while work_off(deps, ACTOR) and time.monotonic() < until:
            pass

    def _sweep_due(self) -> bool:
        return self._swept_at is None or time.monotonic() >= self._swept_at + _SWEEP_SECONDS


@dataclass
class PreparedJob:
    """Ends prepared documents that nobody has signed in their time, and takes away files that are left of those that ended."""

    installation: Installation
    name: str = "prepared"
    seconds: float = 60.0

    def is_due(self) -> bool:
        return has_ended_prepared(self.installation.handover)

    def run(self) -> None:
        clear_prepared(ACTOR, self.installation.handover)


# A new job is one line more.
JOBS: tuple[Callable[[Installation], Job], ...] = (
    CrlJob,
    ServiceJob,
    AnswerJob,
    NoticeJob,
    LevelJob,
    BatchJob,
    RenewalJob,
    PreparedJob,
)


def make_jobs(installation: Installation, kinds: Iterable[Callable[[Installation], Job]] = JOBS) -> list[Job]:
    """Every job of an installation."""
    return [kind(installation) for kind in kinds]
