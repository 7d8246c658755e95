"""A registration is asked for, confirmed with evidence, and makes one certificate that says exactly what was confirmed."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from certs.errors import NameRefused, RegistrationIncomplete, SanRefused, SubjectAttributeMissing, ValidityRefused
from certs.inventory import State
from hsm.errors import SigningFailed
from hsm.handles import sign_only_key
from hsm.spec import KeySpec, Purpose
from pki.appointment import add_person
from pki.approval_records import get_approval
from pki.approval_rules import ApprovalRules
from pki.audit import list_acts
from pki.errors import (
    ApprovalNeeded,
    ApprovalStale,
    EvidenceMissing,
    RegistrationMismatch,
    RegistrationNeeded,
    RegistrationNotOpen,
    RegistrationStale,
    RegistrationTextRefused,
    RegistrationUnfinished,
    RegistrationUnknown,
    RegistrationUsed,
    RoleMissing,
)
from pki.issuance import issue_wanted
from pki.registration import (
    LONGEST_EVIDENCE,
    RegistrationDeps,
    add_registration,
    confirm_registration,
    refuse_registration,
    register_at_once,
)
from pki.registration_records import (
    RegistrationState,
    Wanted,
    digest_of,
    get_registration,
    lock_registration,
    registration_of_certificate,
)
from pki.revocation import revoke_intents
from pki.roles import Actor, Role
from pki.voting import approve
from tests.world import ADMIN

SUBJECT = "CN=Cổng một cửa,OU=Tổ Công nghệ,O=Sở Thử nghiệm,C=VN"
OFFICER = Actor("binh", frozenset({Role.REGISTRATION_OFFICER}))
EVIDENCE = "hồ sơ 12/2026"


def deps(world) -> RegistrationDeps:
    return RegistrationDeps(world.database, world.clock, world.catalogue)


def new_key(world) -> bytes:
    return world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT).public_key_der


def wish(world, **more) -> Wanted:
    return replace(Wanted("system", SUBJECT, (), None, new_key(world)), **more)


def confirmed(world, wanted):
    record = add_registration(wanted, None, ADMIN, deps(world))
    return confirm_registration(record.id, EVIDENCE, OFFICER, deps(world))


def stored(world, number):
    with world.database.read() as session:
        return get_registration(session, number)


def acts(world, number):
    with world.database.read() as session:
        kept = list_acts(session, subject_id=str(number))
    return [(each.actor, each.action) for each in kept if each.subject_kind == "registration"]


def test_a_confirmed_registration_makes_one_certificate_that_names_it(world):
    wanted = wish(world, days=30)
    number = confirmed(world, wanted).id
    record = issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    assert (record.subject, (record.not_after - record.not_before).days) == (SUBJECT, 30)
    with world.database.read() as session:
        assert registration_of_certificate(session, record.serial) == get_registration(session, number)
    assert stored(world, number).state is RegistrationState.ISSUED
    assert acts(world, number) == [(ADMIN.name, "registration.add"), ("binh", "registration.confirm")]
    with pytest.raises(RegistrationUsed) as used:
        issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    assert used.value.facts["serial"] == record.serial


def test_what_is_not_confirmed_makes_none(world):
    wanted = wish(world)
    still_open = add_registration(wanted, EVIDENCE, ADMIN, deps(world)).id
    refused = refuse_registration(confirmed(world, wanted).id, "giấy tờ giả", OFFICER, deps(world))
    withdrawn = refuse_registration(confirmed(world, wanted).id, "nhầm", ADMIN, deps(world))
    assert (refused.state, withdrawn.state) == (RegistrationState.REFUSED, RegistrationState.WITHDRAWN)
    for number in (still_open, refused.id, withdrawn.id):
        with pytest.raises(RegistrationNotOpen):
            issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    with pytest.raises(RegistrationUnknown):
        issue_wanted(wanted, 2**70, ADMIN, world.issuing_deps)


def test_what_was_refused_or_issued_is_neither_confirmed_nor_refused_again(world):
    number = refuse_registration(add_registration(wish(world), None, ADMIN, deps(world)).id, "x", ADMIN, deps(world)).id
    wanted = wish(world)
    issued = confirmed(world, wanted).id
    issue_wanted(wanted, issued, ADMIN, world.issuing_deps)
    for each in (number, issued):
        with pytest.raises(RegistrationNotOpen):
            confirm_registration(each, EVIDENCE, ADMIN, deps(world))
        with pytest.raises(RegistrationNotOpen):
            refuse_registration(each, "x", ADMIN, deps(world))


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"subject": "CN=a,C=VN"}, SubjectAttributeMissing),
        ({"subject": "CN=a\u202eb,O=b,C=VN"}, NameRefused),
        ({"san": ("*.vn",)}, SanRefused),
        ({"days": 100_000}, ValidityRefused),
    ],
)
def test_what_could_never_be_issued_is_not_written_down(world, change, error):
    with pytest.raises(error):
        add_registration(wish(world, **change), None, ADMIN, deps(world))
    with pytest.raises(RegistrationUnknown):
        stored(world, 1)


def test_a_confirmation_wants_all_that_the_profile_asks_for_and_evidence(world):
    incomplete = add_registration(wish(world, subject="CN=a,O=Sở,C=VN"), EVIDENCE, ADMIN, deps(world))
    with pytest.raises(RegistrationIncomplete):
        confirm_registration(incomplete.id, None, ADMIN, deps(world))
    complete = add_registration(wish(world), None, ADMIN, deps(world))
    with pytest.raises(EvidenceMissing):
        confirm_registration(complete.id, None, ADMIN, deps(world))
    assert {stored(world, each.id).state for each in (incomplete, complete)} == {RegistrationState.OPEN}


@pytest.mark.parametrize("evidence", ["", "  ", "a\0b", "a\u202eb", "a\u200bb", "x" * (LONGEST_EVIDENCE + 1)])
def test_a_reference_that_hides_something_is_refused(world, evidence):
    with pytest.raises(RegistrationTextRefused):
        add_registration(wish(world), evidence, ADMIN, deps(world))


def test_another_certificate_than_the_registered_one_is_refused_by_the_field_that_differs(world):
    wanted = wish(world, san=("a.huonggiang.vn",))
    number = confirmed(world, wanted).id
    changes = {"subject": SUBJECT.replace("Cổng", "Cửa"), "san": (), "days": 7, "public_key_der": new_key(world)}
    for field, value in changes.items():
        with pytest.raises(RegistrationMismatch) as refused:
            issue_wanted(replace(wanted, **{field: value}), number, ADMIN, world.issuing_deps)
        assert refused.value.facts["field"] == {"public_key_der": "key"}.get(field, field)
    assert stored(world, number).state is RegistrationState.CONFIRMED


def test_a_registration_for_a_key_of_the_token_is_none_for_a_key_from_elsewhere(world):
    number = confirmed(world, wish(world, public_key_der=None)).id
    with pytest.raises(RegistrationMismatch):
        issue_wanted(wish(world), number, ADMIN, world.issuing_deps)


def test_where_a_profile_is_issued_by_registration_only_nothing_else_issues_it(world):
    strict = replace(world.issuing_deps, by_registration=frozenset({"system"}))
    wanted = wish(world)
    with pytest.raises(RegistrationNeeded):
        issue_wanted(wanted, None, ADMIN, strict)
    number = register_at_once(wanted, EVIDENCE, ADMIN, deps(world)).id
    assert issue_wanted(wanted, number, ADMIN, strict).state is State.ACTIVE


def test_asking_and_confirming_at_once_is_one_registration_however_often_it_is_repeated(world):
    wanted = wish(world)
    numbers = {register_at_once(wanted, EVIDENCE, ADMIN, deps(world)).id for _ in range(3)}
    assert len(numbers) == 1
    issue_wanted(wanted, numbers.pop(), ADMIN, world.issuing_deps)
    assert register_at_once(wanted, EVIDENCE, ADMIN, deps(world)).state is RegistrationState.CONFIRMED
    assert register_at_once(wanted, "hồ sơ 13/2026", ADMIN, deps(world)).id == 3


def test_a_registration_that_was_changed_since_makes_no_certificate(world):
    wanted = wish(world)
    number = confirmed(world, wanted).id
    with world.database.write() as session:
        session.execute(text("UPDATE registrations SET evidence = 'hồ sơ 99/2026'"))
    with pytest.raises(RegistrationStale):
        issue_wanted(wanted, number, ADMIN, world.issuing_deps)


def test_an_approval_is_for_the_registration_as_it_was_confirmed(world):
    add_person("an", "An", [Role.REGISTRATION_OFFICER], ADMIN, world.person_deps)
    world.approvals = ApprovalRules(frozenset({"system"}))
    wanted = wish(world)
    number = confirmed(world, wanted).id
    with pytest.raises(ApprovalNeeded) as waits:
        issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    asked = int(waits.value.facts["id"])
    with world.database.read() as session:
        sha256 = get_approval(session, asked).sha256
        assert stored(world, number).sha256.encode() in get_approval(session, asked).content
    approve(asked, sha256, Actor("an", frozenset({Role.REGISTRATION_OFFICER})), world.person_deps)
    # Somebody who can write into the database makes it whole again with other evidence.
    with world.database.write() as session:
        row = lock_registration(session, number)
        row.evidence = "hồ sơ 99/2026"
        row.sha256 = digest_of(row)
    with pytest.raises(ApprovalStale):
        issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    assert stored(world, number).state is RegistrationState.CONFIRMED


def test_a_death_after_the_intent_keeps_the_registration_until_the_intent_is_mended(world):
    def die(*_args):
        raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")

    wanted = wish(world)
    number = confirmed(world, wanted).id
    dead = sign_only_key(world.issuing.certificate.public_key(), die)
    with pytest.raises(SigningFailed):
        issue_wanted(wanted, number, ADMIN, replace(world.issuing_deps, issuer=replace(world.issuing, key=dead)))
    with pytest.raises(RegistrationUnfinished) as refused:
        issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    begun = refused.value.facts["serial"]
    world.clock.advance(minutes=10)
    assert revoke_intents(world.clock.now(), ADMIN, world.revocation_deps) == [begun]
    assert revoke_intents(world.clock.now(), ADMIN, world.revocation_deps) == []
    record = issue_wanted(wanted, number, ADMIN, world.issuing_deps)
    assert (record.state, record.serial != begun) == (State.ACTIVE, True)
    assert stored(world, number).certificate_serial == record.serial


def test_nobody_registers_what_he_may_not_issue(world):
    for actor in (Actor("dung", frozenset({Role.AUDITOR})), Actor("os:root")):
        with pytest.raises(RoleMissing):
            add_registration(wish(world), None, actor, deps(world))
    authority = Wanted("issuing", "CN=Sub,O=Sở,C=VN", (), None, new_key(world))
    with pytest.raises(RoleMissing):
        add_registration(authority, None, OFFICER, deps(world))
