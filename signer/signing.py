"""The signing cycle: one document from a request to a stored, registered signature, in one straight function."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy.orm import Session

from certs.errors import DatabaseUnavailable
from hsm.errors import HSMError
from pki.audit import Actor, append
from pki.roles import Permission, require
from pki.schemes import sign_message
from signer.admission import out_of_force, refuse_closed_document, refuse_second_issue
from signer.credentials import OFFICER, SEAL, Credential, Signatory
from signer.documents import (
    ActIntent,
    Reached,
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
from signer.errors import InputUnreadable, Refused, SignerError
from signer.extending import Raised
from signer.intents import begin_fresh, finish_fresh
from signer.level_requests import add_request
from signer.levels import B_B, B_T, LEVELS, reaches
from signer.numbering import GivenNumber, reserve_number, use_number, void_number, year_of
from signer.pades import PreparedPdf, accept_prepared, attributes_of, check_output, document_digest, embed_signature
from signer.planning import build_plan
from signer.signing_parts import (
    APPROVE,
    ISSUE,
    Case,
    Claim,
    EarlierSignatures,
    Made,
    Preparer,
    Ready,
    SignedDocument,
    SigningDeps,
    SignRequest,
)
from signer.timestamps import OneStamp

_INTENT_OF_ROLE = {OFFICER: APPROVE, SEAL: ISSUE}

# What a caller of the cycle needs, from one place.
__all__ = [
    "APPROVE",
    "ISSUE",
    "EarlierSignatures",
    "Preparer",
    "SignRequest",
    "SignedDocument",
    "SigningDeps",
    "sign_document",
]


def sign_document(request: SignRequest, actor: Actor, deps: SigningDeps) -> SignedDocument:
    """Sign one document; raise before the key is used (Refused, InputUnreadable, UsageWrong) or leave a failed act behind.

    A process that dies between steps 4 and 8 leaves an intent, which `antin doctor` names; no output exists then.
    """
    require(actor, Permission.SIGN_DOCUMENTS)
    # 1. May this credential do this now? Its certificate and all above it are in force, or nothing else happens.
    ready = make_ready(request, actor, deps.desk.usable(request.credential), deps)
    with void_on_failure(ready.case, ready.number):
        return complete(ready, sign_with_key)


def make_ready(request: SignRequest, actor: Actor, signatory: Signatory, deps: SigningDeps) -> Ready:
    """Steps 2 and 3: everything that comes before the key, for a signatory who may sign. Only a number of the series is committed."""
    # /M holds whole seconds, and every record says the same.
    now = deps.clock.now().replace(microsecond=0)
    case = Case(request, actor, signatory, _intent(signatory, request), now, deps)
    _refuse_level(request.level, deps)
    _refuse_size(request.pdf, deps.max_bytes)
    # 2. What others have signed before must be whole, and in the order of ND30: the person first, then the seal.
    earlier = judge_order(case)
    # 3. Number and date belong into what the seal signs, so they are fixed before. A gap keeps its reason.
    number = _reserve(case, earlier)
    with void_on_failure(case, number):
        # The file is parsed elsewhere; what comes back is checked against our own copy.
        answer = deps.preparer.prepare(request.pdf, build_plan(case, number))
        if answer.signed and not earlier.fields:
            # The quick look for signatures above can be deceived by names that are written with escapes.
            raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason="HIDDEN")
        prepared = accept_prepared(request.pdf, answer.tail, answer.hole, answer.field)
        _refuse_harm(earlier, prepared, deps)
    return Ready(case, earlier, number, prepared, answer.placed, answer.filled)


def complete(ready: Ready, make: Callable[[Ready], Made], claim: Claim | None = None) -> SignedDocument:
    """Steps 4 to 8: from a prepared file to a stored, registered signature. `make` signs, checks and raises; `claim`: a stored one's."""
    case, prepared, number = ready.case, ready.prepared, ready.number
    # 4. Commit what we are about to sign. From here on a death leaves a trace.
    document, act = _begin(ready, claim)
    with _fail_act_on_failure(case, act, claim):
        made = make(ready)
        raised = made.raised
        # The bytes are on disk before the register says so.
        sha256 = case.deps.blobs.put(raised.content)
        # 8. Result, level, number and audit row move together or not at all.
        _finish(ready, document, act, _Result(made.signed, raised, sha256), claim)
    return SignedDocument(
        document.code,
        raised.content,
        sha256,
        prepared.field,
        case.intent,
        raised.level,
        document.status,
        case.intent == ISSUE or document.number is not None,
        number.number if number else document.number,
        ready.placed,
        ready.filled,
        None if reaches(raised.level, case.request.level) else case.request.level,
    )


