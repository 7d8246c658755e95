"""Approvals: two people, one set of bytes, one use."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest
from sqlalchemy import text

from certs.catalogue import Catalogue
from certs.errors import KeySpecRefused
from certs.inventory import State
from certs.names import parse_subject
from certs.search import CertificateQuery, search
from hsm.errors import SigningFailed
from hsm.handles import sign_only_key
from hsm.spec import KeySpec, Purpose
from pki import audit
from pki.appointment import add_person, disable_person, enable_person, grant_role, withdraw_role
from pki.approval import Deed, demand, use
from pki.approval_records import ApprovalState, get_approval, list_approvals
from pki.approval_rules import PERMISSION_OF, Act, ApprovalRules
from pki.audit import Actor
from pki.authorities import list_authorities
from pki.ceremony import CeremonyDeps, create_issuing
from pki.errors import (
    ApprovalHashTooShort,
    ApprovalNeeded,
    ApprovalNotByPerson,
    ApprovalNotOpen,
    ApprovalOwn,
    ApprovalReasonRefused,
    ApprovalRejected,
    ApprovalStale,
    ApprovalUnknown,
    ApprovalVoted,
    PersonDisabled,
    RoleMissing,
)
from pki.issuance import IssuanceRequest, issue
from pki.persons import get_person
from pki.revocation import reinstate, revoke
from pki.roles import Permission, Role, owner
from pki.voting import approve, reject
from tests.world import ADMIN, OFFICER_SUBJECT, PUBLIC_URL

OWNER = owner("root")
DEED = Deed(Act.CERTIFICATE_ISSUE, "officer: CN=Thử", {"subject": "CN=Thử"}, {"state": "active"})


@pytest.fixture
def people(world):
    """An and Bình register, Cúc is admin, Dung audits."""
    for name, role in (
        ("an", Role.REGISTRATION_OFFICER),
        ("binh", Role.REGISTRATION_OFFICER),
        ("cuc", Role.ADMIN),
        ("dung", Role.AUDITOR),
    ):
        add_person(name, name.title(), [role], ADMIN, world.person_deps)
    return world


def who(world, name):
    with world.database.read() as session:
        return get_person(session, name).actor


def ask(world, actor, deed=DEED, needed=1):
    """The request that this makes, or that stands already."""
    with pytest.raises(ApprovalNeeded) as caught:
        demand(deed, needed, actor, world.person_deps)
    return int(caught.value.facts["id"])


def agree(world, number, name):
    return approve(number, request(world, number).sha256[:8], who(world, name), world.person_deps)


def request(world, number):
    with world.database.read() as session:
        return get_approval(session, number)


def carry_out(world, actor, deed=DEED, needed=1):
    approval = demand(deed, needed, actor, world.person_deps)
    with world.database.write() as session:
        use(session, approval, deed, actor, world.clock)
        audit.append(session, world.clock, actor, "deed", "thing", "1")
    return approval


def trail(world, number):
    with world.database.read() as session:
        acts = audit.list_acts(session, subject_id=str(number))
    return [(each.action, each.actor) for each in acts if each.subject_kind == "approval"]


def times_done(world):
    with world.database.read() as session:
        return len([each for each in audit.list_acts(session, subject_id="1") if each.action == "deed"])


def test_where_nobody_has_to_agree_nothing_is_asked(people):
    assert demand(DEED, 0, OWNER, people.person_deps) is None
    with people.database.read() as session:
        assert list_approvals(session, people.clock.now()) == []


def test_a_deed_waits_is_approved_by_another_and_done_once(people):
    an = who(people, "an")
    number = ask(people, an)
    assert ask(people, an) == number  # repeating asks nothing anew
    assert agree(people, number, "binh").state is ApprovalState.APPROVED
    assert carry_out(people, an).id == number
    assert request(people, number).state is ApprovalState.DONE
    assert trail(people, number) == [
        ("approval.request", "an"), ("approval.approve", "binh"), ("approval.use", "an")
    ]  # fmt: skip
    # Once more is another deed, and needs another approval.
    assert ask(people, an) != number
    assert times_done(people) == 1


def test_the_hash_is_of_everything_that_will_be_done(people):
    number = ask(people, who(people, "an"))
    stored = request(people, number)
    assert (stored.content, stored.sha256) == (DEED.content, DEED.sha256)
    changed = [
        replace(DEED, title="another"),
        replace(DEED, asked={"subject": "CN=Other"}),
        replace(DEED, rests_on={"state": "suspended"}),
        replace(DEED, act=Act.CERTIFICATE_REVOKE),
    ]
    assert len({each.sha256 for each in (*changed, DEED)}) == 5


def test_nobody_approves_his_own(people):
    an = who(people, "an")
    number = ask(people, an)
    with pytest.raises(ApprovalOwn):
        agree(people, number, "an")
    # The owner of the home under another login, a token that he made, and a person of his name are he.
    owned = ask(people, OWNER)
    add_person("root", "Root", [Role.ADMIN], ADMIN, people.person_deps)
    for other in (OWNER, owner("toor"), who(people, "root")):
        with pytest.raises(ApprovalOwn):
            approve(owned, DEED.sha256, other, people.person_deps)
    # What a token of Cúc's asks, Cúc does not approve.
    token = Actor("token kiosk", frozenset({Role.ADMIN}), frozenset({Permission.ISSUE}), answerable="cuc")
    asked = ask(people, token)
    with pytest.raises(ApprovalOwn):
        agree(people, asked, "cuc")
    assert {request(people, each).state for each in (number, owned, asked)} == {ApprovalState.WAITING}
    assert agree(people, asked, "an").state is ApprovalState.APPROVED


def test_the_owner_approves_what_a_person_asks_and_no_second_login_of_his_counts(people):
    number = ask(people, who(people, "an"), needed=2)
    approve(number, DEED.sha256, OWNER, people.person_deps)
    with pytest.raises(ApprovalVoted):
        approve(number, DEED.sha256, owner("toor"), people.person_deps)
    assert request(people, number).state is ApprovalState.WAITING


def test_two_are_two_different_people(people):
    an = who(people, "an")
    number = ask(people, an, needed=2)
    agree(people, number, "binh")
    with pytest.raises(ApprovalVoted):
        agree(people, number, "binh")
    with pytest.raises(ApprovalNeeded) as caught:
        carry_out(people, an, needed=2)
    assert caught.value.facts["missing"] == "1"
    assert agree(people, number, "cuc").state is ApprovalState.APPROVED
    carry_out(people, an, needed=2)


def test_rules_that_became_stricter_ask_for_one_more(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    assert ask(people, an, needed=2) == number
    agree(people, number, "cuc")
    carry_out(people, an, needed=2)


def test_who_approves_could_do_it_himself_and_is_a_person(people):
    number = ask(people, OWNER, replace(DEED, act=Act.AUTHORITY_CREATE))
    for name in ("an", "dung"):
        with pytest.raises(RoleMissing):
            agree(people, number, name)
    part = Actor("system:worker", frozenset({Role.ADMIN}))
    with pytest.raises(ApprovalNotByPerson):
        approve(number, request(people, number).sha256, part, people.person_deps)
    assert agree(people, number, "cuc").state is ApprovalState.APPROVED


def test_a_voter_counts_as_he_is_now_and_not_as_he_came_in(people):
    number = ask(people, OWNER)
    before = who(people, "binh")
    disable_person("binh", ADMIN, people.person_deps)
    with pytest.raises(PersonDisabled):
        approve(number, DEED.sha256, before, people.person_deps)
    enable_person("binh", ADMIN, people.person_deps)
    withdraw_role("binh", Role.REGISTRATION_OFFICER, ADMIN, people.person_deps)
    with pytest.raises(RoleMissing):
        approve(number, DEED.sha256, before, people.person_deps)


def test_the_vote_of_somebody_disabled_since_counts_no_more(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    disable_person("binh", ADMIN, people.person_deps)
    assert ask(people, an) == number
    assert request(people, number).state is ApprovalState.WAITING
    # The one who takes his place.
    agree(people, number, "cuc")
    assert carry_out(people, an).id == number


def test_a_vote_taken_back_between_asking_and_doing_stops_the_deed(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    approval = demand(DEED, 1, an, people.person_deps)
    disable_person("binh", ADMIN, people.person_deps)
    with pytest.raises(ApprovalNeeded), people.database.write() as session:
        use(session, approval, DEED, an, people.clock)
    assert request(people, number).state is ApprovalState.APPROVED


def test_what_has_changed_since_is_not_done(people):
    an, changed = who(people, "an"), replace(DEED, rests_on={"state": "suspended"})
    number = ask(people, an)
    agree(people, number, "binh")
    with pytest.raises(ApprovalStale) as caught:
        demand(changed, 1, an, people.person_deps)
    assert caught.value.facts["id"] == str(number)
    assert request(people, number).state is ApprovalState.EXPIRED
    assert trail(people, number)[-1] == ("approval.close", "an")
    # Asking once more is a request of its own, and the old one helps nobody.
    assert ask(people, an, changed) != number


def test_what_changes_at_the_last_moment_is_not_done_either(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    approval = demand(DEED, 1, an, people.person_deps)
    with pytest.raises(ApprovalStale), people.database.write() as session:
        use(session, approval, replace(DEED, rests_on={"state": "suspended"}), an, people.clock)
    assert request(people, number).state is ApprovalState.APPROVED


@pytest.mark.parametrize("change", ["content = :other", "title = 'CN=Other'", "kind = 'certificate.revoke'"])
def test_a_request_that_was_changed_behind_our_back_is_neither_approved_nor_done(people, change):
    an = who(people, "an")
    number = ask(people, an)
    other = {"other": DEED.content.replace(b"active", b"passiv")} if ":other" in change else {}
    with people.database.write() as session:
        session.execute(text(f"UPDATE approvals SET {change}"), other)
    with pytest.raises(ApprovalStale):
        agree(people, number, "binh")
    with people.database.write() as session:
        session.execute(text("UPDATE approvals SET state = 'approved'"))
    with pytest.raises(ApprovalStale):
        demand(DEED, 1, an, people.person_deps)


def test_an_approval_names_the_hash_that_was_seen(people):
    number = ask(people, who(people, "an"))
    for wrong in (replace(DEED, title="x").sha256, "0" * 64):
        with pytest.raises(ApprovalStale):
            approve(number, wrong, who(people, "binh"), people.person_deps)
    for short in ("", DEED.sha256[:7], "not a hash", DEED.sha256 + "0", "é" * 8):
        with pytest.raises(ApprovalHashTooShort):
            approve(number, short, who(people, "binh"), people.person_deps)
    assert request(people, number).votes == ()
    approve(number, f" {DEED.sha256[:12].upper()} ", who(people, "binh"), people.person_deps)
    assert request(people, number).votes[0].sha256 == DEED.sha256[:12]


def test_one_no_is_a_no_and_stands_until_the_request_would_have_ended(people):
    an = who(people, "an")
    number = ask(people, an, needed=2)
    agree(people, number, "binh")
    reject(number, "Sai  họ tên", who(people, "cuc"), people.person_deps)
    with pytest.raises(ApprovalRejected) as caught:
        carry_out(people, an, needed=2)
    assert caught.value.facts["person"] == "cuc"
    assert request(people, number).votes[-1].reason == "Sai họ tên"
    with pytest.raises(ApprovalNotOpen):
        approve(number, DEED.sha256, OWNER, people.person_deps)
    people.clock.advance(days=14)
    assert ask(people, an) != number


def test_what_is_approved_can_be_stopped_until_it_is_done(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    with pytest.raises(ApprovalNotOpen):
        agree(people, number, "cuc")
    reject(number, "not after all", who(people, "cuc"), people.person_deps)
    with pytest.raises(ApprovalRejected):
        carry_out(people, an)


def test_who_asked_takes_his_request_back_and_may_ask_again(people):
    an = who(people, "an")
    number = ask(people, an)
    assert reject(number, "nhầm", an, people.person_deps).state is ApprovalState.EXPIRED
    assert trail(people, number)[-1] == ("approval.withdraw", "an")
    with pytest.raises(ApprovalNotOpen):
        agree(people, number, "binh")
    assert ask(people, an) != number


@pytest.mark.parametrize("reason", ["", "   ", "a" * 501, "a\u202eb", "a\x00b"])
def test_a_reason_is_something_people_can_read(people, reason):
    number = ask(people, who(people, "an"))
    with pytest.raises(ApprovalReasonRefused):
        reject(number, reason, who(people, "binh"), people.person_deps)
    assert request(people, number).state is ApprovalState.WAITING


def test_a_request_ends_whether_approved_or_not(people):
    an = who(people, "an")
    waiting, approved = ask(people, an), ask(people, an, replace(DEED, asked={"subject": "CN=B"}))
    agree(people, approved, "binh")
    people.clock.advance(days=13, hours=23)
    assert request(people, waiting).state_at(people.clock.now()) is ApprovalState.WAITING
    held = demand(replace(DEED, asked={"subject": "CN=B"}), 1, an, people.person_deps)
    people.clock.advance(hours=1)
    assert request(people, approved).state_at(people.clock.now()) is ApprovalState.EXPIRED
    for number in (waiting, approved):
        with pytest.raises(ApprovalNotOpen):
            approve(number, request(people, number).sha256, who(people, "cuc"), people.person_deps)
    with pytest.raises(ApprovalNotOpen), people.database.write() as session:
        use(session, held, held.deed, an, people.clock)
    assert ask(people, an) not in {waiting, approved}


def test_an_approval_serves_only_who_asked(people):
    number = ask(people, who(people, "an"))
    agree(people, number, "binh")
    approval = demand(DEED, 1, who(people, "an"), people.person_deps)
    assert ask(people, who(people, "cuc")) != number
    with pytest.raises(ApprovalStale), people.database.write() as session:
        use(session, approval, DEED, who(people, "cuc"), people.clock)


@pytest.mark.parametrize("number", [0, -1, 999, 2**63, 10**40])
def test_a_request_that_is_not_there_takes_no_vote(people, number):
    with pytest.raises(ApprovalUnknown):
        approve(number, DEED.sha256, who(people, "an"), people.person_deps)
    with people.database.read() as session, pytest.raises(ApprovalUnknown):
        get_approval(session, number)


def _at_once(count, deed):
    start, outcomes = threading.Barrier(count), []

    def run(number):
        start.wait()
        try:
            outcomes.append(deed(number))
        except (ApprovalNotOpen, ApprovalNeeded) as error:
            outcomes.append(error.code)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    return outcomes


def test_two_who_carry_out_at_once_use_an_approval_once(people):
    an = who(people, "an")
    number = ask(people, an)
    agree(people, number, "binh")
    held = [demand(DEED, 1, an, people.person_deps) for _ in range(4)]

    def spend(which):
        with people.database.write() as session:
            use(session, held[which], DEED, an, people.clock)
            audit.append(session, people.clock, an, "deed", "thing", "1")
        return "done"

    assert sorted(_at_once(4, spend)) == ["APPROVAL_NOT_OPEN"] * 3 + ["done"]
    assert times_done(people) == 1
    assert [action for action, _ in trail(people, number)].count("approval.use") == 1


def test_two_who_approve_at_once_are_counted_both_or_one_comes_too_late(people):
    an, names = who(people, "an"), ("binh", "cuc")
    number = ask(people, an)
    assert sorted(_at_once(2, lambda which: agree(people, number, names[which]).state.value)) == [
        "APPROVAL_NOT_OPEN", "approved"
    ]  # fmt: skip
    both = ask(people, an, replace(DEED, asked={"subject": "CN=B"}), needed=2)
    assert sorted(_at_once(2, lambda which: agree(people, both, names[which]).state.value)) == ["approved", "waiting"]
    assert request(people, both).state is ApprovalState.APPROVED


def test_two_who_ask_at_once_make_one_request(people):
    an = who(people, "an")
    assert _at_once(4, lambda _: demand(DEED, 1, an, people.person_deps)) == ["APPROVAL_WAITING"] * 4
    with people.database.read() as session:
        assert len(list_approvals(session, people.clock.now())) == 1


def test_every_act_that_can_wait_has_somebody_who_may_approve_it():
    assert set(PERMISSION_OF) == set(Act)


# Deeds that wait.


def stricter(world, **profiles):
    """The same world with profiles that ask for so many others."""
    asked = {each.name: replace(each, approvals=profiles.get(each.name, each.approvals)) for each in world.catalogue}
    world.catalogue = Catalogue(asked)
    return world


def officer_request(world):
    ref = world.keys.generate(KeySpec.P_256, "leaf", Purpose.DOCUMENT)
    return IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), ref.public_key_der)


def certificates(world):
    with world.database.read() as session:
        return search(session, world.clock.now(), CertificateQuery(profile="officer"))


def waits(world, deed):
    """The number of the request that a deed waits for."""
    with pytest.raises(ApprovalNeeded) as caught:
        deed()
    return int(caught.value.facts["id"])


def test_a_certificate_waits_where_its_profile_asks(people):
    stricter(people, officer=1)
    an, wanted = who(people, "an"), officer_request(people)
    number = waits(people, lambda: issue(wanted, an, people.issuing_deps))
    assert certificates(people) == []
    agree(people, number, "binh")
    record = issue(wanted, an, people.issuing_deps)
    assert record.state is State.ACTIVE
    assert waits(people, lambda: issue(wanted, an, people.issuing_deps)) != number
    assert certificates(people) == [record]


def test_a_certificate_waits_where_the_home_asks_for_its_profile_or_for_all(people):
    for rules in (ApprovalRules(frozenset({"officer"})), ApprovalRules(acts=frozenset({Act.CERTIFICATE_ISSUE}))):
        people.approvals = rules
        assert waits(people, lambda: issue(officer_request(people), who(people, "an"), people.issuing_deps))
    people.approvals = ApprovalRules(frozenset({"agency-seal"}))
    assert issue(officer_request(people), who(people, "an"), people.issuing_deps).state is State.ACTIVE


def test_another_profile_another_key_or_another_issuer_is_another_certificate(people):
    stricter(people, officer=1)
    an, wanted = who(people, "an"), officer_request(people)
    number = waits(people, lambda: issue(wanted, an, people.issuing_deps))
    agree(people, number, "binh")
    other = replace(wanted, public_key_der=officer_request(people).public_key_der)
    assert waits(people, lambda: issue(other, an, people.issuing_deps)) != number
    # The profile's file was changed since: a longer term than anybody has approved.
    longer = {
        each.name: replace(each, validity_days=3650) if each.name == "officer" else each for each in people.catalogue
    }
    people.catalogue = Catalogue(longer)
    with pytest.raises(ApprovalStale):
        issue(wanted, an, people.issuing_deps)
    assert certificates(people) == []


def test_a_token_that_fails_after_the_intent_has_spent_the_approval(people):
    stricter(people, officer=1)
    an, wanted = who(people, "an"), officer_request(people)
    number = waits(people, lambda: issue(wanted, an, people.issuing_deps))
    agree(people, number, "binh")

    def die(*_):
        raise SigningFailed("the token is gone", rv="CKR_DEVICE_REMOVED")

    dying = replace(people.issuing, key=sign_only_key(people.issuing.certificate.public_key(), die))
    with pytest.raises(SigningFailed):
        issue(wanted, an, replace(people.issuing_deps, issuer=dying))
    # Whether a signature came into being nobody knows: another certificate is another approval.
    assert [each.state for each in certificates(people)] == [State.INTENT]
    assert request(people, number).state is ApprovalState.DONE
    assert waits(people, lambda: issue(wanted, an, people.issuing_deps)) != number


def test_what_would_be_refused_is_not_even_asked(people):
    stricter(people, officer=1)
    ref = people.keys.generate(KeySpec.P_384, "leaf", Purpose.DOCUMENT)
    people.catalogue = Catalogue(
        {
            each.name: replace(each, keys=(KeySpec.P_256,)) if each.name == "officer" else each
            for each in people.catalogue
        }
    )
    with pytest.raises(KeySpecRefused):
        issue(
            IssuanceRequest("officer", parse_subject(OFFICER_SUBJECT), ref.public_key_der), who(people, "an"), people.issuing_deps
        )  # fmt: skip
    with people.database.read() as session:
        assert list_approvals(session, people.clock.now()) == []


def test_a_revocation_and_its_end_wait_and_a_suspension_does_not(people):
    people.approvals = ApprovalRules(acts=frozenset({Act.CERTIFICATE_REVOKE, Act.CERTIFICATE_REINSTATE}))
    an, serial = who(people, "an"), people.officer().record.serial
    number = waits(people, lambda: revoke(serial, "superseded", an, people.revocation_deps))
    assert people.record(serial).state is State.ACTIVE
    # Damage is stopped at once; and then it is another certificate that would be revoked.
    assert revoke(serial, "certificateHold", an, people.revocation_deps).state is State.SUSPENDED
    agree(people, number, "binh")
    with pytest.raises(ApprovalStale):
        revoke(serial, "superseded", an, people.revocation_deps)
    back = waits(people, lambda: reinstate(serial, an, people.revocation_deps))
    agree(people, back, "binh")
    assert reinstate(serial, an, people.revocation_deps).state is State.ACTIVE
    again = waits(people, lambda: revoke(serial, "superseded", an, people.revocation_deps))
    agree(people, again, "cuc")
    assert revoke(serial, "superseded", an, people.revocation_deps).state is State.REVOKED
    # Another reason is another revocation.
    other = people.officer().record.serial
    first = waits(people, lambda: revoke(other, "superseded", an, people.revocation_deps))
    agree(people, first, "binh")
    assert waits(people, lambda: revoke(other, "keyCompromise", an, people.revocation_deps)) != first


def test_an_authority_waits_before_it_has_a_key(people):
    rules = ApprovalRules(acts=frozenset({Act.AUTHORITY_CREATE}))
    deps = CeremonyDeps(
        people.database, people.clock, people.keys, people.catalogue, PUBLIC_URL, people.twins, approvals=rules
    )
    subject = parse_subject("CN=Hương Giang Issuing CA 2,O=Sở Khoa học và Công nghệ Hương Giang,C=VN")
    before = len(people.keys.list_keys())
    number = waits(people, lambda: create_issuing("issuing-2", "root", subject, OWNER, deps))
    assert len(people.keys.list_keys()) == before
    with people.database.read() as session:
        assert [each.name for each in list_authorities(session)] == ["root", "issuing"]
    agree(people, number, "cuc")
    made = create_issuing("issuing-2", "root", subject, OWNER, deps)
    assert made.state == "active"
    # What is there is returned, and nobody is asked again.
    assert create_issuing("issuing-2", "root", subject, OWNER, deps) == made


def test_a_certificate_that_makes_an_authority_is_that_act_however_it_is_asked_for(people):
    people.approvals, people.issuing = ApprovalRules(acts=frozenset({Act.AUTHORITY_CREATE})), people.root
    ref = people.keys.generate(KeySpec.P_256, "foreign", Purpose.AUTHORITY)
    wanted = IssuanceRequest("issuing", parse_subject("CN=Foreign CA,O=Sở Thử nghiệm,C=VN"), ref.public_key_der)
    with pytest.raises(RoleMissing):
        issue(wanted, who(people, "an"), people.issuing_deps)
    number = waits(people, lambda: issue(wanted, OWNER, people.issuing_deps))
    with pytest.raises(RoleMissing):
        agree(people, number, "binh")
    agree(people, number, "cuc")
    assert issue(wanted, OWNER, people.issuing_deps).profile == "issuing"


def test_appointing_waits_where_the_home_asks(people):
    people.approvals = ApprovalRules(acts=frozenset({Act.PERSON_ADD, Act.PERSON_GRANT, Act.PERSON_DISABLE}))
    deps = people.person_deps
    number = waits(people, lambda: add_person("em", "Em", [Role.ADMIN], OWNER, deps))
    agree(people, number, "cuc")
    assert add_person("em", "Em", [Role.ADMIN], OWNER, deps).roles == {Role.ADMIN}
    granted = waits(people, lambda: grant_role("em", Role.REGISTRATION_OFFICER, OWNER, deps))
    agree(people, granted, "cuc")
    # Somebody changed him meanwhile: what was approved was about another person.
    withdraw_role("em", Role.ADMIN, OWNER, deps)
    with pytest.raises(ApprovalStale):
        grant_role("em", Role.REGISTRATION_OFFICER, OWNER, deps)
    gone = waits(people, lambda: disable_person("em", OWNER, deps))
    agree(people, gone, "cuc")
    disable_person("em", OWNER, deps)
