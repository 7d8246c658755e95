"""Search: a certificate is found by whatever is known of it, and by nothing that is not true of it."""

from __future__ import annotations

from datetime import timedelta

import pytest

from certs.inventory import State, add_intent, complete, set_state
from certs.search import CertificateQuery, search
from tests.postgres import discard
from tests.unit.certs.test_inventory import NOW, new, serials
from tests.world import new_database

SEAL = "CN=Trung tâm Đo đạc,UID=MST:0012345672,UID=MNS:1234567,O=Sở Tài nguyên,C=VN"
PERSON = "CN=100%_thật,UID=CCCD:012345678901,O=Sở Y tế,C=VN"


@pytest.fixture
def session(tmp_path):
    database = new_database(tmp_path)
    with database.write() as session:
        yield session
    discard(database)


@pytest.fixture
def stock(session):
    """ab12 and cd34, finished, a second apart; ef56 an intent of the day after."""
    add_intent(
        session,
        new(
            "ab12",
            subject=SEAL,
            organization="Sở Tài nguyên",
            public_key_der=b"1",
            identifiers=("MST:0012345672", "MNS:1234567"),
        ),
    )
    add_intent(
        session,
        new(
            "cd34",
            subject=PERSON,
            organization="Sở Y tế",
            profile="officer",
            issuer="issuing-2",
            public_key_der=b"2",
            identifiers=("CCCD:012345678901",),
            created_at=NOW + timedelta(seconds=1),
        ),
    )
    add_intent(
        session,
        new("ef56", subject="CN=Khác,C=VN", organization="", public_key_der=b"3", created_at=NOW + timedelta(days=1)),
    )
    complete(session, new("ab12"), b"ab12")
    complete(session, new("cd34"), b"cd34")
    return session


def found(session, now=NOW, **wanted) -> list[str]:
    return serials(search(session, now, CertificateQuery(**wanted)))


def test_the_newest_comes_first_and_a_limit_is_kept(stock):
    assert found(stock) == ["ef56", "cd34", "ab12"]
    assert serials(search(stock, NOW, limit=1)) == ["ef56"]


@pytest.mark.parametrize("text", ["đo đạc", "do dac", "TRUNG TÂM", "ab12", "Do Đac", "dac trung", "rung ta"])
def test_words_are_found_with_and_without_marks_in_any_order_and_in_part(stock, text):
    assert found(stock, text=text) == ["ab12"]


def test_every_word_must_be_there(stock):
    assert found(stock, text="trung tam y te") == []


def test_percent_and_underscore_are_letters(stock):
    assert found(stock, text="0%_t") == ["cd34"]
    assert found(stock, text="a_1") == []


def test_an_organization_is_not_looked_for_in_the_rest_of_the_name(stock):
    assert found(stock, organization="so tai nguyen") == ["ab12"]
    assert found(stock, organization="trung tâm") == []


@pytest.mark.parametrize("identifier", ["MST:0012345672", "mst: 0012345672", "0012345672", "1234567", "MNS:1234567"])
def test_a_number_is_found_with_or_without_its_kind(stock, identifier):
    assert found(stock, identifier=identifier) == ["ab12"]


def test_a_number_of_another_kind_or_a_part_of_one_is_not_found(stock):
    assert found(stock, identifier="MNS:0012345672") == []
    assert found(stock, identifier="001234567") == []


def test_serial_fingerprint_and_key_are_found_by_their_beginning(stock):
    (record,) = search(stock, NOW, CertificateQuery(serial="cd34"))
    for length in (6, 64):
        assert found(stock, sha256=record.sha256[:length].upper()) == ["cd34"]
    for length in (6, 40):
        assert found(stock, key_id=record.key_id[:length]) == ["cd34"]
    assert found(stock, serial="c") == ["cd34"]
    assert found(stock, serial="d34") == []


def test_profile_and_issuer_narrow(stock):
    assert found(stock, profile="officer") == ["cd34"]
    assert found(stock, issuer="issuing-2") == ["cd34"]
    assert found(stock, issuer="issuing-2", profile="agency-seal") == []


def test_a_state_is_what_people_see_at_that_time(stock):
    set_state(stock, "cd34", State.SUSPENDED, revoked_at=NOW, reason="certificateHold")
    assert found(stock, state=State.INTENT) == ["ef56"]
    assert found(stock, state=State.ACTIVE) == ["ab12"]
    assert found(stock, state=State.SUSPENDED) == ["cd34"]
    later = NOW + timedelta(days=731, seconds=1)
    assert found(stock, later, state=State.EXPIRED) == ["cd34", "ab12"]
    assert found(stock, later, state=State.ACTIVE) == []


def test_times_bound_from_below_and_above(stock):
    second = NOW + timedelta(seconds=1)
    assert found(stock, issued_from=second) == ["ef56", "cd34"]
    assert found(stock, issued_before=second) == ["ab12"]
    assert found(stock, issued_from=NOW, issued_before=second) == ["ab12"]
    end = NOW + timedelta(days=731)
    assert found(stock, ends_from=end, ends_before=end) == []
    assert len(found(stock, ends_from=end)) == 3
    assert len(found(stock, valid_at=end)) == 3
    assert found(stock, valid_at=end + timedelta(seconds=1)) == []
