"""Stages that hand over: a document is prepared, waits, and is finished with a signature made elsewhere or later (docs/signing-stages.md).

The steps are those of signing.py; here is what lies between them: the record, the stored file, and what comes back.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta

from cryptography import x509
from sqlalchemy.orm import Session

from certs.errors import CertsError
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.activation import kept_activation, refuse_without_consent
from signer.codes import new_code
from signer.credentials import Credential, Signatory
from signer.documents import find_by_revisions
from signer.errors import OwnOutputBroken, Refused, SignerError, Unavailable
from signer.extending import Raised
from signer.given import Given, accept_value, check_cms
from signer.handed_back import HandedBack
from signer.levels import B_B, B_T
from signer.numbering import GivenNumber, number_facts, void_number, year_of
from signer.octets import beginning_of, sha256_of
from signer.office_rules import find_images, find_mandates
from signer.outside import Outside, der_of, outside_signatory
from signer.outside_credentials import is_outside, refuse_ended_outside, usable_outside
from signer.pades import PreparedPdf, accept_prepared, document_digest, embed_cms, embed_signature
from signer.prepared import (
    CANCELLED,
    EXPIRED,
    WAITING,
    PreparedDocument,
    StoredClaim,
    add_prepared,
    end_prepared,
    expired_prepared,
    get_prepared,
    give_up_act,
    left_files,
    left_taken,
    let_wait,
    new_id,
    note_file_gone,
    refuse_ended,
)
from signer.signing import complete, make_ready, sign_with_key, void_on_failure
from signer.signing_case import check_order, embed_and_raise, embed_value, judge_before
from signer.signing_parts import Case, Made, Ready, SignedDocument, SigningDeps, SignRequest
from signer.storage import BlobStore
from signer.upgrading import UpgradeDeps
from signer.validation.facts import ValidationInputs

_AT_ONCE = 100


@dataclass(frozen=True)
class HandoverDeps:
    """What it works with; built once in api/wiring.py. `upgrading(extra)` judges and raises with what a caller trusts besides."""

    signing: SigningDeps
    upgrading: Callable[[ValidationInputs | None], UpgradeDeps]
    lifetime: timedelta
    rsa_padding: str


@dataclass(frozen=True)
class OutsideWish:
    """With which certificate from outside a document is to be signed, and what stands above it."""

    certificate: x509.Certificate
    others: tuple[x509.Certificate, ...] = ()


def prepare_document(
    request: SignRequest, actor: Actor, deps: HandoverDeps, outside: OutsideWish | None = None
) -> PreparedDocument:
    """Append field, stamp and hole, store the file and let it wait. With `outside` the request's credential counts for nothing."""
    require(actor, Permission.SIGN_DOCUMENTS)
    signing = deps.signing
    signatory = _wished(request, deps, outside)
    ready = make_ready(dataclasses.replace(request, later=True), actor, signatory, signing)
    with void_on_failure(ready.case, ready.number):
        one = _record(ready, actor, deps)
        signing.blobs.put(ready.prepared.content)
        try:
            with signing.database.write() as session:
                _refuse_ended_signatory(session, signatory, signing)
                add_prepared(session, one)
                append(
                    session, signing.clock, actor, "document.prepare", "prepared", one.id, **ready.case.signed_by,
                    digest=one.digest, code=one.code,
                )  # fmt: skip
        except BaseException:
            with contextlib.suppress(SignerError):
                signing.blobs.remove(one.blob_sha256)
            raise
    return one


def finish_document(prepared_id: str, given: Given, actor: Actor, deps: HandoverDeps) -> SignedDocument:
    """Put the signature in and go on as for any other. Whatever is wrong with it is Refused, and the document waits on."""
    require(actor, Permission.SIGN_DOCUMENTS)
    signing = deps.signing
    with signing.database.read() as session:
        one = get_prepared(session, prepared_id)
    refuse_ended(one, signing.clock.now())
    signatory = _announced(one, deps)
    try:
        prepared = stored_file(one, signing.blobs)
    except Refused:
        # Who finished it in this moment took the file away with it.
        with signing.database.read() as session:
            refuse_ended(get_prepared(session, prepared_id), signing.clock.now())
        raise
    ready = _ready(one, prepared, signatory, actor, given, deps)
    if ready.attributes() != one.to_be_signed:
        raise Refused("PREPARED_ALTERED", id=one.id)
    with signing.database.look() as connection:
        refuse_without_consent(connection, ready.case)
    make = _maker(one, ready, given, deps)
    check_order(ready.case)
    claim = _Claim(one.id, one.code, actor, signing.clock, signatory)
    signed = complete(ready, make, claim)
    _discard(one, deps)
    return signed


def cancel_document(prepared_id: str, actor: Actor, deps: HandoverDeps) -> PreparedDocument:
    """Nobody will sign it: its number becomes a gap, its file goes."""
    require(actor, Permission.SIGN_DOCUMENTS)
    with deps.signing.database.read() as session:
        one = get_prepared(session, prepared_id)
    _end(one, CANCELLED, actor, deps)
    with deps.signing.database.read() as session:
        return get_prepared(session, prepared_id)


