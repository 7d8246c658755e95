"""An act and its audit row are committed together or not at all."""

from __future__ import annotations

import pytest

from pki import audit
from pki.audit import Actor


def fail_after_append(world) -> None:
    with world.database.write() as session:
        audit.append(session, world.clock, Actor("a"), "x", "thing", "lost")
        raise RuntimeError


def test_a_row_of_a_failed_act_is_not_kept(world):
    with pytest.raises(RuntimeError):
        fail_after_append(world)
    with world.database.read() as session:
        assert audit.list_acts(session, subject_id="lost") == []


def test_rows_are_numbered_upwards_with_time_actor_and_details(world):
    for name in ("Nguyễn Thị A", "b"):
        with world.database.write() as session:
            audit.append(session, world.clock, Actor(name), "seal.hand-over", "credential", "seal", paper="số 12/QĐ")
        world.clock.advance(hours=1)
    with world.database.read() as session:
        first, second = audit.list_acts(session, subject_id="seal")
    assert first.seq < second.seq
    assert (first.actor, first.details) == ("Nguyễn Thị A", {"paper": "số 12/QĐ"})
    assert (second.time - first.time).total_seconds() == 3600


def test_the_newest_are_listed_when_not_all_are_wanted(world):
    with world.database.read() as session:
        every = audit.list_acts(session)
        assert audit.list_acts(session, limit=2) == every[-2:]
