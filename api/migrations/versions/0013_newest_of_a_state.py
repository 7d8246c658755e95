"""Certificates of a state are read newest first: the few revoked ones of a name, without all that bear the name."""

from __future__ import annotations

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_certificates_state_created_at_serial", "certificates", ["state", "created_at", "serial"])


def downgrade() -> None:
    op.drop_index("ix_certificates_state_created_at_serial", "certificates")