def has_ended_prepared(deps: HandoverDeps) -> bool:
    """Whether any prepared document's time is over, a death has left one, or the file of one that ended is still there."""
    now = deps.signing.clock.now()
    with deps.signing.database.read() as session:
        return bool(expired_prepared(session, now, 1) or left_taken(session, now, 1) or left_files(session, 1))


def clear_prepared(actor: Actor, deps: HandoverDeps) -> list[str]:
    """End those whose time is over, let those that somebody died over wait again, and take away the files of all that have ended.

    The ids of those that expired.
    """
    require(actor, Permission.EXPIRE_DOCUMENTS)
    signing = deps.signing
    now = signing.clock.now()
    with signing.database.read() as session:
        due = expired_prepared(session, now, _AT_ONCE)
        dead = [one for one in left_taken(session, now, _AT_ONCE) if one.expires_at > now]
        left = left_files(session, _AT_ONCE)
    for one in dead:
        with signing.database.write() as session:
            if let_wait(session, one):
                give_up_act(session, one.act_id, actor, signing.clock)
    expired = []
    for one in due:
        # Refused: somebody has taken it up or ended it in this moment.
        with contextlib.suppress(Refused):
            _end(one, EXPIRED, actor, deps)
            expired.append(one.id)
    for one in left:
        _discard(one, deps)
    return expired


@dataclass(frozen=True)
class _Claim(StoredClaim):
    """The claim, which also asks whether a certificate from outside is still in force: the commit of the intent decides."""

    signatory: Signatory

    def take(self, session: Session) -> None:
        super().take(session)
        if isinstance(self.signatory, Outside):
            refuse_ended_outside(session, self.signatory, self.clock.now())


def _wished(request: SignRequest, deps: HandoverDeps, outside: OutsideWish | None) -> Signatory:
    now = deps.signing.clock.now()
    if outside is None:
        with deps.signing.database.read() as session:
            if is_outside(session, request.credential):
                return usable_outside(session, request.credential, now)
        return deps.signing.desk.usable(request.credential)
    return outside_signatory(outside.certificate, outside.others, now, rsa_padding=deps.rsa_padding)


def _refuse_ended_signatory(session: Session, signatory: Signatory, signing: SigningDeps) -> None:
    if isinstance(signatory, Credential):
        signing.desk.refuse_if_unusable(session, signatory, keep=True)
    elif isinstance(signatory, Outside):
        refuse_ended_outside(session, signatory, signing.clock.now())


def _record(ready: Ready, actor: Actor, deps: HandoverDeps) -> PreparedDocument:
    case, prepared, signatory = ready.case, ready.prepared, ready.case.signatory
    request, input_sha256 = case.request, sha256_of(case.request.pdf)
    with deps.signing.database.read() as session:
        known = find_by_revisions(session, (input_sha256, *case.earlier.revisions))
    outside = signatory if isinstance(signatory, Outside) else None
    return PreparedDocument(
        id=new_id(),
        state=WAITING,
        code=known.code if known is not None else case.code or new_code(),
        credential=signatory.name,
        certificate_serial=signatory.serial,
        certificates=der_of((outside.certificate, *outside.above)) if outside else (),
        anchors=der_of(outside.roots) if outside else (),
        scheme=signatory.template.scheme,
        subfilter=request.subfilter,
        intent=case.intent,
        level=request.level,
        name=request.name[:255],
        details=dict(request.metadata),
        particulars=request.particulars,
        agency=signatory.agency,
        number=ready.number,
        field=prepared.field,
        placed=ready.placed,
        filled=ready.filled,
        input_sha256=input_sha256,
        input_size=len(request.pdf),
        blob_sha256=sha256_of(prepared.content),
        blob_size=len(prepared.content),
        hole=prepared.hole,
        digest=ready.digest.hex(),
        to_be_signed=ready.attributes(),
        actor=actor.name,
        claimed_time=case.now,
        expires_at=case.now + deps.lifetime,
        activation=kept_activation(request.activation),
    )


def _announced(one: PreparedDocument, deps: HandoverDeps) -> Signatory:
    """Who was to sign it, if he may sign now."""
    if one.credential is None:
        certificate, *above = (x509.load_der_x509_certificate(each) for each in one.certificates)
        roots = [x509.load_der_x509_certificate(each) for each in one.anchors]
        return outside_signatory(certificate, [*above, *roots], deps.signing.clock.now(), scheme=one.scheme)
    credential: Signatory
    if one.certificates:
        with deps.signing.database.read() as session:
            credential = usable_outside(session, one.credential, deps.signing.clock.now(), one.scheme)
    else:
        credential = deps.signing.desk.usable(one.credential)
    if credential.serial != one.certificate_serial:
        # The certificate is named in what is signed: another one cannot take its place.
        raise Refused("PREPARED_CERTIFICATE_CHANGED", id=one.id, name=one.credential)
    return credential


