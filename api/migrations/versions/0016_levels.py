"""Signing acts keep the extended file, and levels that were not reached at once wait in a table of their own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("signing_acts", sa.Column("extended_sha256", sa.String(64)))
    op.add_column("signing_acts", sa.Column("extended_size", sa.Integer))
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "level_requests",
        sa.Column("act_id", sa.Integer, autoincrement=False, nullable=False),
        sa.Column("document_id", sa.Integer, nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("failure", sa.String(64), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("next_at", moment, nullable=False),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("act_id", name="pk_level_requests"),
        sa.ForeignKeyConstraint(["act_id"], ["signing_acts.id"], name="fk_level_requests_act_id_signing_acts"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_level_requests_document_id_documents"),
    )
    op.create_index("ix_level_requests_document_id", "level_requests", ["document_id"])
    op.create_index("ix_level_requests_state_next_at", "level_requests", ["state", "next_at"])


def downgrade() -> None:
    op.drop_table("level_requests")
    with op.batch_alter_table("signing_acts") as table:
        table.drop_column("extended_size")
        table.drop_column("extended_sha256")
