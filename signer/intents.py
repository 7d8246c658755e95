"""The rows of a signature on a document of its own, in as few statements as the database can do them in.

To PostgreSQL document, act and audit row go as one statement, and the result with its audit row as another: each crossing
costs a service nearly as much as a signature does. SQLite, which is asked without crossing anything, is told one after the
other. Other signatures than these are told by documents.py.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
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


def begin_fresh(
    within: Session | Connection, clock: Clock, actor: Actor, intent: ActIntent, *, agency: str, name: str,
    details: dict[str, Any], facts: dict[str, str], code: str | None = None,
) -> tuple[Registered, int] | None:  # fmt: skip
    """Open a document for a file without earlier signatures and store what is about to be signed; the document, the act's id.

    None, and nothing stored, when the register knows the file after all. `facts`: who signs, for the audit row. `code`: one that
    was promised to somebody before.
    """
    facts = facts | {"digest": intent.digest}
    connection = connection_of(within)
    opening = document_values(agency=agency, name=name, details=details, now=intent.claimed_time, code=code)
    values = _prefixed("document", opening) | _prefixed("act", act_values(intent))
    if connection.dialect.name != "postgresql":
        if _KNOWN.run(connection, values):
            return None
        ((document_id,),) = _INSERT_DOCUMENT.run(connection, opening)
        ((act,),) = _INSERT_ACT.run(connection, {"document_id": document_id, **act_values(intent)})
        append(connection, clock, actor, _BEGIN_AUDITED, "act", str(act), **facts)
        return Registered(document_id, opening["code"], IN_FORCE), act
    values |= audit_values(clock, actor, _BEGIN_AUDITED, "act", **facts)
    with audit_refusals():
        rows = _BEGIN.run(connection, values)
    return (Registered(rows[0][0], opening["code"], IN_FORCE), rows[0][1]) if rows else None


def begin_in_force(
    connection: Connection, clock: Clock, actor: Actor, intent: ActIntent, *, agency: str, name: str,
    details: dict[str, Any], facts: dict[str, str], serials: Sequence[str],
) -> tuple[Registered, int] | None:  # fmt: skip
    """On PostgreSQL `begin_fresh` and the question whether these certificates are in force, in one crossing (`Database.at_once`).

    None, and nothing stored, also when one of them is not, or the credential signs with consent only.
    """
    opening = document_values(agency=agency, name=name, details=details, now=intent.claimed_time)
    values = _prefixed("document", opening) | _prefixed("act", act_values(intent))
    values |= audit_values(clock, actor, _BEGIN_AUDITED, "act", **facts, digest=intent.digest)
    values |= {**of_serials(serials), "standing_at": clock.now()}
    with audit_refusals(), sent_together(connection):
        # Whoever revokes one of them waits for us, or has come before: then the second statement sees it.
        keep_in_force(connection, serials)
        result = _begin_in_force(len(serials)).queue(connection, values, 1)
    rows = result()
    return (Registered(rows[0][0], opening["code"], IN_FORCE), rows[0][1]) if rows else None


def finish_fresh(
    connection: Connection, clock: Clock, actor: Actor, document: Registered, act: int, facts: dict[str, str],
    *, output_sha256: str, output_size: int, now: datetime, reached: Reached = NOTHING_MORE,
) -> bool:  # fmt: skip
    """The signature exists, was checked and is stored: with its audit row.

    False, and nothing changed, when its document went out of force meanwhile.
    """
    facts = facts | {"sha256": reached.extended_sha256 or output_sha256}
    values = finish_values(act, output_sha256=output_sha256, output_size=output_size, now=now, reached=reached)
    if connection.dialect.name == "postgresql":
        values |= audit_values(clock, actor, _FINISH_AUDITED, "document", document.code, **facts)
        with audit_refusals():
            return bool(_FINISH.run(connection, values))
    if not _FINISH_ALONE.run(connection, values):
        return False
    append(connection, clock, actor, _FINISH_AUDITED, "document", document.code, **facts)
    return True
