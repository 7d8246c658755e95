"""Bearer tokens: issued once, stored as a digest, looked up at every call, revoked at once; what each scope allows."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from api.auth.tables import TokenRow
from api.errors import RequestError, UsageError
from certs.clock import Clock
from certs.db import Database
from certs.prepared import Prepared
from pki.approval import ApprovalDeps, Deed, demand, use
from pki.approval_rules import Act
from pki.audit import Actor, append
from pki.persons import PersonState, find_person, get_active_person
from pki.roles import Permission, Role, require
from signer.errors import Refused

SCOPES = ("sign", "print", "verify", "ra", "ca", "audit")
# What a scope lets through; the roles behind the token have to allow it too. Verifying needs nothing.
_PERMISSIONS: dict[str, frozenset[Permission]] = {
    "sign": frozenset(
        {
            Permission.SIGN_DOCUMENTS,
            Permission.RECALL_DOCUMENTS,
            Permission.EXTEND_DOCUMENTS,
            Permission.PRINT_DOCUMENTS,
        }
    ),
    # A kiosk or a counter: it prints what is in force, and nothing else.
    "print": frozenset({Permission.PRINT_DOCUMENTS}),
    "verify": frozenset(),
    "ra": frozenset(
        {
            Permission.ISSUE,
            Permission.REVOKE,
            Permission.SUSPEND,
            Permission.SIGN_CRL,
            Permission.MANAGE_CREDENTIALS,
            Permission.APPROVE,
            Permission.REGISTER,
        }
    ),
    "ca": frozenset(Permission)
    - {
        Permission.SIGN_DOCUMENTS,
        Permission.RECALL_DOCUMENTS,
        Permission.EXTEND_DOCUMENTS,
        Permission.READ_AUDIT,
        Permission.PRINT_DOCUMENTS,
    },
    "audit": frozenset({Permission.READ_AUDIT}),
}
# Who decides about people has to be one of them.
_NEEDS_PERSON = frozenset({Permission.APPROVE, Permission.MANAGE_PERSONS, Permission.MANAGE_TOKENS})
DEFAULT_DAYS = 90
LONGEST_DAYS = 3650
_PREFIX = "antin_"
_OCTETS = 32
_FORM = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True)
class TokenRecord:
    """What is known of a token; never the token itself. `roles` are known of one that was just recognised, and of no other."""

    id: int
    name: str
    sha256: str
    scopes: frozenset[str]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None
    person: str | None
    roles: frozenset[Role] = frozenset()

    @property
    def actor(self) -> Actor:
        """Under which name the audit trail knows what was done with it, and what it may do: what its scopes and roles both allow."""
        within = frozenset[Permission]().union(*(_PERMISSIONS[scope] for scope in self.scopes))
        if self.person is not None:
            return Actor(self.person, self.roles, within)
        return Actor(f"token {self.name}", self.roles, within - _NEEDS_PERSON, answerable=self.created_by)

    def state_at(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if now >= self.expires_at else "active"


_TABLE = cast("Table", TokenRow.__table__)
# Made once: every call of the API runs it.
_BY_DIGEST = Prepared(
    select(*(_TABLE.c[each.name] for each in fields(TokenRecord) if each.name in _TABLE.c)).where(
        _TABLE.c.sha256 == bindparam("digest")
    )
)
_NOTE_USE = update(_TABLE).where(_TABLE.c.id == bindparam("token")).values(last_used_at=bindparam("used"))


class TokenDesk:
    """Recognises tokens. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def authenticate(self, presented: str) -> TokenRecord:
        """The token's record; RequestError TOKEN_WRONG, TOKEN_REVOKED, TOKEN_EXPIRED or TOKEN_PERSON_DISABLED."""
        if not _FORM.fullmatch(presented):
            raise RequestError("TOKEN_WRONG")
        digest = _digest(presented)
        with self._database.look() as connection:
            found = [_recognised(row) for row in _BY_DIGEST.run(connection, {"digest": digest})]
        # The index compares digests of 256 random bits, which tell nothing about a token; this comparison takes one time for all.
        if not found or not hmac.compare_digest(found[0].sha256, digest):
            raise RequestError("TOKEN_WRONG")
        now = self._clock.now()
        record = _in_force(found[0], now, self._database)
        with self._lock:
            self._used[record.id] = now
        return record

    def write_uses(self) -> None:
        """Note when tokens were last used. Called now and then: no request waits for it."""
        with self._lock:
            used, self._used = self._used, {}
        if not used:
            return
        with self._database.write() as session:
            for token, moment in sorted(used.items()):
                session.execute(_NOTE_USE, {"token": token, "used": moment})


