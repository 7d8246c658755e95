"""The sources of a check: which there are, when each was last good, and how a page says it."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import URL

from api.sources import Source, Sources
from api.web.sentences import Sentence
from api.web.source_view import view_sources
from api.words import LANGUAGES, read_catalogues
from certs.clock import for_people
from certs.db import Database
from certs.errors import DatabaseUnavailable
from pki.authorities import add_pending
from pki.crl import LIFETIME, ROOT_LIFETIME, find_latest_dates
from tests.fakes.clock import FixedClock
from tests.world import build_world


@pytest.fixture
def world(tmp_path):
    built = build_world(tmp_path)
    yield built
    built.close()


@pytest.fixture
def sources(world):
    return Sources(world.database, world.clock)


def _lists(sources: Sources) -> list[tuple[bool, object, object]]:
    return [(each.is_good, each.last_good, each.due) for each in sources.ask() if each.kind == "crl"]


def test_the_register_comes_first_and_then_a_list_an_authority_roots_first(world, sources):
    root, issuing = world.crls()
    found = sources.ask()
    assert [each.kind for each in found] == ["register", "crl", "crl"]
    assert (found[0].is_good, found[0].last_good) == (True, world.clock.now())
    assert [(each.is_good, each.last_good, each.due) for each in found[1:]] == [
        (True, root.this_update, root.this_update + ROOT_LIFETIME),
        (True, issuing.this_update, issuing.this_update + LIFETIME),
    ]
    assert "Root" in found[1].owner
    assert "Issuing" in found[2].owner


def test_a_list_is_good_until_its_next_update_and_not_at_it(world, sources):
    _, issuing = world.crls()
    world.clock.advance(seconds=LIFETIME.total_seconds() - 1)
    assert _lists(sources)[1][0]
    world.clock.advance(seconds=1)
    assert _lists(sources)[1] == (False, issuing.this_update, issuing.next_update)


def test_the_newest_list_counts(world, sources):
    world.crls()
    world.clock.advance(days=8)
    _, newest = world.crls()
    assert _lists(sources)[1] == (True, newest.this_update, newest.next_update)
    with world.database.read() as session:
        assert find_latest_dates(session, "issuing") == (newest.this_update, newest.next_update)


def test_an_authority_that_never_issued_a_list_has_no_good_time(world, sources):
    assert _lists(sources) == [(False, None, None)] * 2


def test_an_authority_without_a_certificate_yet_or_any_more_owes_no_list(world, sources):
    world.crls()
    with world.database.write() as session:
        add_pending(
            session, world.clock.now(), name="issuing-2", parent="root", profile="issuing", subject="CN=Two", public_key_der=b"x",
        )  # fmt: skip
    assert len(_lists(sources)) == 2
    world.clock.advance(days=(world.issuing.certificate.not_valid_after_utc - world.clock.now()).days + 1)
    assert [each.owner for each in sources.ask() if each.kind == "crl" and "Issuing" in each.owner] == []


def test_what_failed_is_no_good_time(tmp_path):
    """A folder where the file should be is no database."""
    (tmp_path / "antin.db").mkdir()
    database = Database(URL.create("sqlite", database=str(tmp_path / "antin.db")))
    sources = Sources(database, FixedClock())
    with pytest.raises(DatabaseUnavailable):
        sources.look()
    assert sources.ask() == (Source("register", is_good=False, last_good=None),)
    database.close()


def test_the_last_good_time_is_that_of_the_last_reading_that_went_well(world, sources):
    sources.look()
    seen = world.clock.now()
    world.clock.advance(hours=1)
    with pytest.raises(RuntimeError), sources.reading():
        raise RuntimeError
    assert sources.silent_register().last_good == seen


@pytest.mark.parametrize(
    ("source", "code"),
    [
        (Source("register", True, FixedClock().now()), "WEB_SOURCE_register_good"),
        (Source("register", False, FixedClock().now()), "WEB_SOURCE_register_down"),
        (Source("register", False, None), "WEB_SOURCE_register_never"),
        (Source("crl", True, FixedClock().now(), "CN=A", FixedClock().now() + timedelta(days=1)), "WEB_SOURCE_crl_good"),
        (Source("crl", False, FixedClock().now(), "CN=A", FixedClock().now() + timedelta(days=1)), "WEB_SOURCE_crl_down"),
        (Source("crl", False, None, "CN=A"), "WEB_SOURCE_crl_never"),
    ],
)  # fmt: skip
def test_a_source_is_said_with_its_times_at_plus_seven(source, code):
    (line,) = view_sources([source])
    assert line.is_good == source.is_good
    expected = {"owner": "A"} if source.kind == "crl" else {}
    if source.last_good:
        expected["time"] = for_people(source.last_good)
        assert expected["time"].endswith("+07:00")
    if source.due:
        expected["due"] = for_people(source.due)
    assert line.sentence == Sentence(code, expected)
    for language in LANGUAGES:
        for fact in expected:
            assert f"{{{fact}}}" in read_catalogues(language)[code]


def test_a_name_that_plays_tricks_is_shown_harmlessly():
    (line,) = view_sources([Source("crl", False, None, "CN=A\u202eB")])
    assert "\u202e" not in line.sentence.facts["owner"]
