"""Appointment: registers persons, gives and takes their roles, disables and enables them. Reading the register is persons.py's."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database, hold
from certs.names import subject_name
from pki import audit
from pki.approval import Deed, demand, use
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.errors import AuditorAlone, LastAdmin, PersonExists, PersonNameRefused
from pki.persons import (
    Person,
    PersonState,
    find_person,
    get_person,
    is_person_name,
    list_persons,
    read_person,
    write_roles,
)
from pki.roles import Permission, Role, require
from pki.tables import PersonRow

# Changes of persons wait for each other: who is the last admin is a question about all of them.
_LOCK = "persons"


@dataclass(frozen=True)
class PersonDeps:
    """What changing persons needs."""

    database: Database
    clock: Clock
    approvals: ApprovalRules


def add_person(name: str, full_name: str, roles: Iterable[Role], actor: Actor, deps: PersonDeps) -> Person:
    """Register a person. PersonExists for a name that is taken; names stay for ever, as audit rows do."""
    require(actor, Permission.MANAGE_PERSONS)
    if not is_person_name(name):
        raise PersonNameRefused(f"{name!r} is no name", person=name[:64])
    # What a person is called has to fit into a certificate: the same characters, the same length.
    full_name, held = subject_name(CN=full_name).common_name, frozenset(roles)
    _check_roles(name, held)
    with deps.database.read() as session:
        _refuse_taken(session, name)
    deed = Deed(
        Act.PERSON_ADD,
        f"{name} ({full_name}): {write_roles(held) or '–'}",
        {"name": name, "full_name": full_name, "roles": sorted(held)},
    )
    approval = demand(deed, deps.approvals.needed(Act.PERSON_ADD), actor, deps)
    with deps.database.write() as session:
        hold(session, _LOCK)
        _refuse_taken(session, name)
        use(session, approval, deed, actor, deps.clock)
        row = PersonRow(
            name=name,
            full_name=full_name,
            roles=write_roles(held),
            state=PersonState.ACTIVE.value,
            created_at=deps.clock.now(),
        )
        session.add(row)
        audit.append(
            session, deps.clock, actor, Act.PERSON_ADD.value, "person", name, full_name=full_name, roles=row.roles
        )
        session.flush()
        return read_person(row)


def grant_role(name: str, role: Role, actor: Actor, deps: PersonDeps) -> Person:
    """Give a person a role. One he holds already changes nothing."""
    require(actor, Permission.MANAGE_PERSONS)
    return _change(Act.PERSON_GRANT, name, role, actor, deps)


def withdraw_role(name: str, role: Role, actor: Actor, deps: PersonDeps) -> Person:
    """Take a role from a person. One he does not hold changes nothing; LastAdmin for the last active admin."""
    require(actor, Permission.MANAGE_PERSONS)
    return _change(Act.PERSON_WITHDRAW, name, role, actor, deps)


def disable_person(name: str, actor: Actor, deps: PersonDeps) -> Person:
    """A person acts no more, whatever tokens he holds, and his approvals of what was not done yet count no more."""
    require(actor, Permission.MANAGE_PERSONS)
    return _change(Act.PERSON_DISABLE, name, None, actor, deps)


def enable_person(name: str, actor: Actor, deps: PersonDeps) -> Person:
    """A disabled person acts again, with the roles and tokens he had."""
    require(actor, Permission.MANAGE_PERSONS)
    return _change(Act.PERSON_ENABLE, name, None, actor, deps)


def _change(act: Act, name: str, role: Role | None, actor: Actor, deps: PersonDeps) -> Person:
    with deps.database.read() as session:
        before = get_person(session, name)
        if _after(act, before, role) == before:
            return before
        _check_change(session, _after(act, before, role))
    approval = demand(_deed(act, before, role), deps.approvals.needed(act), actor, deps)
    with deps.database.write() as session:
        hold(session, _LOCK)
        # Changed by somebody else since? What is written is decided from what is there now.
        present = get_person(session, name, lock=True)
        changed = _after(act, present, role)
        _check_change(session, changed)
        use(session, approval, _deed(act, present, role), actor, deps.clock)
        row = session.get_one(PersonRow, name)
        row.roles, row.state = write_roles(changed.roles), changed.state.value
        details = {"role": role.value} if role is not None else {}
        audit.append(session, deps.clock, actor, act.value, "person", name, **details)
        session.flush()
    return changed


def _after(act: Act, person: Person, role: Role | None) -> Person:
    if role is not None:
        return replace(person, roles=person.roles | {role} if act is Act.PERSON_GRANT else person.roles - {role})
    return replace(person, state=PersonState.DISABLED if act is Act.PERSON_DISABLE else PersonState.ACTIVE)


def _deed(act: Act, person: Person, role: Role | None) -> Deed:
    words = [f"{person.name} ({person.full_name})", *([role.value] if role is not None else [])]
    asked = {"name": person.name} | ({"role": role.value} if role is not None else {})
    rests_on = {"full_name": person.full_name, "roles": sorted(person.roles), "state": person.state.value}
    return Deed(act, " ".join(words), asked, rests_on)


def _refuse_taken(session: Session, name: str) -> None:
    if find_person(session, name) is not None:
        raise PersonExists(f"there is a person {name}", person=name)


def _check_change(session: Session, changed: Person) -> None:
    """Neither an auditor with another role, nor a home whose persons have no active admin any more."""
    _check_roles(changed.name, changed.roles)
    persons = list_persons(session)
    after = [changed if each.name == changed.name else each for each in persons]
    if any(each.is_active_admin for each in persons) and not any(each.is_active_admin for each in after):
        raise LastAdmin(f"{changed.name} is the last active admin", person=changed.name)


def _check_roles(name: str, roles: frozenset[Role]) -> None:
    # EN 319 401 7.1.2, segregation of duties: who audits does none of what he audits.
    if Role.AUDITOR in roles and len(roles) > 1:
        raise AuditorAlone(f"{name}: an auditor holds no other role", person=name)