class TokenActors:
    """Who stands behind a token that was recognised before, for what is done on its behalf later."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock

    def actor_of(self, token_id: int) -> Actor:
        """The actor as the token and the person are now; Refused when one of them is out of force."""
        with self._database.read() as session:
            row = session.get_one(TokenRow, token_id)
            record = _record(row)
        try:
            return _in_force(record, self._clock.now(), self._database).actor
        except RequestError as error:
            raise Refused("BATCH_ACTOR_GONE", name=record.name) from error


def _in_force(record: TokenRecord, now: datetime, database: Database) -> TokenRecord:
    """The token with the roles that are behind it; RequestError when it is out of force."""
    state = record.state_at(now)
    if state == "revoked":
        raise RequestError("TOKEN_REVOKED")
    if state == "expired":
        raise RequestError("TOKEN_EXPIRED")
    return replace(record, roles=_roles_behind(record, database))


def _roles_behind(record: TokenRecord, database: Database) -> frozenset[Role]:
    """The person's as they are now; one that belongs to nobody was made by an admin, and its scopes are all it has."""
    if record.person is None:
        return frozenset({Role.ADMIN})
    with database.read() as session:
        person = find_person(session, record.person)
    if person is None or person.state is not PersonState.ACTIVE:
        raise RequestError("TOKEN_PERSON_DISABLED", person=record.person)
    return person.roles


def issue_token(
    deps: ApprovalDeps, actor: Actor, *, scopes: Iterable[str], days: int = DEFAULT_DAYS, name: str | None = None,
    person: str | None = None,
) -> tuple[str, TokenRecord]:  # fmt: skip
    """A new token and its record. The token is shown now or never. One of a `person` acts as that person."""
    require(actor, Permission.MANAGE_TOKENS)
    wanted = frozenset(scopes)
    if not wanted or not wanted <= set(SCOPES):
        raise UsageError("TOKEN_SCOPE_UNKNOWN", scope=", ".join(sorted(wanted - set(SCOPES))), valid=", ".join(SCOPES))
    if not 1 <= days <= LONGEST_DAYS:
        raise UsageError("TOKEN_DAYS_WRONG", days=str(days), limit=str(LONGEST_DAYS))
    if name is not None and not _NAME.fullmatch(name):
        raise UsageError("TOKEN_NAME_WRONG", name=name[:64])
    written = " ".join(scope for scope in SCOPES if scope in wanted)
    with deps.database.read() as session:
        if person is not None:
            get_active_person(session, person)
        _refuse_taken(session, name)
    deed = Deed(
        Act.TOKEN_ISSUE, f"{name or '–'} ({person or '–'}): {written}",
        {"name": name, "person": person, "scopes": written, "days": days},
    )  # fmt: skip
    approval = demand(deed, deps.approvals.needed(deed.act), actor, deps)
    name = name or f"token-{secrets.token_hex(4)}"
    token, now = _PREFIX + secrets.token_urlsafe(_OCTETS), deps.clock.now()
    row = TokenRow(
        name=name,
        sha256=_digest(token),
        scopes=written,
        created_by=actor.name,
        created_at=now,
        expires_at=now + timedelta(days=days),
        revoked_at=None,
        last_used_at=None,
        person=person,
    )
    with deps.database.write() as session:
        _refuse_taken(session, name)
        use(session, approval, deed, actor, deps.clock)
        session.add(row)
        whose = {"person": person} if person is not None else {}
        append(
            session, deps.clock, actor, Act.TOKEN_ISSUE.value, "token", name, scopes=written, days=str(days), **whose
        )
        session.flush()
        return token, _record(row)


def list_tokens(session: Session) -> list[TokenRecord]:
    """All tokens, oldest first."""
    return [_record(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id))]


def revoke_token(database: Database, clock: Clock, actor: Actor, name: str) -> TokenRecord:
    """Take a token out of force, at once. Revoking it again changes nothing."""
    require(actor, Permission.MANAGE_TOKENS)
    with database.write() as session:
        row = session.scalar(select(TokenRow).where(TokenRow.name == name).with_for_update())
        if row is None:
            raise UsageError("TOKEN_UNKNOWN", name=name[:64])
        if row.revoked_at is None:
            row.revoked_at = clock.now()
            append(session, clock, actor, "token.revoke", "token", name)
            session.flush()
        return _record(row)


def _refuse_taken(session: Session, name: str | None) -> None:
    if name is not None and session.scalar(select(TokenRow.id).where(TokenRow.name == name)) is not None:
        raise UsageError("TOKEN_NAME_TAKEN", name=name)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _recognised(row: Sequence[Any]) -> TokenRecord:
    """A row of _BY_DIGEST."""
    number, name, sha256, scopes, *rest = row
    return TokenRecord(number, name, sha256, frozenset(scopes.split()), *rest)


def _record(row: TokenRow) -> TokenRecord:
    return TokenRecord(
        row.id, row.name, row.sha256, frozenset(row.scopes.split()), row.created_by, row.created_at, row.expires_at,
        row.revoked_at, row.last_used_at, row.person,
    )  # fmt: skip
