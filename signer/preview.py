"""A preview: a document as it will look when it is signed. What is asked before a signature is asked; no key is used, nothing stored."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import select

from pki.audit import Actor
from pki.roles import Permission, require
from signer.credentials import Signatory
from signer.documents import issue_facts
from signer.errors import Refused
from signer.findings import SafetyFinding
from signer.numbering import HELD, OUT, GivenNumber, highest_number, written, year_of
from signer.octets import Octets
from signer.office_policy import ISSUE
from signer.outside_credentials import is_outside, usable_outside
from signer.plan import Plan, Prepared
from signer.signing_case import open_case, prepare_case
from signer.signing_parts import Case, SigningDeps, SignRequest
from signer.tables import NumberRow


@dataclass(frozen=True)
class PreviewWish:
    """Which page is drawn, and how fine. `page`: from 1, or from -1 at the end; 0: the one that is stamped, else the first."""

    page: int = 0
    dpi: int = 110


@dataclass(frozen=True)
class Drawn:
    """A revision that was appended to be looked at, and the picture of a page."""

    prepared: Prepared
    png: bytes
    page: int
    pages: int


class Drawer(Protocol):
    """Prepares as for a signature and draws a page of it: signer/previewing.py, in the judge process."""

    def preview(self, pdf: Octets, plan: Plan, wish: PreviewWish) -> Drawn:
        """Raises Refused, InputUnreadable or Unavailable; uses no key."""
        ...


@dataclass(frozen=True)
class Preview:
    """What somebody looks at. `placed` None: the signature shows nothing. `number`: what the document would get if it were signed now."""

    png: bytes
    page: int
    pages: int
    placed: str | None
    number: int | None
    findings: tuple[SafetyFinding, ...]


def preview_document(
    request: SignRequest, wish: PreviewWish, actor: Actor, deps: SigningDeps, drawer: Drawer
) -> Preview:
    """Draw it; refused with the reason with which the signature would be. A consent that is still to be given is not asked for."""
    require(actor, Permission.SIGN_DOCUMENTS)
    looking = _Looking(drawer, wish)
    case = open_case(
        request, actor, _signatory(request, deps), dataclasses.replace(deps, preparer=looking), consented=False
    )
    number = _next_number(case)
    ready = prepare_case(case, number)
    drawn = looking.drawn
    assert drawn is not None, "what was prepared was drawn"
    return Preview(drawn.png, drawn.page, drawn.pages, ready.placed, number.number if number else None, ready.findings)


class _Looking:
    """A preparer that also keeps the picture."""

    def __init__(self, drawer: Drawer, wish: PreviewWish) -> None:
        self._drawer = drawer
        self._wish = wish
        self.drawn: Drawn | None = None

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        self.drawn = self._drawer.preview(pdf, plan, self._wish)
        return self.drawn.prepared


def _signatory(request: SignRequest, deps: SigningDeps) -> Signatory:
    with deps.database.read() as session:
        if is_outside(session, request.credential):
            return usable_outside(session, request.credential, deps.clock.now())
    return deps.desk.usable(request.credential)


def _next_number(case: Case) -> GivenNumber | None:
    """The number that it would get now. Nobody keeps it: another document may be faster."""
    series = case.rule.series
    if series is None:
        return None
    agency, given = case.signatory.agency, None
    with case.deps.database.read() as session:
        if case.intent == ISSUE:
            known = issue_facts(session, case.earlier.revisions)
            if known.number is not None and known.issued_at is not None:
                return GivenNumber(known.number, known.issued_at, fresh=False)
            given = case.request.metadata.get("CodeNumber") or known.details.get("CodeNumber")
        year = year_of(case.now)
        if not given:
            number = highest_number(session, agency, year, series) + 1
            return GivenNumber(number, case.now, fresh=False, series=series)
        row = NumberRow
        mine = (row.agency == agency, row.year == year, row.series == (series or OUT), row.number == int(given))
        state = session.scalar(select(row.state).where(*mine))
    if state not in (None, HELD):
        raise Refused("NUMBER_TAKEN", number=written(int(given)), year=str(year), agency=agency)
    return GivenNumber(int(given), case.now, fresh=False, series=series)
