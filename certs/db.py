"""The database: one engine, sessions that read, and sessions that write in one transaction. Knows no table."""

from __future__ import annotations

import fcntl
import hashlib
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import (
    ARRAY,
    URL,
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    MetaData,
    bindparam,
    create_engine,
    event,
    func,
    make_url,
    select,
    text,
)
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from certs.kept import KeptConnections
from certs.lent import LentConnections, may_have_died
from certs.outages import database_errors
from certs.prepared import Prepared

# Names for constraints, so that a migration can alter them on any database.
_NAMING = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}
# What a connection to PostgreSQL asks of the server where nobody has asked for something else: no lock is waited for longer
# than on SQLite, no statement runs for ever, and a client that has vanished inside a transaction gives its locks back.
# A commit must survive the loss of power (synchronous_commit), as it does on SQLite.
_SERVER_SETTINGS = {
    "statement_timeout": "30s",
    "idle_in_transaction_session_timeout": "30s",
    "synchronous_commit": "on",
}
# What writes finds its rows by their keys, so one plan is good for all values: the server would plan the result of a signature anew each
# time, which takes longer than to do it. It goes by an index from the first row on; and the price that the server puts on what is to be
# avoided would have it compile the rest. (What reads may go by an index of some states alone.)
_BY_KEYS = {"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "jit": "off"}
# How long a server may be silent before it counts as gone (libpq; tcp_user_timeout in milliseconds).
_CLIENT_SETTINGS = {
    "connect_timeout": 5,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "fallback_application_name": "antin",
}

Mark = tuple[int, int]  # which connection counts, and what it has counted


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC, stored without a zone where the database has none (SQLite). A naive time is refused."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002  the base class's signature
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be stored")
        return value.astimezone(UTC)

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], Any] | None:
        if dialect.name != "sqlite":
            return super().bind_processor(dialect)

        def written(value: datetime | None) -> str | None:
            # As SQLAlchemy's own type for SQLite writes it, in a fifth of the time: every row has several.
            if value is not None and value.tzinfo is not UTC:
                value = self.process_bind_param(value, dialect)
            return None if value is None else value.isoformat(" ", "microseconds")[: -len("+00:00")]

        return written

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any] | None:
        if dialect.name != "sqlite":
            return super().result_processor(dialect, coltype)

        def read(value: str | None) -> datetime | None:
            return None if value is None else datetime.fromisoformat(value).replace(tzinfo=UTC)

        return read

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
    block and rolled back by any exception. No key and no network call belongs inside either (law 4). Every failure of
    the database itself is DatabaseUnavailable; after one at the end of a `write()`, whether it was committed is unknown.

    On SQLite a writer is alone (BEGIN IMMEDIATE: a transaction that reads first and writes later may be refused in the
    middle). On PostgreSQL writers work side by side at READ COMMITTED: whoever decides by what he has read locks the row,
    or holds the name of what has no row yet (`hold`). So no transaction is ever refused for being late, and none is retried.
    """

    def __init__(self, url: str | URL, *, busy_timeout: float = 5.0) -> None:
        self.url = make_url(url)
        self._busy_timeout = busy_timeout
        self.engine = self._build_engine(query_only=False)
        self._reader = self._build_engine(query_only=True)
        self._watching = threading.local()
        self._watchers: list[sqlite3.Connection] = []
        self._kept: tuple[KeptConnections, KeptConnections] | None = None
        if self.engine.dialect.name == "sqlite":
            self._kept = KeptConnections(self._reader), KeptConnections(self.engine, _ALONE)
        self._lent = LentConnections(self._reader), LentConnections(self.engine, **_BY_KEYS)

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

    def write_rows(self) -> AbstractContextManager[Connection]:
        """`write()` for statements alone: without a unit of work, which costs more than several of them. `unit_of_work` adds one."""
        return self._kept[1].use() if self._kept is not None else self._lent[1].use(_BESIDE_OTHERS)

    def look(self) -> AbstractContextManager[Connection]:
        """`glance()` for prepared statements, which read all their rows at once."""
        return self._kept[0].use() if self._kept is not None else self._lent[0].use()

    @contextmanager
    def glance(self) -> Iterator[Connection]:
        """For single queries, each of which sees its own state, and cannot write: `read()` without the cost of a transaction."""
        with database_errors(), self._reader.connect() as connection, _each_by_itself(connection):
            yield connection.execution_options(**{_GLANCE: True})

    def at_once(self) -> AbstractContextManager[Connection]:
        """For one statement that is a whole `write()` by itself: committed when it returns, or nothing happened.

        On PostgreSQL also for several that are sent together.
        """
        # On SQLite statements that the driver runs by itself (certs/prepared.py) begin no transaction.
        return self._kept[1].use() if self._kept is not None else self._lent[1].use()

    @contextmanager
    def alone(self, deed: str) -> Iterator[None]:
        """Be the only one, in any process, who does this deed: across several transactions and the use of keys between them.

        Waits as long as it takes. Never inside a `read()` or `write()`. Ends with the process, however that dies.
        """
        keeping = self._lock_file(deed) if self.url.get_backend_name() == "sqlite" else self._keep_name(deed)
        with keeping:
            yield

    @property
    def is_far(self) -> bool:
        """Whether statements cross to a server, which costs more than they do: then a few together are better than one by one."""
        return self._kept is None

    def mark(self) -> Mark | None:
        """A mark that is another one after every commit by anybody: while it is the same, what was read is still so.

        To be asked before reading, by one thread: another has marks of its own. None where asking costs what reading does (PostgreSQL).
        """
        if self.url.get_backend_name() != "sqlite":
            return None
        connection: sqlite3.Connection | None = getattr(self._watching, "connection", None)
        with database_errors():
            if connection is None:
                connection = self._watching.connection = self._watch()
            # Tells of commits by other connections (sqlite.org/pragma.html), of which this one has counted its own; it makes none.
            return id(connection), connection.execute("PRAGMA data_version").fetchone()[0]

    def close(self) -> None:
        """Close every idle connection."""
        self.engine.dispose()
        self._reader.dispose()
        for watcher in self._watchers:
            watcher.close()
        self._watchers.clear()
        self._watching = threading.local()
        for each in self._kept or self._lent:
            each.close()

    def _watch(self) -> sqlite3.Connection:
        connection = sqlite3.connect(str(self.url.database), check_same_thread=False, isolation_level=None)
        connection.execute("PRAGMA query_only=1")
        self._watchers.append(connection)
        return connection

    @contextmanager
    def _lock_file(self, deed: str) -> Iterator[None]:
        # Beside the database and never the file itself: closing that would drop SQLite's own locks in this process.
        path = Path(f"{self.url.database}.{deed}-lock")
        with path.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    @contextmanager
    def _keep_name(self, deed: str) -> Iterator[None]:
        with database_errors():
            connection = self.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            # The lock belongs to this connection, which therefore goes back to no pool.
            connection.detach()
        try:
            with database_errors():
                connection.execute(text("SET lock_timeout = 0"))
                connection.execute(text("SET statement_timeout = 0"))
                connection.execute(text("SELECT pg_advisory_lock(:name)"), {"name": _number_of(f"alone {deed}")})
            yield
        finally:
            connection.close()

    def _build_engine(self, *, query_only: bool) -> Engine:
        if self.url.get_backend_name() == "sqlite":
            return self._build_sqlite(query_only=query_only)
        return self._build_postgresql(query_only=query_only)

    def _build_sqlite(self, *, query_only: bool) -> Engine:
        engine = create_engine(self.url, connect_args={"timeout": self._busy_timeout})
        begin = "BEGIN" if query_only else _ALONE

        def set_up(connection: sqlite3.Connection, _record: Any) -> None:
            # Without this Python's sqlite3 opens transactions when it sees fit, and never an immediate one.
            connection.isolation_level = None
            # A commit must survive the loss of power: WAL syncs at each commit only with FULL (sqlite.org/pragma.html).
            for pragma in (
                "journal_mode=WAL",
                "synchronous=FULL",
                "foreign_keys=ON",
                f"query_only={int(query_only)}",
                # Every checkpoint writes and syncs each page that was touched since the last one, mostly the same ones. 16 MB of log.
                "wal_autocheckpoint=4000",
            ):
                connection.execute(f"PRAGMA {pragma}").close()

        def start(connection: Connection) -> None:
            # Beginning and ending a transaction around one query by a key takes a quarter of its time.
            if not connection.get_execution_options().get(_GLANCE):
                driver: Any = connection.connection.dbapi_connection
                # In the driver's own words: it stands before every transaction. A kept connection may be in one already.
                if not driver.in_transaction:
                    driver.execute(begin).close()

        event.listen(engine, "connect", set_up)
        event.listen(engine, "begin", start)
        return engine

    def _build_postgresql(self, *, query_only: bool) -> Engine:
        settings = _SERVER_SETTINGS | {"lock_timeout": f"{max(1, round(self._busy_timeout * 1000))}ms"}
        # What an operator or a database's owner has set stays; only what would wait for ever, or forget, is changed.
        asked = " UNION ALL ".join(
            f"SELECT set_config('{name}', '{value}', false) WHERE current_setting('{name}') IN ('0', 'off')"
            for name, value in settings.items()
        )
        engine = create_engine(
            self.url,
            isolation_level="REPEATABLE READ" if query_only else "READ COMMITTED",
            connect_args={name: value for name, value in _CLIENT_SETTINGS.items() if name not in self.url.query},
        )

        def set_up(connection: Any, _record: Any) -> None:
            connection.autocommit = True
            connection.execute(asked)
            connection.execute("SET TimeZone = 'UTC'")
            # For what is asked outside a transaction of SQLAlchemy's, whatever an operator has made the default.
            connection.execute("SET default_transaction_isolation = 'read committed'")
            if query_only:
                connection.execute("SET default_transaction_read_only = on")
            connection.autocommit = False
            connection.read_only = query_only

        event.listen(engine, "connect", set_up)
        _watch_pool(engine)
        return engine


@contextmanager
def _each_by_itself(connection: Connection) -> Iterator[None]:
    """Each statement is a transaction of its own: without BEGIN and COMMIT it crosses to PostgreSQL once instead of three times.

    On SQLite, where crossing costs nothing, one that writes keeps its transaction.
    """
    if connection.dialect.name != "postgresql":
        yield
        return
    driver: Any = connection.connection.driver_connection
    driver.autocommit = True
    try:
        yield
    finally:
        if not connection.invalidated:
            try:
                driver.autocommit = False
            except connection.dialect.loaded_dbapi.Error:
                # Broken off, or left in the middle of something: it goes to no one else, who would be without a transaction.
                connection.invalidate()


def _watch_pool(engine: Engine) -> None:
    """No connection leaves the pool that has died in it: the server was restarted, a firewall forgot it.

    Asking the server each time (pool_pre_ping) costs as much as a query.
    """

    def came(_connection: Any, record: Any) -> None:
        record.info[_LAY_SINCE] = time.monotonic()

    def goes(connection: Any, record: Any, _proxy: Any) -> None:
        if not may_have_died(connection.fileno(), record.info[_LAY_SINCE]):
            return
        try:
            engine.dialect.do_ping(connection)
        except engine.dialect.loaded_dbapi.Error as error:
            # The others came from the same server: the pool begins anew.
            raise sa_exc.InvalidatePoolError from error

    event.listen(engine, "connect", came)
    event.listen(engine, "checkin", came)
    event.listen(engine, "checkout", goes)


_GLANCE = "antin_glance"
# A transaction that reads first and writes later may be refused in the middle, unless it keeps other writers out from its beginning.
_ALONE = "BEGIN IMMEDIATE"
# PostgreSQL's: at READ COMMITTED, as every transaction of a writer's.
_BESIDE_OTHERS = "BEGIN"
_LAY_SINCE = "antin lay since"


def connection_of(within: Session | Connection) -> Connection:
    """The connection of a transaction, for statements that know nothing of a unit of work."""
    return within.connection() if isinstance(within, Session) else within


@contextmanager
def unit_of_work(connection: Connection) -> Iterator[Session]:
    """A session within a transaction that goes on after it: what it has changed is written at its end, and committed with the rest."""
    if not connection.in_transaction():
        # A kept connection's transaction, which only its driver knows of: SQLAlchemy's has its place there, and its end.
        connection.begin()
    with Session(connection, expire_on_commit=False, join_transaction_mode="rollback_only") as session:
        yield session
        session.flush()


def hold_before(connection: Connection, *names: str) -> None:
    """`hold(shared=True)` as the first of statements that are sent together: what follows it begins when it has the names."""
    _HOLD_SHARED.queue(connection, _numbers_of(names), 0)


def hold(within: Session | Connection, *names: str, shared: bool = False) -> None:
    """Keep names to this transaction until it ends, for what has no row to lock yet: whoever holds one elsewhere is waited for.

    Those who hold a name `shared` do not wait for each other. Unlike shared row locks these are granted in the order of
    asking, so that a revocation is not kept waiting by signatures without end, and they write nothing. On SQLite a writer
    is alone anyway.
    """
    connection = connection_of(within)
    if connection.dialect.name == "postgresql":
        (_HOLD_SHARED if shared else _HOLD).run(connection, _numbers_of(names))


_NAMES = func.unnest(bindparam("names", type_=ARRAY(BigInteger))).column_valued("name")
_HOLD = Prepared(select(func.pg_advisory_xact_lock(_NAMES)))
_HOLD_SHARED = Prepared(select(func.pg_advisory_xact_lock_shared(_NAMES)))


def _numbers_of(names: Iterable[str]) -> dict[str, list[int]]:
    # Always in one order, so that two who want the same names do not wait for each other for ever.
    return {"names": sorted(map(_number_of, names))}


def _number_of(name: str) -> int:
    """PostgreSQL's advisory locks are 64-bit numbers. Two names of one number would only wait for each other."""
    return int.from_bytes(hashlib.sha256(f"antin {name}".encode()).digest()[:8], "big", signed=True)
