"""Consent for documents that are signed later: prepared ones and batches keep the activation that they were handed in with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0028"
down_revision = "0027"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for table in ("prepared_documents", "batches"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("activation", sa.String(32)))


def downgrade() -> None:
    for table in ("prepared_documents", "batches"):
        with op.batch_alter_table(table) as batch:
            batch.drop_column("activation")
