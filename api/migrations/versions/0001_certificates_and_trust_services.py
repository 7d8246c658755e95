"""Certificates, audit, authorities and CRLs."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# A revision never imports today's models: it must do tomorrow what it did when it was written.
_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "certificates",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("common_name", sa.Text, nullable=False),
        sa.Column("organization", sa.Text, nullable=False),
        sa.Column("search_text", sa.Text, nullable=False),
        sa.Column("issuer", sa.String(32), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("not_before", _TIME, nullable=False),
        sa.Column("not_after", _TIME, nullable=False),
        sa.Column("tbs", sa.LargeBinary, nullable=False),
        sa.Column("der", sa.LargeBinary),
        sa.Column("sha256", sa.String(64)),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("key_id", sa.String(40), nullable=False),
        sa.Column("revoked_at", _TIME),
        sa.Column("revocation_reason", sa.String(32)),
        sa.Column("suspect_since", _TIME),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("serial", name="pk_certificates"),
        sa.UniqueConstraint("sha256", name="uq_certificates_sha256"),
    )
    for column in ("profile", "issuer", "state", "not_after", "key_id"):
        op.create_index(f"ix_certificates_{column}", "certificates", [column])
    op.create_table(
        "audit",
        sa.Column("seq", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("time", _TIME, nullable=False),
        sa.Column("actor", sa.String(200), nullable=False),
        sa.Column("action", sa.String(64), nullable=False),
        sa.Column("subject_kind", sa.String(32), nullable=False),
        sa.Column("subject_id", sa.String(200), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.PrimaryKeyConstraint("seq", name="pk_audit"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_audit_subject_id", "audit", ["subject_id"])
    op.create_table(
        "authorities",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("parent", sa.String(32)),
        sa.Column("profile", sa.String(32), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("serial", sa.String(40)),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("crl_number", _SEQUENCE, nullable=False),
        sa.Column("revocation_epoch", _SEQUENCE, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_authorities"),
        sa.ForeignKeyConstraint(["parent"], ["authorities.name"], name="fk_authorities_parent_authorities"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name="fk_authorities_serial_certificates"),
    )
    op.create_table(
        "crls",
        sa.Column("id", _SEQUENCE, autoincrement=True, nullable=False),
        sa.Column("authority", sa.String(32), nullable=False),
        sa.Column("number", _SEQUENCE, nullable=False),
        sa.Column("revocation_epoch", _SEQUENCE, nullable=False),
        sa.Column("this_update", _TIME, nullable=False),
        sa.Column("next_update", _TIME, nullable=False),
        sa.Column("der", sa.LargeBinary),
        sa.Column("sha256", sa.String(64)),
        sa.PrimaryKeyConstraint("id", name="pk_crls"),
        sa.ForeignKeyConstraint(["authority"], ["authorities.name"], name="fk_crls_authority_authorities"),
        sa.UniqueConstraint("authority", "number", name="uq_crls_authority_number"),
    )


def downgrade() -> None:
    for table in ("crls", "authorities", "audit", "certificates"):
        op.drop_table(table)
