"""Reuse of keys: for whom a public key may be certified once more."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.db import hold
from certs.errors import KeyCompromised, KeyInUse
from certs.inventory import State
from certs.tables import CertificateRow
from hsm.spec import key_id_of

# RFC 5280 5.3.1: the reasons after which nobody can say who holds the key.
_COMPROMISED = {"keyCompromise", "cACompromise", "aACompromise"}


def check_reuse(session: Session, public_key_der: bytes, *, profile: str, subject: str) -> None:
    """Raise unless the key is new, or all its certificates are of this very subject and profile: a renewal.

    Whoever shares a key with another can sign in his name, and a key with two purposes serves an attacker on one as the
    tool for the other. A key that was compromised never comes back; one that is suspended waits for its decision.
    Intents count: nobody knows whether their certificates exist. Call it in the transaction that stores the intent; the
    key is held until that ends, so that two who ask at once are one after the other.
    """
    key_id = key_id_of(public_key_der).hex()
    hold(session, f"key {key_id}")
    row = CertificateRow
    query = select(row.serial, row.profile, row.subject, row.state, row.revocation_reason).where(row.key_id == key_id)
    for serial, its_profile, its_subject, state, reason in session.execute(query.order_by(row.created_at, row.serial)):
        if state == State.SUSPENDED.value or (state == State.REVOKED.value and reason in _COMPROMISED):
            raise KeyCompromised(f"{serial} is {state}: {reason}", serial=serial, reason=reason or state)
        if (its_profile, its_subject) != (profile, subject):
            raise KeyInUse(f"the key of {serial}", serial=serial, profile=its_profile)
