"""The register of signed documents: record, code, status, and what was done to each (văn bản đi)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple, cast

from sqlalchemy import Connection, CursorResult, Table, bindparam, exists, func, insert, or_, select, update
from sqlalchemy.orm import Session

from signer.codes import is_mistyped, new_code, parse_code
from signer.errors import UsageWrong
from signer.level_requests import LevelRequest, waiting_requests
from signer.search_words import search_words
from signer.tables import DocumentRow, PreparedRow, SigningActRow

IN_FORCE = "in-force"
# What takes signatures and can be recalled. A corrected document is read together with its correction, and stays in force (ND30 Đ.18).
OPEN = (IN_FORCE, "corrected")

# The statements of the signing cycle, made once: building one anew costs more than running it. intents.py joins them.
DOCUMENTS = cast("Table", DocumentRow.__table__)
ACTS = cast("Table", SigningActRow.__table__)
_INSERT_DOCUMENT = insert(DOCUMENTS).returning(DOCUMENTS.c.id)
_INSERT_ACT = insert(ACTS).returning(ACTS.c.id)
FINISH_ACT = (
    update(ACTS)
    # A recall between intent and result wins: the signature that it overtook never becomes one.
    .where(
        ACTS.c.id == bindparam("act"),
        # Written out: a list is written anew each time the statement is run.
        select(DOCUMENTS.c.id)
        .where(DOCUMENTS.c.id == ACTS.c.document_id, or_(*(DOCUMENTS.c.status == status for status in OPEN)))
        .exists(),
    )
    .values(
        state="done",
        output_sha256=bindparam("sha256"),
        output_size=bindparam("size"),
        level=func.coalesce(bindparam("reached", type_=ACTS.c.level.type), ACTS.c.level),
        extended_sha256=bindparam("extended_sha256"),
        extended_size=bindparam("extended_size"),
        renew_at=bindparam("renew_at", type_=ACTS.c.renew_at.type),
        finished_at=bindparam("finished"),
    )
)
# An extended file holds the signed revision: of the two it is the one that is kept.
_STORED = func.coalesce(SigningActRow.extended_sha256, SigningActRow.output_sha256)
FIND_BY_REVISIONS = (
    select(DOCUMENTS.c.id, DOCUMENTS.c.code, DOCUMENTS.c.status, DOCUMENTS.c.number)
    .join(ACTS, ACTS.c.document_id == DOCUMENTS.c.id)
    .where(ACTS.c.output_sha256.in_(bindparam("sha256s", expanding=True)), ACTS.c.state == "done")
    .order_by(ACTS.c.id)
    .limit(1)
)


@dataclass(frozen=True)
class SigningAct:
    """One use of a credential, or of a certificate from outside (then `credential` is None), on a document. `state`: intent, done, failed.

    `output_sha256` is the signed revision; a file whose level needed more goes on behind it (`extended_sha256`). `level` is what was
    asked for while the act is an intent, and what was reached once it is done.
    """

    id: int
    state: str
    credential: str | None
    intent: str
    level: str
    field: str
    certificate_serial: str
    output_sha256: str | None
    output_size: int | None
    actor: str
    claimed_time: datetime
    failure: str | None
    extended_sha256: str | None = None
    input_sha256: str = ""
    # What it was told by its intent (particulars.py).
    particulars: dict[str, str] | None = None

    @property
    def signed_by(self) -> str:
        """The credential, or the serial of the certificate from outside, as people are told."""
        return self.credential or self.certificate_serial

    @property
    def sha256(self) -> str | None:
        """The file that came of it."""
        return self.extended_sha256 or self.output_sha256


@dataclass(frozen=True)
class Reached:
    """What became of a level at once: the file's level, the whole file where it goes on behind the signed revision, its renewal."""

    level: str | None = None
    extended_sha256: str | None = None
    extended_size: int | None = None
    renew_at: datetime | None = None


NOTHING_MORE = Reached()


@dataclass(frozen=True)
class Document:
    """A document of the register. `number` and `issued_at` are None until an agency's seal has issued it.

    `pending` is a level that was asked for and is still to be reached.
    """

    code: str
    status: str
    agency: str
    name: str
    subject: str
    number: int | None
    number_year: int | None
    notation: str | None
    details: dict[str, Any]
    created_at: datetime
    issued_at: datetime | None
    acts: tuple[SigningAct, ...]
    pending: LevelRequest | None = None

    @property
    def issued(self) -> bool:
        """Whether the agency's seal is on it; a document that only a person has signed is none yet (ND30 Đ.32)."""
        return self.issued_at is not None

    @property
    def sha256(self) -> str | None:
        """The newest finished file."""
        return next((act.sha256 for act in reversed(self.acts) if act.state == "done"), None)


@dataclass(frozen=True)
class ActIntent:
    """What is about to be signed, as the intent row keeps it. Digests in lower-case hex."""

    credential: str | None
    intent: str
    level: str
    field: str
    certificate_serial: str
    digest_algorithm: str
    digest: str
    input_sha256: str
    actor: str
    claimed_time: datetime
    particulars: dict[str, str] | None = None


