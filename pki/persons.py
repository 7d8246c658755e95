"""Persons: who may act here under a name of his own, with which roles, and whether at present. Changing that is appointment.py's.

How a person proves who he is is not decided here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from sqlalchemy import select
from sqlalchemy.orm import Session

from pki.errors import PersonDisabled, PersonUnknown
from pki.roles import Actor, Role
from pki.tables import PersonRow

_NAME = re.compile(r"[a-z0-9-]{1,32}")


class PersonState(StrEnum):
    """DISABLED: may do nothing until enabled again."""

    ACTIVE = "active"
    DISABLED = "disabled"


@dataclass(frozen=True)
class Person:
    """One person of the register."""

    name: str
    full_name: str
    roles: frozenset[Role]
    state: PersonState
    created_at: datetime

    @property
    def actor(self) -> Actor:
        """Acts with his roles while he is active, and with none otherwise."""
        return Actor(self.name, self.roles if self.state is PersonState.ACTIVE else frozenset())

    @property
    def is_active_admin(self) -> bool:
        return self.state is PersonState.ACTIVE and Role.ADMIN in self.roles


def is_person_name(text: str) -> bool:
    """Whether a person could be called so. What could not is no question for the database: PostgreSQL takes no NUL."""
    return _NAME.fullmatch(text) is not None


def find_person(session: Session, name: str, *, lock: bool = False) -> Person | None:
    """The person of that name, if there is one. `lock` keeps him as he is until the transaction ends."""
    row = session.get(PersonRow, name, with_for_update=lock) if is_person_name(name) else None
    return read_person(row) if row is not None else None


def get_person(session: Session, name: str, *, lock: bool = False) -> Person:
    """The person of that name, or PersonUnknown."""
    person = find_person(session, name, lock=lock)
    if person is None:
        raise PersonUnknown(f"no person {name!r}", person=name[:64])
    return person


def get_active_person(session: Session, name: str, *, lock: bool = False) -> Person:
    """The same, or PersonDisabled while he may not act."""
    person = get_person(session, name, lock=lock)
    if person.state is not PersonState.ACTIVE:
        raise PersonDisabled(f"{name} is disabled", person=name)
    return person


def list_persons(session: Session) -> list[Person]:
    """Everybody, by name."""
    return [read_person(row) for row in session.scalars(select(PersonRow).order_by(PersonRow.name))]


def write_roles(roles: frozenset[Role]) -> str:
    """Roles as a row keeps them."""
    return " ".join(role.value for role in Role if role in roles)


def read_person(row: PersonRow) -> Person:
    """The record of a row. For this package only (law 8)."""
    roles = frozenset(Role(each) for each in row.roles.split())
    return Person(row.name, row.full_name, roles, PersonState(row.state), row.created_at)
