"""A certificate at a time of the past as everybody may see it: what was true then, what is known today, and the lists that prove it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta

from api.past_report import crl_file
from api.web.certificate_view import CertificateView
from api.web.text import in_groups
from certs.clock import VIETNAM, for_people
from pki.history import AnswerEvidence, CrlEvidence, History, Past

# What a browser's field for date and time sends, with seconds or without, and a date alone.
_LOCAL = re.compile(r"\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d)?)?")
# RFC 3339, as the command line and the API take it.
_ZONED = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)")
# An intent is nothing that anybody outside could have seen.
_WORDS = {Past.INTENT: Past.NOT_ISSUED}
_TONES = {Past.ACTIVE: "good", Past.REVOKED: "bad", Past.SUSPECT: "bad"}


@dataclass(frozen=True)
class ListLine:
    """One list: where it is, what it says and since when. `label` and `says` are codes."""

    label: str
    name: str
    file: str
    says: str
    since: str
    this_update: str
    next_update: str
    is_in_force: bool
    sha256: str


@dataclass(frozen=True)
class HistoryView:
    """The answer. `word`, `sentence`, `next`, `fallen_word`, `reason`, `known_then` and `answer` are codes; empty: nothing to say."""

    tone: str
    word: str
    sentence: str
    next: str
    fallen_issuer: str
    fallen_word: str
    at: str
    field: str
    since: str
    reason: str
    suspect_since: str
    known_then: str
    lists: tuple[ListLine, ...]
    answer: str
    answer_from: str
    answer_until: str
    answer_sha256: str
    answer_file: str
    gap_from: str
    gap_until: str
    now: CertificateView


def parse_local(text: str, now: datetime) -> datetime | None:
    """A time of a form, meant in Vietnam unless it names its zone; a date alone is its last second, or now on the day itself.

    None for what is no time.
    """
    try:
        if _ZONED.fullmatch(text):
            return datetime.fromisoformat(text).astimezone(UTC)
        if not _LOCAL.fullmatch(text):
            return None
        moment = datetime.fromisoformat(text)
        if len(text) == len("2026-11-21"):
            end = datetime.combine(moment.date(), time(23, 59, 59), VIETNAM)
            return min(end, now) if end - now < timedelta(days=1) else end
        return moment.replace(tzinfo=VIETNAM)
    except (ValueError, OverflowError):
        return None


def view_history(history: History, now: CertificateView) -> HistoryView:
    """`now` is the same certificate as it is today."""
    then, today = history.then, history.today
    # What is known today judges a signature of then; what was known then explains who trusted it.
    state = _WORDS.get(today.state, today.state)
    fallen = history.fallen_issuer
    # What was in force under an authority that was not, was worth nothing.
    judged = "issuer" if state is Past.ACTIVE and fallen is not None else state.value
    if history.lost is not None and today.state is Past.INTENT:
        # The trail tells that it was begun and not that it was finished. Somebody may have it.
        judged = "lost"
    was = _WORDS.get(then.state, then.state)
    answer = history.answer
    return HistoryView(
        tone="bad" if judged == "issuer" else _TONES.get(state, "unsure"),
        word=f"WEB_PAST_WORD_{judged}",
        sentence=f"WEB_PAST_SENTENCE_{judged}",
        next=f"WEB_PAST_NEXT_{'good' if judged == Past.ACTIVE.value else 'other'}",
        fallen_issuer=fallen.authority if fallen is not None else "",
        fallen_word=f"WEB_PAST_WORD_{_WORDS.get(fallen.today.state, fallen.today.state).value}"
        if fallen is not None
        else "",
        at=for_people(history.at),
        field=history.at.astimezone(VIETNAM).strftime("%Y-%m-%dT%H:%M:%S"),
        since=for_people(today.revoked_at) if today.revoked_at else "",
        reason=f"WEB_REASON_{today.reason or 'unspecified'}" if today.revoked_at else "",
        suspect_since=for_people(today.suspect_since) if today.suspect_since else "",
        known_then=_known_then(history, was, state),
        lists=tuple(_line(evidence) for evidence in history.crls),
        answer=_said(answer),
        answer_from=for_people(answer.this_update) if answer else "",
        answer_until=for_people(answer.next_update) if answer else "",
        answer_sha256=in_groups(answer.sha256) if answer else "",
        answer_file=f"/api/v1/certificates/{history.record.serial}/ocsp?at={history.at.strftime('%Y-%m-%dT%H:%M:%SZ')}"
        if answer
        else "",
        gap_from=for_people(history.gap.begun) if history.gap else "",
        gap_until=for_people(history.gap.ended) if history.gap else "",
        now=now,
    )


def _known_then(history: History, was: Past, state: Past) -> str:
    if was is not state:
        return f"WEB_PAST_KNOWN_{was.value}"
    then = history.then
    # The reason was raised since: who looked then was told another one.
    raised = then.state is Past.REVOKED and then.reason != history.today.reason
    return f"WEB_REASON_{then.reason or 'unspecified'}" if raised else ""


def _said(answer: AnswerEvidence | None) -> str:
    if answer is None:
        return "WEB_PAST_OCSP_none"
    return f"WEB_PAST_OCSP_{answer.status}" if answer.was_given_out else "WEB_PAST_OCSP_old"


def _line(evidence: CrlEvidence) -> ListLine:
    crl, listing = evidence.crl, evidence.listing
    listed = listing is not None and listing.revoked_at is not None
    return ListLine(
        label="WEB_PAST_DELTA" if crl.is_delta else "WEB_PAST_CRL",
        name=f"{crl.authority} {crl.number}",
        file=crl_file(evidence),
        says="WEB_PAST_LISTED" if listed else "WEB_PAST_NOT_LISTED",
        since=for_people(listing.revoked_at) if listing is not None and listing.revoked_at is not None else "",
        this_update=for_people(crl.this_update),
        next_update=for_people(crl.next_update),
        is_in_force=evidence.is_in_force,
        sha256=in_groups(crl.sha256),
    )
