"""The rows of a signature on a document of its own, in as few statements as the database can do them in.

To PostgreSQL document, act and audit row go as one statement, and the result with its audit row as another: each crossing costs a
service nearly as much as a signature does, and the statements of several documents cross together. SQLite, which is asked without
crossing anything, is told one after the other. Other signatures than these are told by documents.py.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from sqlalchemy import CTE, ColumnElement, Connection, String, Table, bindparam, exists, insert, select
from sqlalchemy import cast as sql_cast
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import connection_of
from certs.in_force import all_in_force, keep_in_force
from certs.inventory import of_serials
from certs.prepared import Prepared, sent_together
from pki.audit import Actor, append, appended_by, audit_refusals, audit_values
from signer.credentials import STANDING
from signer.documents import (
    ACTS,
    DOCUMENTS,
    FINISH_ACT,
    IN_FORCE,
    NOTHING_MORE,
    ActIntent,
    Reached,
    Registered,
    act_values,
    document_values,
    finish_values,
)
from signer.tables import CredentialRow

_BEGIN_AUDITED = "document.sign.intent"
_FINISH_AUDITED = "document.sign"
_DOCUMENT_COLUMNS = (
    "code", "status", "agency", "name", "subject", "notation", "details", "created_at", "dated_at", "search_text", "agency_text",
)  # fmt: skip
_ACT_COLUMNS = (
    "state", "credential", "intent", "level", "field", "certificate_serial", "digest_algorithm", "digest", "input_sha256",
    "actor", "claimed_time", "particulars",
)  # fmt: skip


# SQLite's.
_CREDENTIALS = cast("Table", CredentialRow.__table__)
_KNOWN = Prepared(
    select(ACTS.c.id).where(ACTS.c.output_sha256 == bindparam("act_input_sha256"), ACTS.c.state == "done")
)
_INSERT_DOCUMENT = Prepared(
    insert(DOCUMENTS).values({name: bindparam(name) for name in _DOCUMENT_COLUMNS}).returning(DOCUMENTS.c.id)
)
_INSERT_ACT = Prepared(
    insert(ACTS).values({name: bindparam(name) for name in ("document_id", *_ACT_COLUMNS)}).returning(ACTS.c.id)
)
_FINISH_ALONE = Prepared(FINISH_ACT.returning(ACTS.c.id))


def _given(table: Table, prefix: str, columns: tuple[str, ...]) -> list[Any]:
    return [bindparam(f"{prefix}_{name}", type_=table.c[name].type) for name in columns]


def _prefixed(prefix: str, values: dict[str, Any]) -> dict[str, Any]:
    return {f"{prefix}_{name}": value for name, value in values.items()}


def _opened(*conditions: ColumnElement[bool]) -> CTE:
    """A new document, unless the register knows the file: then no row, and nothing that follows happens either."""
    known = exists().where(ACTS.c.output_sha256 == bindparam("act_input_sha256"), ACTS.c.state == "done")
    row = select(*_given(DOCUMENTS, "document", _DOCUMENT_COLUMNS)).where(~known, *conditions)
    return insert(DOCUMENTS).from_select(list(_DOCUMENT_COLUMNS), row).returning(DOCUMENTS.c.id).cte("opened")


def _begin(*conditions: ColumnElement[bool]) -> Prepared:
    opened = _opened(*conditions)
    row = select(opened.c.id, *_given(ACTS, "act", _ACT_COLUMNS))
    begun = insert(ACTS).from_select(["document_id", *_ACT_COLUMNS], row)
    rows = begun.returning(ACTS.c.id, ACTS.c.document_id).cte("begun")
    return Prepared(select(rows.c.document_id, rows.c.id).add_cte(*appended_by(rows, sql_cast(rows.c.id, String))))


@functools.cache
def _begin_in_force(count: int) -> Prepared:
    # It may have been looked up before a consent was asked for (activation.py): that is used by other statements.
    activation = select(_CREDENTIALS.c.activation).where(_CREDENTIALS.c.name == bindparam("act_credential"))
    return _begin(all_in_force(count), activation.scalar_subquery() == STANDING)


_BEGIN = _begin()
_DONE = FINISH_ACT.returning(ACTS.c.id).cte("done")
_FINISH = Prepared(select(_DONE.c.id).add_cte(*appended_by(_DONE)))


@dataclass(frozen=True)
class Opening:
    """A document to be opened for a file without earlier signatures, and what is about to be signed on it.

    `facts`: who signs, for the audit row. `code`: one that was promised to somebody before.
    """

    intent: ActIntent
    agency: str
    name: str
    details: dict[str, Any]
    facts: dict[str, str]
    code: str | None = None

    def document_values(self) -> dict[str, Any]:
        """The document's row."""
        return document_values(
            agency=self.agency, name=self.name, details=self.details, now=self.intent.claimed_time, code=self.code
        )

    def audited(self) -> dict[str, str]:
        """What the audit row says."""
        return self.facts | {"digest": self.intent.digest}


