"""Consent: a person's second factor, and activations: so many signatures on these very documents until a time.

What an activation is used for is decided in the commit of a signature's intent (activation.py), so that none is used twice.
"""

from __future__ import annotations

import hmac
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

import pyotp
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database, hold
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.consent_tables import ActivationDocumentRow, ActivationRow, SecondFactorRow
from signer.credentials import CONSENT, STANDING, get_credential, set_activation
from signer.errors import Refused, UsageWrong
from signer.factor_seal import FactorSeal

TOTP = "totp"
MOST_DOCUMENTS = 1000
LONGEST = timedelta(hours=12)
_ISSUER = "Antin"
_CODE = re.compile(r"[0-9]{6}")
_SHA256 = re.compile(r"[0-9a-f]{64}")
# A clock in a telephone may be half a minute off (RFC 6238 5.2).
_DRIFT = (0, -1, 1)
# Five tries of a million in a quarter of an hour: years for an even chance.
_MOST_FAILURES, _REST = 5, timedelta(minutes=15)


@dataclass(frozen=True)
class ConsentDeps:
    """What consent works with."""

    database: Database
    clock: Clock
    seal: FactorSeal


@dataclass(frozen=True)
class ActivationWish:
    """What is consented to: `documents` are SHA-256 of files that are to be signed; `count` None: each of them."""

    credential: str
    documents: tuple[str, ...]
    lasts: timedelta
    count: int | None = None


@dataclass(frozen=True)
class Activation:
    """One consent as lists show it."""

    id: str
    credential: str
    factor: str
    count: int
    remaining: int
    made_at: datetime
    made_by: str
    expires_at: datetime


def enrol_factor(name: str, actor: Actor, deps: ConsentDeps, *, again: bool = False) -> str:
    """From here on the credential signs with consent only; what the person's authenticator takes in, as an otpauth URI, said once."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    secret = pyotp.random_base32()
    with deps.database.read() as session:
        get_credential(session, name)
    sealed = deps.seal.close(secret.encode(), name)
    with deps.database.write() as session:
        hold(session, f"credential {name}")
        row = session.get(SecondFactorRow, name)
        if row is not None and not again:
            raise Refused("FACTOR_EXISTS", name=name)
        now = deps.clock.now()
        values = {
            "kind": TOTP, "secret": sealed, "last_step": 0, "failures": 0, "locked_until": None, "made_at": now,
            "made_by": actor.name,
        }  # fmt: skip
        if row is None:
            session.add(SecondFactorRow(credential=name, **values))
        else:
            for key, value in values.items():
                setattr(row, key, value)
            # Whoever has the old telephone may have consented to something.
            _end_all(session, name, now)
        set_activation(session, name, CONSENT)
        append(session, deps.clock, actor, "credential.factor", "credential", name, factor=TOTP, activation=CONSENT)
    return pyotp.TOTP(secret).provisioning_uri(name=name, issuer_name=_ISSUER)


def end_consent(name: str, actor: Actor, deps: ConsentDeps) -> None:
    """The credential signs without asking again: for systems and kiosks, never for people. Audited like everything here."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    with deps.database.write() as session:
        get_credential(session, name)
        _end_all(session, name, deps.clock.now())
        row = session.get(SecondFactorRow, name)
        if row is not None:
            session.delete(row)
        set_activation(session, name, STANDING)
        append(session, deps.clock, actor, "credential.standing", "credential", name, activation=STANDING)


def give_consent(wish: ActivationWish, code: str, actor: Actor, deps: ConsentDeps) -> Activation:
    """An activation for these documents; Refused when the code is not the one of now, or was used."""
    require(actor, Permission.SIGN_DOCUMENTS)
    count = _checked(wish)
    with deps.database.read() as session:
        if get_credential(session, wish.credential).activation != CONSENT:
            raise Refused("CONSENT_NOT_ASKED", name=wish.credential)
        row = session.get(SecondFactorRow, wish.credential)
        if row is None:
            raise Refused("FACTOR_MISSING", name=wish.credential)
        sealed = row.secret
    step = _step_of(code, pyotp.TOTP(deps.seal.open(sealed, wish.credential).decode()), deps.clock.now())
    with deps.database.write() as session:
        problem = _take_code(session, wish.credential, step, deps.clock.now())
        if problem is None:
            return _activate(session, wish, count, actor, deps)
        append(session, deps.clock, actor, "activation.refuse", "credential", wish.credential, reason=problem.code)
    # Raised after the commit: a failure must be counted.
    raise problem


