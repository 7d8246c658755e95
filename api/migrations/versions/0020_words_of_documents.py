"""SQLite finds documents by any part of a word through an index (FTS5), kept by triggers; PostgreSQL has had one since 0015."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_INDEX = """
CREATE VIRTUAL TABLE documents_words
USING fts5(search_text, agency_text, content = 'documents', content_rowid = 'id', tokenize = 'trigram', columnsize = 0)
"""
# The table keeps no text of its own, so what is taken out of it has to be said once more (sqlite.org/fts5.html 4.4.3).
_OUT = """
INSERT INTO documents_words (documents_words, rowid, search_text, agency_text)
VALUES ('delete', old.id, old.search_text, old.agency_text)
"""
_IN = """
INSERT INTO documents_words (rowid, search_text, agency_text) VALUES (new.id, new.search_text, new.agency_text)
"""
_TRIGGERS = {
    "added": f"AFTER INSERT ON documents BEGIN {_IN}; END",
    "removed": f"AFTER DELETE ON documents BEGIN {_OUT}; END",
    "changed": f"AFTER UPDATE OF id, search_text, agency_text ON documents BEGIN {_OUT}; {_IN}; END",
}


def upgrade() -> None:
    connection = op.get_bind()
    if connection.dialect.name != "sqlite":
        return
    try:
        with connection.begin_nested():
            connection.execute(sa.text(_INDEX))
    except sa.exc.OperationalError:
        return  # built without FTS5, or before 3.34: searching reads the register through
    for name, deed in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER documents_words_{name} {deed}")
    op.execute("INSERT INTO documents_words (documents_words) VALUES ('rebuild')")


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        for name in _TRIGGERS:
            op.execute(f"DROP TRIGGER IF EXISTS documents_words_{name}")
        op.execute("DROP TABLE IF EXISTS documents_words")
