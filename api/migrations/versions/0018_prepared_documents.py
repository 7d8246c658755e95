"""Prepared documents wait for their signature in a table, and a signing act may be with a certificate from outside."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_NEEDED, _OPTIONAL = "credential VARCHAR(32) NOT NULL", "credential VARCHAR(32)"


def upgrade() -> None:
    _change_acts(_NEEDED, _OPTIONAL, nullable=True)
    moment = sa.DateTime(timezone=True)
    op.create_table(
        "prepared_documents",
        sa.Column("id", sa.String(32), nullable=False),
        sa.Column("state", sa.String(9), nullable=False),
        sa.Column("code", sa.String(20), nullable=False),
        sa.Column("credential", sa.String(32)),
        sa.Column("certificate_serial", sa.String(40), nullable=False),
        sa.Column("certificates", sa.LargeBinary),
        sa.Column("anchors", sa.LargeBinary),
        sa.Column("scheme", sa.String(32), nullable=False),
        sa.Column("subfilter", sa.String(8), nullable=False),
        sa.Column("intent", sa.String(16), nullable=False),
        sa.Column("level", sa.String(8), nullable=False),
        sa.Column("name", sa.String(255), nullable=False),
        sa.Column("details", sa.JSON, nullable=False),
        sa.Column("agency", sa.String(64), nullable=False),
        sa.Column("number", sa.BigInteger),
        sa.Column("number_day", moment),
        sa.Column("number_fresh", sa.Boolean, nullable=False),
        sa.Column("field", sa.Text, nullable=False),
        sa.Column("placed", sa.String(16)),
        sa.Column("filled", sa.JSON, nullable=False),
        sa.Column("input_sha256", sa.String(64), nullable=False),
        sa.Column("input_size", sa.Integer, nullable=False),
        sa.Column("blob_sha256", sa.String(64), nullable=False),
        sa.Column("blob_size", sa.Integer, nullable=False),
        sa.Column("is_kept", sa.Boolean, nullable=False),
        sa.Column("hole_start", sa.Integer, nullable=False),
        sa.Column("hole_end", sa.Integer, nullable=False),
        sa.Column("digest", sa.String(128), nullable=False),
        sa.Column("to_be_signed", sa.LargeBinary, nullable=False),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("claimed_time", moment, nullable=False),
        sa.Column("expires_at", moment, nullable=False),
        sa.Column("taken_at", moment),
        sa.Column("ended_at", moment),
        sa.Column("act_id", sa.Integer),
        sa.Column("failure", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_prepared_documents"),
        sa.ForeignKeyConstraint(
            ["credential"], ["credentials.name"], name="fk_prepared_documents_credential_credentials"
        ),
        sa.ForeignKeyConstraint(["act_id"], ["signing_acts.id"], name="fk_prepared_documents_act_id_signing_acts"),
    )
    op.create_index("ix_prepared_documents_state_expires_at", "prepared_documents", ["state", "expires_at"])
    op.create_index("ix_prepared_documents_act_id", "prepared_documents", ["act_id"])


def downgrade() -> None:
    op.drop_table("prepared_documents")
    _change_acts(_OPTIONAL, _NEEDED, nullable=False)


def _change_acts(old: str, new: str, *, nullable: bool) -> None:
    """Whether an act names a credential. SQLite would copy the table, and cannot drop one that rows elsewhere refer to."""
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":
        op.alter_column("signing_acts", "credential", existing_type=sa.String(32), nullable=nullable)
        return
    if not nullable and connection.scalar(sa.text("SELECT count(*) FROM signing_acts WHERE credential IS NULL")):
        raise RuntimeError("there are signatures with certificates from outside, which an older release cannot hold")
    # What the manual of SQLite allows for a constraint that changes nothing on disk (ALTER TABLE, section 7).
    version = connection.scalar(sa.text("PRAGMA schema_version"))
    connection.execute(sa.text("PRAGMA writable_schema = ON"))
    text = connection.scalar(sa.text("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = 'signing_acts'"))
    if str(text).count(f"{old},") != 1:
        raise RuntimeError("the table of signing acts is not as it was made")
    change = sa.text("UPDATE sqlite_master SET sql = :sql WHERE type = 'table' AND name = 'signing_acts'")
    connection.execute(change, {"sql": str(text).replace(f"{old},", f"{new},")})
    connection.execute(sa.text(f"PRAGMA schema_version = {int(version or 0) + 1}"))
    connection.execute(sa.text("PRAGMA writable_schema = OFF"))