def list_activations(session: Session, credential: str | None = None, most: int = 100) -> list[Activation]:
    """The newest first."""
    query = select(ActivationRow).order_by(ActivationRow.made_at.desc(), ActivationRow.id).limit(most)
    if credential is not None:
        query = query.where(ActivationRow.credential == credential)
    return [_record(row) for row in session.scalars(query)]


def _checked(wish: ActivationWish) -> int:
    documents = set(wish.documents)
    count = len(documents) if wish.count is None else wish.count
    if not documents or len(documents) > MOST_DOCUMENTS or not all(map(_SHA256.fullmatch, documents)):
        raise UsageWrong("ACTIVATION_DOCUMENTS", most=str(MOST_DOCUMENTS))
    if not 1 <= count <= len(documents):
        raise UsageWrong("ACTIVATION_COUNT", most=str(len(documents)))
    if not timedelta(0) < wish.lasts <= LONGEST:
        raise UsageWrong("ACTIVATION_TIME", most=str(int(LONGEST.total_seconds() // 60)))
    return count


def _step_of(code: str, totp: pyotp.TOTP, now: datetime) -> int | None:
    """The time step that a code is of, if it is of one around now (RFC 6238 4.2). All of them are compared, in the same time."""
    plain = code.replace(" ", "").strip()
    current = int(now.timestamp()) // totp.interval
    good = [
        current + drift
        for drift in _DRIFT
        if hmac.compare_digest(totp.generate_otp(current + drift).encode(), plain.encode("utf-8", "replace"))
    ]
    return good[0] if good and _CODE.fullmatch(plain) else None


def _take_code(session: Session, name: str, step: int | None, now: datetime) -> Refused | None:
    """Take a code, once; why not, otherwise. The row is locked, so that of two who try at one moment the second waits."""
    hold(session, f"factor {name}")
    row = session.get(SecondFactorRow, name, with_for_update=True, populate_existing=True)
    if row is None:
        return Refused("FACTOR_MISSING", name=name)
    if row.locked_until is not None and now < row.locked_until:
        return Refused("FACTOR_LOCKED", name=name, when=rfc3339(row.locked_until))
    if step is not None and step > row.last_step:
        row.last_step, row.failures, row.locked_until = step, 0, None
        return None
    row.failures += 1
    if row.failures >= _MOST_FAILURES:
        row.failures, row.locked_until = 0, now + _REST
    return Refused("FACTOR_CODE_WRONG" if step is None else "FACTOR_CODE_USED", name=name)


def _activate(session: Session, wish: ActivationWish, count: int, actor: Actor, deps: ConsentDeps) -> Activation:
    now = deps.clock.now()
    row = ActivationRow(
        id=secrets.token_hex(16), credential=wish.credential, factor=TOTP, count=count, remaining=count, made_at=now,
        made_by=actor.name, expires_at=now + wish.lasts,
    )  # fmt: skip
    session.add(row)
    session.flush()
    session.add_all(
        ActivationDocumentRow(activation_id=row.id, input_sha256=each) for each in dict.fromkeys(wish.documents)
    )
    append(
        session, deps.clock, actor, "activation.give", "activation", row.id,
        credential=wish.credential, documents=str(len(set(wish.documents))), count=str(count), factor=TOTP,
        until=rfc3339(row.expires_at),
    )  # fmt: skip
    return _record(row)


def _end_all(session: Session, name: str, now: datetime) -> None:
    """What was consented to and not signed is over."""
    session.execute(
        update(ActivationRow)
        .where(ActivationRow.credential == name, ActivationRow.expires_at > now)
        .values(expires_at=now, remaining=0)
    )


def _record(row: ActivationRow) -> Activation:
    return Activation(
        row.id, row.credential, row.factor, row.count, row.remaining, row.made_at, row.made_by, row.expires_at
    )
