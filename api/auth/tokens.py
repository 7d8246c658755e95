"""Bearer tokens: issued once, stored as a digest, looked up at every call, revoked at once."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import threading
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from sqlalchemy import Table, bindparam, select, update
from sqlalchemy.orm import Session

from api.auth.tables import TokenRow
from api.errors import RequestError, UsageError
from certs.clock import Clock
from certs.db import Database
from pki.audit import Actor, append

SCOPES = ("sign", "verify", "ra", "ca", "audit")
DEFAULT_DAYS = 90
LONGEST_DAYS = 3650
_PREFIX = "antin_"
_OCTETS = 32
_FORM = re.compile(_PREFIX + r"[A-Za-z0-9_-]{43}")
_NAME = re.compile(r"[a-z0-9-]{1,32}")


@dataclass(frozen=True)
class TokenRecord:
    """What is known of a token; never the token itself."""

    id: int
    name: str
    sha256: str
    scopes: frozenset[str]
    created_by: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None
    last_used_at: datetime | None

    @property
    def actor(self) -> Actor:
        """Under which name the audit trail knows what was done with it."""
        return Actor(f"token {self.name}")

    def state_at(self, now: datetime) -> str:
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if now >= self.expires_at else "active"


_TABLE = cast("Table", TokenRow.__table__)
# Made once: every call of the API runs it.
_BY_DIGEST = select(*_TABLE.columns).where(_TABLE.c.sha256 == bindparam("digest"))
_NOTE_USE = update(_TABLE).where(_TABLE.c.id == bindparam("token")).values(last_used_at=bindparam("used"))


class TokenDesk:
    """Recognises tokens. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._used: dict[int, datetime] = {}
        self._lock = threading.Lock()

    def authenticate(self, presented: str) -> TokenRecord:
        """The token's record; RequestError TOKEN_WRONG, TOKEN_REVOKED or TOKEN_EXPIRED."""
        if not _FORM.fullmatch(presented):
            raise RequestError("TOKEN_WRONG")
        digest = _digest(presented)
        with self._database.glance() as connection:
            row = connection.execute(_BY_DIGEST, {"digest": digest}).one_or_none()
        # The index compares digests of 256 random bits, which tell nothing about a token; this comparison takes one time for all.
        if row is None or not hmac.compare_digest(row.sha256, digest):
            raise RequestError("TOKEN_WRONG")
        record = _record(cast("TokenRow", row))
        now = self._clock.now()
        state = record.state_at(now)
        if state == "revoked":
            raise RequestError("TOKEN_REVOKED")
        if state == "expired":
            raise RequestError("TOKEN_EXPIRED")
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


def issue_token(
    database: Database, clock: Clock, actor: Actor, *, scopes: Iterable[str], days: int = DEFAULT_DAYS, name: str | None = None
) -> tuple[str, TokenRecord]:  # fmt: skip
    """A new token and its record. The token is shown now or never."""
    wanted = frozenset(scopes)
    if not wanted or not wanted <= set(SCOPES):
        raise UsageError("TOKEN_SCOPE_UNKNOWN", scope=", ".join(sorted(wanted - set(SCOPES))), valid=", ".join(SCOPES))
    if not 1 <= days <= LONGEST_DAYS:
        raise UsageError("TOKEN_DAYS_WRONG", days=str(days), limit=str(LONGEST_DAYS))
    if name is None:
        name = f"token-{secrets.token_hex(4)}"
    if not _NAME.fullmatch(name):
        raise UsageError("TOKEN_NAME_WRONG", name=name[:64])
    token, now = _PREFIX + secrets.token_urlsafe(_OCTETS), clock.now()
    written = " ".join(scope for scope in SCOPES if scope in wanted)
    row = TokenRow(
        name=name,
        sha256=_digest(token),
        scopes=written,
        created_by=actor.name,
        created_at=now,
        expires_at=now + timedelta(days=days),
        revoked_at=None,
        last_used_at=None,
    )
    with database.write() as session:
        if session.scalar(select(TokenRow.id).where(TokenRow.name == name)) is not None:
            raise UsageError("TOKEN_NAME_TAKEN", name=name)
        session.add(row)
        append(session, clock, actor, "token.issue", "token", name, scopes=written, days=str(days))
        session.flush()
        return token, _record(row)


def list_tokens(session: Session) -> list[TokenRecord]:
    """All tokens, oldest first."""
    return [_record(row) for row in session.scalars(select(TokenRow).order_by(TokenRow.id))]


def revoke_token(database: Database, clock: Clock, actor: Actor, name: str) -> TokenRecord:
    """Take a token out of force, at once. Revoking it again changes nothing."""
    with database.write() as session:
        row = session.scalar(select(TokenRow).where(TokenRow.name == name).with_for_update())
        if row is None:
            raise UsageError("TOKEN_UNKNOWN", name=name[:64])
        if row.revoked_at is None:
            row.revoked_at = clock.now()
            append(session, clock, actor, "token.revoke", "token", name)
            session.flush()
        return _record(row)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("ascii")).hexdigest()


def _record(row: TokenRow) -> TokenRecord:
    return TokenRecord(
        row.id, row.name, row.sha256, frozenset(row.scopes.split()), row.created_by, row.created_at, row.expires_at,
        row.revoked_at, row.last_used_at,
    )  # fmt: skip
