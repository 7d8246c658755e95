"""The database on PostgreSQL: what a connection asks for, who waits for whom, and what is said when the server fails."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError, IntegrityError
from sqlalchemy.orm import Session

from api.migrations import is_current
from api.migrations.runner import upgrade
from certs.db import Database, hold
from certs.errors import DatabaseUnavailable
from tests.installation import User
from tests.postgres import Cluster, cluster, discard, setting

_PASSWORD = "a-secret-nobody-sees"


@pytest.fixture(scope="module")
def server() -> Cluster:
    made = cluster()
    made.say(
        "DO $$ BEGIN CREATE ROLE locked_out LOGIN PASSWORD 'the-right-one'; EXCEPTION WHEN duplicate_object THEN END $$"
    )
    made.say("DO $$ BEGIN CREATE ROLE crowded LOGIN CONNECTION LIMIT 0; EXCEPTION WHEN duplicate_object THEN END $$")
    return made


@pytest.fixture
def database(server: Cluster) -> Iterator[Database]:
    database = Database(server.new(), busy_timeout=0.3)
    with database.write() as session:
        session.execute(text("CREATE TABLE things (id integer PRIMARY KEY, name text)"))
    yield database
    discard(database)


def _ask(database: Database, statement: str = "SELECT 1") -> None:
    with database.read() as session:
        session.execute(text(statement))


def _add(session: Session, number: int) -> None:
    session.execute(text("INSERT INTO things VALUES (:id, 'x')"), {"id": number})


def _count(database: Database) -> int:
    with database.read() as session:
        found: int = session.execute(text("SELECT count(*) FROM things")).scalar_one()
    return found


def _refused(url: URL) -> DatabaseUnavailable:
    database = Database(url)
    with pytest.raises(DatabaseUnavailable) as refused:
        _ask(database)
    database.close()
    return refused.value


def _settings(session: Session, *names: str) -> list[str]:
    return [session.execute(text(f"SHOW {name}")).scalar_one() for name in names]


def test_reading_sees_one_state_and_writes_nothing(database: Database) -> None:
    with database.read() as session:
        assert _settings(session, "transaction_isolation", "transaction_read_only") == ["repeatable read", "on"]
        assert session.execute(text("SELECT count(*) FROM things")).scalar_one() == 0
        with database.write() as other:
            _add(other, 1)
        assert session.execute(text("SELECT count(*) FROM things")).scalar_one() == 0
    assert _count(database) == 1
    with pytest.raises(DatabaseUnavailable) as refused:
        _ask(database, "DELETE FROM things")
    assert refused.value.facts == {"reason": "readonly"}


def test_each_query_of_a_glance_sees_its_own_state_and_none_writes(database: Database) -> None:
    query = text("SELECT count(*) FROM things")
    with database.glance() as connection:
        assert connection.execute(query).scalar_one() == 0
        with database.write() as other:
            _add(other, 1)
        assert connection.execute(query).scalar_one() == 1
    with pytest.raises(DatabaseUnavailable) as refused, database.glance() as connection:
        connection.execute(text("DELETE FROM things"))
    assert refused.value.facts == {"reason": "readonly"}
    # The connection has gone back as it came: a reader has a transaction again.
    with database.read() as session:
        assert _settings(session, "transaction_isolation", "transaction_read_only") == ["repeatable read", "on"]
        assert session.connection().connection.driver_connection.info.transaction_status.name == "INTRANS"


def test_a_statement_at_once_is_there_for_others_before_the_block_ends(database: Database) -> None:
    with database.at_once() as connection:
        connection.execute(text("INSERT INTO things VALUES (1, 'x')"))
        assert _count(database) == 1
    with pytest.raises(IntegrityError), database.at_once() as connection:
        connection.execute(text("INSERT INTO things VALUES (2, 'x'), (1, 'x')"))
    assert _count(database) == 1
    with pytest.raises(RuntimeError):
        _add_and_fail(database)
    assert _count(database) == 1  # write() has its transaction again


def _add_and_fail(database: Database) -> None:
    with database.write() as session:
        _add(session, 3)
        raise RuntimeError


def test_a_connection_that_breaks_off_in_a_glance_is_not_given_to_the_next(server: Cluster, database: Database) -> None:
    def glance_and_break_off() -> None:
        with database.glance() as connection:
            server.break_off(database.url)
            connection.execute(text("SELECT 1"))

    with pytest.raises(DatabaseUnavailable) as refused:
        glance_and_break_off()
    assert refused.value.facts == {"reason": "away"}
    assert _count(database) == 0


def test_a_connection_waits_for_nothing_without_end(database: Database) -> None:
    names = ("transaction_isolation", "lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout")
    with database.write() as session:
        assert _settings(session, *names) == ["read committed", "300ms", "30s", "30s"]


def test_a_commit_survives_the_loss_of_power_even_where_the_server_was_told_to_forget(server: Cluster) -> None:
    url = server.new()
    server.say(f'ALTER DATABASE "{url.database}" SET synchronous_commit = off')
    database = Database(url)
    with database.write() as session:
        assert _settings(session, "synchronous_commit") == ["on"]
    server.say(f'ALTER DATABASE "{url.database}" SET synchronous_commit = remote_apply')
    database.close()
    with database.write() as session:
        assert _settings(session, "synchronous_commit") == ["remote_apply"]
    discard(database)


def test_what_an_operator_has_set_stays(server: Cluster) -> None:
    url = server.new()
    server.say(f'ALTER DATABASE "{url.database}" SET statement_timeout = 70')
    database = Database(url)
    with pytest.raises(DatabaseUnavailable) as refused:
        _ask(database, "SELECT pg_sleep(20)")
    assert refused.value.facts == {"reason": "slow"}
    discard(database)


def test_a_wrong_password_is_refused_and_said_without_it(server: Cluster) -> None:
    error = _refused(server.url("postgres", "locked_out", _PASSWORD))
    assert error.facts == {"reason": "refused"}
    assert _PASSWORD not in str(error)


@pytest.mark.parametrize(
    ("name", "user", "reason"),
    [
        ("postgres", "locked_out", "refused"),
        ("postgres", "nobody-of-that-name", "refused"),
        ("postgres", "crowded", "busy"),
        ("no-such-database", "antin", "missing"),
    ],
)
def test_who_may_not_come_in_is_told_why(server: Cluster, name: str, user: str, reason: str) -> None:
    assert _refused(server.url(name, user)).facts == {"reason": reason}


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://antin:a-secret-nobody-sees@127.0.0.1:1/antin",
        "postgresql+psycopg://antin:a-secret-nobody-sees@/antin?host=/no/such/folder",
        "postgresql+psycopg://antin:a-secret-nobody-sees@/antin?host=/tmp&no_such_option=1",
        "postgresql+psycopg://antin:a-secret-nobody-sees@/antin?host=/tmp&sslmode=nonsense",
    ],
)
def test_a_server_that_is_not_there_is_away(url: str) -> None:
    database = Database(url)
    with pytest.raises(DatabaseUnavailable) as refused:
        _ask(database)
    assert refused.value.facts == {"reason": "away"}
    assert _PASSWORD not in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "reason"),
    [
        ("disk_full", "full"),
        ("out_of_memory", "busy"),
        ("too_many_connections", "busy"),
        ("admin_shutdown", "away"),
        ("serialization_failure", "locked"),
        ("lock_not_available", "locked"),
        ("read_only_sql_transaction", "readonly"),
        ("insufficient_privilege", "forbidden"),
        ("io_error", "damaged"),
        ("data_corrupted", "damaged"),
    ],
)
def test_each_failure_that_a_server_reports_has_its_reason(database: Database, condition: str, reason: str) -> None:
    def fail(session: Session) -> None:
        _add(session, 1)
        session.execute(text(f"DO $$ BEGIN RAISE {condition}; END $$"))

    with pytest.raises(DatabaseUnavailable) as refused, database.write() as session:
        fail(session)
    assert refused.value.facts == {"reason": reason}
    assert _count(database) == 0


def test_mistakes_of_ours_do_not_look_like_an_outage(database: Database) -> None:
    with database.write() as session:
        _add(session, 1)
    with pytest.raises(IntegrityError), database.write() as session:
        _add(session, 1)
    with pytest.raises(DBAPIError, match="syntax error"):
        _ask(database, "SELEC 1")
    with pytest.raises(DatabaseUnavailable) as refused:
        _ask(database, "SELECT * FROM certificates")
    assert refused.value.facts == {"reason": "no-schema"}


def test_a_connection_that_breaks_in_the_middle_takes_the_transaction_back_and_the_next_works(
    server: Cluster, database: Database
) -> None:
    def break_in_the_middle(session: Session) -> None:
        _add(session, 1)
        server.break_off(database.url)
        _add(session, 2)

    with pytest.raises(DatabaseUnavailable) as refused, database.write() as session:
        break_in_the_middle(session)
    assert refused.value.facts == {"reason": "away"}
    assert _count(database) == 0


def test_connections_that_died_in_the_pool_are_not_noticed(server: Cluster, database: Database) -> None:
    assert _count(database) == 0
    assert server.break_off(database.url) > 0
    with database.write() as session:
        _add(session, 1)
    assert _count(database) == 1


def test_a_server_that_stops_is_away_and_what_was_committed_is_there_afterwards(
    server: Cluster, database: Database
) -> None:
    with database.write() as session:
        _add(session, 1)
    server.stop()
    try:
        with pytest.raises(DatabaseUnavailable) as refused:
            _count(database)
        assert refused.value.facts == {"reason": "away"}
    finally:
        server.start()
    assert _count(database) == 1


def test_a_database_that_was_dropped_is_missing(server: Cluster, database: Database) -> None:
    assert _count(database) == 0
    server.drop(database.url)
    with pytest.raises(DatabaseUnavailable) as refused:
        _count(database)
    assert refused.value.facts == {"reason": "missing"}


def test_a_row_that_somebody_keeps_is_waited_for_and_then_locked(database: Database) -> None:
    with database.write() as session:
        _add(session, 1)
    update = text("UPDATE things SET name = 'y'")
    with database.write() as keeper:
        keeper.execute(update)
        with pytest.raises(DatabaseUnavailable) as refused, database.write() as late:
            late.execute(update)
        assert refused.value.facts == {"reason": "locked"}


def test_two_who_wait_for_each_other_are_told_apart_and_one_goes_on(database: Database) -> None:
    patient = Database(database.url, busy_timeout=20)
    with patient.write() as session:
        _add(session, 1)
        _add(session, 2)
    both_have_one = threading.Barrier(2)
    reasons: list[str] = []

    def take(first: int, second: int) -> None:
        try:
            with patient.write() as session:
                session.execute(text("UPDATE things SET name = 'y' WHERE id = :id"), {"id": first})
                both_have_one.wait(10)
                session.execute(text("UPDATE things SET name = 'y' WHERE id = :id"), {"id": second})
        except DatabaseUnavailable as error:
            reasons.append(error.facts["reason"])

    threads = [threading.Thread(target=take, args=pair) for pair in ((1, 2), (2, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert reasons == ["locked"]
    patient.close()


def test_a_held_name_keeps_others_out_until_the_transaction_ends(database: Database) -> None:
    with database.write() as keeper:
        hold(keeper, "numbers 2026", "another")
        with database.write() as stranger:
            hold(stranger, "numbers 2027")
        with pytest.raises(DatabaseUnavailable) as refused, database.write() as late:
            hold(late, "numbers 2026")
        assert refused.value.facts == {"reason": "locked"}
    with database.write() as next_one:
        hold(next_one, "numbers 2026")


def test_those_who_share_a_name_do_not_wait_for_each_other_but_one_who_wants_it_alone_comes_next(
    database: Database,
) -> None:
    patient = Database(database.url, busy_timeout=20)
    order: list[str] = []

    def alone() -> None:
        with patient.write() as session:
            hold(session, "certificate 1")
            order.append("revoked")

    def sharing() -> None:
        with patient.write() as session:
            hold(session, "certificate 1", shared=True)
            order.append("signed")

    with patient.write() as first, patient.write() as second:
        hold(first, "certificate 1", shared=True)
        hold(second, "certificate 1", shared=True)
        revoking = threading.Thread(target=alone)
        revoking.start()
        _until_waiting(database, 1)
        signing = threading.Thread(target=sharing)
        signing.start()
        _until_waiting(database, 2)
    revoking.join()
    signing.join()
    # With shared row locks the second signature would have passed by, and so would the next thousand.
    assert order == ["revoked", "signed"]
    patient.close()


def _until_waiting(database: Database, number: int) -> None:
    deadline = time.monotonic() + 10
    query = text("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
    while time.monotonic() < deadline:
        with database.read() as session:
            if session.execute(query).scalar_one() == number:
                return
        time.sleep(0.01)
    pytest.fail("nobody waits")


_ALONE = """
import sys, time
from certs.db import Database
with Database(sys.argv[1]).alone("deed"):
    print("here", flush=True)
    time.sleep(60)
