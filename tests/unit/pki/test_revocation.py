"""Revocation goes one way, suspension both, and each is written down with its reason and actor."""

from __future__ import annotations

from datetime import timedelta

import pytest

from certs.errors import CertificateNotFound
from certs.inventory import State
from pki.audit import list_acts
from pki.errors import (
    AlreadyRevoked,
    AlreadySuspended,
    CertificateEnded,
    NotSuspended,
    ReasonUnknown,
    RootNotRevocable,
    SinceBeforeKey,
    SinceRefused,
)
from pki.renewal import RenewalRequest, renew
from pki.revocation import REASONS, parse_reason, reinstate, revoke
from tests.world import ADMIN


def test_a_revoked_certificate_keeps_time_reason_and_suspicion(world):
    serial = world.seal().record.serial
    world.clock.advance(days=3)
    record = world.revoke(serial, "keyCompromise", days=2)
    assert (record.state, record.revocation_reason) == (State.REVOKED, "keyCompromise")
    assert record.revoked_at == world.clock.now()
    assert record.suspect_since == world.clock.now() - timedelta(days=2)
    assert world.record(serial) == record


def test_revoking_twice_is_refused_and_says_when_and_why(world):
    serial = world.seal().record.serial
    world.revoke(serial, "superseded")
    world.clock.advance(days=1)
    with pytest.raises(AlreadyRevoked) as refused:
        world.revoke(serial, "cessationOfOperation")
    assert refused.value.facts == {"serial": serial, "revoked_at": "2026-11-21T03:15:30Z", "reason": "superseded"}
    assert world.record(serial).revocation_reason == "superseded"


@pytest.mark.parametrize("first", ["superseded", "unspecified", "privilegeWithdrawn"])
def test_a_compromise_that_became_known_later_raises_the_reason_and_keeps_the_date(world, first):
    serial = world.seal().record.serial
    world.clock.advance(days=3)
    revoked_at = world.revoke(serial, first).revoked_at
    world.clock.advance(days=2)
    record = world.revoke(serial, "keyCompromise", days=4)
    assert (record.state, record.revocation_reason, record.revoked_at) == (State.REVOKED, "keyCompromise", revoked_at)
    assert record.suspect_since == world.clock.now() - timedelta(days=4)
    with world.database.read() as session:
        last = list_acts(session, subject_id=serial)[-1]
    assert last.action == "certificate.revoke"
    assert (last.details["was"], last.details["was_reason"], last.details["reason"]) == (
        "revoked",
        first,
        "keyCompromise",
    )


def test_what_was_said_against_a_key_is_never_taken_back(world):
    serial = world.seal().record.serial
    world.clock.advance(days=5)
    record = world.revoke(serial, "keyCompromise", days=2)
    for reason in sorted(set(REASONS) - {"keyCompromise"}):
        with pytest.raises(AlreadyRevoked):
            world.revoke(serial, reason)
    for days in (None, 1, 2):
        with pytest.raises(AlreadyRevoked):
            world.revoke(serial, "keyCompromise", **({} if days is None else {"days": days}))
    with pytest.raises(NotSuspended):
        reinstate(serial, ADMIN, world.revocation_deps)
    assert world.record(serial) == record
    # It began earlier than was known: that is worse, and is said.
    earlier = world.revoke(serial, "keyCompromise", days=4)
    assert earlier.suspect_since == world.clock.now() - timedelta(days=4)


def test_a_hold_suspends_and_ends(world):
    serial = world.officer().record.serial
    assert world.revoke(serial, "certificateHold").state is State.SUSPENDED
    with pytest.raises(AlreadySuspended):
        world.revoke(serial, "certificateHold")
    back = reinstate(serial, ADMIN, world.revocation_deps)
    assert (back.state, back.revoked_at, back.revocation_reason) == (State.ACTIVE, None, None)


def test_a_hold_that_becomes_final_keeps_the_date_of_the_hold(world):
    serial = world.officer().record.serial
    world.revoke(serial, "certificateHold")
    held_at = world.clock.now()
    world.clock.advance(days=5)
    record = world.revoke(serial, "keyCompromise")
    assert (record.state, record.revoked_at) == (State.REVOKED, held_at)


@pytest.mark.parametrize("reason", [None, "superseded"])
def test_only_a_suspended_certificate_is_reinstated(world, reason):
    serial = world.officer().record.serial
    if reason is not None:
        world.revoke(serial, reason)
    with pytest.raises(NotSuspended):
        reinstate(serial, ADMIN, world.revocation_deps)


