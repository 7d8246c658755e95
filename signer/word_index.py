"""The index of words that SQLite searches the register by: any part of a word of three letters or more (FTS5, sqlite.org/fts5.html).

Triggers keep it (migration 0020). PostgreSQL has indexes of its own for the same columns; an SQLite that was built without FTS5 has none,
and reads the register through.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, column, select, table, text
from sqlalchemy.orm import Session

NAME = "documents_words"
_SHORTEST = 3  # the tokenizer `trigram` knows nothing shorter
_TABLE = table(NAME, column("rowid"))
_EXISTS = text(f"SELECT 1 FROM sqlite_master WHERE name = '{NAME}'")  # noqa: S608  a name of ours


class Word(NamedTuple):
    """A folded word that a column must contain."""

    column: str
    text: str


def has_word_index(session: Session) -> bool:
    """Whether there is one."""
    return session.execute(_EXISTS).first() is not None


def divide(words: Iterable[Word]) -> tuple[list[Word], list[Word]]:
    """Those that the index knows, and those that it does not."""
    indexed: list[Word] = []
    short: list[Word] = []
    for word in words:
        (indexed if len(word.text) >= _SHORTEST else short).append(word)
    return indexed, short


def rows_with(words: Sequence[Word]) -> Select[Any]:
    """The documents that contain all of these."""
    # A string between quotation marks, in which only they need care (fts5.html 3.1).
    asked = " AND ".join('{} : "{}"'.format(word.column, word.text.replace('"', '""')) for word in words)
    return select(_TABLE.c.rowid).where(text(f"{NAME} MATCH :words").bindparams(bindparam("words", asked)))
