"""Registrations: what is asked for a certificate, confirmed by an officer, and which certificate came of it."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "registrations",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=False),
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("san", sa.JSON, nullable=False),
        sa.Column("days", sa.Integer),
        sa.Column("public_key_der", sa.LargeBinary),
        sa.Column("evidence", sa.String(200)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("asked_by", sa.String(200), nullable=False),
        sa.Column("asked_at", moment, nullable=False),
        sa.Column("decided_by", sa.String(200)),
        sa.Column("decided_at", moment),
        sa.Column("reason", sa.String(500)),
        sa.Column("sha256", sa.String(64)),
        sa.Column("certificate_serial", sa.String(40)),
        sa.PrimaryKeyConstraint("id", name="pk_registrations"),
        sa.ForeignKeyConstraint(
            ["certificate_serial"], ["certificates.serial"], name="fk_registrations_certificate_serial_certificates"
        ),
        sa.UniqueConstraint("certificate_serial", name="uq_registrations_certificate_serial"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_registrations_state", "registrations", ["state"])
    op.create_index("ix_registrations_sha256", "registrations", ["sha256"])


def downgrade() -> None:
    op.drop_table("registrations")
