"""Roles and permissions: who acts and what that allows; one closed table. Who holds which role is for persons.py.

Every privileged deed asks `require(actor, Permission.…)` before anything else. An `Actor` made of a name alone may do nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from pki.errors import RoleMissing

# The owner of the home, whoever he is: a name with a colon is no person's.
OWNER = "os:"


class Permission(StrEnum):
    """One kind of privileged deed."""

    ISSUE = "certificate.issue"
    REVOKE = "certificate.revoke"
    SUSPEND = "certificate.suspend"  # and reinstate
    SIGN_CRL = "crl.sign"
    CREATE_AUTHORITY = "authority.create"
    MANAGE_SERVICES = "service.manage"
    MANAGE_CREDENTIALS = "credential.manage"
    MANAGE_PERSONS = "person.manage"
    MANAGE_TOKENS = "token.manage"
    MANAGE_KEYS = "key.manage"
    MEND = "home.mend"
    APPROVE = "approval.vote"
    READ_AUDIT = "audit.read"
    SIGN_DOCUMENTS = "document.sign"
    RECALL_DOCUMENTS = "document.recall"
    EXTEND_DOCUMENTS = "document.extend"  # add proofs behind signatures
    EXPIRE_DOCUMENTS = "document.expire"  # end prepared ones that nobody has signed in their time
    REGISTER = "registration.manage"  # add, confirm, refuse
    BACK_UP = "backup.create"  # and restore
    PRINT_DOCUMENTS = "document.print"
    MANAGE_TRUST = "trust.manage"  # anchors and revocation lists of others


class Role(StrEnum):
    """What a person is appointed to."""

    ADMIN = "admin"
    REGISTRATION_OFFICER = "registration-officer"
    AUDITOR = "auditor"


# What each role may do. An auditor reads everything and changes nothing.
PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMIN: frozenset(Permission),
    Role.REGISTRATION_OFFICER: frozenset(
        {
            Permission.ISSUE,
            Permission.REVOKE,
            Permission.SUSPEND,
            Permission.SIGN_CRL,  # a revocation is published by whoever revokes
            Permission.MANAGE_CREDENTIALS,
            Permission.APPROVE,
            Permission.REGISTER,
        }
    ),
    Role.AUDITOR: frozenset({Permission.READ_AUDIT}),
}


@dataclass(frozen=True)
class Actor:
    """Who acts, and with which roles: a person `NAME`, who owns the home `os:LOGIN`, a part of the system `system:NAME`,
    or a token that belongs to nobody, `token NAME`.

    `within` narrows what the roles allow; None leaves it as it is. `answerable` is who stands behind it where approvals
    tell people apart: whoever issued a token that belongs to nobody.
    """

    name: str
    roles: frozenset[Role] = frozenset()
    within: frozenset[Permission] | None = None
    answerable: str = field(default="", compare=False)

    @property
    def is_owner(self) -> bool:
        return self.name.startswith(OWNER)

    @property
    def principal(self) -> str:
        """Two actors with one principal count as one person. All logins of the home's owner do: each can become the others."""
        behind = self.answerable or self.name
        return OWNER if behind.startswith(OWNER) else behind

    def may(self, permission: Permission) -> bool:
        """Whether its roles allow this, and nothing narrows them."""
        if self.within is not None and permission not in self.within:
            return False
        return any(permission in PERMISSIONS[role] for role in self.roles)


def require(actor: Actor, permission: Permission) -> None:
    """RoleMissing unless the actor may do this. The first line of every privileged deed."""
    if not actor.may(permission):
        roles = ", ".join(role for role in Role if permission in PERMISSIONS[role])
        raise RoleMissing(
            f"{actor.name} lacks {permission}", actor=actor.name, permission=permission.value, roles=roles
        )


def owner(login: str) -> Actor:
    """Who owns the home and names nobody acts as admin: he can read and write all of it anyway."""
    return Actor(f"{OWNER}{login}", frozenset({Role.ADMIN}))


def system_part(name: str, *permissions: Permission) -> Actor:
    """A part that acts by itself, with exactly these permissions and none by default."""
    return Actor(f"system:{name}", frozenset({Role.ADMIN}), frozenset(permissions))
