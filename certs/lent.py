"""Lent connections: open ones to PostgreSQL that are handed out for one use at a time, with transactions that are the driver's.

To take a connection from SQLAlchemy's pool and to give it back costs as much as four statements, and every request does so several times.
What has its own unit of work goes by that pool (db.py); SQLite's are kept.py's.
"""

from __future__ import annotations

import select
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine
from sqlalchemy import exc as sa_exc

from certs.outages import raise_outage
from certs.prepared import driver_error, raw_cursor

# So many wait open for their next use; what is needed besides for a moment is closed after it.
_MOST_IDLE = 5
# One that lay for longer may have been forgotten by a firewall without a word.
_TRUSTED_SECONDS = 5.0
# A plan that the server keeps was made for tables as they were then: of a table that was empty it reads all that came since.
_PLANS_SECONDS = 5.0
_IDLE = 0  # libpq's PQTRANS_IDLE


def may_have_died(descriptor: int, lay_since: float) -> bool:
    """Whether a connection should be asked before it is used: it lay for long, or something has arrived that nobody asked for.

    A server that ends a connection says so, and what it said can be seen without asking, which costs as much as a query.
    """
    if time.monotonic() - lay_since >= _TRUSTED_SECONDS:
        return True
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))


class _Open:
    """An open connection, with what the driver runs statements by."""

    __slots__ = ("connection", "cursor", "driver", "lay_since", "plans_since")

    def __init__(self, engine: Engine, settings: Mapping[str, str]) -> None:
        self.connection = engine.connect()
        # It goes back to no pool, which would have one less for ever.
        self.connection.detach()
        driver: Any = self.connection.connection.dbapi_connection
        # Each statement by itself, until a use begins a transaction.
        driver.autocommit = True
        self.driver = driver
        self.cursor = raw_cursor(self.connection)
        for name, value in settings.items():
            self.cursor.execute("SELECT set_config($1, $2, false)", (name, value))
        self.lay_since = self.plans_since = time.monotonic()

    def has_old_plans(self) -> bool:
        return time.monotonic() - self.plans_since >= _PLANS_SECONDS

    def answers(self) -> bool:
        """Whether the server is there; it makes its plans anew."""
        try:
            self.cursor.execute("DISCARD PLANS")
            self.plans_since = time.monotonic()
        except self.connection.dialect.loaded_dbapi.Error:
            self.connection.close()
            return False
        return True


class LentConnections:
    """Lends connections of one engine on PostgreSQL, opened with the server's settings besides. For threads: none has another's."""

    def __init__(self, engine: Engine, **settings: str) -> None:
        self._engine = engine
        self._settings = settings
        # The last one that came back goes out first: few are used, and those stay warm. Both ends of a list are safe for threads.
        self._idle: list[_Open] = []
        self._opened_since = object()

    def use(self, begin: str | None = None) -> Loan:
        """One for a `with` block: with `begin` a transaction that is committed at its end, else each statement by itself."""
        return Loan(self, begin)

    def take(self) -> tuple[_Open, object]:
        """One that is in no transaction, and what it was opened under."""
        since = self._opened_since
        while True:
            try:
                found = self._idle.pop()
            except IndexError:
                return _Open(self._engine, self._settings), since
            asked = may_have_died(found.driver.fileno(), found.lay_since) or found.has_old_plans()
            if not asked or found.answers():
                return found, since
            # The others came from the same server.
            self.close()
            since = self._opened_since

    def give_back(self, used: _Open, since: object) -> None:
        """It is in no transaction any more."""
        if since is not self._opened_since or len(self._idle) >= _MOST_IDLE:
            used.connection.close()
            return
        used.lay_since = time.monotonic()
        self._idle.append(used)

    def close(self) -> None:
        """Close those that nobody uses now, and the others when they come back."""
        self._opened_since = object()
        while self._idle:
            try:
                self._idle.pop().connection.close()
            except IndexError:
                return


class Loan:
    """One use of a connection. A class, for a generator takes twice as long to begin and to end."""

    __slots__ = ("_begin", "_lender", "_since", "_used")
    _used: _Open
    _since: object

    def __init__(self, lender: LentConnections, begin: str | None) -> None:
        self._lender = lender
        self._begin = begin

    def __enter__(self) -> Connection:
        try:
            self._used, self._since = self._lender.take()
        except Exception as error:
            raise_outage(error)
            raise
        if self._begin is not None:
            self._say(self._begin)
        return self._used.connection

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._take_back(error)
            raise_outage(error)
            return
        joined = self._used.connection.get_transaction()
        if joined is None and self._begin is not None:
            self._say("COMMIT")
        elif joined is not None:
            self._end(joined)
        self._lender.give_back(self._used, self._since)

    def _end(self, joined: Any) -> None:
        """A unit of work has joined in, or a statement went by SQLAlchemy, which counts it as a transaction of its own."""
        try:
            joined.commit()
        except BaseException as error:
            self._take_back(error)
            raise_outage(error)
            raise

    def _say(self, word: str) -> None:
        try:
            self._used.cursor.execute(word)
        except BaseException as error:
            self._take_back(error)
            dialect = self._used.connection.dialect
            if isinstance(error, dialect.loaded_dbapi.Error):
                wrapped = driver_error(error, dialect, word)
                raise_outage(wrapped)
                raise wrapped from error
            raise

    def _take_back(self, error: BaseException) -> None:
        """What the transaction did is undone. Where nobody knows in what state it was left, the connection is closed."""
        used = self._used
        if isinstance(error, Exception) and not used.connection.invalidated:
            try:
                joined = used.connection.get_transaction()
                if joined is not None:
                    joined.rollback()
                used.driver.rollback()
                if used.driver.pgconn.transaction_status == _IDLE:
                    self._lender.give_back(used, self._since)
                    return
            except (sa_exc.SQLAlchemyError, used.connection.dialect.loaded_dbapi.Error):
                pass
        used.connection.close()
