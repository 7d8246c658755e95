"""The audit trail: who did what to what, written in the same transaction as the act and linked to the row before.

Rows stand in chains (form of a link: audit_link.py). SQLite, where a writer is alone, has one. On PostgreSQL a transaction takes the first
chain that nobody has, keeps it until it ends, and waits for one only when all are taken; so commits go on side by side.
The lock is the chain's row in `audit_chains`, which also says how long the chain is and what its last link is. Append last in a
transaction: what is locked after it keeps the chain from others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import (
    CTE,
    ColumnElement,
    Connection,
    FromClause,
    LargeBinary,
    SQLColumnExpression,
    String,
    Table,
    Text,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    literal_column,
    select,
    true,
    union_all,
    update,
)
from sqlalchemy import cast as sql_cast
from sqlalchemy import exc as sa_exc
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import connection_of
from certs.outages import is_outage
from certs.prepared import Prepared
from pki.audit_link import FORM, canonical_json, link_of, netstrings, written_facts, written_time
from pki.errors import AuditUnavailable
from pki.roles import Actor
from pki.tables import AuditChainRow, AuditRow

# A row names an actor, so whoever writes rows finds it here.
__all__ = [
    "Act",
    "Actor",
    "AuditRecord",
    "append",
    "append_all",
    "appended_by",
    "audit_refusals",
    "audit_values",
    "list_acts",
]

# Statements are made once: one stands in every transaction, and a fresh one costs several times as much.
_TABLE = cast("Table", AuditRow.__table__)
_CHAINS = cast("Table", AuditChainRow.__table__)
# SQLite keeps JSON as text; the canonical form is at hand, and another one would be written for nothing.
_WRITTEN = {"details": Text()}
_INSERT = Prepared(
    insert(_TABLE).values({name: bindparam(name, type_=_WRITTEN.get(name)) for name in _TABLE.c.keys()})  # noqa: SIM118  its own method
)
_GIVEN = ("time", "actor", "action", "subject_kind", "details")
# SQLite: the only chain, and the last number that a row has or ever had (sqlite.org/autoinc.html).
_LAST_EVER: ColumnElement[int] = literal_column(
    "max(coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'audit'), 0), coalesce((SELECT max(seq) FROM audit), 0))"
)
_TIP = Prepared(select(_CHAINS.c.length, _CHAINS.c.head, _LAST_EVER).where(_CHAINS.c.chain == literal_column("0")))
_ADVANCE = Prepared(
    update(_CHAINS)
    .where(_CHAINS.c.chain == literal_column("0"))
    .values(length=bindparam("new_length"), head=bindparam("new_head"))
)


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
    """Add one row. It is committed with the act, or not at all: AuditUnavailable when the trail takes none."""
    if isinstance(session, Session):
        # What the act changes is written, and locked, before the chain is.
        session.flush()
    _append(connection_of(session), clock, actor, [Act(action, subject_kind, subject_id, details)])


class Act(NamedTuple):
    """One act of several that are written together."""

    action: str
    subject_kind: str
    subject_id: str
    details: dict[str, str]


def append_all(session: Session | Connection, clock: Clock, actor: Actor, acts: Sequence[Act]) -> None:
    """Add a row for each act, in their order: what `append` does of each, with fewer statements where that is possible."""
    if isinstance(session, Session):
        session.flush()
    if acts:
        _append(connection_of(session), clock, actor, acts)


def _append(connection: Connection, clock: Clock, actor: Actor, acts: Sequence[Act]) -> None:
    try:
        if connection.dialect.name == "postgresql":
            for action, subject_kind, subject_id, details in acts:
                values = audit_values(clock, actor, action, subject_kind, subject_id, **details)
                _APPEND.run(connection, values)
        else:
            _append_alone(connection, clock.now(), actor.name, acts)
    except sa_exc.DBAPIError as error:
        _raise_refusal(error)
        raise


def _append_alone(connection: Connection, now: datetime, actor: str, acts: Sequence[Act]) -> None:
    """On SQLite, where the transaction has the database to itself."""
    tips = _TIP.run(connection, {})
    if not tips:
        raise AuditUnavailable("the chain has no row", reason="audit", detail="audit_chains is empty")
    position, link, seq = tips[0]
    time = written_time(now)
    rows = []
    for action, subject_kind, subject_id, details in acts:
        position, seq = position + 1, seq + 1
        written = canonical_json(details)
        link = link_of(0, position, seq, link, netstrings(time, actor, action, subject_kind, written), subject_id)
        rows.append(
            {
                "seq": seq,
                "time": now,
                "actor": actor,
                "action": action,
                "subject_kind": subject_kind,
                "subject_id": subject_id,
                "details": written,
                "chain": 0,
                "position": position,
                "link": link,
            }
        )
    _INSERT.run_many(connection, rows)
    _ADVANCE.run(connection, {"new_length": position, "new_head": link})


@contextmanager
def audit_refusals() -> Iterator[None]:
    """Turn a refusal by the audit trail's tables into AuditUnavailable; outages and mistakes elsewhere pass as they are."""
    try:
        yield
    except sa_exc.DBAPIError as error:
        _raise_refusal(error)
        raise


