"""pki/audit_survey.py, audit_chain.py: whatever somebody does to the rows is found and named, on either database."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import text

from pki import audit
from pki.audit import Actor
from pki.audit_chain import MOST_LISTED, BreakKind, Mark
from pki.audit_survey import Survey, chain_ends, survey_all, survey_ends
from pki.errors import AuditUnavailable
from tests import postgres
from tests.fakes.clock import FixedClock
from tests.world import new_database


class Trail:
    """A database with twelve acts in one chain, and what a person with SQL can do to it."""

    def __init__(self, folder) -> None:
        self.database = new_database(folder)
        self.clock = FixedClock()
        for number in range(1, 13):
            self.act(f"thing-{number}")

    def act(self, subject: str, **details: str) -> None:
        with self.database.write() as session:
            audit.append(session, self.clock, Actor("Nguyễn Thị A"), "thing.do", "thing", subject, **details)
        self.clock.advance(seconds=1.5)

    def sql(self, *statements: str) -> None:
        with self.database.write() as session:
            for statement in statements:
                session.execute(text(statement))

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        with self.database.read() as session:
            return [tuple(row) for row in session.execute(text(query))]

    def survey(self, **seen: Mark) -> Survey:
        with self.database.read() as session:
            return survey_all(session, {int(name[1:]): mark for name, mark in seen.items()})

    def found(self) -> list[tuple[str, int]]:
        """Kind and position of every broken place."""
        return [(each.kind.value, each.position) for each in self.survey().breaks]

    def end(self) -> Mark:
        with self.database.read() as session:
            return chain_ends(session)[0]

    def insert(self, **columns: str) -> None:
        """A row made of the fourth one, with other values (in SQL)."""
        names = ["time", "actor", "action", "subject_kind", "subject_id", "details", "chain", "position", "link"]
        values = [columns.get(name, name) for name in names]
        if "seq" in columns:
            names, values = ["seq", *names], [columns["seq"], *values]
        self.sql(f"INSERT INTO audit ({', '.join(names)}) SELECT {', '.join(values)} FROM audit WHERE position = 4")


@pytest.fixture
def trail(tmp_path):
    trail = Trail(tmp_path)
    yield trail
    postgres.discard(trail.database)


NO_INDEX = "DROP INDEX ix_audit_chain_position"


def test_what_only_we_have_written_is_whole(trail):
    survey = trail.survey()
    assert (survey.rows, survey.broken, survey.breaks) == (12, 0, ())
    assert survey.chains[0].head == trail.end().link


def test_positions_begin_at_one_and_have_no_gap(trail):
    assert trail.rows("SELECT chain, position FROM audit ORDER BY seq") == [(0, number) for number in range(1, 13)]
    assert trail.end().position == 12


@pytest.mark.parametrize("position", [1, 6, 12])
@pytest.mark.parametrize(
    "change",
    [
        "time = (SELECT time FROM audit WHERE position = 3)",
        "actor = 'Nguyễn Thị B'",
        "action = 'thing.undo'",
        "subject_kind = 'other'",
        "subject_id = 'thing-99'",
        """details = '{"a":"b"}'""",
        "seq = 4711",
        "link = '" + "ab" * 32 + "'",
    ],
    ids=lambda change: change.split(" ")[0],
)
def test_a_changed_row_is_named_and_no_other(trail, change, position):
    trail.sql(f"UPDATE audit SET {change} WHERE position = {position}")
    if change.startswith("time") and position == 3:
        return
    survey = trail.survey()
    assert [(each.kind, each.position, each.action) for each in survey.breaks] == [
        (BreakKind.CHANGED, position, "thing.undo" if "undo" in change else "thing.do")
    ]
    (found,) = survey.breaks
    (row,) = trail.rows(f"SELECT seq, actor, subject_kind, subject_id FROM audit WHERE position = {position}")
    assert (found.seq, found.actor, found.subject) == (row[0], row[1], f"{row[2]} {row[3]}")


@pytest.mark.parametrize(
    ("gone", "found"),
    [
        ("position = 1", [("removed", 1)]),
        ("position = 6", [("removed", 6)]),
        ("position IN (6, 7)", [("removed", 6)]),
        ("position IN (3, 9)", [("removed", 3), ("removed", 9)]),
        ("position = 12", [("truncated", 12)]),
        ("position > 4", [("truncated", 5)]),
        ("position > 0", [("truncated", 1)]),
    ],
)
def test_removed_rows_are_named_by_their_places(trail, gone, found):
    trail.sql(f"DELETE FROM audit WHERE {gone}")
    assert trail.found() == found


def test_the_whole_span_of_removed_rows_is_named(trail):
    trail.sql("DELETE FROM audit WHERE position IN (6, 7, 8)")
    (found,) = trail.survey().breaks
    assert (found.position, found.until, found.subject) == (6, 8, "thing thing-9")


def test_a_row_put_beside_another_is_named_and_not_the_other(trail):
    trail.sql(NO_INDEX)
    trail.insert(actor="'forger'", position="7")
    (found,) = trail.survey().breaks
    assert (found.kind, found.position, found.actor) == (BreakKind.INSERTED, 7, "forger")


def test_a_copy_of_a_row_is_named(trail):
    trail.sql(NO_INDEX)
    trail.insert()
    assert trail.found() == [("inserted", 4)]


def test_a_row_put_between_with_all_later_ones_moved_on_is_the_first_that_is_named(trail):
    trail.sql(NO_INDEX, "UPDATE audit SET position = position + 1 WHERE position > 4")
    trail.insert(actor="'forger'", position="5")
    trail.sql("UPDATE audit_chains SET length = 13 WHERE chain = 0")
    first = trail.survey().breaks[0]
    assert (first.kind, first.position, first.actor) == (BreakKind.INSERTED, 5, "forger")


def test_a_row_without_a_chain_is_named(trail):
    trail.insert(actor="'forger'", chain="NULL", position="NULL", link="NULL")
    (found,) = trail.survey().breaks
    assert (found.kind, found.actor) == (BreakKind.UNLINKED, "forger")


@pytest.mark.parametrize("position", ["0", "-3", "NULL"])
def test_a_row_before_the_first_place_is_named(trail, position):
    trail.insert(actor="'forger'", position=position)
    assert [(each.kind.value, each.actor) for each in trail.survey().breaks] == [("unlinked", "forger")]


def test_a_row_of_a_chain_that_nobody_knows_is_named(trail):
    trail.insert(actor="'forger'", chain="99")
    assert [(each.kind.value, each.actor) for each in trail.survey().breaks] == [("unlinked", "forger")]


def test_a_row_after_the_end_is_named(trail):
    trail.insert(actor="'forger'", position="13")
    assert trail.found() == [("inserted", 13), ("head", 13)]


def test_exchanged_rows_are_both_named(trail):
    trail.sql(
        "UPDATE audit SET position = 100 WHERE position = 4",
        "UPDATE audit SET position = 4 WHERE position = 9",
        "UPDATE audit SET position = 9 WHERE position = 100",
    )
    assert trail.found() == [("inserted", 4), ("inserted", 9)]


def test_neighbours_that_were_exchanged_are_found(trail):
    trail.sql(
        "UPDATE audit SET position = 100 WHERE position = 4",
        "UPDATE audit SET position = 4 WHERE position = 5",
        "UPDATE audit SET position = 5 WHERE position = 100",
    )
    assert trail.found()[0] == ("inserted", 4)


def test_a_row_moved_to_another_chain_is_missed_here_and_named_there(trail):
    trail.sql("UPDATE audit SET chain = 7 WHERE position = 4")
    assert {kind for kind, _ in trail.found()} >= {"removed"}
    assert len(trail.found()) > 1


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("head = '" + "00" * 32 + "'", [("head", 12)]),
        ("length = 11", [("head", 12)]),
        ("length = 15", [("truncated", 13)]),
    ],
)
def test_a_changed_end_is_named(trail, change, found):
    trail.sql(f"UPDATE audit_chains SET {change} WHERE chain = 0")
    assert trail.found() == found


def test_a_row_that_cannot_be_hashed_is_no_end_of_a_chain(trail):
    trail.sql(
        """UPDATE audit SET link = '', details = '{"a":"1","a":"2"}' WHERE position = 12""",
        "UPDATE audit_chains SET head = '' WHERE chain = 0",
    )
    assert ("changed", 12) in trail.found()


def test_a_chain_whose_end_was_removed_with_its_entry_is_named(trail):
    trail.sql("DELETE FROM audit_chains")
    assert {kind for kind, _ in trail.found()} == {"unlinked", "chainless"}


def test_a_removed_tail_with_its_end_put_right_is_found_by_a_mark_alone(trail):
    mark = trail.end()
    trail.act("later")
    assert trail.survey(c0=mark).broken == 0
    (link,) = trail.rows("SELECT link FROM audit WHERE position = 9")[0]
    trail.sql(
        "DELETE FROM audit WHERE position > 9", f"UPDATE audit_chains SET length = 9, head = '{link}' WHERE chain = 0"
    )
    assert trail.found() == []
    assert [(each.kind, each.position) for each in trail.survey(c0=mark).breaks] == [(BreakKind.FORGOTTEN, 12)]


def test_a_chain_written_anew_is_found_by_a_mark_alone(trail):
    mark = trail.end()
    (link,) = trail.rows("SELECT link FROM audit WHERE position = 9")[0]
    trail.sql(
        "DELETE FROM audit WHERE position > 9", f"UPDATE audit_chains SET length = 9, head = '{link}' WHERE chain = 0"
    )
    for number in range(5):
        trail.act(f"invented-{number}")
    assert trail.found() == []
    assert [(each.kind, each.position) for each in trail.survey(c0=mark).breaks] == [(BreakKind.REWRITTEN, 12)]


def test_a_chain_of_which_nobody_knows_any_more_is_missed_by_a_mark(trail):
    assert [each.kind for each in trail.survey(c0=trail.end(), c77=Mark(3, "ab" * 32)).breaks] == [BreakKind.CHAINLESS]


def test_many_broken_places_are_counted_and_some_are_listed(trail):
    for _ in range(2 * MOST_LISTED):
        trail.act("more")
    trail.sql("UPDATE audit SET actor = 'forger'")
    survey = trail.survey()
    assert len(survey.breaks) == MOST_LISTED
    # A row right after one that does not belong cannot be judged.
    assert survey.broken == (12 + 2 * MOST_LISTED) / 2


def test_a_quick_look_sees_the_newest_rows_only(trail):
    with trail.database.read() as session:
        assert survey_ends(session, rows=5).broken == 0
    trail.sql("UPDATE audit SET actor = 'forger' WHERE position = 3")
    with trail.database.read() as session:
        assert survey_ends(session, rows=5).broken == 0
    trail.sql("UPDATE audit SET actor = 'forger' WHERE position = 10")
    with trail.database.read() as session:
        assert [each.position for each in survey_ends(session, rows=5).breaks] == [10]
        assert survey_ends(session, rows=5).rows == 5


def test_a_quick_look_misses_the_row_it_would_begin_at(trail):
    trail.sql("DELETE FROM audit WHERE position = 7")
    with trail.database.read() as session:
        assert survey_ends(session, rows=5).broken > 0


@pytest.mark.parametrize(
    "change",
    [
        "details = 'no json'", "details = X'ff00'", """details = '{"a":"1","a":"2"}'""", "details = '[[[[[' ", "time = 'yesterday'",
        "actor = X'c328'", "actor = CAST(X'c328' AS TEXT)", "link = 5", "link = NULL", "subject_id = 17.5",
    ],
)  # fmt: skip
@postgres.sqlite_only
def test_what_no_column_promises_is_a_changed_row_and_no_failure(trail, change):
    trail.sql(f"UPDATE audit SET {change} WHERE position = 6")
    assert [position for _, position in trail.found()] == [6]


@postgres.sqlite_only
@pytest.mark.parametrize("change", ["position = 'x'", "position = 6.5", "chain = 'x'"])
def test_a_place_that_is_no_number_is_named(trail, change):
    trail.sql(f"UPDATE audit SET {change} WHERE position = 6")
    assert len(trail.found()) == 2


def test_a_time_beyond_all_calendars_is_a_changed_row(trail):
    if not postgres.wanted():
        pytest.skip("only PostgreSQL has such times")
    trail.sql("UPDATE audit SET time = 'infinity' WHERE position = 6")
    assert trail.found() == [("changed", 6)]


def test_a_trail_without_its_chain_takes_no_row(trail):
    trail.sql("DELETE FROM audit_chains")
    with pytest.raises(AuditUnavailable):
        trail.act("lost")
    assert trail.rows("SELECT count(*) FROM audit") == [(12,)]


def test_acts_side_by_side_leave_whole_chains_without_a_gap(trail):
    """Eight at once, two rows a transaction, some of them taken back."""

    def work(number: int) -> None:
        for turn in range(12):
            with trail.database.write() as session:
                for each in ("first", "second"):
                    audit.append(session, trail.clock, Actor(f"worker-{number}"), each, "turn", str(turn))
                if turn % 4 == 3:
                    session.rollback()

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    survey = trail.survey()
    assert (survey.rows, survey.breaks) == (12 + 8 * 9 * 2, ())
    # Both rows of an act stand in one chain, one after the other.
    pairs = trail.rows(
        "SELECT a.chain, b.chain, b.position - a.position FROM audit a JOIN audit b ON a.actor = b.actor"
        " AND a.subject_id = b.subject_id AND a.action = 'first' AND b.action = 'second'"
    )
    assert len(pairs) == 8 * 9
    assert {(one == other, distance) for one, other, distance in pairs} == {(True, 1)}
    if postgres.wanted():
        assert len({chain for chain, _, _ in pairs}) > 1
