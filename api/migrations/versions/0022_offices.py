"""Two series of numbers, numbers held by hand, mandates, and what a signature was told by its intent."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None

_BEFORE, _AFTER = "uq_numbers_agency_year_number", "uq_numbers_agency_year_series_number"


def upgrade() -> None:
    moment = sa.DateTime(timezone=True)
    for name in ("signing_acts", "prepared_documents", "batches"):
        op.add_column(name, sa.Column("particulars", sa.JSON))
    with op.batch_alter_table("numbers") as table:
        table.add_column(sa.Column("series", sa.String(3), nullable=False, server_default="out"))
        table.add_column(sa.Column("purpose", sa.String(200)))
        table.drop_constraint(_BEFORE, type_="unique")
        table.create_unique_constraint(_AFTER, ["agency", "year", "series", "number"])
    op.create_table(
        "mandates",
        sa.Column("id", sa.Integer, autoincrement=True, nullable=False),
        sa.Column("credential", sa.String(32), nullable=False),
        sa.Column("form", sa.String(4), nullable=False),
        sa.Column("title", sa.String(100), nullable=False),
        sa.Column("given_by", sa.String(100), nullable=False),
        sa.Column("reference", sa.String(200), nullable=False),
        sa.Column("starts", sa.String(10), nullable=False),
        sa.Column("ends", sa.String(10)),
        sa.Column("ended_at", moment),
        sa.Column("end_reason", sa.String(200)),
        sa.Column("actor", sa.String(255), nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_mandates"),
        sa.ForeignKeyConstraint(["credential"], ["credentials.name"], name="fk_mandates_credential_credentials"),
    )
    op.create_index("ix_mandates_credential", "mandates", ["credential"])


def downgrade() -> None:
    connection = op.get_bind()
    if connection.scalar(sa.text("SELECT count(*) FROM numbers WHERE series <> 'out' OR state = 'held'")):
        raise RuntimeError(
            "there are numbers of arrivals or numbers held by hand, which an older release cannot tell apart"
        )
    op.drop_table("mandates")
    with op.batch_alter_table("numbers") as table:
        table.drop_constraint(_AFTER, type_="unique")
        table.create_unique_constraint(_BEFORE, ["agency", "year", "number"])
        table.drop_column("purpose")
        table.drop_column("series")
    for name in ("batches", "prepared_documents", "signing_acts"):
        op.drop_column(name, "particulars")
