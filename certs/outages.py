"""Outages: which failures of a driver mean that the database is unavailable, and why; all others are mistakes of ours."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc as sa_exc

from certs.errors import DatabaseUnavailable

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
# SQLSTATE, a whole code before its class (PostgreSQL manual, appendix A). What is not here is a mistake of ours.
_SQLSTATE_REASONS = {
    "08": "away",
    "25006": "readonly",  # a standby, or default_transaction_read_only
    "25P03": "slow",  # idle_in_transaction_session_timeout
    "28": "refused",
    "3D000": "missing",
    "3F000": "no-schema",
    "40": "locked",  # a deadlock or a serialization failure: somebody else was first
    "42501": "forbidden",
    "42703": "no-schema",
    "42P01": "no-schema",
    "53": "busy",
    "53100": "full",
    "53400": "full",  # temp_file_limit
    "55P03": "locked",
    "57014": "slow",  # statement_timeout
    "57P04": "missing",  # the database was dropped
    "57": "away",
    "58": "damaged",
    "XX001": "damaged",
    "XX002": "damaged",
}
# libpq keeps the SQLSTATE of a refused connection to itself, so only the sentence tells. In another language it counts as away.
_REFUSALS = {
    'FATAL:  role "': "refused",
    "password": "refused",
    "authentication failed": "refused",
    "no pg_hba.conf entry": "refused",
    "not permitted to log in": "refused",
    "permission denied for database": "forbidden",
    "does not exist": "missing",
    "too many": "busy",
    "remaining connection slots": "busy",
}


@contextmanager
def database_errors() -> Iterator[None]:
    """Turn the driver's and the pool's failures inside the block into DatabaseUnavailable; leave mistakes of ours alone."""
    try:
        yield
    except (sqlite3.Error, sa_exc.TimeoutError, sa_exc.DBAPIError) as error:
        raise_outage(error)
        raise


def raise_outage(error: BaseException) -> None:
    """Raise DatabaseUnavailable where this failure of the driver or the pool means that; return where it is a mistake of ours, or
    no failure of theirs.
    """
    if isinstance(error, sqlite3.Error):
        # Raised by the pragmas of a new connection and by kept ones, outside SQLAlchemy's wrapping.
        reason = _sqlite_reason(error)
        if reason:
            raise DatabaseUnavailable(f"database unavailable: {reason}: {error}", reason=reason) from error
    elif isinstance(error, sa_exc.TimeoutError):
        raise DatabaseUnavailable("no database connection came free", reason="locked") from error
    elif isinstance(error, sa_exc.DBAPIError) and (reason := _reason(error)):
        said = str(error.orig).splitlines() or [""]
        raise DatabaseUnavailable(f"database unavailable: {reason}: {said[0]}", reason=reason) from error.orig


def is_outage(error: sa_exc.DBAPIError) -> bool:
    """Whether the database itself is unavailable, and not only this statement refused."""
    return bool(_reason(error))


def _reason(error: sa_exc.DBAPIError) -> str:
    """Why the database is unavailable; empty when it is not, and the statement was wrong."""
    if isinstance(error.orig, sqlite3.Error):
        ours = isinstance(error, sa_exc.IntegrityError | sa_exc.ProgrammingError | sa_exc.DataError)
        return "" if ours else _sqlite_reason(error.orig)
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlstate:
        return _SQLSTATE_REASONS.get(sqlstate) or _SQLSTATE_REASONS.get(sqlstate[:2], "")
    # The connection broke off, or never came about: there was nobody left to give a code.
    reason = "away"
    if error.statement is None:
        return next((other for words, other in _REFUSALS.items() if words in str(error.orig)), reason)
    return reason if isinstance(error, sa_exc.OperationalError | sa_exc.InterfaceError) else ""


def _sqlite_reason(error: sqlite3.Error) -> str:
    # SQLite's general error is a statement it does not understand: a mistake of ours, which must not look like an outage.
    name = getattr(error, "sqlite_errorname", "")
    reason = next((word for prefix, word in _SQLITE_REASONS.items() if name.startswith(prefix)), "")
    if "no such table" in str(error) or "no such column" in str(error):
        reason = "no-schema"
    return reason
