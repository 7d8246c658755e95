"""One document on its way through the signing cycle: what is decided about it before any row is written or key used.

The cycle of one is signing.py's, that of many signing_batch.py's; the rows are signing_rows.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from certs.clock import for_people
from hsm.errors import HSMError
from pki.audit import Actor
from signer.admission import refuse_closed_document
from signer.appearance.fonts import EmbeddedFont, Style
from signer.appearance.images import Purpose
from signer.cms import TIMESTAMP_ROOM
from signer.credentials import OFFICER, SEAL, Credential
from signer.documents import ActIntent, Reached, Registered, find_by_revisions
from signer.errors import InputUnreadable, Refused, SignerError
from signer.extending import Raised
from signer.levels import B_B, B_T, LEVELS
from signer.numbering import GivenNumber, written, written_date
from signer.pades import PreparedPdf, accept_prepared, check_output, document_digest
from signer.plan import Plan, Prepared
from signer.protection import refuse_protection
from signer.signing_parts import EarlierSignatures, SignedDocument, SigningDeps, SignRequest
from signer.timestamps import OneStamp

APPROVE, ISSUE = "approve", "issue"
_INTENT_OF_ROLE = {OFFICER: APPROVE, SEAL: ISSUE}
# Text fields that an office leaves open for the number and the date of issue.
NUMBER_FIELD, DATE_FIELD = "SoVanBan", "NgayBanHanh"
# The styles of font that a revision may bring.
DRAWN_STYLES: tuple[Style, ...] = ("regular", "italic")


@dataclass(frozen=True)
class Case:
    """The decisions that stand once the request is admitted. `now` is the time that file and register will both say."""

    request: SignRequest
    actor: Actor
    credential: Credential
    intent: str
    now: datetime
    deps: SigningDeps
    earlier: EarlierSignatures

    @property
    def sealing(self) -> str | None:
        """The credential that is to issue the document, None for a person's signature."""
        return self.credential.name if self.intent == ISSUE else None


@dataclass(frozen=True)
class Ready:
    """A case whose revision is appended: all that is still to come is the signature. `digest` is what it will be over."""

    case: Case
    number: GivenNumber | None
    answer: Prepared
    prepared: PreparedPdf
    digest: bytes


@dataclass(frozen=True)
class Outcome:
    """What the cycle made: the signed revision, and the file of it that is stored."""

    signed: bytes
    raised: Raised
    sha256: str

    def reached(self) -> Reached:
        if self.raised.content is self.signed:
            return Reached(self.raised.level)
        return Reached(self.raised.level, self.sha256, len(self.raised.content), self.raised.renew_at)

    def signed_sha256(self) -> str:
        return self.sha256 if self.raised.content is self.signed else hashlib.sha256(self.signed).hexdigest()


def open_case(request: SignRequest, actor: Actor, credential: Credential, deps: SigningDeps) -> Case:
    """Decide about a request whose credential may sign now; Refused, InputUnreadable or UsageWrong."""
    # /M holds whole seconds, and every record says the same.
    now = deps.clock.now().replace(microsecond=0)
    intent = _intent(credential, request)
    _refuse_level(request.level, deps)
    refuse_protection(request.protection, request.level, seals=intent == ISSUE)
    _refuse_size(request.pdf, deps.max_bytes)
    # What others have signed before must be whole, and in the order of ND30: the person first, then the seal.
    earlier = deps.judge_earlier(request.pdf, request.password) if b"/ByteRange" in request.pdf else EarlierSignatures()
    case = Case(request, actor, credential, intent, now, deps, earlier)
    _check_order(case)
    return case


def prepare_case(case: Case, number: GivenNumber | None) -> Ready:
    """Have the revision appended. The file is parsed elsewhere; what comes back is checked against our own copy."""
    request, earlier = case.request, case.earlier
    answer = case.deps.preparer.prepare(request.pdf, _plan(case, number))
    if answer.signed and not earlier.fields:
        # The quick look for signatures above can be deceived by names that are written with escapes.
        raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason="HIDDEN")
    prepared = accept_prepared(request.pdf, answer.tail, answer.hole, answer.field)
    _refuse_harm(case, prepared)
    return Ready(case, number, answer, prepared, document_digest(prepared, case.credential.template.scheme.digest))


def intent_of(ready: Ready) -> ActIntent:
    """What is about to be signed, as the register keeps it."""
    case = ready.case
    request, credential = case.request, case.credential
    return ActIntent(
        credential=credential.name,
        intent=case.intent,
        level=request.level,
        field=ready.prepared.field,
        certificate_serial=credential.serial,
        digest_algorithm=credential.template.scheme.digest,
        digest=ready.digest.hex(),
        input_sha256=hashlib.sha256(request.pdf).hexdigest(),
        actor=case.actor.name,
        claimed_time=case.now,
    )


