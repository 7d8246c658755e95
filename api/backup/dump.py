"""Every table of a database as lines of JSON that belong to no kind of database, and back into an empty schema of any kind.

A chunk is a few mebibytes: its first line names a table and its columns with their kinds, each further line is a row. Octets are base64,
times RFC 3339 in UTC with microseconds. What the tables are is asked of the database, so that no table can be forgotten.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    DateTime,
    Double,
    Float,
    Integer,
    LargeBinary,
    MetaData,
    Select,
    String,
    Table,
    Text,
    column,
    delete,
    func,
    insert,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session
from sqlalchemy.types import TypeEngine

from api.errors import ComponentError, UsageError
from certs.db import UtcDateTime
from certs.outages import is_outage
from pki.audit_link import written_time
from signer.word_index import NAME as WORD_INDEX

REVISION = "alembic_version"
# Answers to requests of the last day, which nobody repeats to a home that has come back.
LEFT_OUT = frozenset({REVISION, "idempotency_keys"})
# Migrations put rows of their own into this one; those that the dump brings take their place.
_MADE_BY_MIGRATIONS = "audit_chains"
_CHUNK_OCTETS = 2 * 1024 * 1024
_ROWS_AT_ONCE = 200
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")

# Kinds by the type that a database says a column has. A boolean is no number, so it comes first.
_KINDS: tuple[tuple[type[TypeEngine[Any]], str], ...] = (
    (Boolean, "flag"),
    (LargeBinary, "octets"),
    (DateTime, "time"),
    (JSON, "json"),
    (Float, "real"),
    (Integer, "number"),
    (String, "text"),
)
_TYPES: dict[str, TypeEngine[Any]] = {
    "flag": Boolean(),
    "octets": LargeBinary(),
    "time": UtcDateTime(),
    "json": JSON(none_as_null=True),
    "real": Double(),
    "number": BigInteger(),
    "text": Text(),
}
_WRITE: dict[str, Callable[[Any], Any]] = {"octets": lambda v: base64.b64encode(v).decode(), "time": written_time}
_READ: dict[str, Callable[[Any], Any]] = {
    "octets": lambda v: base64.b64decode(v, validate=True),
    "time": datetime.fromisoformat,
}


def dump_tables(session: Session) -> Iterator[tuple[str, bytes]]:
    """Chunks of every table by name, referenced ones first, as one state of the database has them."""
    for each in _tables(session.connection()):
        if each.name in LEFT_OUT:
            continue
        kinds = [_kind(one) for one in each.columns]
        names = [one.name for one in each.columns]
        head = json.dumps({"table": each.name, "columns": list(zip(names, kinds, strict=True))}).encode() + b"\n"
        lines, size = [head], len(head)
        try:
            for row in _rows(session, each, kinds):
                line = _line(row, kinds)
                lines.append(line)
                size += len(line)
                if size >= _CHUNK_OCTETS:
                    yield each.name, b"".join(lines)
                    lines, size = [head], len(head)
        except (ValueError, TypeError):
            # SQLite stores anything anywhere: somebody has put there what no program of ours writes.
            raise ComponentError("BACKUP_ROW_UNREADABLE", table=each.name) from None
        yield each.name, b"".join(lines)


def revision_of(session: Session | Connection) -> str:
    """The schema's revision, as Alembic notes it."""
    return str(session.execute(text(f"SELECT version_num FROM {REVISION}")).scalar_one())  # noqa: S608  a constant


def is_empty(connection: Connection) -> bool:
    """Whether the database has no table at all."""
    return not inspect(connection).get_table_names()


