"""Lent connections to PostgreSQL and statements that cross together: what is undone, what is replaced, who waits for whom."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import Connection, bindparam, column, insert, literal_column, select, table, text
from sqlalchemy.exc import IntegrityError

from certs.db import Database, hold, hold_before
from certs.errors import DatabaseUnavailable
from certs.in_force import all_in_force
from certs.inventory import get_standings, lock_name, of_serials
from certs.prepared import Prepared, sent_together
from signer.credentials import refuse_out_of_force
from signer.documents import ActIntent
from signer.errors import Refused
from signer.intents import Opening, begin_in_force
from signer.tables import CredentialRow
from tests.fakes.clock import START
from tests.postgres import Cluster, cluster, discard
from tests.signing_world import CLERK
from tests.world import World, build_world

THINGS = table("things", column("id"))
ADD = Prepared(insert(THINGS).values(id=bindparam("id")))
ALL = Prepared(select(THINGS.c.id).order_by(THINGS.c.id))


@pytest.fixture(scope="module")
def server() -> Cluster:
    return cluster()


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    database = Database(server.new(), busy_timeout=0.3)
    with database.write() as session:
        session.execute(text("CREATE TABLE things (id integer PRIMARY KEY)"))
    yield database
    discard(database)


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    monkeypatch.setenv("ANTIN_TEST_DATABASE", "postgresql")
    cluster()
    world = build_world(tmp_path)
    yield world
    world.close()


def things(database: Database) -> list[int]:
    with database.look() as connection:
        return [number for (number,) in ALL.run(connection, {})]


def test_what_fails_is_undone_and_its_connection_serves_the_next(server: Cluster, database: Database) -> None:
    def add(numbers: list[int], divisor: int = 1) -> int:
        with database.write_rows() as connection:
            for number in numbers:
                ADD.run(connection, {"id": number})
            assert 1 // divisor
            ((pid,),) = connection.exec_driver_sql("SELECT pg_backend_pid()").all()
            return int(pid)

    first = add([1])
    with pytest.raises(IntegrityError):
        add([2, 2])
    with pytest.raises(ZeroDivisionError):
        add([3], 0)
    assert add([4]) == first
    assert things(database) == [1, 4]
    idle = server.answer(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = %s AND state <> 'idle'", database.url.database
    )
    assert idle == 0


def test_a_plan_that_was_made_for_a_small_table_does_not_read_all_that_came_since(
    server: Cluster, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = Prepared(select(THINGS.c.id).where(THINGS.c.id == bindparam("id")))

    def rows_read_for_one() -> int:
        """How many rows the server goes through, besides those it finds by an index."""
        with database.look() as connection:
            before = _rows_read(connection)
            assert one.run(connection, {"id": 5}) == [(5,)]
            return _rows_read(connection) - before

    with database.look() as connection:
        # One plan for all values, kept after the driver has seen the statement often enough.
        connection.exec_driver_sql("SET plan_cache_mode = force_generic_plan")
    _fill(server, database, 1, 9)
    for _ in range(8):
        assert rows_read_for_one() == 9
    _fill(server, database, 10, 3000)
    assert rows_read_for_one() == 3000
    monkeypatch.setattr("certs.lent._PLANS_SECONDS", 0.0)
    assert rows_read_for_one() == 0


def _fill(server: Cluster, database: Database, first: int, last: int) -> None:
    with server.connect(str(database.url.database)) as connection:
        connection.execute("INSERT INTO things SELECT generate_series(%s::int, %s::int)", (first, last))
        if first == 1:
            # So that it is known to be small; what comes later the server finds out only when it plans.
            connection.execute("VACUUM (ANALYZE) things")


def _rows_read(connection: Connection) -> int:
    connection.exec_driver_sql("SELECT pg_stat_force_next_flush()")
    connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")
    ((rows,),) = connection.exec_driver_sql(
        "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'things'"
    ).all()
    return int(rows)


def test_what_writes_goes_by_keys(database: Database) -> None:
    """As it is set where the rows of signatures are written: an index also where a table is small, and one plan for all values."""
    with database.at_once() as connection:
        plan = connection.exec_driver_sql("EXPLAIN SELECT id FROM things WHERE id = 1").all()
        assert connection.exec_driver_sql("SHOW plan_cache_mode").scalar() == "force_generic_plan"
        assert connection.exec_driver_sql("SHOW jit").scalar() == "off"
    assert "Index Only Scan" in str(plan[0])
    with database.read() as session:
        assert session.execute(text("SHOW plan_cache_mode")).scalar() == "auto"


def test_one_who_gives_up_in_the_middle_leaves_nothing(database: Database) -> None:
    def give_up() -> None:
        with database.write_rows() as connection:
            ADD.run(connection, {"id": 1})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        give_up()
    assert things(database) == []
    with database.write_rows() as connection:
        ADD.run(connection, {"id": 1})
    assert things(database) == [1]


def test_connections_that_died_while_nobody_used_them_are_not_noticed(server: Cluster, database: Database) -> None:
    with database.write_rows() as one, database.write_rows() as other:
        ADD.run(one, {"id": 1})
        ADD.run(other, {"id": 2})
    assert server.break_off(database.url) >= 2
    for number in (3, 4):
        with database.write_rows() as connection:
            ADD.run(connection, {"id": number})
    assert things(database) == [1, 2, 3, 4]


def test_a_connection_that_breaks_off_in_use_is_an_outage_and_goes_to_nobody(
    server: Cluster, database: Database
) -> None:
    def add(before: list[int], after: list[int]) -> None:
        with database.write_rows() as connection:
            for number in before:
                ADD.run(connection, {"id": number})
            server.break_off(database.url)
            for number in after:
                ADD.run(connection, {"id": number})

    with pytest.raises(DatabaseUnavailable) as gone:
        add([1], [2])
    assert gone.value.facts == {"reason": "away"}
    with pytest.raises(DatabaseUnavailable):
        add([1], [])  # so that it is the commit that fails
    assert things(database) == []


def test_a_look_writes_nothing_and_sees_what_is_committed_meanwhile(database: Database) -> None:
    with pytest.raises(DatabaseUnavailable) as refused, database.look() as connection:
        ADD.run(connection, {"id": 1})
    assert refused.value.facts == {"reason": "readonly"}
    with database.look() as connection:
        assert ALL.run(connection, {}) == []
        with database.at_once() as other:
            ADD.run(other, {"id": 1})
            assert [tuple(row) for row in ALL.run(connection, {})] == [(1,)]


def test_few_stay_open_however_many_were_used_at_once(server: Cluster, database: Database) -> None:
    barrier = threading.Barrier(12)

    def look() -> None:
        with database.look() as connection:
            ALL.run(connection, {})
            barrier.wait(10)

    threads = [threading.Thread(target=look) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deadline, count = time.monotonic() + 5, "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
    while (left := server.answer(count, database.url.database)) != 6 and time.monotonic() < deadline:
        time.sleep(0.05)  # the server takes a moment to see that one was closed
    assert left == 6  # five, and the one that the fixture wrote with


def test_statements_that_cross_together_are_all_done_or_none(database: Database) -> None:
    with database.at_once() as connection:
        with sent_together(connection):
            first = ALL.queue(connection, {}, 0)
            ADD.queue(connection, {"id": 1}, 1)
            last = ALL.queue(connection, {}, 2)
        assert (first(), [tuple(row) for row in last()]) == ([], [(1,)])

    def add(*numbers: int) -> None:
        with database.at_once() as connection, sent_together(connection):
            for place, number in enumerate(numbers):
                ADD.queue(connection, {"id": number}, place)

    with pytest.raises(IntegrityError):
        add(2, 1, 3)
    assert things(database) == [1]


def test_what_crosses_behind_a_name_sees_what_its_holder_has_committed(database: Database) -> None:
    seen: list[list[tuple[int]]] = []
    database_of_other = Database(database.url, busy_timeout=5)

    def look() -> None:
        with database_of_other.at_once() as connection:
            with sent_together(connection):
                hold_before(connection, "thing")
                rows = ALL.queue(connection, {}, 1)
            seen.append([(number,) for (number,) in rows()])

    with database.write() as session:
        hold(session, "thing")
        waiting = threading.Thread(target=look)
        waiting.start()
        time.sleep(0.3)
        assert seen == []
        session.execute(text("INSERT INTO things VALUES (7)"))
    waiting.join()
    database_of_other.close()
    assert seen == [[(7,)]]


def _intent(serial: str) -> ActIntent:
    return ActIntent(
        credential="officer", intent="approve", level="B-B", field="Signature1", certificate_serial=serial,
        digest_algorithm="sha256", digest="33" * 32, input_sha256="11" * 32, actor=CLERK.name, claimed_time=START,
    )  # fmt: skip


def _begin(world: World, *serials: str) -> bool:
    with world.database.at_once() as connection:
        opening = Opening(_intent(serials[0]), "Sở", "a.pdf", {}, {})
        begun = begin_in_force(connection, world.clock, CLERK, opening, serials)
    return begun is not None


def _credential(world: World, serial: str, activation: str = "standing") -> None:
    with world.database.write() as session:
        session.add(
            CredentialRow(
                name="officer", role="officer", activation=activation, agency="Sở", public_key_der=b"", certificate_serial=serial,
                scheme="ecdsa-sha256", created_at=START,
            )
        )  # fmt: skip


def test_what_signs_with_consent_only_does_not_begin_in_one_crossing(world: World) -> None:
    serial = world.officer().record.serial
    assert not _begin(world, serial, world.issuing.serial)  # fail closed: nobody says how it signs
    _credential(world, serial, "consent")
    assert not _begin(world, serial, world.issuing.serial)


def test_a_signature_waits_for_a_revocation_and_then_does_not_begin(world: World) -> None:
    serial = world.officer().record.serial
    _credential(world, serial)
    assert _begin(world, serial, world.issuing.serial)
    done: list[bool] = []
    with world.database.write() as session:
        hold(session, lock_name(serial))
        signing = threading.Thread(target=lambda: done.append(_begin(world, serial, world.issuing.serial)))
        signing.start()
        time.sleep(0.3)
        assert done == []
        session.execute(text("UPDATE certificates SET state = 'revoked' WHERE serial = :serial"), {"serial": serial})
    signing.join()
    assert done == [False]
    with world.database.read() as session:
        assert session.scalar(text("SELECT count(*) FROM documents")) == 1


@pytest.mark.parametrize("state", ["active", "suspended", "revoked", "intent"])
@pytest.mark.parametrize("days", [-1, 0, 1, 100_000])
def test_the_condition_says_yes_only_where_the_rule_does(world: World, state: str, days: int) -> None:
    serials = (world.officer().record.serial, world.issuing.serial)
    now = START + timedelta(days=days) if days < 100_000 else START.replace(year=2099)
    with world.database.write() as session:
        session.execute(
            text("UPDATE certificates SET state = :state WHERE serial = :serial"),
            {"state": state, "serial": serials[0]},
        )
        good = Prepared(select(literal_column("1")).where(all_in_force(2)))
        said = bool(good.run(session.connection(), {**of_serials(serials), "standing_at": now}))
        try:
            for standing in get_standings(session, serials):
                refuse_out_of_force(standing, "officer", now)
        except Refused:
            assert not said
        else:
            assert said