def _act(row: SigningActRow) -> SigningAct:
    return SigningAct(
        row.id, row.state, row.credential, row.intent, row.level, row.field, row.certificate_serial, row.output_sha256,
        row.output_size, row.actor, row.claimed_time, row.failure, row.extended_sha256, row.input_sha256,
        row.particulars,
    )  # fmt: skip


def _document(session: Session, row: DocumentRow) -> Document:
    return documents_of(session, [row])[0]


def documents_of(session: Session, rows: Sequence[DocumentRow]) -> list[Document]:
    """The documents of whole rows, in their order, for queries of this package; their acts are asked for once."""
    acts: dict[int, list[SigningActRow]] = {row.id: [] for row in rows}
    done = select(SigningActRow).where(SigningActRow.document_id.in_(acts)).order_by(SigningActRow.id)
    for act in session.scalars(done):
        acts[act.document_id].append(act)
    waiting = waiting_requests(session, acts)
    return [_read(row, acts[row.id], waiting.get(row.id)) for row in rows]


def _read(row: DocumentRow, acts: Sequence[SigningActRow], waiting: LevelRequest | None) -> Document:
    return Document(
        row.code, row.status, row.agency, row.name, row.subject, row.number, row.number_year, row.notation,
        row.details, row.created_at, row.issued_at, tuple(_act(each) for each in acts), waiting,
    )  # fmt: skip


class Registered(NamedTuple):
    """A document that the register knows, as it stands. `number` None: no agency has sealed it yet."""

    id: int
    code: str
    status: str
    number: int | None = None


def find_by_revisions(session: Session | Connection, sha256s: Sequence[str]) -> Registered | None:
    """The document one of whose finished revisions has one of these digests."""
    found = session.execute(FIND_BY_REVISIONS, {"sha256s": list(sha256s)}).one_or_none()
    return None if found is None else Registered(*found)


def find_by_code(session: Session | Connection, code: str) -> Registered | None:
    """The document of a code, finished or not."""
    row = session.execute(
        select(DOCUMENTS.c.id, DOCUMENTS.c.code, DOCUMENTS.c.status, DOCUMENTS.c.number).where(DOCUMENTS.c.code == code)
    ).one_or_none()
    return None if row is None else Registered(*row)


@dataclass(frozen=True)
class IssueFacts:
    """What the register knows of a document that is about to be issued; empty for one it does not know."""

    number: int | None = None
    issued_at: datetime | None = None
    details: dict[str, Any] = field(default_factory=dict)


def issue_facts(session: Session, sha256s: Sequence[str]) -> IssueFacts:
    """The number, day and metadata of the document one of whose finished revisions has one of these digests."""
    found = find_by_revisions(session, sha256s)
    if found is None:
        return IssueFacts()
    row = session.get_one(DocumentRow, found[0])
    return IssueFacts(row.number, row.issued_at, dict(row.details))


def known_form(typed: str) -> str:
    """The code that a person typed; UsageWrong that says what is wrong with it."""
    code = parse_code(typed)
    if code is not None:
        return code
    if is_mistyped(typed):
        raise UsageWrong("CODE_MISTYPED", typed=typed[:40])
    raise UsageWrong("CODE_MALFORMED", typed=typed[:40])


def document_by_code(session: Session, typed: str) -> Document:
    """The document of a code as a person types it; UsageWrong CODE_MALFORMED, CODE_MISTYPED or CODE_NOT_FOUND."""
    code = known_form(typed)
    row = session.scalar(select(DocumentRow).where(DocumentRow.code == code))
    if row is None:
        raise UsageWrong("CODE_NOT_FOUND", typed=typed[:40])
    return _document(session, row)


def find_signed(session: Session, input_sha256: str, credential: str, actor: str, since: datetime) -> Document | None:
    """The document that an actor signed from these bytes with this credential, finished after a moment; the newest such."""
    row = session.scalar(
        select(DocumentRow)
        .join(SigningActRow, SigningActRow.document_id == DocumentRow.id)
        .where(
            SigningActRow.input_sha256 == input_sha256,
            SigningActRow.credential == credential,
            SigningActRow.actor == actor,
            SigningActRow.state == "done",
            SigningActRow.finished_at >= since,
        )
        .order_by(SigningActRow.id.desc())
        .limit(1)
    )
    return None if row is None else _document(session, row)


def list_documents(session: Session, limit: int = 1000) -> list[Document]:
    """The newest documents first."""
    return documents_of(
        session, session.scalars(select(DocumentRow).order_by(DocumentRow.id.desc()).limit(limit)).all()
    )


def open_document(
    session: Session, *, agency: str, name: str, details: dict[str, Any], now: datetime, code: str | None = None
) -> tuple[int, str]:
    """A new record; its id and its fresh code, which every later signature keeps."""
    values = document_values(agency=agency, name=name, details=details, now=now, code=code)
    return session.execute(_INSERT_DOCUMENT, values).scalar_one(), values["code"]


