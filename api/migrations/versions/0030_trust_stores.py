"""Trust stores: which versions were handed out and taken in, and which anchors came in with one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0028"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "trust_stores",
        sa.Column("store", sa.String(64), nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("noted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("noted_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("store", name="pk_trust_stores"),
    )
    op.add_column("trusted_certificates", sa.Column("origin", sa.String(64), nullable=True))


def downgrade() -> None:
    op.drop_column("trusted_certificates", "origin")
    op.drop_table("trust_stores")
