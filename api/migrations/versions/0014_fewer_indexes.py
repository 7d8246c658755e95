"""Fewer indexes are kept up at each issuance: those that begin another one go, and what few certificates have is indexed for these."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_GIVEN = sa.text("replaces IS NOT NULL")


def upgrade() -> None:
    # (state, created_at, serial) and (issuer, crl_epoch) answer what these did.
    op.drop_index("ix_certificates_state", "certificates")
    op.drop_index("ix_certificates_issuer", "certificates")
    op.drop_index("ix_certificates_replaces", "certificates")
    op.create_index(
        "ix_certificates_replaces", "certificates", ["replaces"], sqlite_where=_GIVEN, postgresql_where=_GIVEN
    )
    _keep_identifiers(with_rowid=False)


def downgrade() -> None:
    _keep_identifiers(with_rowid=True)
    op.drop_index("ix_certificates_replaces", "certificates")
    op.create_index("ix_certificates_replaces", "certificates", ["replaces"])
    op.create_index("ix_certificates_issuer", "certificates", ["issuer"])
    op.create_index("ix_certificates_state", "certificates", ["state"])


def _keep_identifiers(*, with_rowid: bool) -> None:
    """On SQLite a table with row numbers keeps its key twice."""
    if op.get_bind().dialect.name != "sqlite":
        return
    name = "certificate_identifiers"
    op.drop_index(f"ix_{name}_value", name)
    op.rename_table(name, "identifiers_of_before")
    op.create_table(
        name,
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("serial", "value", name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name=f"fk_{name}_serial_certificates"),
        sqlite_with_rowid=with_rowid,
    )
    op.execute(f"INSERT INTO {name} (serial, value) SELECT serial, value FROM identifiers_of_before")  # noqa: S608 fixed names
    op.drop_table("identifiers_of_before")
    op.create_index(f"ix_{name}_value", name, ["value"])
