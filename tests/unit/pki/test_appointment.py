"""Persons: registered, given and deprived of roles, disabled and enabled; one of them stays admin."""

from __future__ import annotations

import threading

import pytest

from certs.errors import NameCharacterRefused, NameEmpty, NameTooLong
from pki.appointment import add_person, disable_person, enable_person, grant_role, withdraw_role
from pki.audit import list_acts
from pki.errors import AuditorAlone, LastAdmin, PersonDisabled, PersonExists, PersonNameRefused, PersonUnknown, PkiError
from pki.persons import PersonState, get_active_person, list_persons
from pki.roles import Role
from tests.world import ADMIN

FULL_NAME = "Nguyễn Thị Thử Nghiệm"


def add(world, name, *roles):
    return add_person(name, FULL_NAME, roles, ADMIN, world.person_deps)


def persons(world):
    with world.database.read() as session:
        return {each.name: each for each in list_persons(session)}


def acts(world, name):
    with world.database.read() as session:
        return [(each.action, each.details) for each in list_acts(session, subject_id=name)]


def test_a_person_is_registered_with_roles_and_audited(world):
    made = add(world, "thu-1", Role.REGISTRATION_OFFICER)
    assert persons(world) == {"thu-1": made}
    assert (made.full_name, made.roles, made.state) == (FULL_NAME, {Role.REGISTRATION_OFFICER}, PersonState.ACTIVE)
    assert acts(world, "thu-1") == [("person.add", {"full_name": FULL_NAME, "roles": "registration-officer"})]


@pytest.mark.parametrize("name", ["", "Thu", "thử", "a b", "a" * 33, "os:root", "a\x00", "../a", "token-x\n"])
def test_a_name_that_none_can_bear_is_refused(world, name):
    with pytest.raises(PersonNameRefused):
        add(world, name)
    assert persons(world) == {}


@pytest.mark.parametrize(
    ("full_name", "error"),
    [("", NameEmpty), ("  ", NameEmpty), ("a\x00b", NameCharacterRefused), ("a\nb", NameCharacterRefused),
     ("Ha\u202enoi", NameCharacterRefused), ("a\u200bb", NameCharacterRefused), ("a" * 65, NameTooLong)],
)  # fmt: skip
def test_a_full_name_takes_what_a_certificate_takes(world, full_name, error):
    with pytest.raises(error):
        add_person("thu", full_name, [], ADMIN, world.person_deps)
    assert persons(world) == {}


def test_64_vietnamese_letters_are_a_full_name_and_marks_are_put_together(world):
    made = add_person("thu", "Ệ" * 64, [], ADMIN, world.person_deps)
    assert made.full_name == "Ệ" * 64
    assert add_person("thu-2", "Thử".replace("ử", "u\u031b\u0309"), [], ADMIN, world.person_deps).full_name == "Thử"


def test_a_name_is_given_once(world):
    add(world, "thu")
    disable_person("thu", ADMIN, world.person_deps)
    with pytest.raises(PersonExists):
        add(world, "thu")


def test_roles_come_and_go_and_what_is_so_already_changes_nothing(world):
    add(world, "thu")
    for _ in range(2):
        assert grant_role("thu", Role.REGISTRATION_OFFICER, ADMIN, world.person_deps).roles == {
            Role.REGISTRATION_OFFICER
        }
    for _ in range(2):
        assert withdraw_role("thu", Role.REGISTRATION_OFFICER, ADMIN, world.person_deps).roles == set()
    for _ in range(2):
        assert disable_person("thu", ADMIN, world.person_deps).state is PersonState.DISABLED
    with world.database.read() as session, pytest.raises(PersonDisabled):
        get_active_person(session, "thu")
    for _ in range(2):
        assert enable_person("thu", ADMIN, world.person_deps).state is PersonState.ACTIVE
    told = [action for action, _ in acts(world, "thu")]
    assert told == ["person.add", "person.grant", "person.withdraw", "person.disable", "person.enable"]


def test_whoever_is_disabled_acts_with_no_role(world):
    add(world, "an", Role.ADMIN)
    add(world, "thu", Role.ADMIN)
    disable_person("thu", ADMIN, world.person_deps)
    assert persons(world)["thu"].actor.roles == set()
    assert persons(world)["an"].actor.roles == {Role.ADMIN}


def test_an_auditor_holds_no_other_role(world):
    with pytest.raises(AuditorAlone):
        add(world, "thu", Role.AUDITOR, Role.REGISTRATION_OFFICER)
    add(world, "thu", Role.AUDITOR)
    with pytest.raises(AuditorAlone):
        grant_role("thu", Role.ADMIN, ADMIN, world.person_deps)
    assert persons(world)["thu"].roles == {Role.AUDITOR}


def test_the_last_active_admin_stays(world):
    # Nobody is admin yet: an officer may come and go.
    add(world, "thu", Role.REGISTRATION_OFFICER)
    disable_person("thu", ADMIN, world.person_deps)
    add(world, "an", Role.ADMIN)
    add(world, "binh", Role.ADMIN)
    disable_person("an", ADMIN, world.person_deps)
    for change in (
        lambda: disable_person("binh", ADMIN, world.person_deps),
        lambda: withdraw_role("binh", Role.ADMIN, ADMIN, world.person_deps),
    ):
        with pytest.raises(LastAdmin):
            change()
    assert persons(world)["binh"].is_active_admin
    enable_person("an", ADMIN, world.person_deps)
    withdraw_role("binh", Role.ADMIN, ADMIN, world.person_deps)


def test_two_admins_disabled_at_once_leave_one(world):
    add(world, "an", Role.ADMIN)
    add(world, "binh", Role.ADMIN)
    start, outcomes = threading.Barrier(2), []

    def disable(name):
        start.wait()
        try:
            disable_person(name, ADMIN, world.person_deps)
            outcomes.append("disabled")
        except LastAdmin:
            outcomes.append("kept")

    threads = [threading.Thread(target=disable, args=(name,)) for name in ("an", "binh")]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(outcomes) == ["disabled", "kept"]
    assert sum(each.is_active_admin for each in persons(world).values()) == 1


@pytest.mark.parametrize("name", ["nobody", "", "Nobody\x00"])
def test_a_person_who_is_not_there_is_not_changed(world, name):
    for change in (disable_person, enable_person):
        with pytest.raises(PersonUnknown):
            change(name, ADMIN, world.person_deps)
    with pytest.raises(PkiError) as caught:
        grant_role(name, Role.ADMIN, ADMIN, world.person_deps)
    assert caught.value.code == "PERSON_UNKNOWN"
