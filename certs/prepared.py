"""Prepared statements: written once with SQLAlchemy, and on SQLite run by the driver itself.

On SQLite an answer comes within microseconds, and SQLAlchemy's way to it costs ten times as much; on PostgreSQL the way to the server is
what counts, and SQLAlchemy keeps it. Types, errors and transactions are the same by both ways. For what stands in every issuance.
"""

from __future__ import annotations

import operator
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from typing import Any

from sqlalchemy import Connection, Delete, Insert, Select, Update
from sqlalchemy import exc as sa_exc
from sqlalchemy.dialects import sqlite
from sqlalchemy.types import TypeEngine

Convert = Callable[[Any], Any] | None
Pick = Callable[[Mapping[str, Any]], Sequence[Any]]


class Prepared:
    """One statement. Its values are given by the names of its parameters; rows come back as sequences in the order of its columns."""

    def __init__(self, statement: Select[Any] | Insert | Update | Delete) -> None:
        self._statement = statement

    def run(self, connection: Connection, values: Mapping[str, Any]) -> list[Sequence[Any]]:
        """Run it once: all rows, converted; none for a statement that returns none."""
        if connection.dialect.name != "sqlite":
            result = connection.execute(self._statement, values)
            return list(result) if result.returns_rows else []
        driver: Any = connection.connection.dbapi_connection
        try:
            rows: list[Sequence[Any]] = driver.execute(self._sql, self._bound(values)).fetchall()
        except sqlite3.Error as error:
            raise self._wrapped(error, connection) from error
        if rows and self._converted:
            return [self._converted_row(row) for row in rows]
        return rows

    def run_many(self, connection: Connection, many: Sequence[Mapping[str, Any]]) -> None:
        """Run it once for each set of values. Rows are not asked for."""
        if connection.dialect.name != "sqlite":
            connection.execute(self._statement, list(many))
            return
        driver: Any = connection.connection.dbapi_connection
        try:
            driver.executemany(self._sql, map(self._bound, many))
        except sqlite3.Error as error:
            raise self._wrapped(error, connection) from error

    def _wrapped(self, error: sqlite3.Error, connection: Connection) -> BaseException:
        """What SQLAlchemy makes of this error, without the values: they may be of a person."""
        return sa_exc.DBAPIError.instance(
            self._sql, None, error, sqlite3.Error, hide_parameters=True, dialect=connection.dialect
        )

    def _bound(self, values: Mapping[str, Any]) -> Sequence[Any]:
        pick, constants, converts = self._binding
        bound = pick({**constants, **values} if constants else values)
        if converts:
            bound = list(bound)
            for place, convert in converts:
                bound[place] = convert(bound[place])
        return bound

    def _converted_row(self, row: Sequence[Any]) -> list[Any]:
        out = list(row)
        for place, convert in self._converted:
            out[place] = convert(out[place])
        return out

    @cached_property
    def _dialect(self) -> Any:
        return sqlite.dialect(paramstyle="qmark")

    @cached_property
    def _compiled(self) -> Any:
        return self._statement.compile(dialect=self._dialect)

    @cached_property
    def _sql(self) -> str:
        return str(self._compiled)

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
        columns: Iterable[Any] = () if self._returns_nothing else self._statement.exported_columns
        converts = ((place, self._reading(column.type)) for place, column in enumerate(columns))
        return [(place, convert) for place, convert in converts if convert is not None]

    @property
    def _returns_nothing(self) -> bool:
        return not isinstance(self._statement, Select) and not self._compiled.effective_returning

    def _writing(self, kind: TypeEngine[Any]) -> Convert:
        return kind.dialect_impl(self._dialect).bind_processor(self._dialect)

    def _reading(self, kind: TypeEngine[Any]) -> Convert:
        return kind.dialect_impl(self._dialect).result_processor(self._dialect, None)


def _picker(names: Sequence[str]) -> Pick:
    """The values of these names, in their order. One name alone, or none, `itemgetter` would not give as a sequence."""
    if len(names) > 1:
        return operator.itemgetter(*names)
    return lambda values: [values[name] for name in names]
