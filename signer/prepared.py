"""The record of a prepared document: what waits for its signature, and that one process takes it up, once.

Making and finishing it is handing_over.py's; the file itself is a blob.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import CursorResult, and_, or_, select, update
from sqlalchemy.orm import Session

from certs.clock import Clock, for_people
from hsm import der
from pki.audit import Actor, append
from pki.schemes import Scheme
from signer.documents import fail_act
from signer.errors import Refused, UsageWrong
from signer.numbering import IN, OUT, GivenNumber
from signer.office_policy import INCOME
from signer.particulars import Particulars
from signer.tables import PreparedRow

WAITING, TAKEN, FINISHED, CANCELLED, EXPIRED = "waiting", "taken", "finished", "cancelled", "expired"
STATES = (WAITING, TAKEN, FINISHED, CANCELLED, EXPIRED)
_ENDED = (FINISHED, CANCELLED, EXPIRED)
# Longer than a signature can take: what was taken up before is left by a process that died, and anybody may go on.
LEASE = timedelta(minutes=5)
ABANDONED = "ABANDONED"


@dataclass(frozen=True)
class PreparedDocument:
    """One prepared document. `hole`, `digest` and `to_be_signed` are what its signature is made and checked with.

    `credential` None: the key is somebody else's; `certificates` are then the signer's and those above it, `anchors` the roots that
    were named, all in DER. `failure`: why the last attempt to finish it came to nothing.
    """

    id: str
    state: str
    code: str
    credential: str | None
    certificate_serial: str
    certificates: tuple[bytes, ...]
    anchors: tuple[bytes, ...]
    scheme: Scheme
    subfilter: str
    intent: str
    level: str
    name: str
    details: dict[str, Any]
    particulars: Particulars
    agency: str
    number: GivenNumber | None
    field: str
    placed: str | None
    filled: tuple[str, ...]
    input_sha256: str
    input_size: int
    blob_sha256: str
    blob_size: int
    hole: tuple[int, int]
    digest: str
    to_be_signed: bytes
    actor: str
    claimed_time: datetime
    expires_at: datetime
    taken_at: datetime | None = None
    ended_at: datetime | None = None
    act_id: int | None = None
    failure: str = ""
    activation: str | None = None

    @property
    def room(self) -> int:
        """Octets of CMS that fit."""
        return (self.hole[1] - self.hole[0] - 2) // 2


def new_id() -> str:
    """A fresh name, which no other has."""
    return secrets.token_hex(8)


def add_prepared(session: Session, one: PreparedDocument) -> None:
    """Store a record; its file is stored already."""
    values = {name: value for name, value in vars(one).items() if name not in ("hole", "number", "particulars")}
    values |= {
        "certificates": b"".join(one.certificates) or None,
        "anchors": b"".join(one.anchors) or None,
        "scheme": one.scheme.value,
        "filled": list(one.filled),
        "particulars": one.particulars.to_json(),
        "number": one.number.number if one.number else None,
        "number_day": one.number.day if one.number else None,
        "number_fresh": bool(one.number and one.number.fresh),
        "is_kept": True,
        "hole_start": one.hole[0],
        "hole_end": one.hole[1],
    }
    session.add(PreparedRow(**values))


def get_prepared(session: Session, wanted: str) -> PreparedDocument:
    """The record of an id; UsageWrong PREPARED_UNKNOWN."""
    # No database takes every text that somebody may type.
    row = session.get(PreparedRow, wanted) if wanted.isascii() and wanted.isalnum() else None
    if row is None:
        raise UsageWrong("PREPARED_UNKNOWN", id=wanted[:40])
    return _read(row)


def list_prepared(session: Session, states: Iterable[str] = STATES, limit: int = 1000) -> list[PreparedDocument]:
    """The newest first."""
    query = select(PreparedRow).where(PreparedRow.state.in_(list(states)))
    rows = session.scalars(query.order_by(PreparedRow.claimed_time.desc(), PreparedRow.id).limit(limit))
    return [_read(row) for row in rows]


def find_prepared(
    session: Session, input_sha256: str, columns: dict[str, str | None], since: datetime
) -> PreparedDocument | None:
    """The newest one that was prepared of a file at this time or later; `columns`: others that must be so."""
    query = select(PreparedRow).where(PreparedRow.input_sha256 == input_sha256, PreparedRow.claimed_time >= since)
    for name, value in columns.items():
        query = query.where(getattr(PreparedRow, name) == value)
    row = session.scalars(query.order_by(PreparedRow.claimed_time.desc()).limit(1)).first()
    return None if row is None else _read(row)


def expired_prepared(session: Session, now: datetime, most: int) -> list[PreparedDocument]:
    """Those whose time is over, and that nobody is at work on."""
    query = select(PreparedRow).where(PreparedRow.expires_at <= now, _is_free(now))
    return [_read(row) for row in session.scalars(query.order_by(PreparedRow.expires_at).limit(most))]


def left_taken(session: Session, now: datetime, most: int) -> list[PreparedDocument]:
    """Those that a process took up and died over."""
    dead = (PreparedRow.state == TAKEN, PreparedRow.taken_at <= now - LEASE)
    return [_read(row) for row in session.scalars(select(PreparedRow).where(*dead).limit(most))]


def let_wait(session: Session, one: PreparedDocument) -> bool:
    """What somebody died over waits again; False when it was taken up anew meanwhile."""
    same = (PreparedRow.id == one.id, PreparedRow.state == TAKEN, PreparedRow.taken_at == one.taken_at)
    done = session.execute(update(PreparedRow).where(*same).values(state=WAITING, taken_at=None, failure=ABANDONED))
    return cast("CursorResult[Any]", done).rowcount == 1


def left_files(session: Session, most: int) -> list[PreparedDocument]:
    """Those that have ended, and whose prepared file is stored still."""
    query = select(PreparedRow).where(PreparedRow.state.in_(_ENDED), PreparedRow.is_kept)
    return [_read(row) for row in session.scalars(query.limit(most))]


def note_file_gone(session: Session, prepared_id: str) -> None:
    """The prepared file is not stored any more."""
    session.execute(update(PreparedRow).where(PreparedRow.id == prepared_id).values(is_kept=False))


def refuse_ended(one: PreparedDocument, now: datetime) -> None:
    """Refused unless it can be taken up now, as far as can be said before trying."""
    if one.state == FINISHED:
        raise Refused("PREPARED_FINISHED", id=one.id, code=one.code)
    if one.state == CANCELLED:
        raise Refused("PREPARED_CANCELLED", id=one.id)
    if one.state == EXPIRED or one.expires_at <= now:
        raise Refused("PREPARED_EXPIRED", id=one.id, when=for_people(one.expires_at))
    if one.state == TAKEN and one.taken_at is not None and one.taken_at > now - LEASE:
        raise Refused("PREPARED_TAKEN", id=one.id)


def end_prepared(session: Session, prepared_id: str, state: str, now: datetime) -> int | None:
    """Cancelled or expired, if nobody is at work on it; the act that a death left behind with it. Refused else."""
    return _move(session, prepared_id, now, state=state, ended_at=now)


@dataclass(frozen=True)
class StoredClaim:
    """The claim of one attempt to finish a prepared document (signing_parts.Claim)."""

    prepared_id: str
    code: str
    actor: Actor
    clock: Clock

    def take(self, session: Session) -> None:
        now = self.clock.now()
        left = _move(session, self.prepared_id, now, state=TAKEN, taken_at=now)
        give_up_act(session, left, self.actor, self.clock)
        append(session, self.clock, self.actor, "document.prepare.take", "prepared", self.prepared_id, code=self.code)

    def begun(self, session: Session, act: int) -> None:
        session.execute(update(PreparedRow).where(PreparedRow.id == self.prepared_id).values(act_id=act))

    def finish(self, session: Session, act: int) -> None:
        values = {"state": FINISHED, "ended_at": self.clock.now(), "failure": ""}
        if not self._change_own(session, act, **values):
            raise Refused("PREPARED_TAKEN", id=self.prepared_id)

    def release(self, session: Session, act: int, reason: str) -> None:
        self._change_own(session, act, state=WAITING, taken_at=None, failure=reason[:64])

    def _change_own(self, session: Session, act: int, **values: Any) -> bool:
        """Only while it is this attempt's: somebody else may have taken over what seemed dead."""
        own = (PreparedRow.id == self.prepared_id, PreparedRow.state == TAKEN, PreparedRow.act_id == act)
        done = session.execute(update(PreparedRow).where(*own).values(**values))
        return cast("CursorResult[Any]", done).rowcount == 1