"""


def test_whoever_dies_alone_makes_room_for_the_next(database: Database, tmp_path: Path) -> None:
    on_file = Database(f"sqlite:///{tmp_path / 'a.db'}")
    for each in (database, on_file):
        url = each.url.render_as_string(hide_password=False)
        with subprocess.Popen([sys.executable, "-c", _ALONE, url], stdout=subprocess.PIPE, text=True) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == "here\n"
            entered = threading.Event()

            def enter(place: Database = each, entered: threading.Event = entered) -> None:
                with place.alone("deed"):
                    entered.set()

            waiting = threading.Thread(target=enter)
            waiting.start()
            # Longer than any lock is waited for inside a transaction.
            assert not entered.wait(0.8)
            with each.alone("another deed"):
                other.kill()
            assert entered.wait(10)
            waiting.join()
    on_file.close()


def test_several_who_migrate_at_once_migrate_once(server: Cluster) -> None:
    url = server.new()
    failures: list[Exception] = []

    def migrate() -> None:
        database = Database(url)
        try:
            upgrade(database.engine)
            assert is_current(database.engine)
        except Exception as error:  # noqa: BLE001  told by the test below
            failures.append(error)
        database.close()

    threads = [threading.Thread(target=migrate) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    server.drop(url)


@pytest.mark.parametrize(
    ("name", "role", "reason"),
    [("postgres", "locked_out", "refused"), ("no-such-database", "antin", "missing"), ("postgres", "crowded", "busy")],
)
def test_a_command_says_in_one_line_why_there_is_no_database(
    server: Cluster, user: User, name: str, role: str, reason: str
) -> None:
    url = setting(server.url(name, role, _PASSWORD))
    for words in (("document", "list"), ("sign", "paper.pdf", "--as", "officer", "-o", "out.pdf"), ("init",)):
        assert _PASSWORD not in user.refused(5, *words, **url)
    doctor = user.run("doctor", "--json", **url)
    assert doctor.returncode == 1
    assert f"database unavailable: {reason}" in doctor.stdout
    assert _PASSWORD not in doctor.stdout + doctor.stderr
    assert user.files() == {"paper.pdf"}


@pytest.mark.parametrize("url", ["mysql://antin:pass@host/antin", "nonsense"])
def test_a_url_that_nothing_here_can_open_is_wrong_usage(user: User, url: str) -> None:
    line = user.refused(2, "document", "list", ANTIN_DATABASE__URL=url)
    assert "database.url" in line
    assert "pass" not in line
