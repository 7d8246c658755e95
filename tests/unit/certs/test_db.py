"""The database keeps what it committed, shows one state to a reader, and says plainly when it cannot be used."""

from __future__ import annotations

import sqlite3
import threading
from datetime import UTC, datetime, timedelta, timezone
from typing import ClassVar

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from certs.db import Database, UtcDateTime
from certs.errors import DatabaseUnavailable


class Own(DeclarativeBase):
    """A catalogue of tables apart from Antin's."""

    type_annotation_map: ClassVar = {datetime: UtcDateTime}


class Moment(Own):
    __tablename__ = "moments"
    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime]


@pytest.fixture
def database(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'a.db'}", busy_timeout=0.2)
    Moment.metadata.create_all(database.engine)
    yield database
    database.close()


def count(database: Database) -> int:
    with database.read() as session:
        return session.execute(text("SELECT count(*) FROM moments")).scalar_one()


def test_the_pragmas_that_keep_data_are_on(database):
    with database.write() as session:
        values = [
            session.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    assert values == ["wal", 2, 1]


def test_a_time_comes_back_aware_and_in_utc(database):
    hanoi = datetime(2026, 11, 21, 10, 0, 0, 123456, tzinfo=timezone(timedelta(hours=7)))
    with database.write() as session:
        session.add(Moment(id=1, at=hanoi))
    with database.read() as session:
        stored = session.get_one(Moment, 1).at
    assert stored == hanoi
    assert stored.tzinfo is UTC


def test_a_time_without_a_zone_is_refused(database):
    with pytest.raises(StatementError, match="without a zone"), database.write() as session:
        session.add(Moment(id=1, at=datetime(2026, 1, 1)))  # noqa: DTZ001


def test_an_exception_takes_the_whole_transaction_back(database):
    def write_and_fail(session) -> None:
        session.add(Moment(id=1, at=datetime.now(UTC)))
        session.flush()
        raise RuntimeError

    with pytest.raises(RuntimeError), database.write() as session:
        write_and_fail(session)
    assert count(database) == 0


def test_a_reader_cannot_write(database):
    with pytest.raises(DatabaseUnavailable) as refused, database.read() as session:
        session.execute(text("DELETE FROM moments"))
    assert refused.value.facts == {"reason": "readonly"}


def test_a_reader_sees_one_state_while_others_write(database):
    with database.read() as session:
        before = session.execute(text("SELECT count(*) FROM moments")).scalar_one()
        with database.write() as other:
            other.add(Moment(id=1, at=datetime.now(UTC)))
        assert session.execute(text("SELECT count(*) FROM moments")).scalar_one() == before
    assert count(database) == before + 1


def test_a_glance_cannot_write(database):
    with pytest.raises(DatabaseUnavailable) as refused, database.glance() as connection:
        connection.execute(text("DELETE FROM moments"))
    assert refused.value.facts == {"reason": "readonly"}


def test_a_statement_at_once_is_committed_and_a_failed_one_leaves_nothing(database):
    add = text("INSERT INTO moments VALUES (:id, '2026-01-01')")
    with database.at_once() as connection:
        connection.execute(add, {"id": 1})
    assert count(database) == 1
    with pytest.raises(IntegrityError), database.at_once() as connection:
        connection.execute(add, [{"id": 2}, {"id": 1}])
    assert count(database) == 1


def test_a_locked_database_is_unavailable_and_works_again_afterwards(database, tmp_path):
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseUnavailable) as refused, database.write():
        pass
    assert refused.value.facts == {"reason": "locked"}
    other.execute("ROLLBACK")
    other.close()
    with database.write() as session:
        session.add(Moment(id=1, at=datetime.now(UTC)))
    assert count(database) == 1


def test_a_writer_waits_for_another_instead_of_failing(tmp_path):
    database = Database(f"sqlite:///{tmp_path / 'b.db'}", busy_timeout=10)
    Moment.metadata.create_all(database.engine)

    def add(first: int) -> None:
        for number in range(first, first + 20):
            with database.write() as session:
                session.add(Moment(id=number, at=datetime.now(UTC)))

    threads = [threading.Thread(target=add, args=(start,)) for start in (0, 100, 200)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count(database) == 60
    database.close()


@pytest.mark.parametrize(("content", "reason"), [(None, "unopenable"), (b"not a database at all" * 100, "damaged")])
def test_a_missing_folder_and_a_foreign_file_are_told_apart(tmp_path, content, reason):
    path = tmp_path / "missing" / "a.db"
    if content is not None:
        path = tmp_path / "a.db"
        path.write_bytes(content)
    database = Database(f"sqlite:///{path}")
    with pytest.raises(DatabaseUnavailable) as refused, database.read():
        pass
    assert refused.value.facts == {"reason": reason}
    database.close()


def test_a_full_disk_is_told_and_nothing_is_kept(database):
    # SQLite's own limit on pages gives the same SQLITE_FULL as a disk without room.
    with database.write() as session:
        pages = session.execute(text("PRAGMA page_count")).scalar_one()

    def fill(session) -> None:
        session.execute(text(f"PRAGMA max_page_count={pages}"))
        session.execute(text("CREATE TABLE big AS SELECT zeroblob(1000000) AS b"))

    with pytest.raises(DatabaseUnavailable) as refused, database.write() as session:
        fill(session)
    assert refused.value.facts == {"reason": "full"}
    with database.read() as session:
        assert session.execute(text("SELECT count(*) FROM sqlite_master WHERE name='big'")).scalar_one() == 0


def test_a_database_without_our_tables_says_so(database):
    with pytest.raises(DatabaseUnavailable) as refused, database.read() as session:
        session.execute(text("SELECT * FROM certificates"))
    assert refused.value.facts == {"reason": "no-schema"}


def test_a_broken_constraint_is_a_mistake_and_not_an_outage(database):
    with database.write() as session:
        session.add(Moment(id=1, at=datetime.now(UTC)))
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(Moment(id=1, at=datetime.now(UTC)))
