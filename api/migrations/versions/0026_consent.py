"""Consent: second factors of credentials, and activations that are bound to documents."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0026"
down_revision = "0025"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "second_factors",
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("kind", sa.String(16), nullable=False),
        sa.Column("secret", sa.LargeBinary, nullable=False),
        sa.Column("last_step", sa.BigInteger, nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("locked_until", moment),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("made_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("credential", name="pk_second_factors"),
        sa.ForeignKeyConstraint(["credential"], ["credentials.name"], name="fk_second_factors_credential_credentials"),
    )
    op.create_table(
        "activations",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("factor", sa.String(16), nullable=False),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("remaining", sa.Integer, nullable=False),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("made_by", sa.String(255), nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_activations"),
        sa.ForeignKeyConstraint(["credential"], ["credentials.name"], name="fk_activations_credential_credentials"),
    )
    op.create_index("ix_activations_credential", "activations", ["credential"])
    op.create_table(
        "activation_documents",
        sa.Column("activation_id", sa.String(32), nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("used_at", moment),
        sa.PrimaryKeyConstraint("activation_id", "input_sha256", name="pk_activation_documents"),
        sa.ForeignKeyConstraint(
            ["activation_id"], ["activations.id"], name="fk_activation_documents_activation_id_activations"
        ),
    )


def downgrade() -> None:
    for table in ("activation_documents", "activations", "second_factors"):
        op.drop_table(table)
