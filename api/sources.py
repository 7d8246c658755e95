"""What a verdict rests on: the register, and the revocation lists of our own authorities, each with the time it was last good."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.errors import DatabaseUnavailable
from certs.inventory import get_certificate
from pki.authorities import AuthorityRecord, list_authorities
from pki.crl import find_latest_dates

Kind = Literal["register", "crl"]


@dataclass(frozen=True)
class Source:
    """One source. `owner` is the subject of a list's authority.

    `last_good` is when this process last read the register, or when the newest list was issued; None: never so far.
    """

    kind: Kind
    is_good: bool
    last_good: datetime | None
    owner: str = ""
    due: datetime | None = None


class Sources:
    """Kept by each process for itself: it says what it has seen, and nothing about others."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._read_at: datetime | None = None

    @contextmanager
    def reading(self) -> Iterator[Session]:
        """Read the register; when that goes well to the end, it is remembered."""
        with self._database.read() as session:
            yield session
        self.note_read()

    def note_read(self) -> None:
        """The register has answered just now."""
        self._read_at = self._clock.now()

    def look(self) -> None:
        """Ask the register for a little, so that its last good time is true for a service that nobody asks; DatabaseUnavailable."""
        with self.reading() as session:
            list_authorities(session)

    def silent_register(self) -> Source:
        """The register, when it has just not answered."""
        return Source("register", is_good=False, last_good=self._read_at)

    def ask(self) -> tuple[Source, ...]:
        """The register first, then a list an authority, roots first. Never raises because the register is away."""
        now = self._clock.now()
        try:
            with self.reading() as session:
                lists = [
                    _list_of(session, each, now) for each in list_authorities(session) if _owes(session, each, now)
                ]
        except DatabaseUnavailable:
            return (self.silent_register(),)
        return (Source("register", is_good=True, last_good=now), *lists)


def _owes(session: Session, authority: AuthorityRecord, now: datetime) -> bool:
    """Whether anybody waits for the authority's list: not before it has a certificate, and not after the end of that."""
    return authority.serial is not None and now < get_certificate(session, authority.serial).not_after


def _list_of(session: Session, authority: AuthorityRecord, now: datetime) -> Source:
    this_update, next_update = find_latest_dates(session, authority.name) or (None, None)
    is_good = next_update is not None and now < next_update
    return Source("crl", is_good, this_update, authority.subject, next_update)