def _raise_refusal(error: sa_exc.DBAPIError) -> None:
    if not is_outage(error) and _is_of_trail(error):
        said = str(error.orig).splitlines() or [""]
        raise AuditUnavailable(f"no audit row: {said[0]}", reason="audit", detail=said[0][:200]) from error.orig


def _is_of_trail(error: sa_exc.DBAPIError) -> bool:
    """Whether one of our two tables refused: a constraint of theirs, or a rule that raises an error by itself."""
    diagnosis = getattr(error.orig, "diag", None)
    if diagnosis is None:
        # SQLite names no table for a trigger's RAISE(); only `append` comes here with it.
        return isinstance(error, sa_exc.IntegrityError)
    return diagnosis.sqlstate == "P0001" or diagnosis.table_name in {_TABLE.name, _CHAINS.name}


def appended_by(source: FromClause, subject_id: SQLColumnExpression[str] | None = None) -> tuple[CTE, ...]:
    """`append` as a part of the PostgreSQL statement that is the act (`add_cte`): a row if `source`, which has at most one row, has one.

    To be run with `audit_values`, within `audit_refusals`. `subject_id`: what the statement itself makes of it; None where it
    is known before. A second append in the transaction takes the same chain: its row there is the transaction's own.
    """
    own: ColumnElement[bool] = literal_column("audit_chains.xmin = CAST(pg_current_xact_id_if_assigned() AS xid)")
    columns = (_CHAINS.c.chain, _CHAINS.c.length, _CHAINS.c.head)
    # At READ COMMITTED a row that is locked is read as it is committed by then, not as the statement began (PostgreSQL 13.2.1).
    own_first = select(*columns).order_by(func.coalesce(own, literal_column("false")).desc(), _CHAINS.c.chain)
    free = own_first.limit(1).with_for_update(skip_locked=True).cte("audit_free")
    # All are taken: wait for one, not all for the same.
    spread = (_CHAINS.c.chain + func.pg_backend_pid()) % literal_column("8")
    any_of_them = select(*columns).where(~exists(select(free.c.chain))).order_by(spread)
    waited = any_of_them.limit(1).with_for_update().cte("audit_waited")
    taken = union_all(select(free), select(waited)).cte("audit_taken")
    subject = bindparam("audit_subject_id", type_=_TABLE.c.subject_id.type) if subject_id is None else subject_id
    # Without a chain there is no number, and the table refuses a row without one: the whole statement fails, the act too.
    seq = case((taken.c.chain.is_not(None), func.nextval("audit_seq_seq")))
    placed = (
        select(
            taken.c.chain,
            taken.c.head,
            (taken.c.length + 1).label("position"),
            seq.label("seq"),
            subject.label("subject_id"),
        )
        .select_from(source.outerjoin(taken, true()))
        .cte("audit_placed")
    )
    linked = select(*placed.c, _link_in_sql(placed).label("link")).cte("audit_linked")
    place = ("seq", "subject_id", "chain", "position", "link")
    given = [bindparam(f"audit_{name}", type_=_TABLE.c[name].type) for name in _GIVEN]
    row = select(*given, *(linked.c[name] for name in place))
    written = insert(_TABLE).from_select([*_GIVEN, *place], row).cte("audit_written")
    moved = update(_CHAINS).where(_CHAINS.c.chain == linked.c.chain)
    return written, moved.values(length=linked.c.position, head=linked.c.link).cte("audit_moved")


def _link_in_sql(placed: CTE) -> ColumnElement[str]:
    """`audit_link.link_of` in the words of PostgreSQL; tests hold both to the same octets."""
    octets: ColumnElement[str] = literal(netstrings(FORM), Text)
    for part in (placed.c.head, placed.c.chain, placed.c.position, placed.c.seq):
        octets += _netstring_in_sql(sql_cast(part, Text))
    octets += bindparam("audit_facts", type_=Text())
    octets += _netstring_in_sql(sql_cast(placed.c.subject_id, Text))
    return func.encode(func.sha256(_utf8(octets)), literal_column("'hex'"), type_=String())


def _netstring_in_sql(value: ColumnElement[str]) -> ColumnElement[str]:
    # The server may keep text in another encoding.
    length = sql_cast(func.octet_length(_utf8(value)), Text)
    return length + literal_column("':'", Text) + value + literal_column("','", Text)


def _utf8(value: ColumnElement[str]) -> ColumnElement[bytes]:
    return func.convert_to(value, literal_column("'UTF8'"), type_=LargeBinary())


_ONCE = select(literal_column("1").label("one")).cte("audit_once")
_APPEND = Prepared(select(_ONCE.c.one).add_cte(*appended_by(_ONCE)))


def audit_values(
    clock: Clock, actor: Actor, action: str, subject_kind: str, subject_id: str | None = None, **details: str
) -> dict[str, Any]:
    """What a statement with `appended_by` is run with, besides its own."""
    now = clock.now()
    values: dict[str, Any] = {
        "audit_time": now,
        "audit_actor": actor.name,
        "audit_action": action,
        "audit_subject_kind": subject_kind,
        "audit_details": details,
        "audit_facts": written_facts(now, actor.name, action, subject_kind, details),
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
