"""Signing acts are found by their extended file and know when it is to be renewed; what is at B-LTA is looked at once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("signing_acts", sa.Column("renew_at", sa.DateTime(timezone=True)))
    op.execute("UPDATE signing_acts SET renew_at = finished_at WHERE state = 'done' AND level = 'B-LTA'")
    some = sa.text("renew_at IS NOT NULL")
    op.create_index("ix_signing_acts_renew_at", "signing_acts", ["renew_at"], sqlite_where=some, postgresql_where=some)
    extended = sa.text("extended_sha256 IS NOT NULL")
    op.create_index(
        "ix_signing_acts_extended",
        "signing_acts",
        ["extended_sha256"],
        sqlite_where=extended,
        postgresql_where=extended,
    )


def downgrade() -> None:
    op.drop_index("ix_signing_acts_extended", "signing_acts")
    op.drop_index("ix_signing_acts_renew_at", "signing_acts")
    with op.batch_alter_table("signing_acts") as table:
        table.drop_column("renew_at")
