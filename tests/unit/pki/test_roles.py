"""Roles: one closed table, and an actor about whom nothing is said may do nothing."""

from __future__ import annotations

import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from pki.roles import PERMISSIONS, Permission, Role, owner, require, system_part


@pytest.mark.parametrize("permission", Permission)
def test_an_actor_made_of_a_name_alone_may_do_nothing(permission):
    for actor in (Actor("somebody"), Actor("os:root"), Actor("system:worker"), system_part("worker")):
        with pytest.raises(RoleMissing) as caught:
            require(actor, permission)
        assert caught.value.facts["permission"] == permission
        assert caught.value.facts["actor"] == actor.name


def test_every_role_has_its_line_in_the_table_and_every_permission_somebody_who_has_it():
    assert set(PERMISSIONS) == set(Role)
    assert frozenset().union(*PERMISSIONS.values()) == set(Permission)


def test_an_auditor_reads_and_nothing_else():
    auditor = Actor("a", frozenset({Role.AUDITOR}))
    assert [each for each in Permission if auditor.may(each)] == [Permission.READ_AUDIT]


def test_a_registration_officer_makes_no_authority_and_appoints_nobody():
    officer = Actor("a", frozenset({Role.REGISTRATION_OFFICER}))
    allowed = {each for each in Permission if officer.may(each)}
    assert {Permission.ISSUE, Permission.REVOKE, Permission.SUSPEND, Permission.APPROVE} <= allowed
    assert not allowed & {Permission.CREATE_AUTHORITY, Permission.MANAGE_PERSONS, Permission.MANAGE_TOKENS}


def test_who_owns_the_home_acts_as_admin():
    assert all(owner("root").may(each) for each in Permission)
    assert owner("root").name == "os:root"


def test_narrowing_takes_away_and_never_adds():
    narrowed = Actor(
        "a", frozenset({Role.REGISTRATION_OFFICER}), frozenset({Permission.ISSUE, Permission.MANAGE_PERSONS})
    )
    assert [each for each in Permission if narrowed.may(each)] == [Permission.ISSUE]
    part = system_part("worker", Permission.SIGN_CRL)
    assert [each for each in Permission if part.may(each)] == [Permission.SIGN_CRL]


def test_logins_of_the_owner_are_one_principal_and_a_token_is_its_makers():
    assert owner("an").principal == owner("root").principal
    assert Actor("token kiosk", answerable="os:root").principal == owner("root").principal
    assert Actor("token kiosk", answerable="binh").principal == Actor("binh").principal
    assert Actor("an").principal != owner("an").principal
