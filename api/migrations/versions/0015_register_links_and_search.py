"""Documents of the register are linked to those that replace or correct them, and found by their words, agency, number and day."""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_BATCH = 1000
_DEFAULTS = {"dated_at": "1970-01-01 00:00:00.000000", "search_text": "", "agency_text": ""}
_ORDERED = ("number", "status", "dated_at")
_SEARCHED = ("search_text", "agency_text")


def upgrade() -> None:
    op.add_column("document_status_changes", sa.Column("by_code", sa.String(20)))
    op.create_index("ix_document_status_changes_by_code", "document_status_changes", ["by_code"])
    kinds = {"dated_at": sa.DateTime(timezone=True)}
    for name, default in _DEFAULTS.items():
        op.add_column("documents", sa.Column(name, kinds.get(name, sa.Text), nullable=False, server_default=default))
    connection = op.get_bind()
    connection.execute(sa.text("UPDATE documents SET dated_at = coalesce(issued_at, created_at)"))
    _fill(connection)
    for name in _ORDERED:
        op.create_index(f"ix_documents_{name}_id", "documents", [name, "id"])
    if connection.dialect.name == "postgresql":
        # The extension is there since 0008.
        for name in _SEARCHED:
            op.create_index(
                f"ix_documents_{name}_trigrams", "documents", [name], postgresql_using="gin",
                postgresql_ops={name: "gin_trgm_ops"},
            )  # fmt: skip


def _fill(connection: sa.Connection) -> None:
    columns = ("id", "agency", "name", "details", "search_text", "agency_text")
    documents = sa.table("documents", *(sa.column(name) for name in columns))
    last = 0
    while True:
        query = sa.select(documents.c.id, documents.c.agency, documents.c.name, documents.c.details)
        rows = connection.execute(query.where(documents.c.id > last).order_by(documents.c.id).limit(_BATCH)).all()
        if not rows:
            return
        last = rows[-1].id
        change = documents.update().where(documents.c.id == sa.bindparam("wanted"))
        connection.execute(
            change.values(search_text=sa.bindparam("words"), agency_text=sa.bindparam("agencies")),
            [{"wanted": row.id, **_words(row)} for row in rows],
        )


def _words(row: Any) -> dict[str, str]:
    # As signer.search_words was when this revision was written.
    details = json.loads(row.details) if isinstance(row.details, str) else row.details
    return {
        "words": _fold(" ".join((row.name, *_texts(details)))),
        "agencies": _fold(f"{row.agency} {details.get('OrganName', '')}"),
    }


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            yield from _texts(inner)
    else:
        yield str(value)


def _fold(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text.casefold().replace("đ", "d"))
    return unicodedata.normalize("NFC", "".join(c for c in decomposed if not unicodedata.combining(c)))


def downgrade() -> None:
    if op.get_bind().dialect.name == "postgresql":
        for name in _SEARCHED:
            op.drop_index(f"ix_documents_{name}_trigrams", "documents")
    for name in _ORDERED:
        op.drop_index(f"ix_documents_{name}_id", "documents")
    for name in _DEFAULTS:
        op.drop_column("documents", name)
    op.drop_index("ix_document_status_changes_by_code", "document_status_changes")
    op.drop_column("document_status_changes", "by_code")
