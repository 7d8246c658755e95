"""A notice is made once for each threshold, of the newest certificate of its holder, and accounted for until it was taken."""

from __future__ import annotations

from datetime import timedelta

import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from pki.expiry_notices import ENDED, LONGEST_PAUSE, MOST_ATTEMPTS, NoticeDesk, NoticePolicy
from pki.renewal import RenewalRequest, renew
from pki.revocation import reinstate
from pki.roles import Role
from tests.world import ADMIN, SEAL_SUBJECT, World

TERM = 731


def desk(world: World, *, sends: bool = False, days: tuple[int, ...] = (90, 30, 7, 1)) -> NoticeDesk:
    return NoticeDesk(world.database, world.clock, NoticePolicy(days, sends=sends))


def made(world: World) -> list[tuple[str, int]]:
    """What is made now: serial and threshold."""
    office = desk(world)
    before = {each.id for each in office.list_notices()}
    count = office.make_due(ADMIN)
    new = [each for each in office.list_notices() if each.id not in before]
    assert len(new) == count
    assert office.make_due(ADMIN) == 0
    return sorted((each.serial, each.days) for each in new)


def test_each_threshold_is_said_once_and_the_end_too(world):
    serial = world.officer().record.serial
    said = []
    for day in range(TERM + 10):
        if day % 20 == 0 or day > TERM - 100:
            said += [(day, days) for _, days in made(world)]
        world.clock.advance(days=1)
    assert said == [(TERM - 90, 90), (TERM - 30, 30), (TERM - 7, 7), (TERM - 1, 1), (TERM, ENDED)]
    assert {each.serial for each in desk(world).list_notices()} == {serial}


def test_who_was_away_at_the_thresholds_hears_only_the_last_of_them(world):
    serial = world.officer().record.serial
    world.clock.advance(days=TERM - 5)
    assert made(world) == [(serial, 7)]


def test_what_ended_long_ago_is_news_to_nobody(world):
    world.officer()
    world.clock.advance(days=TERM + 31)
    assert made(world) == []


def test_a_threshold_before_the_last_third_of_a_term_does_not_count(world):
    old = world.officer().record
    new = renew(RenewalRequest(old.serial, days=60, force=True), ADMIN, world.issuing_deps)
    world.revoke(old.serial, "superseded")
    world.clock.advance(days=31)
    assert made(world) == []
    world.clock.advance(days=22)
    assert made(world) == [(new.serial, 7)]


@pytest.mark.parametrize(
    ("term", "thresholds", "said"),
    [
        (5, (90, 30, 7, 1), [(4, 1)]),  # the others had passed when it was issued
        (2, (90, 30, 7, 1), [(1, 1)]),  # one day is more than a third of it
        (1, (90, 30, 7, 1), [(0, 1)]),  # none is ahead: at once
        (20, (90, 30), [(0, 30)]),
        (40, (90, 30), [(10, 30)]),
        (400, (90, 30), [(310, 90), (370, 30)]),
    ],
)
def test_every_certificate_is_announced_before_its_end_however_short_its_term(world, term, thresholds, said):
    old = world.officer().record
    new = renew(RenewalRequest(old.serial, days=term, force=True), ADMIN, world.issuing_deps)
    world.revoke(old.serial, "superseded")
    office, found = desk(world, days=thresholds), []
    for day in range(term):
        while now := office.due():
            found += [(day, days) for serial, days in now if serial == new.serial]
            office.make_due(ADMIN)
        world.clock.advance(days=1)
    assert found == said


def test_a_renewed_certificate_needs_no_notice_until_the_new_one_is_revoked(world):
    old = world.officer().record
    world.clock.advance(days=TERM - 80)
    new = renew(RenewalRequest(old.serial), ADMIN, world.issuing_deps)
    assert made(world) == []
    world.revoke(new.serial, "superseded")
    assert made(world) == [(old.serial, 90)]


def test_a_certificate_that_was_asked_for_anew_stands_for_the_old_one_too(world):
    world.officer()
    world.clock.advance(days=400)
    world.officer()
    world.clock.advance(days=TERM - 400 - 20)
    assert made(world) == []


def test_another_holder_or_another_kind_stands_for_nobody(world):
    officer = world.officer().record.serial
    world.clock.advance(days=400)
    world.certify("agency-seal", SEAL_SUBJECT)
    world.clock.advance(days=TERM - 400 - 20)
    assert made(world) == [(officer, 30)]


@pytest.mark.parametrize("reason", ["certificateHold", "superseded"])
def test_what_is_not_in_force_is_not_announced(world, reason):
    serial = world.officer().record.serial
    world.revoke(serial, reason)
    world.clock.advance(days=TERM - 20)
    assert made(world) == []
    if reason == "certificateHold":
        reinstate(serial, ADMIN, world.revocation_deps)
        assert made(world) == [(serial, 30)]


def test_an_auditor_makes_no_notice(world):
    world.officer()
    world.clock.advance(days=TERM - 20)
    with pytest.raises(RoleMissing):
        desk(world).make_due(Actor("dung", frozenset({Role.AUDITOR})))
    assert desk(world).list_notices() == []


def test_a_notice_waits_for_its_log_line_and_for_its_receiver(world):
    world.officer()
    world.clock.advance(days=TERM - 20)
    office = desk(world, sends=True)
    assert office.is_due()
    office.make_due(ADMIN)
    (notice,) = office.unlogged()
    assert office.unsent() == [notice]
    office.note_logged([notice])
    office.note_sent(notice)
    assert (office.unlogged(), office.unsent(hurry=True), office.is_due()) == ([], [], False)
    (told,) = office.list_notices()
    assert (told.id, told.logged_at, told.sent_at, told.attempts) == (
        notice.id,
        world.clock.now(),
        world.clock.now(),
        1,
    )


def test_what_was_not_taken_is_tried_again_later_each_time_and_given_up_in_the_end(world):
    world.officer()
    world.clock.advance(days=TERM - 20)
    office = desk(world, sends=True)
    office.make_due(ADMIN)
    pauses = []
    for _ in range(MOST_ATTEMPTS):
        (notice,) = office.unsent()
        office.note_failed(notice, "HTTP 500")
        assert office.unsent() == []
        (notice,) = office.list_notices()
        if notice.next_attempt_at is not None:
            pauses.append(notice.next_attempt_at - world.clock.now())
            world.clock.advance(seconds=pauses[-1].total_seconds())
    assert pauses[:3] == [timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=4)]
    assert (pauses[-1], len(pauses)) == (LONGEST_PAUSE, MOST_ATTEMPTS - 1)
    assert (notice.next_attempt_at, notice.attempts, notice.problem) == (None, MOST_ATTEMPTS, "HTTP 500")
    assert office.unsent(hurry=True) == []


def test_a_clock_that_was_set_back_holds_up_no_notice(world):
    world.officer()
    world.clock.advance(days=TERM - 20)
    office = desk(world, sends=True)
    office.make_due(ADMIN)
    world.clock.advance(days=-1)
    assert len(office.unsent()) == 1
