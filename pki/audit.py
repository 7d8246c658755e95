"""The audit trail: who did what to what, written in the same transaction as the act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from sqlalchemy import Table, insert, select
from sqlalchemy.orm import Session

from certs.clock import Clock
from pki.tables import AuditRow

# One statement for all: it stands in every transaction, and the unit of work or a fresh statement costs several times as much.
_INSERT = insert(cast("Table", AuditRow.__table__))


@dataclass(frozen=True)
class Actor:
    """Who acts: a person, or a part of the system that acts by itself."""

    name: str


@dataclass(frozen=True)
class AuditRecord:
    """One act of the past."""

    seq: int
    time: datetime
    actor: str
    action: str
    subject_kind: str
    subject_id: str
    details: dict[str, str]


def append(
    session: Session, clock: Clock, actor: Actor, action: str, subject_kind: str, subject_id: str, **details: str
) -> None:
    """Add one row. It is committed with the act, or not at all."""
    session.execute(
        _INSERT,
        {
            "time": clock.now(),
            "actor": actor.name,
            "action": action,
            "subject_kind": subject_kind,
            "subject_id": subject_id,
            "details": details,
        },
    )


def list_acts(session: Session, *, subject_id: str | None = None, limit: int = 1000) -> list[AuditRecord]:
    """The newest acts, oldest of them first."""
    query = select(AuditRow).order_by(AuditRow.seq.desc()).limit(limit)
    if subject_id is not None:
        query = query.where(AuditRow.subject_id == subject_id)
    return [
        AuditRecord(row.seq, row.time, row.actor, row.action, row.subject_kind, row.subject_id, dict(row.details))
        for row in reversed(session.scalars(query).all())
    ]
