"""People: persons with roles, tokens that belong to one, requests that wait for others' approval, and their votes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    number = sa.BigInteger().with_variant(sa.Integer, "sqlite")
    op.create_table(
        "persons",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("full_name", sa.String(64), nullable=False),
        sa.Column("roles", sa.String(100), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_persons"),
    )
    op.create_table(
        "approvals",
        sa.Column("id", number, nullable=False),
        sa.Column("kind", sa.String(32), nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("content", sa.LargeBinary, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("asked_sha256", sa.String(64), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("principal", sa.String(200), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("needed", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approvals"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_approvals_asked_sha256", "approvals", ["asked_sha256"])
    op.create_index("ix_approvals_state", "approvals", ["state"])
    op.create_table(
        "approval_votes",
        sa.Column("id", number, nullable=False),
        sa.Column("approval_id", number, nullable=False),
        sa.Column("person", sa.String(200), nullable=False),
        sa.Column("principal", sa.String(200), nullable=False),
        sa.Column("decision", sa.String(16), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("reason", sa.String(500)),
        sa.Column("voted_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_approval_votes"),
        sa.ForeignKeyConstraint(["approval_id"], ["approvals.id"], name="fk_approval_votes_approval_id_approvals"),
        sa.UniqueConstraint("approval_id", "principal", name="uq_approval_votes_approval_id_principal"),
    )
    # No foreign key: SQLite could add one only by copying the table, and persons are never deleted.
    op.add_column("tokens", sa.Column("person", sa.String(32)))


def downgrade() -> None:
    op.drop_column("tokens", "person")
    op.drop_table("approval_votes")
    op.drop_table("approvals")
    op.drop_table("persons")
