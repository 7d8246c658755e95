"""Reuse of keys: for whom a public key may be certified once more."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from sqlalchemy import Connection, Table, and_, bindparam, or_, select
from sqlalchemy.orm import Session

from certs.db import connection_of, hold
from certs.errors import KeyCompromised, KeyInUse
from certs.inventory import State
from certs.prepared import Prepared
from certs.tables import CertificateRow

# RFC 5280 5.3.1: the reasons after which nobody can say who holds the key.
_COMPROMISED = {"keyCompromise", "cACompromise", "aACompromise"}


def check_reuse(within: Session | Connection, key_id: str, *, profile: str, subject: str) -> None:
    """Raise unless the key is new, or all its certificates are of this very subject and profile: a renewal.

    Whoever shares a key with another can sign in his name, and a key with two purposes serves an attacker on one as the
    tool for the other. A key that was compromised never comes back; one that is suspended waits for its decision.
    Intents count: nobody knows whether their certificates exist. Call it in the transaction that stores the intent; the
    key is held until that ends, so that two who ask at once are one after the other.
    """
    hold(within, _lock_name(key_id))
    # Only what speaks against it comes back, and not all the renewals of a key.
    asked = {"key": key_id, "wanted_profile": profile, "wanted_subject": subject}
    objections = _OBJECTION.run(connection_of(within), asked)
    if not objections:
        return
    serial, its_profile, state, reason = objections[0]
    if state == State.SUSPENDED.value or (state == State.REVOKED.value and reason in _COMPROMISED):
        raise KeyCompromised(f"{serial} is {state}: {reason}", serial=serial, reason=reason or state)
    raise KeyInUse(f"the key of {serial}", serial=serial, profile=its_profile)


def hold_keys(within: Session | Connection, many: Iterable[str]) -> None:
    """Hold many keys in one order, before `check_reuse` is asked of each: two who want the same do not wait for each other for ever."""
    hold(within, *map(_lock_name, many))


def _lock_name(key_id: str) -> str:
    return f"key {key_id}"


_ROW = cast("Table", CertificateRow.__table__)
# Made once: every issuance asks.
_OBJECTION = Prepared(
    select(_ROW.c.serial, _ROW.c.profile, _ROW.c.state, _ROW.c.revocation_reason)
    .where(
        _ROW.c.key_id == bindparam("key"),
        or_(
            _ROW.c.profile != bindparam("wanted_profile"),
            _ROW.c.subject != bindparam("wanted_subject"),
            _ROW.c.state == State.SUSPENDED.value,
            and_(
                _ROW.c.state == State.REVOKED.value,
                or_(*(_ROW.c.revocation_reason == reason for reason in sorted(_COMPROMISED))),
            ),
        ),
    )
    .order_by(_ROW.c.created_at, _ROW.c.serial)
    .limit(1)
)
