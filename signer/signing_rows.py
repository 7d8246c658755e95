"""The rows of signatures, of one or of many in one transaction: number, intent, result, failure, each with its audit row.

Nothing here uses a key or opens a transaction. Where PostgreSQL locks rows of documents, they come in the order of their
ids and before the audit trail's chain is taken, so that two transactions do not wait for each other for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from certs.db import unit_of_work
from pki.audit import Act, append_all
from signer.activation import give_back, use_consent
from signer.admission import out_of_force, refuse_closed_document, refuse_second_issue
from signer.credentials import STANDING, Credential
from signer.documents import (
    ActIntent,
    Registered,
    begin_act,
    fail_act,
    find_by_code,
    find_by_revisions,
    finish_act,
    issue_facts,
    mark_issued,
    merge_details,
)
from signer.errors import Refused
from signer.intents import Finishing, Opening, begin_fresh, begin_in_force, finish_fresh
from signer.level_requests import add_request
from signer.levels import reaches
from signer.numbering import OUT, GivenNumber, number_facts, reserve_number, use_number, void_number, year_of
from signer.office_policy import ISSUE
from signer.signing_case import intent_of
from signer.signing_parts import Case, Claim, Outcome, Ready


@dataclass(frozen=True)
class Begun:
    """A signature whose intent is committed, or about to be. `act` is the row's id."""

    ready: Ready
    document: Registered
    act: int


@dataclass(frozen=True)
class Failure:
    """What did not become a signature: its act, where it had one, and its number, where it had a fresh one."""

    case: Case
    number: GivenNumber | None
    act: int | None
    reason: str


def reserve_all(connection: Connection, cases: Sequence[Case]) -> list[GivenNumber | Refused | None]:
    """For each that takes a number the number, None for the others: the one that the clerk gives, or the officer's metadata gave before,
    or the next of the series; Refused when it is taken.

    A document that another agency's seal has issued already keeps its number and day: it has one (a joint document).
    """
    results: dict[int, GivenNumber | Refused | None] = {
        place: None for place, case in enumerate(cases) if case.rule.series is None
    }
    acts: list[Act] = []
    # One agency after the other: two who reserve for the same ones do not wait for each other for ever.
    for place in sorted(range(len(cases)), key=lambda place: cases[place].signatory.agency):
        if place not in results:
            results[place] = _reserve(connection, cases[place], acts)
    if acts:
        append_all(connection, cases[0].deps.clock, cases[0].actor, acts)
    return [results[place] for place in range(len(cases))]


def _reserve(connection: Connection, case: Case, acts: list[Act]) -> GivenNumber | Refused:
    agency, series = case.signatory.agency, case.rule.series or OUT
    with unit_of_work(connection) as session:
        given = None
        if case.intent == ISSUE:
            known = issue_facts(session, case.earlier.revisions)
            if known.number is not None and known.issued_at is not None:
                return GivenNumber(known.number, known.issued_at, fresh=False)
            given = case.request.metadata.get("CodeNumber") or known.details.get("CodeNumber")
        try:
            number = reserve_number(session, agency, case.now, int(given) if given else None, series)
        except Refused as error:
            return error
    reserved = GivenNumber(number, case.now, fresh=True, series=series)
    acts.append(Act("number.reserve", "number", str(reserved), number_facts(agency, series)))
    return reserved


def begin_all(connection: Connection, readies: Sequence[Ready], promised: str | None = None) -> list[Begun | Refused]:
    """Store what is about to be signed; from the commit on a death leaves a trace. Refused for one that may not be any more.

    `promised`: the code that was given to the only one before it was signed.
    """
    results: dict[int, Begun | Refused] = _unusable(connection, readies)
    consented, uses = _consent(connection, readies, results)
    intents = [intent_of(ready) for ready in readies]
    acts: list[Act] = []
    for place, document in _known(connection, readies, intents, promised):
        if place not in results:
            results[place] = _begin_known(connection, readies[place], intents[place], document, acts)
    fresh = [place for place in range(len(readies)) if place not in results]
    openings = [_opening(readies[place], intents[place], promised) for place in fresh]
    first = readies[0].case if readies else None
    begun = begin_fresh(connection, first.deps.clock, first.actor, openings) if first is not None else []
    for place, opened in zip(fresh, begun, strict=True):
        ready, intent = readies[place], intents[place]
        if opened is not None:
            results[place] = Begun(ready, *opened)
            continue
        known = find_by_revisions(connection, (intent.input_sha256,))
        assert known is not None
        # A code is drawn on what nobody has signed, and the register knows nothing else.
        assert ready.case.code is None
        results[place] = _begin_known(connection, ready, intent, known, acts)
    for place in consented:
        if isinstance(results[place], Refused):
            give_back(connection, readies[place].case)
    acts += [use for place, use in uses if isinstance(results[place], Begun)]
    if acts:
        append_all(connection, readies[0].case.deps.clock, readies[0].case.actor, acts)
    return [results[place] for place in range(len(readies))]


