"""Which deeds wait for a second person: the closed list of acts, and what a home asks beyond its profiles. Waiting is approval.py's."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from pki.roles import Permission

DEFAULT_DAYS = 14


class Act(StrEnum):
    """A deed that can wait for approval. Who approves it must be allowed to do it himself."""

    CERTIFICATE_ISSUE = "certificate.issue"
    CERTIFICATE_REVOKE = "certificate.revoke"
    CERTIFICATE_REINSTATE = "certificate.reinstate"
    AUTHORITY_CREATE = "authority.create"
    CREDENTIAL_ENROL = "credential.enrol"
    IMAGE_ADD = "image.add"
    PERSON_ADD = "person.add"
    PERSON_GRANT = "person.grant"
    PERSON_WITHDRAW = "person.withdraw"
    PERSON_DISABLE = "person.disable"
    PERSON_ENABLE = "person.enable"
    TOKEN_ISSUE = "token.issue"  # noqa: S105  a deed, not a secret


# What a voter must be allowed besides voting.
PERMISSION_OF: dict[Act, Permission] = {
    Act.CERTIFICATE_ISSUE: Permission.ISSUE,
    Act.CERTIFICATE_REVOKE: Permission.REVOKE,
    Act.CERTIFICATE_REINSTATE: Permission.SUSPEND,
    Act.AUTHORITY_CREATE: Permission.CREATE_AUTHORITY,
    Act.CREDENTIAL_ENROL: Permission.MANAGE_CREDENTIALS,
    Act.IMAGE_ADD: Permission.MANAGE_CREDENTIALS,
    Act.PERSON_ADD: Permission.MANAGE_PERSONS,
    Act.PERSON_GRANT: Permission.MANAGE_PERSONS,
    Act.PERSON_WITHDRAW: Permission.MANAGE_PERSONS,
    Act.PERSON_DISABLE: Permission.MANAGE_PERSONS,
    Act.PERSON_ENABLE: Permission.MANAGE_PERSONS,
    Act.TOKEN_ISSUE: Permission.MANAGE_TOKENS,
}


class Asking(Protocol):
    """The part of a profile that counts here. Settings read this module at every start, and names of subjects take long to load."""

    @property
    def name(self) -> str: ...

    @property
    def approvals(self) -> int: ...


@dataclass(frozen=True)
class ApprovalRules:
    """What this home asks for besides what its profiles do. `days`: how long a request waits, and an approval may be used."""

    profiles: frozenset[str] = frozenset()
    acts: frozenset[Act] = frozenset()
    days: int = DEFAULT_DAYS

    def needed(self, act: Act, profile: Asking | None = None) -> int:
        """How many others have to approve."""
        asked = [1 if act in self.acts else 0]
        if profile is not None:
            asked += [profile.approvals, 1 if profile.name in self.profiles else 0]
        return max(asked)
