"""A prepared statement does on SQLite what SQLAlchemy would do: the same values, the same errors, in the same transaction."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from sqlalchemy import Double, LargeBinary, Numeric, String, bindparam, delete, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from certs.db import UtcDateTime, unit_of_work
from certs.errors import DatabaseUnavailable
from certs.prepared import Prepared
from tests.postgres import discard, sqlite_only
from tests.world import empty_database


class _Base(DeclarativeBase):
    """Apart from the product's tables."""

    type_annotation_map = {datetime: UtcDateTime}  # noqa: RUF012  SQLAlchemy reads a plain mapping here


class PebbleRow(_Base):
    __tablename__ = "test_pebbles"

    name: Mapped[str] = mapped_column(String(20), primary_key=True)
    found_at: Mapped[datetime | None]
    octets: Mapped[bytes | None] = mapped_column(LargeBinary)


class WeightRow(_Base):
    __tablename__ = "test_weights"

    grams: Mapped[float] = mapped_column(Double, primary_key=True)
    fee: Mapped[Decimal] = mapped_column(Numeric(8, 2))


WEIGHTS = WeightRow.__table__
PEBBLES = PebbleRow.__table__
NOON = datetime(2026, 11, 21, 12, 0, 0, 123456, tzinfo=UTC)
ADD = Prepared(insert(PEBBLES).values({name: bindparam(name) for name in PEBBLES.c.keys()}))  # noqa: SIM118  its own method
ALL = Prepared(select(PEBBLES).order_by(PEBBLES.c.name))
EITHER = Prepared(select(PEBBLES.c.name).where(or_(PEBBLES.c.name == bindparam("wanted"), PEBBLES.c.name == "z")))
TOUCH = Prepared(
    update(PEBBLES)
    .where(PEBBLES.c.name == bindparam("wanted"))
    .values(octets=bindparam("new"))
    .returning(PEBBLES.c.found_at, PEBBLES.c.octets)
)
DROP = Prepared(delete(PEBBLES).where(PEBBLES.c.name == bindparam("wanted")))


@pytest.fixture
def database(tmp_path):
    database = empty_database(tmp_path, busy_timeout=0.2)
    _Base.metadata.create_all(database.engine)
    yield database
    discard(database)


def pebble(name: str, found_at: datetime | None = NOON, octets: bytes | None = b"\0\xff") -> dict[str, object]:
    return {"name": name, "found_at": found_at, "octets": octets}


def names(database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(PebbleRow.name).order_by(PebbleRow.name)))


@pytest.mark.filterwarnings("ignore:Dialect sqlite.*does \\*not\\* support Decimal")
def test_numbers_come_back_as_sqlalchemy_gives_them(database):
    with database.write_rows() as connection:
        connection.execute(insert(WEIGHTS).values(grams=36.5, fee=Decimal("12.30")))
        rows = list(Prepared(select(WEIGHTS)).run(connection, {}))
        assert [tuple(row) for row in rows] == [tuple(row) for row in connection.execute(select(WEIGHTS))]
    assert [tuple(row) for row in rows] == [(36.5, Decimal("12.30"))]
    assert [type(each) for each in rows[0]] == [float, Decimal]


def test_values_come_back_as_sqlalchemy_gives_them(database):
    east = NOON.astimezone(timezone(timedelta(hours=7)))
    with database.write_rows() as connection:
        ADD.run_many(connection, [pebble("a", east), pebble("b", None, None)])
        assert [tuple(row) for row in ALL.run(connection, {})] == [("a", NOON, b"\0\xff"), ("b", None, None)]
        assert [tuple(row) for row in TOUCH.run(connection, {"wanted": "a", "new": b"x"})] == [(NOON, b"x")]
        assert TOUCH.run(connection, {"wanted": "c", "new": b"x"}) == []
    with database.read() as session:
        row = session.get(PebbleRow, "a")
        assert (row.found_at, row.octets) == (NOON, b"x")
    with database.look() as connection:
        assert [tuple(row) for row in EITHER.run(connection, {"wanted": "b"})] == [("b",)]


def test_a_time_without_a_zone_is_refused(database):
    with pytest.raises((ValueError, StatementError)), database.write_rows() as connection:
        ADD.run(connection, pebble("a", datetime(2026, 1, 1)))  # noqa: DTZ001  what must not pass
    assert names(database) == []


def test_all_of_a_transaction_or_nothing(database):
    twice = [pebble("b"), pebble("a"), pebble("a")]
    with pytest.raises(IntegrityError), database.write_rows() as connection:
        ADD.run_many(connection, twice)
    assert names(database) == []
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
        DROP.run(connection, {"wanted": "a"})
        ADD.run(connection, pebble("b"))
    assert names(database) == ["b"]