def sign_with_key(ready: Ready) -> Made:
    """Steps 5 to 7 with the key of a credential of ours: the only line here that uses it."""
    credential = ready.case.signatory
    assert isinstance(credential, Credential)
    return raise_own(
        ready, *embed_value(ready, lambda octets: sign_message(credential.key(), credential.template.scheme, octets))
    )


def embed_value(ready: Ready, sign: Callable[[bytes], bytes]) -> tuple[bytes, OneStamp | None]:
    """The signed revision, checked, and who gave its time-stamp; `sign` gives the value over the signed attributes."""
    case, prepared = ready.case, ready.prepared
    template, time = case.signatory.template, case.signing_time
    # 5. A time-stamp that cannot be had costs no signature.
    extender = case.deps.extender if case.request.level != B_B else None
    stamp = OneStamp(extender.timestamper) if extender is not None else None
    attributes = attributes_of(prepared, template, time)
    signed = embed_signature(prepared, template, attributes, sign(attributes), stamp.timestamp if stamp else None)
    # 6. Nothing leaves that does not verify with the certificate people will be shown.
    stamper = extender.timestamper if extender is not None and stamp and stamp.failure is None else None
    check_output(signed, prepared, template, case.signatory.public_key, stamper, time)
    return signed, stamp


def raise_own(ready: Ready, signed: bytes, stamp: OneStamp | None) -> Made:
    """Step 7 for a certificate of ours: proofs go behind it, as far as they can be had."""
    return Made(signed, _raise(ready.case, ready.earlier, signed, ready.prepared, stamp))


def _intent(signatory: Signatory, request: SignRequest) -> str:
    usual = _INTENT_OF_ROLE[signatory.role]
    if request.intent not in (None, usual):
        name = signatory.name or signatory.common_name
        raise Refused("INTENT_NOT_ALLOWED", name=name, intent=str(request.intent), usual=usual)
    return usual


def _refuse_level(level: str, deps: SigningDeps) -> None:
    if level not in LEVELS or (level != B_B and deps.extender is None):
        raise Refused("LEVEL_UNAVAILABLE", level=level)


def _raise(
    case: Case, earlier: EarlierSignatures, signed: bytes, prepared: PreparedPdf, stamp: OneStamp | None
) -> Raised:
    """The file as high as it can be had now."""
    extender = case.deps.extender
    if stamp is None or extender is None:
        return Raised(signed, B_B)
    if stamp.failure is not None:
        return Raised(signed, B_B, stamp.failure)
    raised = extender.raise_signed(signed, prepared.hole, case.request.level, (case.signatory.serial, *earlier.signers))
    if not earlier.fields or raised.level == B_T:
        return raised
    try:
        broken = case.deps.judge_earlier(raised.content).broken
    except SignerError as error:
        # Nobody can say whether the proofs harm what was there before: without them it stands as it was checked.
        return Raised(signed, B_T, error)
    return Raised(signed, B_T, Refused("WOULD_BREAK_EARLIER", field=", ".join(broken))) if broken else raised


