"""Service keys: OCSP responders and time-stamping authorities."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "service_keys",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("authority", sa.String(32), nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("serial", sa.String(40)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_service_keys"),
        sa.ForeignKeyConstraint(["authority"], ["authorities.name"], name="fk_service_keys_authority_authorities"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name="fk_service_keys_serial_certificates"),
    )


def downgrade() -> None:
    op.drop_table("service_keys")
