"""Kept connections: each thread's own one to an SQLite file, with transactions that are the driver's. PostgreSQL's stand in a pool (db.py).

To take a connection from a pool and to give it back costs as much as ten statements, and SQLAlchemy's way to a transaction as much as
five; every issuance needs two. Where a unit of work joins in (`db.unit_of_work`), SQLAlchemy begins one of its own around the same.
"""

from __future__ import annotations

import sqlite3
import threading
import weakref
from types import TracebackType
from typing import Any

from sqlalchemy import Connection, Engine

from certs.outages import raise_outage


class KeptConnections:
    """Connections of one engine on an SQLite file. For threads: none sees another's."""

    def __init__(self, engine: Engine, begin: str | None = None) -> None:
        self._engine = engine
        self._begin = begin
        self._own = threading.local()
        self._all: weakref.WeakSet[Connection] = weakref.WeakSet()

    def use(self) -> Use:
        """The thread's own for a `with` block: a transaction that is committed at its end, where they have a `begin`."""
        return Use(self, self._begin)

    def take(self) -> tuple[Connection, sqlite3.Connection]:
        """The thread's own connection, and the driver's within."""
        try:
            kept: tuple[Connection, sqlite3.Connection] = self._own.kept
        except AttributeError:
            connection = self._engine.connect()
            # It goes back to no pool, which would have one less for ever. It is closed with its thread, or by `close`.
            connection.detach()
            kept = self._own.kept = connection, _driver_of(connection)
            self._all.add(connection)
        return kept

    def drop(self, connection: Connection) -> None:
        """Close the thread's own: in what state a failure has left it, nobody knows. The next one begins anew."""
        vars(self._own).pop("kept", None)
        connection.close()

    def close(self) -> None:
        """Close those that nobody uses."""
        for connection in list(self._all):
            # One in the middle of a transaction is its thread's, and closed when that lets go of it.
            if not connection.closed and not _driver_of(connection).in_transaction:
                connection.close()
        self._own = threading.local()


class Use:
    """One use of a thread's connection. A class, for a generator takes twice as long to begin and to end."""

    __slots__ = ("_begin", "_connection", "_driver", "_kept")
    _connection: Connection
    _driver: sqlite3.Connection

    def __init__(self, kept: KeptConnections, begin: str | None) -> None:
        self._kept = kept
        self._begin = begin

    def __enter__(self) -> Connection:
        try:
            self._connection, self._driver = self._kept.take()
        except Exception as error:
            raise_outage(error)
            raise
        if self._begin is not None:
            try:
                self._driver.execute(self._begin).close()
            except BaseException as error:
                self._give_up(error)
                raise
        return self._connection

    def __exit__(
        self, _kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if error is not None:
            self._give_up(error)
            return
        try:
            self._end()
        except BaseException as failure:
            self._give_up(failure)
            raise

    def _end(self) -> None:
        joined = self._connection.get_transaction()
        if self._begin is None:
            if joined is not None:
                # A state that was kept would be read for ever.
                joined.rollback()
        elif joined is not None:
            joined.commit()
        else:
            self._driver.commit()

    def _give_up(self, error: BaseException) -> None:
        self._kept.drop(self._connection)
        raise_outage(error)


def _driver_of(connection: Connection) -> sqlite3.Connection:
    driver: Any = connection.connection.dbapi_connection
    found: sqlite3.Connection = driver
    return found
