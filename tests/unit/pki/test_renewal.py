"""A certificate is followed by one for the same holder: when, with which key, and how both know of each other."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from certs.inventory import State, find_successors
from certs.names import parse_subject
from hsm.spec import KeySpec, Purpose
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor, list_acts
from pki.authorities import find_issuing_today
from pki.ceremony import CeremonyDeps, create_issuing
from pki.errors import ApprovalNeeded, RegistrationNeeded, RoleMissing
from pki.issuance import IssuanceRequest, issue, issue_wanted
from pki.issuer import load_issuer
from pki.registration import RegistrationDeps, register_at_once
from pki.registration_records import Wanted
from pki.renewal import RenewalRequest, names_of, renew, renewable_from
from pki.renewal_errors import (
    AlreadyRenewed,
    RenewalKeyNotNew,
    RenewalNotByHand,
    RenewalOfRevoked,
    RenewalOfSuspended,
    RenewalTooEarly,
    RenewalTooLate,
)
from pki.revocation import reinstate
from pki.roles import Role
from pki.service_keys import ServiceKind
from tests.unit.pki.services import make_service
from tests.world import ADMIN, PUBLIC_URL, World

LATE = 600  # days, of 731


def again(world: World, serial: str, actor: Actor = ADMIN, **more):
    return renew(RenewalRequest(serial, **more), actor, world.issuing_deps)


def new_key(world: World) -> bytes:
    return world.keys.generate(KeySpec.P_256, "another", Purpose.DOCUMENT).public_key_der


def test_a_renewal_keeps_holder_profile_and_key_and_takes_a_new_serial_and_term(world):
    old = world.officer().record
    world.clock.advance(days=LATE)
    new = again(world, old.serial)
    assert (new.profile, new.subject, new.public_key_der) == (old.profile, old.subject, old.public_key_der)
    assert new.serial != old.serial
    assert (new.not_before, new.replaces) == (world.clock.now(), old.serial)
    assert new.not_after - new.not_before == old.not_after - old.not_before
    assert world.record(old.serial).state is State.ACTIVE
    with world.database.read() as session:
        assert [each.serial for each in find_successors(session, old.serial)] == [new.serial]
        intent = list_acts(session, subject_id=new.serial)[0]
    assert (intent.action, intent.details["replaces"]) == ("certificate.intend", old.serial)


def test_a_re_key_is_for_the_same_holder_with_another_key_and_at_any_time(world):
    old = world.officer().record
    key = new_key(world)
    new = again(world, old.serial, public_key_der=key, days=30)
    assert (new.subject, new.public_key_der, new.replaces) == (old.subject, key, old.serial)
    assert new.not_after - new.not_before == timedelta(days=30)


def test_names_of_hosts_go_with_it(world):
    key = world.keys.generate(KeySpec.P_256, "host", Purpose.DOCUMENT)
    subject = parse_subject("CN=portal.huonggiang.example,O=Sở Khoa học và Công nghệ Hương Giang,C=VN")
    hosts = ("portal.huonggiang.example", "www.huonggiang.example")
    old = issue(IssuanceRequest("tls-server", subject, key.public_key_der, hosts), ADMIN, world.issuing_deps)
    assert names_of(again(world, old.serial, force=True)) == names_of(old) == hosts


def test_where_registrations_are_required_what_was_registered_once_is_renewed_and_nothing_else(world):
    strict = replace(world.issuing_deps, by_registration=frozenset({"officer", "system"}))
    never = world.officer().record
    with pytest.raises(RegistrationNeeded):
        renew(RenewalRequest(never.serial, force=True), ADMIN, strict)
    wanted = Wanted("system", "CN=Cổng một cửa,OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN", (), None, new_key(world))
    deps = RegistrationDeps(world.database, world.clock, world.catalogue)
    old = issue_wanted(wanted, register_at_once(wanted, "hồ sơ 12", ADMIN, deps).id, ADMIN, strict)
    first = renew(RenewalRequest(old.serial, force=True), ADMIN, strict)
    second = renew(RenewalRequest(first.serial, force=True), ADMIN, strict)
    assert (first.replaces, second.replaces) == (old.serial, first.serial)


def test_the_last_third_of_its_term_is_when_a_certificate_is_renewed(world):
    record = world.officer().record
    begins = renewable_from(record)
    world.clock.advance(seconds=(begins - world.clock.now()).total_seconds() - 1)
    with pytest.raises(RenewalTooEarly) as refused:
        again(world, record.serial)
    assert set(refused.value.facts) == {"serial", "not_after", "begins"}
    world.clock.advance(seconds=1)
    assert again(world, record.serial).replaces == record.serial


def test_whoever_insists_renews_early(world):
    record = world.officer().record
    assert again(world, record.serial, force=True).replaces == record.serial


def test_what_was_renewed_is_renewed_once_more_only_when_somebody_insists_or_lost_the_new_one(world):
    old = world.officer().record
    world.clock.advance(days=LATE)
    new = again(world, old.serial)
    with pytest.raises(AlreadyRenewed) as refused:
        again(world, old.serial)
    assert refused.value.facts == {"serial": old.serial, "successor": new.serial}
    with pytest.raises(AlreadyRenewed):
        again(world, old.serial, public_key_der=new_key(world))
    world.revoke(new.serial, "superseded")
    assert again(world, old.serial).replaces == old.serial
    assert again(world, old.serial, force=True).replaces == old.serial


def test_a_revoked_certificate_is_not_renewed_with_either_key(world):
    old = world.officer().record
    world.revoke(old.serial, "superseded")
    for key in (None, new_key(world)):
        with pytest.raises(RenewalOfRevoked):
            again(world, old.serial, public_key_der=key, force=True)


def test_a_suspended_certificate_waits_for_its_decision(world):
    old = world.officer().record
    world.revoke(old.serial, "certificateHold")
    with pytest.raises(RenewalOfSuspended):
        again(world, old.serial, force=True)
    reinstate(old.serial, ADMIN, world.revocation_deps)
    assert again(world, old.serial, force=True).replaces == old.serial


def test_what_has_ended_needs_a_new_key(world):
    old = world.officer().record
    world.clock.advance(days=732)
    with pytest.raises(RenewalTooLate):
        again(world, old.serial, force=True)
    assert again(world, old.serial, public_key_der=new_key(world)).replaces == old.serial


def test_the_same_key_is_no_new_one(world):
    old = world.officer().record
    with pytest.raises(RenewalKeyNotNew):
        again(world, old.serial, public_key_der=old.public_key_der)


def test_authorities_and_services_are_not_renewed_by_hand(world):
    responder = make_service(world, ServiceKind.OCSP)
    for serial in (world.issuing.serial, world.root.serial, responder.serial):
        with pytest.raises(RenewalNotByHand):
            again(world, serial, force=True)


def test_an_auditor_renews_nothing(world):
    old = world.officer().record
    with pytest.raises(RoleMissing):
        again(world, old.serial, Actor("dung", frozenset({Role.AUDITOR})), force=True)
    with world.database.read() as session:
        assert find_successors(session, old.serial) == []


def test_where_issuing_waits_for_a_second_person_so_does_renewing(world):
    old = world.officer().record
    world.approvals = ApprovalRules(acts=frozenset({Act.CERTIFICATE_ISSUE}))
    with pytest.raises(ApprovalNeeded):
        again(world, old.serial, force=True)
    with world.database.read() as session:
        assert find_successors(session, old.serial) == []


def rotated(world: World) -> None:
    """A second authority of the same kind, the first retired."""
    deps = CeremonyDeps(
        world.database, world.clock, world.keys, world.catalogue, PUBLIC_URL, world.twins, approvals=ApprovalRules()
    )
    subject = parse_subject("CN=Hương Giang Issuing CA 2,O=Sở Khoa học và Công nghệ Hương Giang,C=VN")
    create_issuing("issuing-2", "root", subject, ADMIN, deps)
    with world.database.write() as session:
        session.execute(text("UPDATE authorities SET state = 'retired' WHERE name = 'issuing'"))


def issuing_today(world: World, after: str) -> str:
    with world.database.read() as session:
        return find_issuing_today(session, after, world.clock.now())


def test_after_a_rotation_a_renewal_is_issued_by_the_authority_that_is_active(world):
    old = world.officer().record
    assert issuing_today(world, old.issuer) == "issuing"
    rotated(world)
    world.clock.advance(days=LATE)
    name = issuing_today(world, old.issuer)
    assert name == "issuing-2"
    issuer = load_issuer(world.database, world.keys, name, PUBLIC_URL)
    new = renew(RenewalRequest(old.serial), ADMIN, replace(world.issuing_deps, issuer=issuer))
    assert (old.issuer, new.issuer, new.subject, new.replaces) == ("issuing", "issuing-2", old.subject, old.serial)


def test_an_authority_that_is_in_force_is_followed_by_nobody_and_one_without_kin_names_itself(world):
    rotated(world)
    with world.database.write() as session:
        session.execute(text("UPDATE authorities SET state = 'active' WHERE name = 'issuing'"))
    assert (issuing_today(world, "issuing"), issuing_today(world, "issuing-2")) == ("issuing", "issuing-2")
    world.revoke(world.issuing.serial, "superseded")
    assert issuing_today(world, "issuing") == "issuing-2"
    with world.database.write() as session:
        session.execute(text("UPDATE authorities SET state = 'retired' WHERE name = 'issuing-2'"))
    # No other kind stands in for it, a root least of all.
    assert issuing_today(world, "issuing") == "issuing"
