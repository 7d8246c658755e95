"""One document on its way through the signing cycle: what is decided about it before any row is written or key used, and what is
made of a signature value.

The cycle of one is signing.py's, that of many signing_batch.py's; the rows are signing_rows.py's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from certs.clock import VIETNAM
from certs.outside import get_outside
from hsm.errors import HSMError
from pki.audit import Actor
from signer.activation import refuse_without_consent
from signer.admission import refuse_closed_document
from signer.credentials import SEAL, STANDING, Credential, Signatory
from signer.documents import ActIntent, Registered, find_by_revisions
from signer.errors import InputUnreadable, Refused, SignerError
from signer.evidence import EvidenceAhead
from signer.extending import Raised
from signer.findings import refuse_findings
from signer.levels import B_B, B_T, LEVELS, reaches
from signer.marking import drawn_code, refuse_mixed_training
from signer.numbering import GivenNumber
from signer.octets import Octets, sha256_of
from signer.office_policy import ISSUE, policy_on
from signer.office_rules import check_needs, find_images, find_mandates, intent_for
from signer.pades import PreparedPdf, accept_prepared, check_output, document_digest, embed_signature
from signer.planning import build_plan
from signer.protection import refuse_protection
from signer.signing_parts import (
    Case,
    EarlierSignatures,
    Made,
    Outcome,
    Ready,
    SignedDocument,
    SigningDeps,
    SignRequest,
)
from signer.timestamps import OneStamp


def open_case(
    request: SignRequest, actor: Actor, signatory: Signatory, deps: SigningDeps, *, consented: bool = True
) -> Case:
    """Decide about a request whose signatory may sign now; Refused, InputUnreadable or UsageWrong. `consented`: ask for a consent."""
    # /M holds whole seconds, and every record says the same.
    now = deps.clock.now().replace(microsecond=0)
    intent = intent_for(signatory, request, policy_on(now.astimezone(VIETNAM).date()))
    _refuse_level(request.level, deps)
    refuse_protection(request.protection, request.level, seals=signatory.role == SEAL)
    _refuse_size(request.pdf, deps.max_bytes)
    # What others have signed before must be whole, and in the order of ND30: the person first, then the seal.
    case = Case(request, actor, signatory, intent, now, deps, judge_before(request, deps))
    if consented and isinstance(signatory, Credential) and signatory.activation != STANDING:
        with deps.database.look() as connection:
            refuse_without_consent(connection, case)
    check_order(case)
    refuse_mixed_training(case)
    return dataclasses.replace(case, mandates=find_mandates(case), code=drawn_code(case), images=find_images(case))


def judge_before(request: SignRequest, deps: SigningDeps) -> EarlierSignatures:
    """The signatures that a file bears already."""
    return deps.judge_earlier(request.pdf, request.password) if b"/ByteRange" in request.pdf else EarlierSignatures()


def check_order(case: Case) -> None:
    """Refused when a signature before this one is broken, or when it is not this one's turn."""
    earlier = case.earlier
    if earlier.broken:
        raise Refused("INPUT_SIGNATURE_BROKEN", field=", ".join(earlier.broken))
    if earlier.revisions:
        with case.deps.database.read() as session:
            known = find_by_revisions(session, earlier.revisions)
            if known is not None:
                refuse_closed_document(session, known, earlier.revisions, case.sealing)
    check_needs(case)


def prepare_case(case: Case, number: GivenNumber | None) -> Ready:
    """Have the revision appended. The file is parsed elsewhere; what comes back is checked against our own copy."""
    request, earlier = case.request, case.earlier
    answer = case.deps.preparer.prepare(request.pdf, build_plan(case, number))
    if answer.signed and not earlier.fields:
        # The quick look for signatures above can be deceived by names that are written with escapes.
        raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason="HIDDEN")
    policy = case.deps.findings
    refuse_findings(answer.findings, policy)
    prepared = accept_prepared(request.pdf, answer.tail, answer.hole, answer.field)
    _refuse_harm(case, prepared)
    digest = document_digest(prepared, case.signatory.template.scheme.digest)
    return Ready(case, number, prepared, digest, answer.placed, answer.filled, policy.told(answer.findings))


def intent_of(ready: Ready) -> ActIntent:
    """What is about to be signed, as the register keeps it."""
    case = ready.case
    request, signatory = case.request, case.signatory
    return ActIntent(
        credential=signatory.name,
        intent=case.intent,
        level=request.level,
        field=ready.prepared.field,
        certificate_serial=signatory.serial,
        digest_algorithm=signatory.template.scheme.digest,
        digest=ready.digest.hex(),
        input_sha256=sha256_of(request.pdf),
        actor=case.actor.name,
        claimed_time=case.now,
        particulars=request.particulars.to_json(),
    )


