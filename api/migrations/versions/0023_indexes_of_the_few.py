"""What few certificates have is indexed for these alone, and an identifier is kept once."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0023"
down_revision = "0022"
branch_labels = None
depends_on = None

_CHANGED = sa.text("crl_epoch IS NOT NULL")
_NOT_ACTIVE = sa.text("state <> 'active'")
_EPOCHS, _STATES = "ix_certificates_issuer_crl_epoch", "ix_certificates_state_created_at_serial"


def upgrade() -> None:
    op.drop_index(_EPOCHS, "certificates")
    op.create_index(_EPOCHS, "certificates", ["issuer", "crl_epoch"], sqlite_where=_CHANGED, postgresql_where=_CHANGED)
    op.drop_index(_STATES, "certificates")
    op.create_index(
        _STATES,
        "certificates",
        ["state", "created_at", "serial"],
        sqlite_where=_NOT_ACTIVE,
        postgresql_where=_NOT_ACTIVE,
    )
    _keep_identifiers(("value", "serial"), indexed=False)


def downgrade() -> None:
    _keep_identifiers(("serial", "value"), indexed=True)
    op.drop_index(_STATES, "certificates")
    op.create_index(_STATES, "certificates", ["state", "created_at", "serial"])
    op.drop_index(_EPOCHS, "certificates")
    op.create_index(_EPOCHS, "certificates", ["issuer", "crl_epoch"])


def _keep_identifiers(key: tuple[str, str], *, indexed: bool) -> None:
    """They are looked for by their value alone: in the order of the key no index beside it is wanted."""
    name, before = "certificate_identifiers", "identifiers_of_before"
    if not indexed:
        op.drop_index(f"ix_{name}_value", name)
    op.rename_table(name, before)
    if op.get_bind().dialect.name == "postgresql":
        # Names of constraints go with the table, and the new one has the same.
        op.execute(f"ALTER TABLE {before} DROP CONSTRAINT pk_{name}")
        op.execute(f"ALTER TABLE {before} DROP CONSTRAINT fk_{name}_serial_certificates")
    columns = {
        "serial": sa.Column("serial", sa.String(40), nullable=False),
        "value": sa.Column("value", sa.String(64), nullable=False),
    }
    op.create_table(
        name,
        # In the order of the key: SQLite 3.40 calls a table without row numbers damaged when it is another one (quick_check).
        *(columns[each] for each in key),
        sa.PrimaryKeyConstraint(*key, name=f"pk_{name}"),
        sa.ForeignKeyConstraint(["serial"], ["certificates.serial"], name=f"fk_{name}_serial_certificates"),
        sqlite_with_rowid=False,
    )
    op.execute(f"INSERT INTO {name} (serial, value) SELECT serial, value FROM {before}")  # noqa: S608 fixed names
    op.drop_table(before)
    if indexed:
        op.create_index(f"ix_{name}_value", name, ["value"])
