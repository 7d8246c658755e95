"""Credentials, documents, signing acts and numbers."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_TIME = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "credentials",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("activation", sa.String(16), nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("certificate_serial", sa.String(40), nullable=False),
        sa.Column("scheme", sa.String(32), nullable=False),
        sa.Column("image_sha256", sa.String(64)),
        sa.Column("diameter_mm", sa.Double),
        sa.Column("created_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_credentials"),
    )
    op.create_table(
        "documents",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("code", sa.String(20), nullable=False),
        sa.Column("status", sa.String(16), nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("subject", sa.String(500), nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("number_year", sa.Integer),
        sa.Column("notation", sa.String(30)),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("created_at", _TIME, nullable=False),
        sa.Column("issued_at", _TIME),
        sa.PrimaryKeyConstraint("id", name="pk_documents"),
        sa.UniqueConstraint("code", name="uq_documents_code"),
    )
    _create_signing_acts()
    op.create_table(
        "numbers",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("year", sa.Integer, nullable=False),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("document_id", sa.Integer),
        sa.Column("reserved_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_numbers"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_numbers_document_id_documents"),
        sa.UniqueConstraint("agency", "year", "number", name="uq_numbers_agency_year_number"),
    )


def _create_signing_acts() -> None:
    op.create_table(
        "signing_acts",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("document_id", sa.Integer, nullable=False),
        sa.Column("state", sa.String(8), nullable=False),
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("intent", sa.String(16), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("certificate_serial", sa.String(40), nullable=False),
        sa.Column("digest_algorithm", sa.String(16), nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("output_sha256", sa.String(64)),
        sa.Column("output_size", sa.Integer),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("claimed_time", _TIME, nullable=False),
        sa.Column("finished_at", _TIME),
        sa.Column("failure", sa.Text),
        sa.PrimaryKeyConstraint("id", name="pk_signing_acts"),
        sa.ForeignKeyConstraint(["document_id"], ["documents.id"], name="fk_signing_acts_document_id_documents"),
        sa.ForeignKeyConstraint(["credential"], ["credentials.name"], name="fk_signing_acts_credential_credentials"),
    )
    op.create_index("ix_signing_acts_document_id", "signing_acts", ["document_id"])
    op.create_index("ix_signing_acts_state", "signing_acts", ["state"])
    op.create_index("ix_signing_acts_output_state", "signing_acts", ["output_sha256", "state"])


def downgrade() -> None:
    for table in ("numbers", "signing_acts", "documents", "credentials"):
        op.drop_table(table)
