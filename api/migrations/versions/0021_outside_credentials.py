"""Credentials whose key is elsewhere; a batch may certify and lock."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "outside_credentials",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("certificates", sa.LargeBinary, nullable=False),
        sa.Column("anchors", sa.LargeBinary),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("common_name", sa.String(64), nullable=False),
        sa.Column("not_before", moment, nullable=False),
        sa.Column("not_after", moment, nullable=False),
        sa.Column("holder", sa.String(100), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("ended_at", moment),
        sa.Column("end_reason", sa.String(200)),
        sa.PrimaryKeyConstraint("name", name="pk_outside_credentials"),
        sa.ForeignKeyConstraint(["name"], ["credentials.name"], name="fk_outside_credentials_name_credentials"),
    )
    op.create_index("ix_outside_credentials_sha256", "outside_credentials", ["sha256"])
    op.add_column("batches", sa.Column("protection", sa.JSON))


def downgrade() -> None:
    op.drop_column("batches", "protection")
    op.drop_table("outside_credentials")