def embed_value(
    ready: Ready, attributes: bytes, value: bytes, meanwhile: Callable[[], None] | None = None
) -> tuple[Octets, OneStamp | None]:
    """The signed revision, checked, and who gave its time-stamp; `value` is the signature over the attributes of `ready`.

    `meanwhile` may be called while the time-stamp is being made.
    """
    case, prepared = ready.case, ready.prepared
    template = case.signatory.template
    # A time-stamp that cannot be had costs no signature.
    extender = case.deps.extender if case.request.level != B_B else None
    stamp = OneStamp(extender.timestamper, meanwhile) if extender is not None else None
    signed = embed_signature(prepared, template, attributes, value, stamp.timestamp if stamp else None)
    # Nothing leaves that does not verify with the certificate people will be shown.
    stamped = stamp.checked if stamp is not None else None
    check_output(signed, prepared, template, case.signatory.public_key, stamped, case.signing_time)
    return signed, stamp


def embed_and_raise(ready: Ready, attributes: bytes, value: bytes) -> Made:
    """For a certificate of ours: the signed revision, checked, and the proofs behind it, as far as they can be had."""
    case, extender = ready.case, ready.case.deps.extender
    serials, _ = _behind(case)
    ahead = extender.ahead(serials, case.request.level) if extender is not None else None
    signed, stamp = embed_value(ready, attributes, value, ahead.gather if ahead else None)
    return Made(signed, _raise(ready, signed, stamp, ahead))


def _raise(ready: Ready, signed: Octets, stamp: OneStamp | None, ahead: EvidenceAhead | None) -> Raised:
    case, extender = ready.case, ready.case.deps.extender
    if stamp is None or extender is None:
        return Raised(signed, B_B)
    if stamp.failure is not None:
        return Raised(signed, B_B, stamp.failure)
    serials, paths = _behind(case)
    raised = extender.raise_signed(
        signed, ready.prepared.hole, case.request.level, serials, stamp.stamped_by, case.request.password, paths, ahead
    )
    if not case.earlier.fields or raised.level == B_T:
        return raised
    try:
        broken = case.deps.judge_earlier(raised.content, case.request.password).broken
    except SignerError as error:
        # Nobody can say whether the proofs harm what was there before: without them it stands as it was checked.
        return Raised(signed, B_T, error)
    return Raised(signed, B_T, Refused("WOULD_BREAK_EARLIER", field=", ".join(broken))) if broken else raised


def _behind(case: Case) -> tuple[tuple[str, ...], tuple[tuple[bytes, ...], ...]]:
    """Certificates of ours behind this signature and those before it, and the paths of certificates of others for keys of ours."""
    official = case.signatory.official if isinstance(case.signatory, Credential) else None
    serials = case.earlier.signers if official is not None else (case.signatory.serial, *case.earlier.signers)
    paths = [official.whole_path()] if official is not None else []
    if case.earlier.officials:
        with case.deps.database.read() as session:
            paths += [get_outside(session, sha256).whole_path() for sha256 in case.earlier.officials]
    return serials, tuple(paths)


def signed_document(ready: Ready, document: Registered, outcome: Outcome) -> SignedDocument:
    """What the caller gets."""
    case, number = ready.case, ready.number
    level = outcome.raised.level
    return SignedDocument(
        document.code,
        outcome.raised.content,
        outcome.sha256,
        ready.prepared.field,
        case.intent,
        level,
        document.status,
        case.intent == ISSUE or document.number is not None,
        number.number if number else document.number,
        ready.placed,
        ready.filled,
        None if reaches(level, case.request.level) else case.request.level,
        ready.findings,
    )


def reason_of(error: BaseException) -> str:
    """Why something failed, as rows and audit say it."""
    return error.code if isinstance(error, SignerError | HSMError) else type(error).__name__


def _refuse_level(level: str, deps: SigningDeps) -> None:
    if level not in LEVELS or (level != B_B and deps.extender is None):
        raise Refused("LEVEL_UNAVAILABLE", level=level)


def _refuse_size(pdf: Octets, limit: int) -> None:
    if not pdf:
        raise InputUnreadable("INPUT_EMPTY")
    if len(pdf) > limit:
        raise InputUnreadable("INPUT_TOO_LARGE", limit_mb=str(limit // (1024 * 1024)))


def _refuse_harm(case: Case, prepared: PreparedPdf) -> None:
    """What we append must leave every earlier signature as good as it was: a lock or certification may forbid it."""
    if not case.earlier.fields:
        return
    judged = case.deps.judge_earlier(prepared.content, case.request.password)
    harmed = set(case.earlier.fields) & set(judged.broken)
    if harmed:
        raise Refused("WOULD_BREAK_EARLIER", field=", ".join(sorted(harmed)))
