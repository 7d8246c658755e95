"""Streaming: the rows of a long query, some at a time, so that a million of them take neither memory nor long."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from sqlalchemy import Select
from sqlalchemy.orm import Session


def stream(session: Session, query: Select[Any], size: int = 10_000) -> Generator[Sequence[Sequence[Any]]]:
    """Rows in batches, their values as the driver has them: ask for texts, numbers and octets.

    To be closed when it is not read to its end: an open cursor keeps SQLite at the state it has read, also for who comes next.
    """
    connection = session.connection()
    if connection.dialect.name == "sqlite":
        with connection.execute(query) as result:
            # SQLite's cursor reads on as it is asked. Made into objects first, the same rows take three times as long.
            cursor: Any = result.cursor
            while batch := cursor.fetchmany(size):
                yield batch
        return
    with connection.execute(query, execution_options={"yield_per": size}) as result:
        yield from result.partitions()