def test_the_rows_of_each_come_in_the_order_of_the_values(database):
    with database.write_rows() as connection:
        assert TOUCH.run_each(connection, []) == []
        ADD.run_each(connection, [pebble(name, octets=name.encode()) for name in "abc"])
        # Twelve, so that the driver prepares the statement on the way; the second touch of one sees the first.
        touched = TOUCH.run_each(connection, [{"wanted": name, "new": name.encode() * 2} for name in "cxab" * 3])
    assert [[tuple(row) for row in rows] for rows in touched] == [
        [(NOON, name.encode() * 2)] if name != "x" else [] for name in "cxab" * 3
    ]


def test_one_of_each_that_cannot_be_undoes_all(database):
    with pytest.raises(IntegrityError), database.write_rows() as connection:
        ADD.run_each(connection, [pebble("a"), pebble("b"), pebble("a"), pebble("c")])
    assert names(database) == []
    with database.write_rows() as connection:
        ADD.run_each(connection, [pebble("a"), pebble("b")])
    assert names(database) == ["a", "b"]


def test_a_unit_of_work_within_is_committed_with_the_rest_or_not_at_all(database):
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
        with unit_of_work(connection) as session:
            assert session.get(PebbleRow, "a") is not None
            session.add(PebbleRow(name="b"))
        ADD.run(connection, pebble("c"))
    with pytest.raises(IntegrityError), database.write_rows() as connection, unit_of_work(connection) as session:
        session.add_all([PebbleRow(name="d"), PebbleRow(name="a")])
    assert names(database) == ["a", "b", "c"]


def test_a_thread_sees_what_others_have_committed_since_it_last_looked(database):
    def count() -> int:
        with database.look() as connection:
            return int(connection.execute(select(func.count()).select_from(PEBBLES)).scalar_one())

    assert count() == 0

    def add() -> None:
        with database.write_rows() as connection:
            ADD.run(connection, pebble("a"))

    other = threading.Thread(target=add)
    other.start()
    other.join()
    assert count() == 1


@sqlite_only
def test_a_look_cannot_write(database):
    with pytest.raises(DatabaseUnavailable), database.look() as connection:
        ADD.run(connection, pebble("a"))


@sqlite_only
def test_who_waits_too_long_for_another_writer_says_so(database):
    seen = []

    def wait() -> None:
        with pytest.raises(DatabaseUnavailable) as refused, database.write_rows():
            pass
        seen.append(refused.value.facts["reason"])

    with database.write_rows():
        other = threading.Thread(target=wait)
        other.start()
        other.join()
    assert seen == ["locked"]


def test_a_thread_goes_on_after_a_failure(database):
    with pytest.raises(ZeroDivisionError), database.write_rows() as connection:
        ADD.run(connection, pebble(str(1 // 0)))
    with pytest.raises(IntegrityError), database.write_rows() as connection:
        ADD.run_many(connection, [pebble("a"), pebble("a")])
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
    assert names(database) == ["a"]


@sqlite_only
def test_a_thread_that_waited_in_vain_may_try_again(database):
    with database.write_rows(), pytest.raises(DatabaseUnavailable), database.write():
        pass
    with database.write() as session, pytest.raises(DatabaseUnavailable), database.write_rows():
        session.flush()
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
    assert names(database) == ["a"]


def test_a_closed_database_opens_again(database):
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
    database.close()
    with database.write_rows() as connection:
        ADD.run(connection, pebble("b"))
    assert names(database) == ["a", "b"]


@sqlite_only
def test_a_file_that_may_not_grow_is_an_outage_and_nothing_is_written(database):
    def fill() -> None:
        with database.write_rows() as connection:
            driver = connection.connection.dbapi_connection
            pages = driver.execute("PRAGMA page_count").fetchone()[0]
            driver.execute(f"PRAGMA max_page_count = {pages}").fetchone()
            ADD.run(connection, pebble("a", octets=bytes(100_000)))

    with pytest.raises(DatabaseUnavailable) as refused:
        fill()
    assert refused.value.facts == {"reason": "full"}
    assert names(database) == []


@sqlite_only
def test_a_database_that_is_closed_meanwhile_lets_a_transaction_end(database):
    with database.write_rows() as connection:
        ADD.run(connection, pebble("a"))
        database.close()
    with database.write_rows() as connection:
        ADD.run(connection, pebble("b"))
    assert names(database) == ["a", "b"]


def test_statements_by_both_ways_are_one_transaction(database):
    def add(dividend: int, divisor: int) -> None:
        with database.write_rows() as connection:
            ADD.run(connection, pebble("a"))
            connection.execute(insert(PEBBLES), [pebble("b")])
            ADD.run(connection, pebble(str(dividend // divisor)))

    with pytest.raises(ZeroDivisionError):
        add(1, 0)
    assert names(database) == []
    add(7, 1)
    assert names(database) == ["7", "a", "b"]
