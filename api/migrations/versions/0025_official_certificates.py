"""Certificates that others have issued for keys of ours, requests for them, and whom this home believes besides itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0025"
down_revision = "0023"
branch_labels = None
depends_on = None


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "outside_certificates",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("common_name", sa.Text, nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("not_before", moment, nullable=False),
        sa.Column("not_after", moment, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("path", sa.LargeBinary, nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("imported_at", moment, nullable=False),
        sa.Column("imported_by", sa.String(255), nullable=False),
        sa.Column("ended_at", moment),
        sa.PrimaryKeyConstraint("sha256", name="pk_outside_certificates"),
    )
    op.create_index("ix_outside_certificates_not_after", "outside_certificates", ["not_after"])
    op.create_table(
        "trusted_certificates",
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("tree", sa.String(16), nullable=False),
        sa.Column("is_anchor", sa.Boolean, nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("not_after", moment, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("added_at", moment, nullable=False),
        sa.Column("added_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name="pk_trusted_certificates"),
    )
    op.create_table(
        "trust_lists",
        sa.Column("issuer_key", sa.String(64), nullable=False),
        sa.Column("sha256", sa.String(64), nullable=False),
        sa.Column("issuer", sa.Text, nullable=False),
        sa.Column("this_update", moment, nullable=False),
        sa.Column("next_update", moment, nullable=False),
        sa.Column("der", sa.LargeBinary, nullable=False),
        sa.Column("imported_at", moment, nullable=False),
        sa.Column("imported_by", sa.String(255), nullable=False),
        sa.PrimaryKeyConstraint("issuer_key", name="pk_trust_lists"),
    )
    op.create_table(
        "credential_requests",
        sa.Column("name", sa.String(32), nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("subject", sa.Text, nullable=False),
        sa.Column("public_key_der", sa.LargeBinary, nullable=False),
        sa.Column("csr_der", sa.LargeBinary, nullable=False),
        sa.Column("image_sha256", sa.String(64)),
        sa.Column("diameter_mm", sa.Double),
        sa.Column("made_at", moment, nullable=False),
        sa.Column("made_by", sa.String(255), nullable=False),
        sa.Column("answered_at", moment),
        sa.PrimaryKeyConstraint("name", name="pk_credential_requests"),
    )
    op.add_column("credentials", sa.Column("outside_sha256", sa.String(64)))
    with op.batch_alter_table("notices") as notices:
        notices.alter_column("serial", existing_type=sa.String(40), nullable=True)
        notices.add_column(sa.Column("outside_sha256", sa.String(64)))
        notices.create_foreign_key(
            "fk_notices_outside_sha256_outside_certificates", "outside_certificates", ["outside_sha256"], ["sha256"]
        )
        notices.create_unique_constraint("uq_notices_outside_sha256_days", ["outside_sha256", "days"])


def downgrade() -> None:
    op.execute(sa.text("DELETE FROM notices WHERE serial IS NULL"))
    with op.batch_alter_table("notices") as notices:
        notices.drop_constraint("uq_notices_outside_sha256_days", type_="unique")
        notices.drop_constraint("fk_notices_outside_sha256_outside_certificates", type_="foreignkey")
        notices.drop_column("outside_sha256")
        notices.alter_column("serial", existing_type=sa.String(40), nullable=False)
    op.drop_column("credentials", "outside_sha256")
    for table in ("credential_requests", "trust_lists", "trusted_certificates", "outside_certificates"):
        op.drop_table(table)