def document_values(
    *, agency: str, name: str, details: dict[str, Any], now: datetime, code: str | None = None
) -> dict[str, Any]:
    """The row of a new document, with a fresh code unless one was promised."""
    name = storable(name)[:255]
    return {
        "code": code or new_code(),
        "status": IN_FORCE,
        "agency": agency,
        "name": name,
        "subject": str(details.get("Subject", "")),
        "notation": details.get("CodeNotation"),
        "details": details,
        "created_at": now,
        "dated_at": now,
        **search_words(agency, name, details),
    }


def mark_issued(session: Session, document_id: int, *, number: int, year: int, now: datetime) -> None:
    """The agency's seal has given the document its number and date."""
    row = session.get_one(DocumentRow, document_id, with_for_update=True)
    row.number, row.number_year, row.issued_at = number, year, now
    row.dated_at = now


def merge_details(session: Session, document_id: int, details: dict[str, Any]) -> None:
    """What a later signature says about the document is added to what is known."""
    if not details:
        return
    # Two signatures on one document may each add something; the row is locked, so that neither forgets the other's.
    row = session.get_one(DocumentRow, document_id, with_for_update=True)
    row.details = {**row.details, **details}
    row.subject = str(row.details.get("Subject", ""))
    row.notation = row.details.get("CodeNotation")
    words = search_words(row.agency, row.name, row.details)
    row.search_text, row.agency_text = words["search_text"], words["agency_text"]


def storable(text: str) -> str:
    """A name as its file or a stranger's form has it: no database stores half a surrogate pair, and PostgreSQL no U+0000."""
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()


def begin_act(session: Session | Connection, document_id: int, intent: ActIntent) -> int:
    """Store what is about to be signed; the act's id."""
    act_id: int = session.execute(_INSERT_ACT, {"document_id": document_id, **act_values(intent)}).scalar_one()
    return act_id


def act_values(intent: ActIntent) -> dict[str, Any]:
    """The row of an intent, but for its document."""
    return {"state": "intent", **vars(intent), "field": storable(intent.field)}


def finish_act(
    session: Session | Connection, act_id: int, *, output_sha256: str, output_size: int, now: datetime,
    reached: Reached = NOTHING_MORE,
) -> bool:  # fmt: skip
    """The signature exists, was checked and is stored. False when its document went out of force meanwhile: then it does not count."""
    values = finish_values(act_id, output_sha256=output_sha256, output_size=output_size, now=now, reached=reached)
    done = cast("CursorResult[Any]", session.execute(FINISH_ACT, values))
    return done.rowcount == 1


def finish_values(
    act_id: int, *, output_sha256: str, output_size: int, now: datetime, reached: Reached = NOTHING_MORE
) -> dict[str, Any]:
    """What FINISH_ACT is run with."""
    return {
        "act": act_id, "sha256": output_sha256, "size": output_size, "finished": now, "reached": reached.level,
        "extended_sha256": reached.extended_sha256, "extended_size": reached.extended_size,
        "renew_at": reached.renew_at,
    }  # fmt: skip


def fail_act(session: Session, act_id: int, *, failure: str, now: datetime) -> bool:
    """No signature left the house for this intent. False when it is done after all: the answer to the commit was lost on its way."""
    row = session.get_one(SigningActRow, act_id, with_for_update=True)
    if row.state != "intent":
        return False
    row.state, row.failure, row.finished_at = "failed", failure, now
    return True


def open_intents(session: Session, before: datetime) -> list[SigningAct]:
    """Acts that began before a moment and never ended: a process died between intent and result."""
    # A prepared document claims the time at which it was prepared: that somebody is at work on it, says when it was taken up.
    at_work = exists().where(PreparedRow.act_id == SigningActRow.id, PreparedRow.taken_at >= before)
    rows = session.scalars(
        select(SigningActRow).where(SigningActRow.state == "intent", SigningActRow.claimed_time < before, ~at_work)
    )
    return [_act(row) for row in rows]


def finished_revisions(session: Session) -> list[tuple[str, str]]:
    """Code and SHA-256 of every file that was signed and stored."""
    rows = session.execute(
        select(DocumentRow.code, _STORED)
        .join(SigningActRow, SigningActRow.document_id == DocumentRow.id)
        .where(SigningActRow.state == "done", SigningActRow.output_sha256.is_not(None))
        .order_by(SigningActRow.id)
    )
    return [(code, sha256) for code, sha256 in rows if sha256 is not None]


def stored_revisions(session: Session) -> Iterator[str]:
    """The SHA-256 of every file that was signed and stored, or waits for its signature, some at a time."""
    done = select(_STORED).where(SigningActRow.state == "done", SigningActRow.output_sha256.is_not(None))
    open_ones = select(PreparedRow.blob_sha256).where(PreparedRow.state.in_(("waiting", "taken")))
    for (sha256,) in session.execute(done.union_all(open_ones).execution_options(yield_per=1000)):
        yield str(sha256)
