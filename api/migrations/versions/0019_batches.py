"""Batches of documents that wait for the worker, and what became of each."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "batches",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(32), nullable=False),
        sa.Column("token_id", sa.Integer, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("request_sha256", sa.String(64), nullable=False),
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("intent", sa.String(16)),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("subfilter", sa.String(8), nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("total", sa.Integer, nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("cancelled_at", moment),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_batches"),
        sa.UniqueConstraint("code", name="uq_batches_code"),
    )
    op.create_index("ix_batches_state", "batches", ["state"])
    op.create_table(
        "batch_documents",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("batch_id", sa.Integer, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("reference", sa.String(100), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("placement", sa.String(64), nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("input_size", sa.Integer, nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("act_id", sa.Integer),
        sa.Column("outcome", sa.JSON),
        sa.Column("error", sa.String(64)),
        sa.Column("facts", sa.JSON),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("id", name="pk_batch_documents"),
        sa.UniqueConstraint("batch_id", "position", name="uq_batch_documents_batch_id_position"),
        sa.ForeignKeyConstraint(["batch_id"], ["batches.id"], name="fk_batch_documents_batch_id_batches"),
        sa.ForeignKeyConstraint(["act_id"], ["signing_acts.id"], name="fk_batch_documents_act_id_signing_acts"),
    )
    op.create_index("ix_batch_documents_state_id", "batch_documents", ["state", "id"])


def downgrade() -> None:
    op.drop_table("batch_documents")
    op.drop_table("batches")
