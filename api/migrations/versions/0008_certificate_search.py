"""Certificates are found by any part of a name, by organization and by the numbers of their holders."""

from __future__ import annotations

import re
import unicodedata

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0006"
branch_labels = None
depends_on = None

_BATCH = 1000
_IDENTIFIER = re.compile(r"(?:^|,)(?:UID|serialNumber|organizationIdentifier)=((?:[^,\\]|\\.)*)")


def _fold(text: str) -> str:
    # As certs.inventory.fold was when this revision was written.
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def upgrade() -> None:
    connection = op.get_bind()
    op.add_column("certificates", sa.Column("organization_text", sa.Text, nullable=False, server_default=""))
    op.create_table(
        "certificate_identifiers",
        sa.Column("serial", sa.String(40), nullable=False),
        sa.Column("value", sa.String(64), nullable=False),
        sa.PrimaryKeyConstraint("serial", "value", name="pk_certificate_identifiers"),
        sa.ForeignKeyConstraint(
            ["serial"], ["certificates.serial"], name="fk_certificate_identifiers_serial_certificates"
        ),
    )
    _fill(connection)
    op.create_index("ix_certificate_identifiers_value", "certificate_identifiers", ["value"])
    op.create_index("ix_certificates_created_at_serial", "certificates", ["created_at", "serial"])
    if connection.dialect.name == "postgresql":
        # Trusted since PostgreSQL 13: whoever owns the database may create it.
        op.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
        for column in ("search_text", "organization_text"):
            op.create_index(
                f"ix_certificates_{column}_trigrams", "certificates", [column], postgresql_using="gin",
                postgresql_ops={column: "gin_trgm_ops"},
            )  # fmt: skip


def _fill(connection: sa.Connection) -> None:
    certificates = sa.table(
        "certificates",
        sa.column("serial"),
        sa.column("subject"),
        sa.column("organization"),
        sa.column("organization_text"),
    )
    identifiers = sa.table("certificate_identifiers", sa.column("serial"), sa.column("value"))
    last = ""
    while True:
        query = sa.select(certificates.c.serial, certificates.c.subject, certificates.c.organization)
        rows = connection.execute(
            query.where(certificates.c.serial > last).order_by(certificates.c.serial).limit(_BATCH)
        ).all()
        if not rows:
            return
        last = rows[-1].serial
        change = certificates.update().where(certificates.c.serial == sa.bindparam("wanted"))
        connection.execute(
            change.values(organization_text=sa.bindparam("folded")),
            [{"wanted": row.serial, "folded": _fold(row.organization)} for row in rows],
        )
        found = [
            {"serial": row.serial, "value": value}
            for row in rows
            for value in dict.fromkeys(_IDENTIFIER.findall(row.subject))
        ]
        if found:
            connection.execute(identifiers.insert(), found)


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("ix_certificates_search_text_trigrams", "certificates")
        op.drop_index("ix_certificates_organization_text_trigrams", "certificates")
    op.drop_index("ix_certificates_created_at_serial", "certificates")
    op.drop_table("certificate_identifiers")
    op.drop_column("certificates", "organization_text")
