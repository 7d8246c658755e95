"""Prepared statements: written once with SQLAlchemy, and run by the database's own driver.

An answer of SQLite comes within microseconds, and SQLAlchemy's way to it costs ten times as much; on PostgreSQL it costs three times as
much as the one to the server and back. Types, errors and transactions are the same by both ways. For what stands in every issuance or
signature.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Delete, Dialect, Insert, Select, Update
from sqlalchemy import exc as sa_exc
from sqlalchemy.types import Float, Numeric, TypeEngine

Convert = Callable[[Any], Any] | None
Pick = Callable[[Mapping[str, Any]], Sequence[Any]]
Statement = Select[Any] | Insert | Update | Delete

# How each driver wants its parameters. psycopg takes PostgreSQL's own marks, and then need not look for others in the statement.
_MARKS = {"sqlite": "qmark", "postgresql": "numeric_dollar"}
_CURSORS = "antin cursors"
# Type numbers of PostgreSQL (pg_type.oid) of double precision and numeric.
_FLOAT8, _NUMERIC = 701, 1700


class Prepared:
    """One statement. Its values are given by the names of its parameters; rows come back as sequences in the order of its columns."""

    def __init__(self, statement: Statement) -> None:
        self._statement = statement
        self._spellings: dict[str, _Spelling] = {}

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run it once: all rows, converted; none for a statement that returns none."""
        spelling = self._spelling(connection.dialect)
        bound = spelling.bind(values)
        try:
            cursor = _cursor_of(connection).execute(spelling.sql, bound)
            rows: list[Sequence[Any]] = cursor.fetchall() if spelling.gives_rows else []
        except connection.dialect.loaded_dbapi.Error as error:
            raise driver_error(error, connection.dialect, spelling.sql) from error
        return spelling.convert(rows)

    def queue(self, connection: Connection, values: Mapping[str, Any], place: int) -> Callable[[], list[Sequence[Any]]]:
        """PostgreSQL: send it with others (`sent_together`), as the one at this place; what gives its rows once they have been sent."""
        spelling = self._spelling(connection.dialect)
        cursor = _cursor_of(connection, place)
        cursor.execute(spelling.sql, spelling.bind(values))
        return lambda: spelling.convert(cursor.fetchall() if spelling.gives_rows else [])

    def run_each(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> list[Sequence[Sequence[Any]]]:
        """Run it once for each set of values, in their order: the rows of each. To PostgreSQL they cross together."""
        if connection.dialect.name != "postgresql" or len(many) < 2:
            return [self.run(connection, values) for values in many]
        with sent_together(connection):
            results = [self.queue(connection, values, place) for place, values in enumerate(many)]
        return [result() for result in results]

    def run_many(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each set of values. Rows are not asked for."""
        spelling = self._spelling(connection.dialect)
        try:
            _cursor_of(connection).executemany(spelling.sql, map(spelling.bind, many))
        except connection.dialect.loaded_dbapi.Error as error:
            raise driver_error(error, connection.dialect, spelling.sql) from error

    def _spelling(self, dialect: Dialect) -> _Spelling:
        spelling = self._spellings.get(dialect.name)
        if spelling is None:
            spelling = self._spellings[dialect.name] = _Spelling(self._statement, dialect)
        return spelling


def driver_error(error: Exception, dialect: Dialect, sql: str) -> BaseException:
    """What SQLAlchemy makes of a driver's error, without the values: they may be of a person."""
    return sa_exc.DBAPIError.instance(
        sql, None, error, dialect.loaded_dbapi.Error, hide_parameters=True, dialect=dialect
    )


@contextmanager
def sent_together(connection: Connection) -> Iterator[None]:
    """PostgreSQL: statements that are queued in the block cross to the server as one (libpq's pipeline mode).

    Where each is a transaction by itself (`Database.at_once`), these are one together: all are done, or nothing is. Each sees what was
    committed before it began, as in any transaction at READ COMMITTED (PostgreSQL manual, 55.2.4).
    """
    driver: Any = connection.connection.dbapi_connection
    try:
        with driver.pipeline():
            yield
    except connection.dialect.loaded_dbapi.Error as error:
        raise driver_error(error, connection.dialect, "statements sent together") from error


def _cursor_of(connection: Connection, place: int = 0) -> Any:
    """What runs a statement whose rows are read at once: SQLite's connection itself; a cursor of psycopg's, which learns the types."""
    if connection.dialect.name == "sqlite":
        return connection.connection.dbapi_connection
    kept = connection.info.setdefault(_CURSORS, [])
    while place >= len(kept):
        kept.append(raw_cursor(connection))
    return kept[place]


def raw_cursor(connection: Connection) -> Any:
    """A cursor of psycopg's own for statements with PostgreSQL's own marks."""
    dbapi: Any = connection.dialect.loaded_dbapi
    return dbapi.RawCursor(connection.connection.dbapi_connection)


class _Spelling:
    """A statement in the words of one driver, and what turns its values and rows."""

    def __init__(self, statement: Statement, dialect: Dialect) -> None:
        self._statement = statement
        # Another one than the engine's, which has other marks.
        kind: Any = type(dialect)
        self._dialect: Dialect = kind(paramstyle=_MARKS[dialect.name])
        self._compiled: Any = statement.compile(dialect=self._dialect)
        self.sql = str(self._compiled)
        self.gives_rows = isinstance(statement, Select) or bool(self._compiled.effective_returning)

    def bind(self, values: Mapping[str, Any]) -> Sequence[Any]:
        pick, constants, converts = self._binding
        bound = pick({**constants, **values} if constants else values)
        if converts:
            bound = list(bound)
            for place, convert in converts:
                bound[place] = convert(bound[place])
        return bound

    def convert(self, rows: list[Sequence[Any]]) -> list[Sequence[Any]]:
        if not rows or not self._converted:
            return rows
        return [self._converted_row(row) for row in rows]

    def _converted_row(self, row: Sequence[Any]) -> list[Any]:
        out = list(row)
        for place, convert in self._converted:
            out[place] = convert(out[place])
        return out

    @cached_property
    def _binding(self) -> tuple[Pick, dict[str, Any], Sequence[tuple[int, Callable[[Any], Any]]]]:
        """What picks the values out by their names in the order of the statement, those that stand in the statement itself, and
        what turns the others into the driver's, by their place.
        """
        compiled = self._compiled
        names: list[str] = compiled.positiontup
        # Text and numbers, which need no turning.
        constants = {name: value for name, value in compiled.params.items() if value is not None}
        converts = (
            (place, self._writing(compiled.binds[name].type))
            for place, name in enumerate(names)
            if name not in constants
        )
        return _picker(names), constants, [(place, convert) for place, convert in converts if convert is not None]

    @cached_property
    def _converted(self) -> list[tuple[int, Callable[[Any], Any]]]:
        columns: Iterable[Any] = self._statement.exported_columns if self.gives_rows else ()
        converts = ((place, self._reading(column.type)) for place, column in enumerate(columns))
        return [(place, convert) for place, convert in converts if convert is not None]

    def _writing(self, kind: TypeEngine[Any]) -> Convert:
        return kind.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _reading(self, kind: TypeEngine[Any]) -> Convert:
        # A number's conversion depends on what the server sends, which PostgreSQL's drivers are asked for by its type number.
        sent = _FLOAT8 if isinstance(kind, Float) else _NUMERIC if isinstance(kind, Numeric) else None
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, sent)


def _picker(names: Sequence[str]) -> Pick:
    """The values of these names, in their order. One name alone, or none, `itemgetter` would not give as a sequence."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda values: [values[name] for name in names]
