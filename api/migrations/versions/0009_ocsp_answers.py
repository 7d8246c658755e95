"""OCSP answers that are signed before they are asked for."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "ocsp_answers",
        sa.Column("id", _SEQUENCE, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(8), nullable=False),
        sa.Column("responder", sa.String(40), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revoked_at", moment),
        sa.Column("revocation_reason", sa.String(32)),
        sa.Column("suspect_since", moment),
        sa.Column("this_update", moment, nullable=False),
        sa.Column("next_update", moment, nullable=False),
        sa.Column("response_data", sa.LargeBinary, nullable=False),
        sa.Column("signature", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_ocsp_answers"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name="fk_ocsp_answers_serial_certificates"),
        sa.ForeignKeyConstraint(["responder"], ["certificates.serial"], name="fk_ocsp_answers_responder_certificates"),
    )
    op.create_index("ix_ocsp_answers_serial_digest_this_update", "ocsp_answers", ["serial", "digest", "this_update"])
    op.create_table(
        "ocsp_current",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("digest", sa.String(8), nullable=False),
        sa.Column("answer", _SEQUENCE, nullable=False),
        sa.Column("refresh_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("serial", "digest", name="pk_ocsp_current"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name="fk_ocsp_current_serial_certificates"),
        sa.ForeignKeyConstraint(["answer"], ["ocsp_answers.id"], name="fk_ocsp_current_answer_ocsp_answers"),
    )
    op.create_index("ix_ocsp_current_refresh_at", "ocsp_current", ["refresh_at"])


def downgrade() -> None:
    op.drop_table("ocsp_current")
    op.drop_table("ocsp_answers")