@dataclass(frozen=True)
class Finishing:
    """An act whose signature exists, was checked and is stored. `facts`: who signed, for the audit row."""

    document: Registered
    act: int
    facts: dict[str, str]
    output_sha256: str
    output_size: int
    now: datetime
    reached: Reached = NOTHING_MORE

    def values(self) -> dict[str, Any]:
        """The act's row."""
        return finish_values(
            self.act, output_sha256=self.output_sha256, output_size=self.output_size, now=self.now, reached=self.reached
        )

    def audited(self) -> dict[str, str]:
        """What the audit row says."""
        return self.facts | {"sha256": self.reached.extended_sha256 or self.output_sha256}


def begin_fresh(
    within: Session | Connection, clock: Clock, actor: Actor, openings: Sequence[Opening]
) -> list[tuple[Registered, int] | None]:
    """Open a document for each and store what is about to be signed: the document, the act's id.

    None, and nothing stored, for one whose file the register knows after all.
    """
    connection = connection_of(within)
    if connection.dialect.name != "postgresql":
        return [_begin_near(connection, clock, actor, opening) for opening in openings]
    rows_of = [opening.document_values() for opening in openings]
    many = [
        _prefixed("document", row) | _prefixed("act", act_values(opening.intent))
        | audit_values(clock, actor, _BEGIN_AUDITED, "act", **opening.audited())
        for row, opening in zip(rows_of, openings, strict=True)
    ]  # fmt: skip
    with audit_refusals():
        came = _BEGIN.run_each(connection, many)
    return [
        (Registered(rows[0][0], row["code"], IN_FORCE), rows[0][1]) if rows else None
        for row, rows in zip(rows_of, came, strict=True)
    ]


def _begin_near(connection: Connection, clock: Clock, actor: Actor, opening: Opening) -> tuple[Registered, int] | None:
    row, act_row = opening.document_values(), act_values(opening.intent)
    if _KNOWN.run(connection, _prefixed("act", act_row)):
        return None
    ((document_id,),) = _INSERT_DOCUMENT.run(connection, row)
    ((act,),) = _INSERT_ACT.run(connection, {"document_id": document_id, **act_row})
    append(connection, clock, actor, _BEGIN_AUDITED, "act", str(act), **opening.audited())
    return Registered(document_id, row["code"], IN_FORCE), act


def begin_in_force(
    connection: Connection, clock: Clock, actor: Actor, opening: Opening, serials: Sequence[str]
) -> tuple[Registered, int] | None:
    """On PostgreSQL `begin_fresh` of one and the question whether these certificates are in force, in one crossing (`Database.at_once`).

    None, and nothing stored, also when one of them is not, or the credential signs with consent only.
    """
    row = opening.document_values()
    values = _prefixed("document", row) | _prefixed("act", act_values(opening.intent))
    values |= audit_values(clock, actor, _BEGIN_AUDITED, "act", **opening.audited())
    values |= {**of_serials(serials), "standing_at": clock.now()}
    with audit_refusals(), sent_together(connection):
        # Whoever revokes one of them waits for us, or has come before: then the second statement sees it.
        keep_in_force(connection, serials)
        result = _begin_in_force(len(serials)).queue(connection, values, 1)
    rows = result()
    return (Registered(rows[0][0], row["code"], IN_FORCE), rows[0][1]) if rows else None


def finish_fresh(connection: Connection, clock: Clock, actor: Actor, finishings: Sequence[Finishing]) -> list[bool]:
    """Store each result with its audit row.

    False, and nothing changed, for one whose document went out of force meanwhile.
    """
    if connection.dialect.name == "postgresql":
        many = [
            each.values()
            | audit_values(clock, actor, _FINISH_AUDITED, "document", each.document.code, **each.audited())
            for each in finishings
        ]
        with audit_refusals():
            return [bool(rows) for rows in _FINISH.run_each(connection, many)]
    done = []
    for each in finishings:
        done.append(bool(_FINISH_ALONE.run(connection, each.values())))
        if done[-1]:
            append(connection, clock, actor, _FINISH_AUDITED, "document", each.document.code, **each.audited())
    return done
