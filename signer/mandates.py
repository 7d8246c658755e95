"""Mandates: by what right and for which days a person signs for another (TM., KT., TL., TUQ., Q.; ND30 Đ.13, PL1 II.7).

Asked at each signature that says in its metadata under which office it stands.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import VIETNAM, Clock
from certs.db import Database
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.credentials import OFFICER, unknown_credential
from signer.errors import Refused, UsageWrong
from signer.metadata import parse_day
from signer.tables import CredentialRow, MandateRow

# Thay mặt, ký thay, thừa lệnh, thừa ủy quyền, quyền.
TM, KT, TL, TUQ, Q = "TM", "KT", "TL", "TUQ", "Q"
FORMS = (TM, KT, TL, TUQ, Q)
_LONGEST = {"title": 100, "given_by": 100, "reference": 200, "reason": 200}
# At the beginning in either case, further on only as it is written: "Q. 1" in the middle is a district.
_FIRST = re.compile(r"(TM|KT|TL|TUQ|Q)\.\s*", re.IGNORECASE)
_NEXT = re.compile(r"(?<!\w)(TM|KT|TL|TUQ)\.\s*")


@dataclass(frozen=True)
class NewMandate:
    """What is to be registered. Days are Vietnam's; `ends` is the last one, None for one without an end."""

    credential: str
    form: str
    title: str
    given_by: str
    reference: str
    starts: str
    ends: str | None = None


@dataclass(frozen=True)
class Mandate:
    """One mandate. `ended_at`: taken back before its last day."""

    id: int
    credential: str
    form: str
    title: str
    given_by: str
    reference: str
    starts: str
    ends: str | None
    ended_at: datetime | None
    end_reason: str | None

    def holds_on(self, day: str) -> bool:
        """Whether it may be signed by on this day; one that was taken back never again."""
        return self.ended_at is None and self.starts <= day and (self.ends is None or day <= self.ends)


def add_mandate(new: NewMandate, actor: Actor, database: Database, clock: Clock) -> Mandate:
    """Register it; UsageWrong for what cannot be meant, Refused for a TUQ. without paper or end (Đ.13.5)."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    form = new.form.upper().rstrip(".")
    if form not in FORMS:
        raise UsageWrong("MANDATE_FORM_UNKNOWN", form=new.form[:20], valid=", ".join(FORMS))
    title, given_by = _text("title", new.title), _text("given_by", new.given_by)
    reference = _text("reference", new.reference) if new.reference else ""
    starts, ends = _day(new.starts), _day(new.ends) if new.ends else None
    if ends is not None and ends < starts:
        raise UsageWrong("MANDATE_ENDS_BEFORE", starts=starts, ends=ends)
    # A delegation is in writing and for a time.
    if form == TUQ and not (reference and ends):
        raise Refused("MANDATE_NEEDS_PAPER", form=form)
    with database.write() as session:
        credential = session.get(CredentialRow, new.credential) if new.credential.isprintable() else None
        if credential is None:
            raise unknown_credential(session, new.credential)
        if credential.role != OFFICER:
            raise Refused("MANDATE_FOR_PERSONS", name=new.credential)
        row = MandateRow(
            credential=new.credential, form=form, title=title, given_by=given_by, reference=reference, starts=starts,
            ends=ends, actor=actor.name, created_at=clock.now(),
        )  # fmt: skip
        session.add(row)
        session.flush()
        append(
            session, clock, actor, "mandate.add", "mandate", str(row.id), credential=new.credential, form=form,
            title=title, given_by=given_by, reference=reference, starts=starts, ends=ends or "",
        )  # fmt: skip
        return _read(row)


def end_mandate(number: int, reason: str, actor: Actor, database: Database, clock: Clock) -> Mandate:
    """Take it back, from now on."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    reason = _text("reason", reason)
    with database.write() as session:
        row = session.get(MandateRow, number, with_for_update=True)
        if row is None:
            raise UsageWrong("MANDATE_UNKNOWN", id=str(number))
        if row.ended_at is not None:
            raise Refused("MANDATE_ENDED_BEFORE", id=str(number))
        row.ended_at, row.end_reason = clock.now(), reason
        append(session, clock, actor, "mandate.end", "mandate", str(number), reason=reason)
        return _read(row)


def list_mandates(session: Session, credential: str | None = None) -> list[Mandate]:
    """The newest first, those that are over too."""
    query = select(MandateRow).order_by(MandateRow.id.desc())
    if credential is not None:
        query = query.where(MandateRow.credential == credential)
    return [_read(row) for row in session.scalars(query)]


def mandates_for(session: Session, credential: str | None, position: str, now: datetime) -> tuple[int, ...]:
    """The mandates that a signer's position, as it is shown, rests on; Refused for the first that he has not today.

    A position without such a word is the signer's own and rests on none.
    """
    claimed = claimed_mandates(position)
    if not claimed:
        return ()
    held = list_mandates(session, credential) if credential is not None else []
    day = now.astimezone(VIETNAM).date().isoformat()
    return tuple(_resting_on(form, text, held, day, credential or "") for form, text in claimed)


def claimed_mandates(position: str) -> list[tuple[str, str]]:
    """What a position claims: each form, and the words behind it. `TM. ỦY BAN NHÂN DÂN KT. CHỦ TỊCH PHÓ CHỦ TỊCH` claims two."""
    text = " ".join(unicodedata.normalize("NFC", position).split())
    first = _FIRST.match(text)
    if first is None:
        return []
    found = [first, *_NEXT.finditer(text, first.end())]
    ends = [each.start() for each in found[1:]] + [len(text)]
    return [(each[1].upper(), text[each.end() : end].strip()) for each, end in zip(found, ends, strict=True)]


def _resting_on(form: str, text: str, held: list[Mandate], day: str, name: str) -> int:
    of_form = [each for each in held if each.form == form]
    fitting = [each for each in of_form if _begins_with(text, each.title)]
    facts = {"form": form, "title": text, "name": name}
    if not of_form:
        raise Refused("MANDATE_MISSING", **facts)
    if not fitting:
        raise Refused("MANDATE_OF_ANOTHER_TITLE", **facts)
    good = next((each for each in fitting if each.holds_on(day)), None)
    if good is not None:
        return good.id
    newest = fitting[0]
    until = newest.ended_at.astimezone(VIETNAM).date().isoformat() if newest.ended_at else newest.ends or ""
    if newest.ended_at is None and day < newest.starts:
        raise Refused("MANDATE_NOT_BEGUN", **facts, day=newest.starts)
    raise Refused("MANDATE_OVER", **facts, day=until)


def _begins_with(text: str, title: str) -> bool:
    """The office stands first, the signer's own rank may follow: KT. CHỦ TỊCH PHÓ CHỦ TỊCH."""
    said, held = text.casefold(), title.casefold()
    return said == held or said.startswith(f"{held} ")


def _text(what: str, typed: str) -> str:
    text = " ".join(unicodedata.normalize("NFC", typed).split())
    if not text or len(text) > _LONGEST[what] or not text.isprintable():
        raise UsageWrong("CREDENTIAL_TEXT_WRONG", field=what, limit=str(_LONGEST[what]))
    return text


def _day(typed: str) -> str:
    day = parse_day(typed)
    if day is None:
        raise UsageWrong("DAY_MALFORMED", typed=typed[:20])
    return day.isoformat()


def _read(row: MandateRow) -> Mandate:
    return Mandate(
        row.id, row.credential, row.form, row.title, row.given_by, row.reference, row.starts, row.ends, row.ended_at,
        row.end_reason,
    )  # fmt: skip
