"""Chains of audit rows: each row is linked to the one before. The rows that are there become the beginning of chain 0."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_ROWS_AT_ONCE = 1000
# PostgreSQL commits side by side, as many as there are chains; on SQLite a writer is alone.
_CHAINS_ON_POSTGRESQL = 8
_GENESIS = "0" * 64


def upgrade() -> None:
    # Nullable: what a process of the release before still writes is a row without a link, which `antin audit verify` names.
    op.add_column("audit", sa.Column("chain", sa.SmallInteger))
    op.add_column("audit", sa.Column("position", _SEQUENCE))
    op.add_column("audit", sa.Column("link", sa.String(64)))
    chains = op.create_table(
        "audit_chains",
        sa.Column("chain", sa.SmallInteger, autoincrement=False, nullable=False),
        sa.Column("length", _SEQUENCE, nullable=False),
        sa.Column("head", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("chain", name="pk_audit_chains"),
    )
    connection = op.get_bind()
    length, head = _link_rows(connection)
    op.create_index("ix_audit_chain_position", "audit", ["chain", "position"], unique=True)
    count = _CHAINS_ON_POSTGRESQL if connection.dialect.name == "postgresql" else 1
    rows = [{"chain": chain, "length": 0, "head": _GENESIS} for chain in range(count)]
    rows[0] |= {"length": length, "head": head}
    op.bulk_insert(chains, rows)


def downgrade() -> None:
    op.drop_table("audit_chains")
    op.drop_index("ix_audit_chain_position", "audit")
    # Not by a copy of the table, as Alembic would on SQLite: that forgets which numbers were given.
    for column in ("chain", "position", "link"):
        op.execute(f"ALTER TABLE audit DROP COLUMN {column}")


def _link_rows(connection: sa.Connection) -> tuple[int, str]:
    """Give every row its place in chain 0, in the order of writing, some at a time; how many there are, and the last link."""
    audit = sa.table(
        "audit",
        sa.column("seq", _SEQUENCE),
        sa.column("time", sa.DateTime(timezone=True)),
        *(sa.column(name, sa.Text) for name in ("actor", "action", "subject_kind", "subject_id")),
        sa.column("details", sa.JSON),
        sa.column("chain", sa.SmallInteger),
        sa.column("position", _SEQUENCE),
        sa.column("link", sa.Text),
    )
    given = [audit.c[name] for name in ("seq", "time", "actor", "action", "subject_kind", "details", "subject_id")]
    due = sa.select(*given).where(audit.c.seq > sa.bindparam("after")).order_by(audit.c.seq).limit(_ROWS_AT_ONCE)
    place = sa.update(audit).where(audit.c.seq == sa.bindparam("row"))
    place = place.values(chain=0, position=sa.bindparam("place"), link=sa.bindparam("made"))
    position, link, last = 0, _GENESIS, -1
    while rows := connection.execute(due, {"after": last}).all():
        places: list[dict[str, Any]] = []
        for seq, *facts in rows:
            position, last = position + 1, seq
            link = _link(link, position, seq, facts)
            places.append({"row": seq, "place": position, "made": link})
        connection.execute(place, places)
    return position, link


def _link(previous: str, position: int, seq: int, facts: list[Any]) -> str:
    """The form of a link as it was when this revision was written (pki/audit_link.py says why)."""
    time, actor, action, subject_kind, details, subject_id = facts
    written = json.dumps(details, sort_keys=True, separators=(",", ":"))
    head = ("antin audit row 1", previous, "0", str(position), str(seq), _written(time))
    parts = (*head, actor, action, subject_kind, written, subject_id)
    return hashlib.sha256("".join(f"{len(part.encode())}:{part}," for part in parts).encode()).hexdigest()


def _written(time: datetime) -> str:
    aware = time.replace(tzinfo=UTC) if time.tzinfo is None else time.astimezone(UTC)
    return aware.isoformat(timespec="microseconds").replace("+00:00", "Z")
