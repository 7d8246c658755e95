"""A time of a form is meant in Vietnam, and a page of the past judges by what is known today."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from api.web.certificate_view import view_certificate
from api.web.history_view import HistoryView, parse_local, view_history
from pki.history import history_of
from pki.revocation import reinstate
from tests.world import ADMIN, World, build_world

NOW = datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)


@pytest.fixture
def world(tmp_path):
    world = build_world(tmp_path)
    yield world
    world.close()


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("2026-11-20T09:30", datetime(2026, 11, 20, 2, 30, tzinfo=UTC)),
        ("2026-11-20T09:30:15", datetime(2026, 11, 20, 2, 30, 15, tzinfo=UTC)),
        ("2026-11-19", datetime(2026, 11, 19, 16, 59, 59, tzinfo=UTC)),
        ("2026-11-21", NOW),
        ("2026-11-23", datetime(2026, 11, 23, 16, 59, 59, tzinfo=UTC)),
        ("2026-11-20T09:30:15Z", datetime(2026, 11, 20, 9, 30, 15, tzinfo=UTC)),
        ("2026-11-20T09:30:15.250+07:00", datetime(2026, 11, 20, 2, 30, 15, 250_000, tzinfo=UTC)),
    ],
)
def test_a_time_is_meant_in_vietnam_and_a_day_to_its_end_or_until_now(typed, meant):
    assert parse_local(typed, NOW) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "now",
        "2026-13-01",
        "2026-11-31T00:00",
        "2026-11-21T25:00",
        "21/11/2026",
        "2026-11-21T09:30Z",
        "2026-11-21T25:30:00Z",
        "0001-01-01T00:00:00+07:00",
        "٢٠٢٦-11-21",
        "0000-01-01",
    ],
)
def test_anything_else_is_no_time(typed):
    assert parse_local(typed, NOW) is None


def page(world: World, serial: str, at: datetime) -> HistoryView:
    now = world.clock.now()
    with world.database.read() as session:
        history = history_of(session, serial, at, now)
    return view_history(history, view_certificate(world.record(serial), None, now))


def test_a_time_of_doubt_is_shown_as_such_though_nobody_knew_it_then(world):
    serial = world.officer().record.serial
    world.clock.advance(days=10)
    at = world.clock.now() - timedelta(days=1)
    assert (page(world, serial, at).tone, page(world, serial, at).next) == ("good", "WEB_PAST_NEXT_good")
    world.revoke(serial, "keyCompromise", days=2)
    view = page(world, serial, at)
    assert (view.tone, view.word, view.next) == ("bad", "WEB_PAST_WORD_suspect", "WEB_PAST_NEXT_other")
    assert view.known_then == "WEB_PAST_KNOWN_active"
    assert view.suspect_since


def test_a_suspension_that_was_lifted_was_one_all_the_same(world):
    serial = world.officer().record.serial
    world.revoke(serial, "certificateHold")
    world.clock.advance(days=1)
    at = world.clock.now()
    world.clock.advance(days=1)
    reinstate(serial, ADMIN, world.revocation_deps)
    view = page(world, serial, at)
    assert (view.tone, view.word, view.known_then) == ("unsure", "WEB_PAST_WORD_suspended", "")
    assert view.now.word == "WEB_CERTIFICATE_WORD_active"


def test_what_an_authority_issued_that_was_not_in_force_was_worth_nothing(world):
    serial = world.officer().record.serial
    world.clock.advance(days=10)
    at = world.clock.now()
    world.clock.advance(days=1)
    world.revoke(world.issuing.serial, "cACompromise", days=2)
    view = page(world, serial, at)
    assert (view.tone, view.word, view.next) == ("bad", "WEB_PAST_WORD_issuer", "WEB_PAST_NEXT_other")
    assert (view.fallen_issuer, view.fallen_word) == ("issuing", "WEB_PAST_WORD_suspect")
    before = page(world, serial, at - timedelta(days=3))
    assert (before.word, before.fallen_issuer) == ("WEB_PAST_WORD_active", "")
