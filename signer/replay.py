"""Does again, in a restored home, what the audit trail says was done to documents and their numbers after the backup."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from pki.audit import AuditRecord
from signer.consent_tables import ActivationDocumentRow, ActivationRow, SecondFactorRow
from signer.credentials import CONSENT
from signer.documents import OPEN
from signer.lineage import CORRECTED, RECALLED, REPLACED
from signer.numbering import HELD, IN, OUT, USED, VOID, year_of
from signer.office_policy import INCOME
from signer.tables import (
    CredentialRow,
    DocumentRow,
    ImageRow,
    MandateRow,
    NumberRow,
    OutsideCredentialRow,
    PreparedRow,
    StatusChangeRow,
)
from signer.trust_tables import TrustedRow

# Why a number is used of which the register has no document.
RESTORED = "RESTORED"

Deed = Callable[[Session, AuditRecord], bool]


def _reserve(session: Session, act: AuditRecord) -> bool:
    """A number was given. Whether a document bears it nobody knows any more, so it is never given again (ND30 Đ.15)."""
    year, number = map(int, act.subject_id.split("/"))
    row = _number(session, act.details["agency"], year, number, act.details.get("series", OUT))
    if row is None:
        row = _new_number(act, USED)
    if row.document_id is None and row.state != VOID:
        row.state, row.reason = USED, RESTORED
    session.add(row)
    session.flush()
    return True


def _hold(session: Session, act: AuditRecord) -> bool:
    """A clerk put a number aside: it may stand on a paper."""
    year, number = map(int, act.subject_id.split("/"))
    if _number(session, act.details["agency"], year, number, act.details.get("series", OUT)) is None:
        row = _new_number(act, HELD)
        row.purpose = act.details["purpose"]
        session.add(row)
        session.flush()
    return True


def _new_number(act: AuditRecord, state: str) -> NumberRow:
    year, number = map(int, act.subject_id.split("/"))
    series = act.details.get("series", OUT)
    return NumberRow(
        agency=act.details["agency"], year=year, series=series, number=number, state=state, reserved_at=act.time
    )


def _void(session: Session, act: AuditRecord) -> bool:
    """A number became a gap. Without an agency in the row it stays used, which keeps it as well."""
    year, number = map(int, act.subject_id.split("/"))
    row = _number(session, act.details.get("agency", ""), year, number, act.details.get("series", OUT))
    if row is None and "agency" in act.details:
        row = _new_number(act, VOID)  # one that nobody had taken
        session.add(row)
    if row is not None and row.document_id is None:
        row.state, row.reason = "void", act.details["reason"]
        session.flush()
    return True


def _ask_again(session: Session, act: AuditRecord) -> bool:
    """A credential got a second factor, whose secret is lost: it signs with consent only, and so not before it gets another."""
    row = session.get(CredentialRow, act.subject_id)
    if row is None:
        return False
    row.activation = CONSENT
    factor = session.get(SecondFactorRow, act.subject_id)
    if factor is not None:
        session.delete(factor)
    session.flush()
    return True


def _use_again(session: Session, act: AuditRecord) -> bool:
    """A consent was used: it stays used."""
    row = session.get(ActivationDocumentRow, (act.subject_id, act.details["sha256"]))
    activation = session.get(ActivationRow, act.subject_id)
    if row is None or activation is None:
        return False
    if row.used_at is None:
        row.used_at, activation.remaining = act.time, max(0, activation.remaining - 1)
        session.flush()
    return True


def _believe_no_more(session: Session, act: AuditRecord) -> bool:
    """An anchor was taken out of the trust store: a restored home believes it no more than the lost one did."""
    row = session.get(TrustedRow, act.subject_id)
    if row is not None:
        session.delete(row)
        session.flush()
    return True


def _change_status(session: Session, act: AuditRecord) -> bool:
    """A document was recalled, replaced or corrected. By which other one is kept also where the backup does not have that one."""
    row = session.scalar(select(DocumentRow).where(DocumentRow.code == act.subject_id).with_for_update())
    if row is None:
        return False
    status = _STATUSES[act.action]
    by = None if status == RECALLED else act.details["by"]
    if row.status in OPEN and not _is_noted(session, row.id, status, by):
        row.status = status
        change = StatusChangeRow(
            document_id=row.id, status=status, reason=act.details["reason"], actor=act.actor, changed_at=act.time,
            by_code=by,
        )  # fmt: skip
        session.add(change)
        session.flush()
    return True


def _is_noted(session: Session, document_id: int, status: str, by: str | None) -> bool:
    """Whether the backup had the change already: a corrected document stays open, so its status alone does not say."""
    same = select(StatusChangeRow.id).where(
        StatusChangeRow.document_id == document_id, StatusChangeRow.status == status, StatusChangeRow.by_code == by
    )
    return session.scalar(same) is not None


def _end_prepared(session: Session, act: AuditRecord) -> bool:
    """A prepared document was taken up or ended: finished once more, there would be two documents of one code."""
    row = session.get(PreparedRow, act.subject_id, with_for_update=True)
    if row is None:
        return True
    if row.state in ("waiting", "taken"):
        row.state, row.failure, row.ended_at = "cancelled", RESTORED, act.time
        session.flush()
    # Whether it was issued under its number nobody knows any more.
    if (
        act.action == "document.prepare.take"
        and row.number is not None
        and row.number_fresh
        and row.number_day is not None
    ):
        number = _number(session, row.agency, year_of(row.number_day), row.number, IN if row.intent == INCOME else OUT)
        if number is not None and number.state == "reserved":
            number.state, number.reason = "used", RESTORED
            session.flush()
    return True


def _end_credential(session: Session, act: AuditRecord) -> bool:
    """A key elsewhere was lost, or its holder has another office. One that was enrolled after the backup is not there to sign."""
    row = session.get(OutsideCredentialRow, act.subject_id, with_for_update=True)
    if row is not None and row.ended_at is None:
        row.ended_at, row.end_reason = act.time, act.details["reason"]
        session.flush()
    return True


def _end_mandate(session: Session, act: AuditRecord) -> bool:
    row = session.get(MandateRow, int(act.subject_id), with_for_update=True)
    if row is not None and row.ended_at is None:
        row.ended_at, row.end_reason = act.time, act.details["reason"]
        session.flush()
    return True


def _end_image(session: Session, act: AuditRecord) -> bool:
    """A seal was replaced, a signature was copied. Of another picture, which has its number only here, nothing was said."""
    row = session.get(ImageRow, int(act.subject_id), with_for_update=True)
    if row is not None and row.ended_at is None and row.sha256 == act.details["sha256"]:
        row.state, row.ended_at, row.end_reason = "ended", act.time, act.details["reason"]
        session.flush()
    return True


_STATUSES = {"document.recall": RECALLED, "document.replace": REPLACED, "document.correct": CORRECTED}
# What is done again.
REPLAYED: Mapping[str, Deed] = {
    "number.reserve": _reserve,
    "number.void": _void,
    "number.hold": _hold,
    "credential.end": _end_credential,
    "mandate.end": _end_mandate,
    "image.end": _end_image,
    **dict.fromkeys(_STATUSES, _change_status),
    "trust.remove": _believe_no_more,
    "credential.factor": _ask_again,
    "activation.use": _use_again,
    **dict.fromkeys(("document.prepare.take", "document.prepare.cancel", "document.prepare.expire"), _end_prepared),
}
# What cannot be: a signed, extended or prepared file that was stored after the backup, a key or certificate that was made after it.
LOST = frozenset(
    {
        "document.sign",
        "document.extend",
        "document.prepare",
        "credential.create",
        "credential.renew",
        "credential.enrol",
        "mandate.add",
        "image.add",
        "image.found",
        "image.approve",
        "batch.add",
        "credential.request",
        "credential.import",
        "trust.add",
        "trust.authority",
        "trust.list",
        "trust.import",
        "credential.standing",
        "activation.give",
    }
)
# What leaves nothing behind but its row. A level that waits in the backup is tried for again, and ends as it ended. Of a batch that waits
# in it nothing more is signed, whether or not it was called off: its files are in no backup, or they could be signed a second time.
TRACELESS = frozenset(
    {
        "document.sign.intent", "document.sign.fail", "document.extend.done", "document.extend.close", "file.upgrade",
        "batch.cancel", "activation.refuse", "document.print", "trust.export",
    }
)  # fmt: skip


def _number(session: Session, agency: str, year: int, number: int, series: str) -> NumberRow | None:
    mine = (NumberRow.agency == agency, NumberRow.year == year, NumberRow.series == series, NumberRow.number == number)
    return session.scalars(select(NumberRow).where(*mine)).one_or_none()