def give_up_act(session: Session, act: int | None, actor: Actor, clock: Clock) -> None:
    """No signature came of an act whose process died."""
    if act is not None and fail_act(session, act, failure=ABANDONED, now=clock.now()):
        append(session, clock, actor, "document.sign.fail", "act", str(act), reason=ABANDONED)


def _is_free(now: datetime) -> Any:
    dead = and_(PreparedRow.state == TAKEN, PreparedRow.taken_at <= now - LEASE)
    return or_(PreparedRow.state == WAITING, dead)


def _move(session: Session, prepared_id: str, now: datetime, **values: Any) -> int | None:
    """Of several that come at one time one moves it: the database decides. The act it had before, if there was one."""
    free = [PreparedRow.id == prepared_id, _is_free(now)]
    if values["state"] == TAKEN:
        free.append(PreparedRow.expires_at > now)
    moved = session.execute(update(PreparedRow).where(*free).values(**values).returning(PreparedRow.act_id)).all()
    if moved:
        act: int | None = moved[0][0]
        return act
    refuse_ended(get_prepared(session, prepared_id), now)
    raise Refused("PREPARED_TAKEN", id=prepared_id)


def _read(row: PreparedRow) -> PreparedDocument:
    number = None
    if row.number is not None and row.number_day is not None:
        series = IN if row.intent == INCOME else OUT
        number = GivenNumber(row.number, row.number_day, fresh=row.number_fresh, series=series)
    return PreparedDocument(
        id=row.id, state=row.state, code=row.code, credential=row.credential,
        certificate_serial=row.certificate_serial, certificates=der_values(row.certificates), anchors=der_values(row.anchors),
        scheme=Scheme(row.scheme), subfilter=row.subfilter, intent=row.intent, level=row.level, name=row.name,
        details=row.details,
        particulars=Particulars.from_json(row.particulars), agency=row.agency, number=number, field=row.field, placed=row.placed,
        filled=tuple(row.filled), input_sha256=row.input_sha256, input_size=row.input_size,
        blob_sha256=row.blob_sha256, blob_size=row.blob_size, hole=(row.hole_start, row.hole_end), digest=row.digest,
        to_be_signed=row.to_be_signed, actor=row.actor, claimed_time=row.claimed_time, expires_at=row.expires_at,
        taken_at=row.taken_at, ended_at=row.ended_at, act_id=row.act_id, failure=row.failure,
        activation=row.activation,
    )  # fmt: skip


def der_values(joined: bytes | None) -> tuple[bytes, ...]:
    """DER values that stand one after the other."""
    out = []
    at = 0
    while joined and at < len(joined):
        _, _, end = der.element(joined, at)
        out.append(joined[at:end])
        at = end
    return tuple(out)