def begin_alone(connection: Connection, ready: Ready) -> Begun | None:
    """`begin_all` in one crossing, for the plain case on PostgreSQL; None, and nothing stored, where there is more to decide or to say."""
    case = ready.case
    signatory = case.signatory
    if case.earlier.revisions or not isinstance(signatory, Credential) or not signatory.authorities:
        return None
    if signatory.activation != STANDING or case.code is not None:
        return None  # a consent is used in the same commit
    opening = _opening(ready, intent_of(ready))
    serials = (signatory.serial, *signatory.authorities)
    begun = begin_in_force(connection, case.deps.clock, case.actor, opening, serials)
    return None if begun is None else Begun(ready, *begun)


def _opening(ready: Ready, intent: ActIntent, promised: str | None = None) -> Opening:
    case = ready.case
    return Opening(
        intent, case.signatory.agency, case.request.name, case.request.metadata, case.signed_by, promised or case.code
    )


def _consent(
    connection: Connection, readies: Sequence[Ready], results: dict[int, Begun | Refused]
) -> tuple[list[int], list[tuple[int, Act]]]:
    """Use what people have consented to, for those that may sign so far; which did so, with their audit rows. The others are refused."""
    places = [place for place in range(len(readies)) if place not in results]
    refused, acts = use_consent(connection, [readies[place].case for place in places])
    results |= {places[at]: error for at, error in refused.items()}
    used = [(places[at], act) for at, act in acts]
    return [place for place, _ in used], used


def _unusable(connection: Connection, readies: Sequence[Ready]) -> dict[int, Begun | Refused]:
    """Revoked since the request came? This commit decides."""
    results: dict[int, Begun | Refused] = {}
    by_serial = {ready.case.signatory.serial: ready.case for ready in readies}
    for serial, case in sorted(by_serial.items()):
        credential = case.signatory
        if not isinstance(credential, Credential):
            continue  # one from outside is its claim's to ask for
        try:
            case.deps.desk.refuse_if_unusable(connection, credential, keep=True)
        except Refused as error:
            results |= {at: error for at, ready in enumerate(readies) if ready.case.signatory.serial == serial}
    return results


def _known(
    connection: Connection, readies: Sequence[Ready], intents: Sequence[ActIntent], promised: str | None
) -> list[tuple[int, Registered]]:
    """Those of the files that the register knows by the signatures they bear, in the order of their documents."""
    found = []
    for place, (ready, intent) in enumerate(zip(readies, intents, strict=True)):
        revisions = ready.case.earlier.revisions
        document = find_by_revisions(connection, (intent.input_sha256, *revisions)) if revisions else None
        if document is None and promised is not None:
            document = find_by_code(connection, promised)  # an attempt before this one came to nothing
        if document is not None:
            found.append((place, document))
    return sorted(found, key=lambda each: each[1].id)


def _begin_known(
    connection: Connection, ready: Ready, intent: ActIntent, document: Registered, acts: list[Act]
) -> Begun | Refused:
    case = ready.case
    try:
        # Recalled, or issued by another clerk, since it was looked at?
        refuse_closed_document(connection, document, case.earlier.revisions, case.sealing)
    except Refused as error:
        return error
    if case.request.metadata:
        with unit_of_work(connection) as session:
            merge_details(session, document.id, case.request.metadata)
    act = begin_act(connection, document.id, intent)
    acts.append(Act("document.sign.intent", "act", str(act), case.signed_by | {"digest": intent.digest}))
    return Begun(ready, document, act)


def begin_claimed(connection: Connection, ready: Ready, claim: Claim) -> Begun:
    """`begin_all` for a document that was prepared before: whoever takes it up has it alone. Raises Refused."""
    with unit_of_work(connection) as session:
        claim.take(session)
    (begun,) = begin_all(connection, [ready], claim.code)
    if isinstance(begun, Refused):
        raise begun
    with unit_of_work(connection) as session:
        claim.begun(session, begun.act)
    return begun


def is_simple(begun: Begun, outcome: Outcome) -> bool:
    """Whether the result is one row and its audit row: no number, and nothing that is still to be reached."""
    case = begun.ready.case
    return case.rule.series is None and reaches(outcome.raised.level, case.request.level)