def stored_file(one: PreparedDocument, blobs: BlobStore) -> PreparedPdf:
    """The file as it was prepared, octet for octet; PREPARED_MISSING, PREPARED_ALTERED."""
    try:
        content = blobs.open(one.blob_sha256)
        original = beginning_of(content, one.input_size)
        prepared = accept_prepared(original, content[one.input_size :], one.hole, one.field)
    except Unavailable as error:
        code = "PREPARED_ALTERED" if error.code == "BLOB_ALTERED" else "PREPARED_MISSING"
        raise Refused(code, id=one.id) from error
    except OwnOutputBroken as error:
        raise Refused("PREPARED_ALTERED", id=one.id) from error
    if sha256_of(original) != one.input_sha256:
        raise Refused("PREPARED_ALTERED", id=one.id)
    return prepared


def _ready(
    one: PreparedDocument, prepared: PreparedPdf, signatory: Signatory, actor: Actor, given: Given, deps: HandoverDeps
) -> Ready:
    """As it was when it was prepared, but for who finishes it and what the file's earlier signatures are worth now."""
    request = SignRequest(
        pdf=beginning_of(prepared.content, one.input_size),
        name=one.name,
        credential=one.credential or "",
        intent=one.intent,
        level=one.level,
        metadata=one.details,
        subfilter=one.subfilter,
        password=given.password,
        particulars=one.particulars,
        activation=given.activation or one.activation,
    )
    earlier = judge_before(request, deps.signing)
    case = Case(request, actor, signatory, one.intent, one.claimed_time, deps.signing, earlier)
    # A picture that may not be used any more is no reason to draw another one: what was prepared with it is refused.
    images = find_images(case) if one.placed else case.images
    case = dataclasses.replace(case, mandates=find_mandates(case), images=images)
    digest = document_digest(prepared, signatory.template.scheme.digest)
    return Ready(case, one.number, prepared, digest, one.placed, one.filled)


def _maker(one: PreparedDocument, ready: Ready, given: Given, deps: HandoverDeps) -> Callable[[Ready], Made]:
    """What makes the signed file. What was given is checked here, before anything is written."""
    signatory, prepared = ready.case.signatory, ready.prepared
    back = HandedBack(one, given, signatory.template.certificate, deps.upgrading, deps.signing.clock.now())
    if given.cms is not None:
        check_cms(given.cms, prepared, one.subfilter, one.id)
        signed = embed_cms(prepared, given.cms)
        reached = back.check(signed)
        return lambda _ready: Made(signed, back.raised(signed, reached))
    if given.signature is not None:
        value = accept_value(given.signature, one.to_be_signed, signatory, one.id)
        if isinstance(signatory, Credential):
            return lambda ready: embed_and_raise(ready, one.to_be_signed, value)
        back.check(embed_signature(prepared, signatory.template, one.to_be_signed, value))
        return lambda ready: _make_outside(ready, value, back)
    if isinstance(signatory, Credential):
        return sign_with_key
    raise Refused("PREPARED_KEY_ELSEWHERE", id=one.id)


def _make_outside(ready: Ready, value: bytes, back: HandedBack) -> Made:
    signed, stamp = embed_value(ready, back.one.to_be_signed, value)
    if stamp is None or stamp.failure is not None:
        return Made(signed, Raised(signed, B_B, stamp.failure if stamp else None))
    return Made(signed, back.raised(signed, B_T))


def _end(one: PreparedDocument, state: str, actor: Actor, deps: HandoverDeps) -> None:
    signing = deps.signing
    now = signing.clock.now()
    with signing.database.write() as session:
        give_up_act(session, end_prepared(session, one.id, state, now), actor, signing.clock)
        _void(session, one.number, one.agency, state.upper(), actor, signing)
        append(session, signing.clock, actor, f"document.prepare.{_ENDINGS[state]}", "prepared", one.id, code=one.code)
    _discard(one, deps)


_ENDINGS = {CANCELLED: "cancel", EXPIRED: "expire"}


def _void(
    session: Session, number: GivenNumber | None, agency: str, reason: str, actor: Actor, signing: SigningDeps
) -> None:
    if number is None or not number.fresh:
        return
    if void_number(session, agency, year_of(number.day), number.number, reason, number.series):
        facts = number_facts(agency, number.series)
        append(session, signing.clock, actor, "number.void", "number", str(number), reason=reason, **facts)


def _discard(one: PreparedDocument, deps: HandoverDeps) -> None:
    """Take the prepared file away. Should it fail, the next round of the worker does."""
    with contextlib.suppress(SignerError, CertsError):
        deps.signing.blobs.remove(one.blob_sha256)
        with deps.signing.database.write() as session:
            note_file_gone(session, one.id)
