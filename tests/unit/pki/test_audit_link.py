"""pki/audit_link.py: two rows never have the same octets, and a database makes the same link as Python."""

from __future__ import annotations

import dataclasses
import hashlib
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from pki import audit
from pki.audit import Actor
from pki.audit_link import FORM, GENESIS, Entry, canonical_json, link_of, written_facts, written_time
from pki.audit_survey import survey_all
from tests import postgres
from tests.fakes.clock import FixedClock
from tests.world import new_database

TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
DETAILS = st.dictionaries(TEXT, TEXT, max_size=4)
ENTRIES = st.builds(
    Entry,
    chain=st.integers(0, 12),
    position=st.integers(1, 120),
    seq=st.integers(1, 120),
    link=st.just(b""),
    time=TEXT.map(str.encode),
    actor=TEXT.map(str.encode),
    action=TEXT.map(str.encode),
    subject_kind=TEXT.map(str.encode),
    subject_id=TEXT.map(str.encode),
    details=DETAILS.map(lambda details: canonical_json(details).encode()),
)
# What could be taken for a border between two fields.
TRICKY = st.sampled_from([b"", b"1", b"11", b",", b":", b"1:", b"1:1,", b"0:,", b"\n", b'"', b"{}"])
TRICKY_ENTRIES = st.builds(
    Entry,
    chain=st.sampled_from([1, 11]),
    position=st.sampled_from([1, 11]),
    seq=st.sampled_from([1, 11]),
    link=st.just(b""),
    time=TRICKY,
    actor=TRICKY,
    action=TRICKY,
    subject_kind=TRICKY,
    subject_id=TRICKY,
    details=st.just(b"{}"),
)
PREVIOUS = st.sampled_from([GENESIS.encode(), b"ab" * 32, b"0", b""])


@given(one=ENTRIES | TRICKY_ENTRIES, other=ENTRIES | TRICKY_ENTRIES, before=PREVIOUS, after=PREVIOUS)
def test_different_rows_have_different_links(one, other, before, after):
    assume((one, before) != (other, after))
    assert one.follows(before) != other.follows(after)


@given(entry=TRICKY_ENTRIES, names=st.permutations(["time", "actor", "action", "subject_kind", "subject_id"]))
def test_values_that_change_places_change_the_link(entry, names):
    one, other = names[:2]
    changed = dataclasses.replace(entry, **{one: getattr(entry, other), other: getattr(entry, one)})
    assert (changed.follows(b"") == entry.follows(b"")) == (getattr(entry, one) == getattr(entry, other))


@given(entry=ENTRIES, details=DETAILS)
def test_a_row_that_is_read_has_the_link_that_was_made_when_it_was_written(entry, details):
    moment = datetime.fromisoformat("2026-11-21T03:15:30.000001+00:00")
    actor, action, kind, subject = (
        each.decode() for each in (entry.actor, entry.action, entry.subject_kind, entry.subject_id)
    )
    facts = written_facts(moment, actor, action, kind, details)
    made = link_of(entry.chain, entry.position, entry.seq, GENESIS, facts, subject)
    read = dataclasses.replace(
        entry, time=written_time(moment).encode(), details=canonical_json(details).encode()
    ).follows(GENESIS.encode())
    assert made.encode() == read


def test_the_form_is_the_one_that_is_documented():
    """By hand, as docs/audit.md says it; a stored chain must still verify in twenty years."""
    fields = (
        "antin audit row 1", "0" * 64, "0", "1", "7", "2026-11-21T03:15:30.000250Z", "Nguyễn Thị A", "seal.hand-over",
        "credential", '{"a":"s\\u1ed1 12","b":""}', "seal",
    )  # fmt: skip
    octets = b"".join(b"%d:%s," % (len(each.encode()), each.encode()) for each in fields)
    moment = datetime(2026, 11, 21, 10, 15, 30, 250, tzinfo=timezone(timedelta(hours=7)))
    facts = written_facts(moment, "Nguyễn Thị A", "seal.hand-over", "credential", {"b": "", "a": "số 12"})
    assert fields[0] == FORM
    assert link_of(0, 1, 7, GENESIS, facts, "seal") == hashlib.sha256(octets).hexdigest()


@pytest.mark.parametrize("details", [b"", b"{", b'{"a":1,"a":1}', b"\xff", b"[" * 100_000])
def test_details_that_are_no_object_follow_nothing(details):
    entry = Entry(0, 1, 1, b"", b"", b"", b"", b"", b"", details)
    assert entry.follows(GENESIS.encode()) == b""


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    database = new_database(tmp_path_factory.mktemp("links"))
    yield database
    postgres.discard(database)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(actor=TEXT, action=TEXT, kind=TEXT, subject=TEXT, details=DETAILS, microseconds=st.integers(0, 10**12))
def test_what_the_database_stores_gives_the_link_that_it_stored(
    database, actor, action, kind, subject, details, microseconds
):
    clock = FixedClock()
    clock.advance(microseconds=microseconds)
    with database.write() as session:
        audit.append(
            session, clock, Actor(actor), action, kind, subject, **{f"_{key}": value for key, value in details.items()}
        )
    with database.read() as session:
        assert survey_all(session).breaks == ()
