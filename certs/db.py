"""The database: one engine, sessions that read, and sessions that write in one transaction. Knows no table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import URL, Connection, DateTime, Dialect, Engine, MetaData, create_engine, event, make_url
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from certs.errors import DatabaseUnavailable

# Names for constraints, so that a migration can alter them on any database.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# The extended result codes begin with these (sqlite.org/rescode.html).
_SQLITE_REASONS = {
    "SQLITE_BUSY": "locked",
    "SQLITE_LOCKED": "locked",
    "SQLITE_CANTOPEN": "unopenable",
    "SQLITE_FULL": "full",
    "SQLITE_READONLY": "readonly",
    "SQLITE_PERM": "readonly",
    "SQLITE_IOERR": "damaged",
    "SQLITE_CORRUPT": "damaged",
    "SQLITE_NOTADB": "damaged",
}


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, stored without a zone where the database has none (SQLite). A naive time is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        value = value.astimezone(UTC)
        return value.replace(tzinfo=None) if dialect.name == "sqlite" else value

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base class's signature
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """The rows of all packages share one catalogue of tables; each package keeps its own rows to itself (law 8)."""

    metadata = MetaData(naming_convention=_NAMING)
    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012  SQLAlchemy reads a plain mapping here


class Database:
    """Opens sessions on one database. Built once; safe for threads.

    `read()` sees one consistent state and cannot write. `write()` is one transaction, committed at the end of the
    block and rolled back by any exception; on SQLite it takes the write lock at the start (BEGIN IMMEDIATE), because
    a transaction that reads first and writes later may be refused in the middle. No key and no network call belongs
    inside either (law 4). Every failure of the database itself is DatabaseUnavailable.
    """

    def __init__(self, url: str | URL, *, busy_timeout: float = 5.0) -> None:
        self.url = make_url(url)
        self._busy_timeout = busy_timeout
        self.engine = self._build_engine(query_only=False)
        self._reader = self._build_engine(query_only=True)

    @contextmanager
    def read(self) -> Iterator[Session]:
        with database_errors(), Session(self._reader, expire_on_commit=False, autoflush=False) as session:
            session.connection()
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        with database_errors(), Session(self.engine, expire_on_commit=False) as session, session.begin():
            session.connection()
            yield session

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()
        self._reader.dispose()

    def _build_engine(self, *, query_only: bool) -> Engine:
        if self.url.get_backend_name() != "sqlite":
            return create_engine(self.url, pool_pre_ping=True, execution_options={"postgresql_readonly": query_only})
        engine = create_engine(self.url, connect_args={"timeout": self._busy_timeout})
        begin = "BEGIN" if query_only else "BEGIN IMMEDIATE"

        def set_up(connection: sqlite3.Connection, _record: Any) -> None:
            # Without this Python's sqlite3 opens transactions when it sees fit, and never an immediate one.
            connection.isolation_level = None
            # A commit must survive the loss of power: WAL syncs at each commit only with FULL (sqlite.org/pragma.html).
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"query_only={int(query_only)}",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

        def start(connection: Connection) -> None:
            connection.exec_driver_sql(begin)

        event.listen(engine, "connect", set_up)
        event.listen(engine, "begin", start)
        return engine


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the driver's and the pool's failures inside the block into DatabaseUnavailable; leave mistakes of ours alone."""
    try:
        yield
    except sqlite3.Error as error:
        # Raised by the pragmas of a new connection, outside SQLAlchemy's wrapping.
        _raise_if_unavailable(error)
        raise
    except sa_exc.TimeoutError as error:
        raise DatabaseUnavailable("no database connection came free", reason="locked") from error
    except sa_exc.DBAPIError as error:
        if not isinstance(error, (sa_exc.IntegrityError, sa_exc.ProgrammingError, sa_exc.DataError)):
            _raise_if_unavailable(error.orig)
        raise


def _raise_if_unavailable(cause: BaseException | None) -> None:
    reason = "away"
    if isinstance(cause, sqlite3.Error):
        name = getattr(cause, "sqlite_errorname", "")
        reason = next((word for prefix, word in _SQLITE_REASONS.items() if name.startswith(prefix)), "")
        if "no such table" in str(cause) or "no such column" in str(cause):
            reason = "no-schema"
    # SQLite's general error is a statement it does not understand: a mistake of ours, which must not look like an outage.
    if reason:
        raise DatabaseUnavailable(f"database unavailable: {reason}: {cause}", reason=reason) from cause
