"""The signing cycle: one document from a request to a stored, registered signature, in one straight function."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from certs.clock import for_people
from certs.errors import DatabaseUnavailable
from hsm.errors import HSMError
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.admission import out_of_force, refuse_closed_document, refuse_second_issue
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.images import Purpose
from signer.credentials import OFFICER, SEAL, Credential
from signer.documents import (
    ActIntent,
    Reached,
    Registered,
    begin_act,
    fail_act,
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
from signer.levels import B_B, B_T, LEVELS
from signer.numbering import GivenNumber, reserve_number, use_number, void_number, written, written_date, year_of
from signer.pades import PreparedPdf, accept_prepared, check_output, document_digest, sign_prepared
from signer.plan import Plan
from signer.signing_parts import EarlierSignatures, Preparer, SignedDocument, SigningDeps, SignRequest
from signer.timestamps import OneStamp

APPROVE, ISSUE = "approve", "issue"
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

# Text fields that an office leaves open for the number and the date of issue.
NUMBER_FIELD, DATE_FIELD = "SoVanBan", "NgayBanHanh"
# The styles of font that a revision may bring.
DRAWN_STYLES: tuple[Style, ...] = ("regular", "italic")


@dataclass(frozen=True)
class _Case:
    """The decisions that stand once step 1 is over."""

    request: SignRequest
    actor: Actor
    credential: Credential
    intent: str
    now: datetime
    deps: SigningDeps


def sign_document(request: SignRequest, actor: Actor, deps: SigningDeps) -> SignedDocument:
    """Sign one document; raise before the key is used (Refused, InputUnreadable, UsageWrong) or leave a failed act behind.

    A process that dies between steps 4 and 8 leaves an intent, which `antin doctor` names; no output exists then.
    """
    require(actor, Permission.SIGN_DOCUMENTS)
    # 1. May this credential do this now? Its certificate and all above it are in force, or nothing else happens.
    credential = deps.desk.usable(request.credential)
    # /M holds whole seconds, and every record says the same.
    now = deps.clock.now().replace(microsecond=0)
    case = _Case(request, actor, credential, _intent(credential, request), now, deps)
    _refuse_level(request.level, deps)
    _refuse_size(request.pdf, deps.max_bytes)
    # 2. What others have signed before must be whole, and in the order of ND30: the person first, then the seal.
    earlier = deps.judge_earlier(request.pdf, request.password) if b"/ByteRange" in request.pdf else EarlierSignatures()
    _check_order(case, earlier)
    # 3. Number and date belong into what the seal signs, so they are fixed before. A gap keeps its reason.
    number = _reserve(case, earlier)
    with _void_on_failure(case, number):
        # The file is parsed elsewhere; what comes back is checked against our own copy.
        answer = deps.preparer.prepare(request.pdf, _plan(case, number))
        if answer.signed and not earlier.fields:
            # The quick look for signatures above can be deceived by names that are written with escapes.
            raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason="HIDDEN")
        prepared = accept_prepared(request.pdf, answer.tail, answer.hole, answer.field)
        _refuse_harm(case, earlier, prepared)
        # 4. Commit what we are about to sign. From here on a death leaves a trace.
        document, act = _begin(case, earlier, prepared)
        with _fail_act_on_failure(case, act):
            # 5. The only line here that uses the credential's key. A time-stamp that cannot be had costs no signature.
            extender = deps.extender if request.level != B_B else None
            stamp = OneStamp(extender.timestamper) if extender is not None else None
            signed = sign_prepared(prepared, credential.template, credential.key(), stamp.timestamp if stamp else None)
            # 6. Nothing leaves that does not verify with the certificate people will be shown.
            stamper = extender.timestamper if extender is not None and stamp and stamp.failure is None else None
            check_output(signed, prepared, credential.template, credential.public_key, stamper)
            # 7. Proofs go behind it, as far as they can be had; then the bytes are on disk before the register says so.
            raised = _raise(case, earlier, signed, prepared, stamp)
            sha256 = deps.blobs.put(raised.content)
            # 8. Result, level, number and audit row move together or not at all.
            _finish(case, earlier, document, act, _Result(signed, raised, sha256), number)
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
        answer.placed,
        answer.filled,
        request.level if raised.level != request.level else None,
    )


def _intent(credential: Credential, request: SignRequest) -> str:
    usual = _INTENT_OF_ROLE[credential.role]
    if request.intent not in (None, usual):
        raise Refused("INTENT_NOT_ALLOWED", name=credential.name, intent=str(request.intent), usual=usual)
    return usual


def _refuse_level(level: str, deps: SigningDeps) -> None:
    if level not in LEVELS or (level != B_B and deps.extender is None):
        raise Refused("LEVEL_UNAVAILABLE", level=level)


def _raise(
    case: _Case, earlier: EarlierSignatures, signed: bytes, prepared: PreparedPdf, stamp: OneStamp | None
) -> Raised:
    """The file as high as it can be had now."""
    extender = case.deps.extender
    if stamp is None or extender is None:
        return Raised(signed, B_B)
    if stamp.failure is not None:
        return Raised(signed, B_B, stamp.failure)
    raised = extender.raise_signed(
        signed, prepared.hole, case.request.level, (case.credential.serial, *earlier.signers), case.request.password
    )
    if not earlier.fields or raised.level == B_T:
        return raised
    try:
        broken = case.deps.judge_earlier(raised.content, case.request.password).broken
    except SignerError as error:
        # Nobody can say whether the proofs harm what was there before: without them it stands as it was checked.
        return Raised(signed, B_T, error)
    return Raised(signed, B_T, Refused("WOULD_BREAK_EARLIER", field=", ".join(broken))) if broken else raised


def _refuse_size(pdf: bytes, limit: int) -> None:
    if not pdf:
        raise InputUnreadable("INPUT_EMPTY")
    if len(pdf) > limit:
        raise InputUnreadable("INPUT_TOO_LARGE", limit_mb=str(limit // (1024 * 1024)))


def _check_order(case: _Case, earlier: EarlierSignatures) -> None:
    if earlier.broken:
        raise Refused("INPUT_SIGNATURE_BROKEN", field=", ".join(earlier.broken))
    if earlier.revisions:
        with case.deps.database.read() as session:
            known = find_by_revisions(session, earlier.revisions)
            if known is not None:
                refuse_closed_document(session, known, earlier.revisions, _sealing(case))
    if case.intent != ISSUE:
        return
    # ND30 Đ.32.2.d: the agency's seal goes only on a document that the authorised person has signed.
    if not case.deps.desk.any_officer(earlier.signers):
        raise Refused("ISSUE_WITHOUT_OFFICER")
    if case.credential.serial in earlier.signers:
        raise Refused("ALREADY_SEALED", name=case.credential.name)


def _sealing(case: _Case) -> str | None:
    return case.credential.name if case.intent == ISSUE else None


def _refuse_harm(case: _Case, earlier: EarlierSignatures, prepared: PreparedPdf) -> None:
    """What we append must leave every earlier signature as good as it was: a lock or certification may forbid it."""
    if not earlier.fields:
        return
    judged = case.deps.judge_earlier(prepared.content, case.request.password)
    harmed = set(earlier.fields) & set(judged.broken)
    if harmed:
        raise Refused("WOULD_BREAK_EARLIER", field=", ".join(sorted(harmed)))


def _reserve(case: _Case, earlier: EarlierSignatures) -> GivenNumber | None:
    """The number that the clerk gives, or the officer's metadata gave before, or the next of the series.

    A document that another agency's seal has issued already keeps its number and day: it has one (a joint document).
    """
    if case.intent != ISSUE:
        return None
    agency, deps = case.credential.agency, case.deps
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
def _void_on_failure(case: _Case, number: GivenNumber | None) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if number is not None and number.fresh:
            # If the database is what failed, the number stays reserved and the doctor names it.
            with contextlib.suppress(DatabaseUnavailable), case.deps.database.write() as session:
                if void_number(session, case.credential.agency, year_of(number.day), number.number, _reason(error)):
                    append(
                        session, case.deps.clock, case.actor, "number.void", "number", str(number), reason=_reason(error)
                    )  # fmt: skip
        raise


@contextlib.contextmanager
def _fail_act_on_failure(case: _Case, act: int) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        with contextlib.suppress(DatabaseUnavailable), case.deps.database.write() as session:
            if fail_act(session, act, failure=_reason(error), now=case.now):
                append(
                    session, case.deps.clock, case.actor, "document.sign.fail", "act", str(act), reason=_reason(error)
                )
        raise


def _reason(error: BaseException) -> str:
    return error.code if isinstance(error, SignerError | HSMError) else type(error).__name__


def _plan(case: _Case, number: GivenNumber | None) -> Plan:
    """What the revision contains: a picture alone where there is one (ND30 PL1), lines of text for a credential without."""
    request, credential, deps = case.request, case.credential, case.deps
    drawn = request.placement != "none"
    seal = case.intent == ISSUE
    diameter = credential.diameter_mm or deps.seal_diameter_mm
    image = None
    if drawn and credential.image_sha256:
        purpose: Purpose = "seal" if seal else "signature"
        image = deps.image(credential.image_sha256, purpose, diameter if seal else deps.signature_width_mm)
    text = () if image or not drawn else (credential.common_name, credential.agency, for_people(case.now))
    values = {NUMBER_FIELD: written(number.number), DATE_FIELD: written_date(number.day)} if number else {}
    return Plan(
        kind="seal" if seal else "signature",
        claimed_time=case.now,
        contents_octets=credential.template.reserved_octets(),
        placement=request.placement,
        field=request.field,
        signer=None if seal else credential.common_name,
        image=image,
        diameter_mm=diameter if seal else None,
        text=text,
        fonts=_fonts(text, values, deps),
        ready_seal_mm=deps.seal_diameter_mm if drawn and not seal else None,
        values=values,
        password=request.password,
    )


def _fonts(text: tuple[str, ...], values: Mapping[str, str], deps: SigningDeps) -> dict[Style, EmbeddedFont]:
    """Regular for text of ours; a form may want its values in italics, as ND30 PL1 has place and date."""
    drawn = " ".join((*text, *values.values()))
    styles = DRAWN_STYLES if values else DRAWN_STYLES[:1]
    return {style: deps.font(style, drawn) for style in styles} if drawn else {}


def _begin(case: _Case, earlier: EarlierSignatures, prepared: PreparedPdf) -> tuple[Registered, int]:
    request, credential, deps = case.request, case.credential, case.deps
    algorithm = credential.template.scheme.digest
    input_sha256 = hashlib.sha256(request.pdf).hexdigest()
    intent = ActIntent(
        credential=credential.name,
        intent=case.intent,
        level=request.level,
        field=prepared.field,
        certificate_serial=credential.serial,
        digest_algorithm=algorithm,
        digest=document_digest(prepared, algorithm).hex(),
        input_sha256=input_sha256,
        actor=case.actor.name,
        claimed_time=case.now,
    )
    with deps.database.write() as session:
        # Revoked between step 1 and here? This commit decides.
        deps.desk.refuse_if_unusable(session, credential, keep=True)
        document = find_by_revisions(session, (input_sha256, *earlier.revisions)) if earlier.revisions else None
        if document is None:
            begun = begin_fresh(
                session, deps.clock, case.actor, intent, agency=credential.agency, name=request.name, details=request.metadata
            )  # fmt: skip
            if begun is not None:
                return begun
            document = find_by_revisions(session, (input_sha256,))
            assert document is not None
        # Recalled, or issued by another clerk, since step 2?
        refuse_closed_document(session, document, earlier.revisions, _sealing(case))
        merge_details(session, document.id, request.metadata)
        act = begin_act(session, document.id, intent)
        append(
            session, deps.clock, case.actor, "document.sign.intent", "act", str(act), credential=credential.name,
            digest=intent.digest,
        )  # fmt: skip
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


def _finish(
    case: _Case, earlier: EarlierSignatures, document: Registered, act: int, result: _Result, number: GivenNumber | None
) -> None:
    credential, deps = case.credential, case.deps
    output_sha256, size, now = result.signed_sha256(), len(result.signed), deps.clock.now()
    falls_short = result.raised.level != case.request.level
    if case.intent != ISSUE and not falls_short:
        if not finish_fresh(
            deps.database, deps.clock, case.actor, document, act, credential.name,
            output_sha256=output_sha256, output_size=size, now=now, reached=result.reached(),
        ):  # fmt: skip
            with deps.database.read() as session:
                raise out_of_force(session, document)
        return
    with deps.database.write() as session:
        if case.intent == ISSUE:
            refuse_second_issue(session, document, earlier.revisions, credential.name)
        if not finish_act(
            session, act, output_sha256=output_sha256, output_size=size, now=now, reached=result.reached()
        ):
            raise out_of_force(session, document)
        if number is not None and number.fresh:
            year = year_of(number.day)
            use_number(session, credential.agency, year, number.number, document.id)
            mark_issued(session, document.id, number=number.number, year=year, now=number.day)
        facts = {"credential": credential.name, "sha256": result.sha256}
        if falls_short:
            failure = result.raised.failure
            add_request(
                session, act_id=act, document_id=document.id, level=case.request.level, failure=failure.code if failure else "",
                now=now,
            )  # fmt: skip
            facts |= {"level": result.raised.level, "pending": case.request.level}
        append(session, deps.clock, case.actor, "document.sign", "document", document.code, **facts)
