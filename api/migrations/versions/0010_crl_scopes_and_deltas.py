"""CRL scopes and deltas: partitions of an authority, entries kept as DER, long lists in pieces."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

_SEQUENCE = sa.BigInteger().with_variant(sa.Integer, "sqlite")
_TIME = sa.DateTime(timezone=True)
_LISTED = sa.text("state IN ('revoked', 'suspended')")


def upgrade() -> None:
    op.add_column("authorities", sa.Column("crl_partitions", sa.Integer, nullable=False, server_default="0"))
    op.add_column("certificates", sa.Column("crl_shard", sa.Integer))
    op.add_column("certificates", sa.Column("crl_epoch", _SEQUENCE))
    # All that the check of a list reads, and nothing else: rows are long, and a million of them lie far apart.
    op.create_index(
        "ix_certificates_listed",
        "certificates",
        ["issuer", "crl_shard", "serial", "state", "revoked_at", "revocation_reason", "suspect_since", "not_after"],
        sqlite_where=_LISTED,
        postgresql_where=_LISTED,
    )
    op.create_index("ix_certificates_issuer_crl_epoch", "certificates", ["issuer", "crl_epoch"])
    op.add_column("crls", sa.Column("shard", sa.Integer, nullable=False, server_default="0"))
    op.add_column("crls", sa.Column("size", _SEQUENCE))
    op.add_column("crls", sa.Column("delta_der", sa.LargeBinary))
    op.add_column("crls", sa.Column("delta_sha256", sa.String(64)))
    op.add_column("crls", sa.Column("delta_size", _SEQUENCE))
    op.add_column("crls", sa.Column("delta_base", _SEQUENCE))
    op.add_column("crls", sa.Column("delta_next_update", _TIME))
    op.create_index("ix_crls_authority_shard_number", "crls", ["authority", "shard", "number"])
    op.create_table(
        "crl_pieces",
        sa.Column("crl_id", _SEQUENCE, nullable=False),
        sa.Column("is_delta", sa.Boolean, nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("octets", sa.LargeBinary, nullable=False),
        sa.PrimaryKeyConstraint("crl_id", "is_delta", "position", name="pk_crl_pieces"),
        sa.ForeignKeyConstraint(["crl_id"], ["crls.id"], name="fk_crl_pieces_crl_id_crls"),
    )
    op.create_table(
        "crl_entries",
        sa.Column("authority", sa.String(32), nullable=False),
        sa.Column("shard", sa.Integer, nullable=False),
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("entry", sa.LargeBinary, nullable=False),
        sa.Column("is_listed", sa.Boolean, nullable=False),
        sa.Column("is_urgent", sa.Boolean, nullable=False),
        sa.Column("kept_until", _TIME, nullable=False),
        sa.Column("epoch", _SEQUENCE, nullable=False),
        sa.Column("changed_at", _TIME, nullable=False),
        sa.PrimaryKeyConstraint("authority", "shard", "serial", name="pk_crl_entries"),
        sa.ForeignKeyConstraint(["authority"], ["authorities.name"], name="fk_crl_entries_authority_authorities"),
        sqlite_with_rowid=False,  # read in the order of its key, a million rows at a time
    )
    op.create_index("ix_crl_entries_authority_epoch", "crl_entries", ["authority", "epoch"])


def downgrade() -> None:
    op.drop_table("crl_entries")
    op.drop_table("crl_pieces")
    op.drop_index("ix_crls_authority_shard_number", "crls")
    for column in ("shard", "size", "delta_der", "delta_sha256", "delta_size", "delta_base", "delta_next_update"):
        op.drop_column("crls", column)
    op.drop_index("ix_certificates_issuer_crl_epoch", "certificates")
    op.drop_index("ix_certificates_listed", "certificates")
    op.drop_column("certificates", "crl_epoch")
    op.drop_column("certificates", "crl_shard")
    op.drop_column("authorities", "crl_partitions")
