"""Certificates know what they replace; notices of certificates that end soon."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.add_column("certificates", sa.Column("replaces", sa.String(40)))
    op.create_index("ix_certificates_replaces", "certificates", ["replaces"])
    if op.get_bind().dialect.name == "postgresql":
        # A subject may be longer than a B-tree takes. SQLite, without hash indexes, makes one of its own for a query.
        op.create_index("ix_certificates_subject_hash", "certificates", ["subject"], postgresql_using="hash")
    op.create_table(
        "notices",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("days", sa.Integer, nullable=False),
        sa.Column("made_at", _TIME, nullable=False),
        sa.Column("logged_at", _TIME),
        sa.Column("sent_at", _TIME),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("next_attempt_at", _TIME),
        sa.Column("problem", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_notices"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name="fk_notices_serial_certificates"),
        sa.UniqueConstraint("serial", "days", name="uq_notices_serial_days"),
    )
    op.create_index("ix_notices_made_at", "notices", ["made_at"])
    op.create_index("ix_notices_logged_at", "notices", ["logged_at"])
    op.create_index("ix_notices_next_attempt_at", "notices", ["next_attempt_at"])


def downgrade() -> None:
    op.drop_table("notices")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_certificates_subject_hash", "certificates")
    op.drop_index("ix_certificates_replaces", "certificates")
    op.drop_column("certificates", "replaces")