def load_chunk(connection: Connection, chunk: bytes) -> int:
    """Put the rows of a chunk into its table; how many there were. ValueError when it is no chunk."""
    head, *lines = chunk.splitlines()
    said = json.loads(head)
    name, columns = said["table"], [(str(each), str(kind)) for each, kind in said["columns"]]
    # Names go into statements: age says that nobody has changed the file, not who made it.
    if name in LEFT_OUT or not all(_NAME.fullmatch(each) for each in (name, *(each for each, _ in columns))):
        raise ValueError(name)
    target = table(name, *(column(each, _TYPES[kind]) for each, kind in columns))
    rows = [_row(json.loads(line), columns) for line in lines]
    if not rows:
        return 0
    try:
        if name == _MADE_BY_MIGRATIONS:
            chains = [row["chain"] for row in rows]
            connection.execute(delete(target).where(target.c.chain.in_(chains)))
        connection.execute(insert(target), rows)
    except sa_exc.DBAPIError as error:
        if is_outage(error) and not isinstance(error, sa_exc.ProgrammingError):
            raise
        said_ = str(error.orig).splitlines() or [""]
        raise UsageError("RESTORE_ROW_REFUSED", table=name, reason=said_[0][:200]) from None
    return len(rows)


def count_on(connection: Connection) -> None:
    """On PostgreSQL: sequences go on after the rows that were put in with their numbers. SQLite does so by itself."""
    if connection.dialect.name != "postgresql":
        return
    for each in _tables(connection):
        for one in each.primary_key.columns:
            if not isinstance(one.type, Integer):
                continue
            sequence = connection.scalar(
                text("SELECT pg_get_serial_sequence(quote_ident(:t), :c)"), {"t": each.name, "c": one.name}
            )
            highest = connection.scalar(select(func.max(one)))
            if sequence is not None and highest is not None:
                connection.execute(
                    text("SELECT setval(:sequence, :highest)"), {"sequence": sequence, "highest": highest}
                )


def _tables(connection: Connection) -> Sequence[Table]:
    found = MetaData()
    # An index that SQLite keeps as tables is no table of ours: it is made anew as rows come back.
    found.reflect(connection, only=lambda name, _: not name.startswith(WORD_INDEX))
    return found.sorted_tables


def _kind(one: Column[Any]) -> str:
    found = next((kind for cls, kind in _KINDS if isinstance(one.type, cls)), None)
    if found is None:
        raise TypeError(f"{one.table.name}.{one.name}: {one.type!r}")
    return found


def _rows(session: Session, each: Table, kinds: Sequence[str]) -> Iterable[Sequence[Any]]:
    typed = table(each.name, *(column(one.name, _TYPES[kind]) for one, kind in zip(each.columns, kinds, strict=True)))
    query: Select[Any] = select(*typed.c).order_by(*(typed.c[one.name] for one in each.primary_key.columns))
    result = session.execute(query, execution_options={"yield_per": _ROWS_AT_ONCE})
    own = [key.parent.name for key in each.foreign_keys if key.column.table is each]
    return _parents_first([tuple(row) for row in result], each, own[0]) if own else (tuple(row) for row in result)


def _parents_first(rows: list[tuple[Any, ...]], each: Table, reference: str) -> Iterator[tuple[Any, ...]]:
    """A table that refers to itself: authorities, of which there are few."""
    names = [one.name for one in each.columns]
    (key,) = (names.index(one.name) for one in each.primary_key.columns)
    parent, given = names.index(reference), {None}
    while rows:
        ready = [row for row in rows if row[parent] in given]
        if not ready:
            raise ValueError(each.name)
        yield from ready
        given |= {row[key] for row in ready}
        rows = [row for row in rows if row[key] not in given]


def _line(row: Sequence[Any], kinds: Sequence[str]) -> bytes:
    values = [
        value if value is None or kind not in _WRITE else _WRITE[kind](value)
        for value, kind in zip(row, kinds, strict=True)
    ]
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def _row(values: list[Any], columns: Sequence[tuple[str, str]]) -> dict[str, Any]:
    try:
        return {
            name: value if value is None or kind not in _READ else _READ[kind](value)
            for value, (name, kind) in zip(values, columns, strict=True)
        }
    except (TypeError, binascii.Error) as error:
        raise ValueError("no row") from error
