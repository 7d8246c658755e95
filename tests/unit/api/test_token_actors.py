"""Tokens: as whom they act, and what their scopes let through of what the roles behind them allow."""

from __future__ import annotations

import pytest

from api.auth.tokens import SCOPES, TokenDesk, issue_token, list_tokens
from api.errors import RequestError, UsageError
from pki.appointment import PersonDeps, add_person, disable_person, enable_person, withdraw_role
from pki.approval_rules import Act, ApprovalRules
from pki.errors import ApprovalNeeded, PersonDisabled, PersonUnknown
from pki.roles import PERMISSIONS, Permission, Role, owner
from tests.fakes.clock import FixedClock
from tests.postgres import discard
from tests.world import new_database

OWNER = owner("root")


@pytest.fixture
def deps(tmp_path):
    deps = PersonDeps(new_database(tmp_path), FixedClock(), ApprovalRules())
    yield deps
    discard(deps.database)


def actor_of(deps, token):
    return TokenDesk(deps.database, deps.clock).authenticate(token).actor


def allowed(actor):
    return {each for each in Permission if actor.may(each)}


def issue(deps, *scopes, person=None, by=OWNER):
    return issue_token(deps, by, scopes=scopes, person=person)[0]


def test_a_token_of_nobodys_does_what_its_scopes_say_and_decides_nothing_about_people(deps):
    actor = actor_of(deps, issue(deps, "sign"))
    assert actor.name.startswith("token ")
    documents = {Permission.SIGN_DOCUMENTS, Permission.RECALL_DOCUMENTS, Permission.EXTEND_DOCUMENTS}
    assert allowed(actor) == documents | {Permission.PRINT_DOCUMENTS}
    assert allowed(actor_of(deps, issue(deps, "print"))) == {Permission.PRINT_DOCUMENTS}
    assert allowed(actor_of(deps, issue(deps, "verify"))) == set()
    assert allowed(actor_of(deps, issue(deps, "audit"))) == {Permission.READ_AUDIT}
    every = allowed(actor_of(deps, issue(deps, *SCOPES)))
    assert every == set(Permission) - {Permission.APPROVE, Permission.MANAGE_PERSONS, Permission.MANAGE_TOKENS}


def test_a_token_of_nobodys_is_its_makers_where_people_are_told_apart(deps):
    assert actor_of(deps, issue(deps, "ra")).principal == OWNER.principal
    add_person("an", "An", [Role.ADMIN], OWNER, deps)
    made_by_an = actor_of(deps, issue(deps, "ra", by=actor_of(deps, issue(deps, *SCOPES, person="an"))))
    assert made_by_an.principal == "an"


@pytest.mark.parametrize("role", Role)
def test_a_persons_token_does_what_scopes_and_roles_both_allow(deps, role):
    add_person("an", "An", [role], OWNER, deps)
    actor = actor_of(deps, issue(deps, *SCOPES, person="an"))
    assert (actor.name, actor.principal) == ("an", "an")
    assert allowed(actor) == set(PERMISSIONS[role])
    narrow = allowed(actor_of(deps, issue(deps, "audit", person="an")))
    assert narrow == PERMISSIONS[role] & {Permission.READ_AUDIT}


def test_roles_are_those_of_now_and_not_of_when_the_token_was_issued(deps):
    for name in ("an", "binh"):
        add_person(name, name, [Role.ADMIN], OWNER, deps)
    token = issue(deps, *SCOPES, person="an")
    withdraw_role("an", Role.ADMIN, OWNER, deps)
    assert allowed(actor_of(deps, token)) == set()
    disable_person("an", OWNER, deps)
    with pytest.raises(RequestError) as caught:
        actor_of(deps, token)
    assert caught.value.code == "TOKEN_PERSON_DISABLED"
    with pytest.raises(PersonDisabled):
        issue(deps, "ra", person="an")
    enable_person("an", OWNER, deps)
    assert actor_of(deps, token).name == "an"


def test_a_record_that_was_only_listed_acts_with_no_role(deps):
    issue(deps, *SCOPES)
    with deps.database.read() as session:
        (record,) = list_tokens(session)
    assert allowed(record.actor) == set()


def test_a_token_for_somebody_who_is_not_there_is_not_issued(deps):
    with pytest.raises(PersonUnknown):
        issue(deps, "ra", person="nobody")
    with pytest.raises(UsageError):
        issue(deps, "king", person=None)
    with deps.database.read() as session:
        assert list_tokens(session) == []


def test_issuing_waits_where_the_home_asks(deps):
    strict = PersonDeps(deps.database, deps.clock, ApprovalRules(acts=frozenset({Act.TOKEN_ISSUE})))
    with pytest.raises(ApprovalNeeded):
        issue(strict, "sign")
    with deps.database.read() as session:
        assert list_tokens(session) == []