def test_the_reasons_are_those_of_rfc_5280():
    assert set(REASONS) == {
        "unspecified",
        "keyCompromise",
        "cACompromise",
        "affiliationChanged",
        "superseded",
        "cessationOfOperation",
        "certificateHold",
        "privilegeWithdrawn",
        "aACompromise",
    }
    assert parse_reason("KEYCOMPROMISE").value == "keyCompromise"


@pytest.mark.parametrize(("reason", "nearest"), [("keyCompromize", "keyCompromise"), ("removeFromCRL", ""), ("", "")])
def test_another_reason_is_refused_with_the_nearest(world, reason, nearest):
    serial = world.seal().record.serial
    with pytest.raises(ReasonUnknown) as refused:
        world.revoke(serial, reason)
    assert refused.value.facts["nearest"] == nearest
    assert world.record(serial).state is State.ACTIVE


def test_suspicion_cannot_begin_in_the_future(world):
    serial = world.seal().record.serial
    with pytest.raises(SinceRefused):
        revoke(serial, "keyCompromise", ADMIN, world.revocation_deps, since=world.clock.now() + timedelta(seconds=1))


def test_suspicion_cannot_begin_before_the_first_certificate_of_the_key(world):
    record = world.seal().record
    world.clock.advance(days=1)
    too_early = record.not_before - timedelta(seconds=1)
    with pytest.raises(SinceBeforeKey) as refused:
        revoke(record.serial, "keyCompromise", ADMIN, world.revocation_deps, since=too_early)
    assert refused.value.facts == {"since": "2026-11-21T03:15:29Z", "first": "2026-11-21T03:15:30Z"}
    revoke(record.serial, "keyCompromise", ADMIN, world.revocation_deps, since=record.not_before)


def test_the_key_of_a_renewed_certificate_may_be_suspect_since_before_the_renewal(world):
    old = world.seal().record
    world.clock.advance(days=600)
    new = renew(RenewalRequest(old.serial), ADMIN, world.issuing_deps)
    since = new.not_before - timedelta(days=100)
    changed = revoke(new.serial, "keyCompromise", ADMIN, world.revocation_deps, since=since)
    assert changed.suspect_since == since


def test_what_has_ended_is_not_suspended_and_can_still_be_revoked(world):
    serial = world.seal().record.serial
    world.clock.advance(days=800)
    with pytest.raises(CertificateEnded):
        world.revoke(serial, "certificateHold")
    assert world.revoke(serial, "keyCompromise").state is State.REVOKED


def test_a_suspension_that_outlives_its_certificate_can_still_be_lifted(world):
    serial = world.seal().record.serial
    world.revoke(serial, "certificateHold")
    world.clock.advance(days=800)
    assert reinstate(serial, ADMIN, world.revocation_deps).state_at(world.clock.now()) is State.EXPIRED


def test_an_unknown_serial_cannot_be_revoked(world):
    with pytest.raises(CertificateNotFound):
        world.revoke("ff", "superseded")


def test_a_root_cannot_be_revoked_and_its_children_can(world):
    with pytest.raises(RootNotRevocable):
        world.revoke(world.root.serial, "cACompromise")
    assert world.revoke(world.issuing.serial, "cACompromise").state is State.REVOKED


def test_every_act_is_audited_with_reason_and_former_state(world):
    serial = world.seal().record.serial
    world.revoke(serial, "certificateHold")
    reinstate(serial, ADMIN, world.revocation_deps)
    world.revoke(serial, "keyCompromise", days=0.0)
    with world.database.read() as session:
        acts = list_acts(session, subject_id=serial)[2:]
    assert [(act.action, act.actor) for act in acts] == [
        ("certificate.suspend", "ceremony-admin"),
        ("certificate.reinstate", "ceremony-admin"),
        ("certificate.revoke", "ceremony-admin"),
    ]
    now = "2026-11-21T03:15:30Z"
    assert acts[-1].details == {"reason": "keyCompromise", "was": "active", "at": now, "since": now}


def test_a_refused_revocation_leaves_no_audit_row(world):
    serial = world.seal().record.serial
    world.revoke(serial, "superseded")
    with pytest.raises(AlreadyRevoked):
        world.revoke(serial, "superseded")
    with world.database.read() as session:
        assert [act.action for act in list_acts(session, subject_id=serial)].count("certificate.revoke") == 1