def finish_all(connection: Connection, made: Sequence[tuple[Begun, Outcome]]) -> list[Refused | None]:
    """Result, level, number and audit row of each: they move together or not at all. Refused for one that came too late."""
    results: dict[int, Refused | None] = {}
    acts: list[Act] = []
    order = sorted(range(len(made)), key=lambda place: made[place][0].document.id)
    for place in order:
        begun, outcome = made[place]
        if not is_simple(begun, outcome):
            results[place] = _finish_more(connection, begun, outcome, acts)
    simple = [place for place in order if place not in results]
    done = finish_simple(connection, [made[place] for place in simple])
    for place, is_done in zip(simple, done, strict=True):
        results[place] = None if is_done else out_of_force(connection, made[place][0].document)
    if acts:
        case = made[0][0].ready.case
        append_all(connection, case.deps.clock, case.actor, acts)
    return [results[place] for place in range(len(made))]


def finish_simple(connection: Connection, made: Sequence[tuple[Begun, Outcome]]) -> list[bool]:
    """The results of those that are each `is_simple`; False for one whose document went out of force meanwhile."""
    if not made:
        return []
    case = made[0][0].ready.case
    return finish_fresh(connection, case.deps.clock, case.actor, [_finishing(*each) for each in made])


def _finishing(begun: Begun, outcome: Outcome) -> Finishing:
    case = begun.ready.case
    return Finishing(
        begun.document, begun.act, case.signed_by, outcome.signed_sha256(), len(outcome.signed),
        case.deps.clock.now(), outcome.reached(),
    )  # fmt: skip


def _finish_more(connection: Connection, begun: Begun, outcome: Outcome, acts: list[Act]) -> Refused | None:
    case, document, number = begun.ready.case, begun.document, begun.ready.number
    now, raised = case.deps.clock.now(), outcome.raised
    if case.sealing is not None:
        try:
            refuse_second_issue(connection, document, case.earlier.revisions, case.sealing)
        except Refused as error:
            return error
    if not finish_act(
        connection, begun.act, output_sha256=outcome.signed_sha256(), output_size=len(outcome.signed), now=now,
        reached=outcome.reached(),
    ):  # fmt: skip
        return out_of_force(connection, document)
    facts = case.signed_by | {"sha256": outcome.sha256}
    with unit_of_work(connection) as session:
        if number is not None and number.fresh:
            year = year_of(number.day)
            use_number(session, case.signatory.agency, year, number.number, document.id, number.series)
            if case.intent == ISSUE:
                mark_issued(session, document.id, number=number.number, year=year, now=number.day)
        if not reaches(raised.level, case.request.level):
            failure = raised.failure.code if raised.failure else ""
            add_request(
                session, act_id=begun.act, document_id=document.id, level=case.request.level, failure=failure, now=now
            )
            facts |= {"level": raised.level, "pending": case.request.level}
    acts.append(Act("document.sign", "document", document.code, facts))
    return None


def finish_claimed(connection: Connection, begun: Begun, outcome: Outcome, claim: Claim) -> None:
    """`finish_all` for one that was prepared before: it is finished by whoever has it. Raises Refused."""
    with unit_of_work(connection) as session:
        claim.finish(session, begun.act)
    (refused,) = finish_all(connection, [(begun, outcome)])
    if refused is not None:
        raise refused


def fail_all(connection: Connection, failures: Sequence[Failure]) -> None:
    """Acts that no signature came of, and numbers that nothing will bear: each says why. What is done after all, stays done."""
    acts: list[Act] = []
    with unit_of_work(connection) as session:
        begun = {each.act: each for each in failures if each.act is not None}
        for act, each in sorted(begun.items()):
            if fail_act(session, act, failure=each.reason, now=each.case.now):
                acts.append(Act("document.sign.fail", "act", str(act), {"reason": each.reason}))
        for each in failures:
            number = each.number
            if number is None or not number.fresh:
                continue
            agency = each.case.signatory.agency
            if void_number(session, agency, year_of(number.day), number.number, each.reason, number.series):
                facts = number_facts(agency, number.series) | {"reason": each.reason}
                acts.append(Act("number.void", "number", str(number), facts))
    if acts:
        append_all(connection, failures[0].case.deps.clock, failures[0].case.actor, acts)


def fail_claimed(connection: Connection, failure: Failure, claim: Claim) -> None:
    """`fail_all` for one that was prepared before: it waits on."""
    if failure.act is not None:
        with unit_of_work(connection) as session:
            claim.release(session, failure.act, failure.reason)
    fail_all(connection, [failure])