def _refuse_size(pdf: bytes, limit: int) -> None:
    if not pdf:
        raise InputUnreadable("INPUT_EMPTY")
    if len(pdf) > limit:
        raise InputUnreadable("INPUT_TOO_LARGE", limit_mb=str(limit // (1024 * 1024)))


def judge_order(case: Case) -> EarlierSignatures:
    """The signatures that the file bears already; Refused when one is broken, or when it is not this one's turn."""
    pdf = case.request.pdf
    earlier = case.deps.judge_earlier(pdf) if b"/ByteRange" in pdf else EarlierSignatures()
    _check_order(case, earlier)
    return earlier


def _check_order(case: Case, earlier: EarlierSignatures) -> None:
    if earlier.broken:
        raise Refused("INPUT_SIGNATURE_BROKEN", field=", ".join(earlier.broken))
    if earlier.revisions:
        with case.deps.database.read() as session:
            known = find_by_revisions(session, earlier.revisions)
            if known is not None:
                refuse_closed_document(session, known, earlier.revisions, case.sealing)
    if case.intent != ISSUE:
        return
    # ND30 Đ.32.2.d: the agency's seal goes only on a document that the authorised person has signed.
    if not case.deps.desk.any_officer(earlier.signers):
        raise Refused("ISSUE_WITHOUT_OFFICER")
    if case.signatory.serial in earlier.signers:
        raise Refused("ALREADY_SEALED", name=case.signatory.name or "")


def _refuse_harm(earlier: EarlierSignatures, prepared: PreparedPdf, deps: SigningDeps) -> None:
    """What we append must leave every earlier signature as good as it was: a lock or certification may forbid it."""
    if not earlier.fields:
        return
    harmed = set(earlier.fields) & set(deps.judge_earlier(prepared.content).broken)
    if harmed:
        raise Refused("WOULD_BREAK_EARLIER", field=", ".join(sorted(harmed)))


def _reserve(case: Case, earlier: EarlierSignatures) -> GivenNumber | None:
    """The number that the clerk gives, or the officer's metadata gave before, or the next of the series.

    A document that another agency's seal has issued already keeps its number and day: it has one (a joint document).
    """
    if case.intent != ISSUE:
        return None
    agency, deps = case.signatory.agency, case.deps
    with deps.database.write() as session:
        known = issue_facts(session, earlier.revisions)
        if known.number is not None and known.issued_at is not None:
            return GivenNumber(known.number, known.issued_at, fresh=False)
        given = case.request.metadata.get("CodeNumber") or known.details.get("CodeNumber")
        number = GivenNumber(
            reserve_number(session, agency, case.now, int(given) if given else None), case.now, fresh=True
        )
        append(session, deps.clock, case.actor, "number.reserve", "number", str(number), agency=agency)
    return number


@contextlib.contextmanager
def void_on_failure(case: Case, number: GivenNumber | None) -> Iterator[None]:
    """What goes wrong inside makes the number that was reserved for it a gap."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if number is not None and number.fresh:
            # If the database is what failed, the number stays reserved and the doctor names it.
            with contextlib.suppress(DatabaseUnavailable), case.deps.database.write() as session:
                if void_number(session, case.signatory.agency, year_of(number.day), number.number, _reason(error)):
                    append(
                        session, case.deps.clock, case.actor, "number.void", "number", str(number), reason=_reason(error)
                    )  # fmt: skip
        raise


@contextlib.contextmanager
def _fail_act_on_failure(case: Case, act: int, claim: Claim | None) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        with contextlib.suppress(DatabaseUnavailable), case.deps.database.write() as session:
            if claim is not None:
                claim.release(session, act, _reason(error))
            if fail_act(session, act, failure=_reason(error), now=case.now):
                append(
                    session, case.deps.clock, case.actor, "document.sign.fail", "act", str(act), reason=_reason(error)
                )
        raise


def _reason(error: BaseException) -> str:
    return error.code if isinstance(error, SignerError | HSMError) else type(error).__name__


def _begin(ready: Ready, claim: Claim | None) -> tuple[Registered, int]:
    case, prepared = ready.case, ready.prepared
    request, signatory, deps = case.request, case.signatory, case.deps
    algorithm = signatory.template.scheme.digest
    input_sha256 = hashlib.sha256(request.pdf).hexdigest()
    intent = ActIntent(
        credential=signatory.name,
        intent=case.intent,
        level=request.level,
        field=prepared.field,
        certificate_serial=signatory.serial,
        digest_algorithm=algorithm,
        digest=document_digest(prepared, algorithm).hex(),
        input_sha256=input_sha256,
        actor=case.actor.name,
        claimed_time=case.now,
    )
    with deps.database.write() as session:
        if claim is not None:
            claim.take(session)
        # Revoked between step 1 and here? This commit decides.
        if isinstance(signatory, Credential):
            deps.desk.refuse_if_unusable(session, signatory, keep=True)
        begun = _begin_within(session, ready, intent, claim.code if claim is not None else None)
        if claim is not None:
            claim.begun(session, begun[1])
    return begun


def _begin_within(session: Session, ready: Ready, intent: ActIntent, code: str | None) -> tuple[Registered, int]:
    case, earlier, deps = ready.case, ready.earlier, ready.case.deps
    request, facts = case.request, case.signed_by
    document = None
    if earlier.revisions:
        document = find_by_revisions(session, (intent.input_sha256, *earlier.revisions))
    if document is None and code is not None:
        document = find_by_code(session, code)  # an attempt before this one came to nothing
    if document is None:
        begun = begin_fresh(
            session, deps.clock, case.actor, intent, agency=case.signatory.agency, name=request.name,
            details=request.metadata, facts=facts, code=code,
        )  # fmt: skip
        if begun is not None:
            return begun
        document = find_by_revisions(session, (intent.input_sha256,))
        assert document is not None
    # Recalled, or issued by another clerk, since step 2?
    refuse_closed_document(session, document, earlier.revisions, case.sealing)
    merge_details(session, document.id, request.metadata)
    act = begin_act(session, document.id, intent)
    append(session, deps.clock, case.actor, "document.sign.intent", "act", str(act), **facts, digest=intent.digest)
    return document, act


@dataclass(frozen=True)
class _Result:
    """What the cycle made: the signed revision, and the file of it that is stored."""

    signed: bytes
    raised: Raised
    sha256: str

    def reached(self) -> Reached:
        if self.raised.content is self.signed:
            return Reached(self.raised.level)
        return Reached(self.raised.level, self.sha256, len(self.raised.content))

    def signed_sha256(self) -> str:
        return self.sha256 if self.raised.content is self.signed else hashlib.sha256(self.signed).hexdigest()


def _finish(ready: Ready, document: Registered, act: int, result: _Result, claim: Claim | None) -> None:
    case, earlier, number = ready.case, ready.earlier, ready.number
    deps, facts = case.deps, case.signed_by
    output_sha256, size, now = result.signed_sha256(), len(result.signed), deps.clock.now()
    falls_short = not reaches(result.raised.level, case.request.level)
    if claim is None and case.intent != ISSUE and not falls_short:
        if not finish_fresh(
            deps.database, deps.clock, case.actor, document, act, facts,
            output_sha256=output_sha256, output_size=size, now=now, reached=result.reached(),
        ):  # fmt: skip
            with deps.database.read() as session:
                raise out_of_force(session, document)
        return
    with deps.database.write() as session:
        if claim is not None:
            claim.finish(session, act)
        if case.sealing is not None:
            refuse_second_issue(session, document, earlier.revisions, case.sealing)
        if not finish_act(
            session, act, output_sha256=output_sha256, output_size=size, now=now, reached=result.reached()
        ):
            raise out_of_force(session, document)
        if number is not None and number.fresh:
            year = year_of(number.day)
            use_number(session, case.signatory.agency, year, number.number, document.id)
            mark_issued(session, document.id, number=number.number, year=year, now=number.day)
        facts = facts | {"sha256": result.sha256}
        if falls_short:
            failure = result.raised.failure
            add_request(
                session, act_id=act, document_id=document.id, level=case.request.level, failure=failure.code if failure else "",
                now=now,
            )  # fmt: skip
            facts |= {"level": result.raised.level, "pending": case.request.level}
        append(session, deps.clock, case.actor, "document.sign", "document", document.code, **facts)