def one_stamp(case: Case) -> OneStamp | None:
    """The time-stamper for a signature that is to have one; one that cannot be had costs no signature."""
    extender = case.deps.extender if case.request.level != B_B else None
    return OneStamp(extender.timestamper) if extender is not None else None


def check_and_raise(ready: Ready, signed: bytes, stamp: OneStamp | None) -> Raised:
    """Nothing leaves that does not verify with the certificate people will be shown; then its proofs, as far as they can be had."""
    case = ready.case
    template, extender = case.credential.template, case.deps.extender
    stamped = stamp.checked if stamp is not None else None
    check_output(signed, ready.prepared, template, case.credential.public_key, stamped)
    if stamp is None or extender is None:
        return Raised(signed, B_B)
    if stamp.failure is not None:
        return Raised(signed, B_B, stamp.failure)
    serials = (case.credential.serial, *case.earlier.signers)
    raised = extender.raise_signed(
        signed, ready.prepared.hole, case.request.level, serials, stamp.stamped_by, case.request.password
    )
    if not case.earlier.fields or raised.level == B_T:
        return raised
    try:
        broken = case.deps.judge_earlier(raised.content, case.request.password).broken
    except SignerError as error:
        # Nobody can say whether the proofs harm what was there before: without them it stands as it was checked.
        return Raised(signed, B_T, error)
    return Raised(signed, B_T, Refused("WOULD_BREAK_EARLIER", field=", ".join(broken))) if broken else raised


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
        ready.answer.placed,
        ready.answer.filled,
        case.request.level if level != case.request.level else None,
    )


def reason_of(error: BaseException) -> str:
    """Why something failed, as rows and audit say it."""
    return error.code if isinstance(error, SignerError | HSMError) else type(error).__name__


def _intent(credential: Credential, request: SignRequest) -> str:
    usual = _INTENT_OF_ROLE[credential.role]
    if request.intent not in (None, usual):
        raise Refused("INTENT_NOT_ALLOWED", name=credential.name, intent=str(request.intent), usual=usual)
    return usual


def _refuse_level(level: str, deps: SigningDeps) -> None:
    if level not in LEVELS or (level != B_B and deps.extender is None):
        raise Refused("LEVEL_UNAVAILABLE", level=level)


def _refuse_size(pdf: bytes, limit: int) -> None:
    if not pdf:
        raise InputUnreadable("INPUT_EMPTY")
    if len(pdf) > limit:
        raise InputUnreadable("INPUT_TOO_LARGE", limit_mb=str(limit // (1024 * 1024)))


def _check_order(case: Case) -> None:
    earlier = case.earlier
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
    if case.credential.serial in earlier.signers:
        raise Refused("ALREADY_SEALED", name=case.credential.name)


def _refuse_harm(case: Case, prepared: PreparedPdf) -> None:
    """What we append must leave every earlier signature as good as it was: a lock or certification may forbid it."""
    if not case.earlier.fields:
        return
    judged = case.deps.judge_earlier(prepared.content, case.request.password)
    harmed = set(case.earlier.fields) & set(judged.broken)
    if harmed:
        raise Refused("WOULD_BREAK_EARLIER", field=", ".join(sorted(harmed)))


def _plan(case: Case, number: GivenNumber | None) -> Plan:
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
        contents_octets=credential.template.reserved_octets(_stamp_room(case)),
        placement=request.placement,
        field=request.field,
        signer=None if seal else credential.common_name,
        image=image,
        diameter_mm=diameter if seal else None,
        text=text,
        fonts=_fonts(text, values, deps),
        ready_seal_mm=deps.seal_diameter_mm if drawn and not seal else None,
        values=values,
        protection=request.protection,
        # The seal fills these and signs in its field: no lock of the officer's shuts them.
        keeps_open=() if seal else (NUMBER_FIELD, DATE_FIELD),
        keeps_signatures=not seal,
        password=request.password,
    )


def _stamp_room(case: Case) -> int:
    """Also at B-B a time-stamp of our own would still fit."""
    extender = case.deps.extender
    return TIMESTAMP_ROOM if extender is None or case.request.level == B_B else extender.timestamper.room


def _fonts(text: tuple[str, ...], values: Mapping[str, str], deps: SigningDeps) -> dict[Style, EmbeddedFont]:
    """Regular for text of ours; a form may want its values in italics, as ND30 PL1 has place and date."""
    drawn = " ".join((*text, *values.values()))
    styles = DRAWN_STYLES if values else DRAWN_STYLES[:1]
    return {style: deps.font(style, drawn) for style in styles} if drawn else {}
