"""The audit trail: who did what to what, written in the same transaction as the act."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import Connection, FromClause, Insert, SQLColumnExpression, Table, bindparam, insert, select
from sqlalchemy.orm import Session

from certs.clock import Clock
from pki.roles import Actor
from pki.tables import AuditRow

# A row names an actor, so whoever writes rows finds it here.
__all__ = ["Actor", "AuditRecord", "append", "appended_by", "audit_values", "list_acts"]

# One statement for all: it stands in every transaction, and the unit of work or a fresh statement costs several times as much.
_TABLE = cast("Table", AuditRow.__table__)
_INSERT = insert(_TABLE)
_COLUMNS = ("time", "actor", "action", "subject_kind", "subject_id", "details")


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
    session: Session | Connection,
    clock: Clock,
    actor: Actor,
    action: str,
    subject_kind: str,
    subject_id: str,
    **details: str,
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


def appended_by(source: FromClause, subject_id: SQLColumnExpression[str] | None = None) -> Insert:
    """`append` as a part of the statement that is the act: a row for each row of `source`. To be run with `audit_values`.

    `subject_id`: what the statement itself makes of it; None where it is known before.
    """
    values = [bindparam(f"audit_{name}", type_=_TABLE.c[name].type) for name in _COLUMNS if name != "subject_id"]
    subject = bindparam("audit_subject_id", type_=_TABLE.c.subject_id.type) if subject_id is None else subject_id
    return insert(_TABLE).from_select(
        [name for name in _COLUMNS if name != "subject_id"] + ["subject_id"],
        select(*values, subject).select_from(source),
    )


def audit_values(
    clock: Clock, actor: Actor, action: str, subject_kind: str, subject_id: str | None = None, **details: str
) -> dict[str, Any]:
    """What a statement with `appended_by` is run with, besides its own."""
    values: dict[str, Any] = {
        "audit_time": clock.now(),
        "audit_actor": actor.name,
        "audit_action": action,
        "audit_subject_kind": subject_kind,
        "audit_details": details,
    }
    return values if subject_id is None else values | {"audit_subject_id": subject_id}


def list_acts(session: Session, *, subject_id: str | None = None, limit: int = 1000) -> list[AuditRecord]:
    """The newest acts, oldest of them first."""
    query = select(AuditRow).order_by(AuditRow.seq.desc()).limit(limit)
    if subject_id is not None:
        query = query.where(AuditRow.subject_id == subject_id)
    return [
        AuditRecord(row.seq, row.time, row.actor, row.action, row.subject_kind, row.subject_id, dict(row.details))
        for row in reversed(session.scalars(query).all())
    ]
