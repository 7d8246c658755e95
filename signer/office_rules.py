"""What each need of the office's policy means: asked before a signature is prepared, and again before a prepared one is finished."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from signer.appearance.image_rules import Purpose
from signer.credentials import SEAL, Credential, Signatory, find_by_outside
from signer.documents import DOCUMENTS, OPEN, Registered, document_by_code, find_by_revisions
from signer.errors import Refused, UsageWrong
from signer.image_registry import NO_IMAGES, SigningImages, images_for
from signer.mandates import mandates_for
from signer.office_policy import INCOME, INTENTS, OfficePolicy
from signer.signing_parts import Case, SignRequest
from signer.tables import DocumentRow, SigningActRow


def intent_for(signatory: Signatory, request: SignRequest, policy: OfficePolicy) -> str:
    """What the signature is for: as asked, else the usual of who signs. Refused when that is not his, or is told what it does not take."""
    allowed = policy.intents_of(signatory.role)
    intent = request.intent or allowed[0]
    if intent not in INTENTS:
        raise UsageWrong("INTENT_UNKNOWN", intent=intent[:40], valid=", ".join(INTENTS))
    name = signatory.name or signatory.common_name
    if intent not in allowed or (signatory.name is None and intent != allowed[0]):
        # Of a certificate that nobody has enrolled nobody knows whose office it is.
        usual = ", ".join(allowed if signatory.name is not None else allowed[:1])
        raise Refused("INTENT_NOT_ALLOWED", name=name, intent=intent, usual=usual)
    for given in request.particulars.given():
        if given not in policy.rule(intent).takes:
            raise UsageWrong("PARTICULAR_NOT_WANTED", name=given, intent=intent)
    return intent


def check_needs(case: Case) -> None:
    """Refused with the reason of the policy for the first need that is not met."""
    for need in case.rule.needs:
        if not _MEANINGS[need.need](case):
            raise Refused(need.refused, **_facts(case))


def find_mandates(case: Case) -> tuple[int, ...]:
    """What the position rests on that the metadata show; Refused where the signer has no such right today."""
    position = case.request.metadata.get("SignerInfo", {}).get("Position", "")
    if not (case.rule.mandate and position):
        return ()
    with case.deps.database.read() as session:
        return mandates_for(session, case.signatory.name, position, case.deps.clock.now())


def find_images(case: Case) -> SigningImages:
    """The registered pictures that are drawn; Refused where the signer's may not be used today. None where none is shown."""
    signatory = case.signatory
    if case.rule.look != "picture" or case.request.placement == "none":
        return NO_IMAGES
    purpose: Purpose = "seal" if signatory.role == SEAL else "signature"
    owner = signatory.agency if signatory.role == SEAL else signatory.name
    database, linked = case.deps.database, signatory.image_sha256
    return images_for(database, purpose, owner, linked, signatory.agency, case.deps.clock.now())


def main_document_line(case: Case) -> tuple[int, str]:
    """Number and symbol of the document that an appendix belongs to."""
    with case.deps.database.read() as session:
        main = document_by_code(session, case.request.particulars.main)
    return main.number or 0, main.notation or ""


def _facts(case: Case) -> dict[str, str]:
    told = case.request.particulars
    name = case.signatory.name or case.signatory.common_name
    return {
        "name": name, "agency": case.signatory.agency, "main": told.main, "form": told.form, "source": told.source,
    }  # fmt: skip


def _is_approved(case: Case) -> bool:
    """An authorised person has signed it, and to approve it: his remark on a draft is no signature under it (ND30 Đ.13)."""
    earlier = case.earlier
    otherwise: set[str] = set()
    approving: set[str] = set()
    officials: list[str] = []
    if earlier.signers or earlier.enrolled or earlier.officials:
        with case.deps.database.read() as session:
            for credential, serial, intent in _acts(session, case):
                names = approving if case.policy.rule(intent).approves else otherwise
                names |= {credential or "", serial}
            for sha256 in earlier.officials:
                official = find_by_outside(session, sha256)
                if official is not None and official.name not in otherwise - approving:
                    officials.append(sha256)
    signers = [each for each in earlier.signers if each not in otherwise - approving]
    enrolled = [each for each in earlier.enrolled if each not in otherwise - approving]
    return case.deps.desk.any_officer(signers, enrolled, officials)


def _is_not_sealed(case: Case) -> bool:
    signatory, earlier = case.signatory, case.earlier
    official = signatory.official if isinstance(signatory, Credential) else None
    if official is not None:
        return official.sha256 not in earlier.officials
    return signatory.serial not in earlier.signers and signatory.name not in earlier.enrolled


def _is_not_own(case: Case) -> bool:
    with case.deps.database.read() as session:
        known = _known(session, case)
        if known is None or known.number is None:
            return True
        return session.scalar(select(DOCUMENTS.c.agency).where(DOCUMENTS.c.id == known.id)) != case.signatory.agency


def _has_not_arrived(case: Case) -> bool:
    with case.deps.database.read() as session:
        known = _known(session, case)
        if known is None:
            return True
        query = select(SigningActRow.credential).where(
            SigningActRow.document_id == known.id, SigningActRow.state == "done", SigningActRow.intent == INCOME
        )
        return case.signatory.name not in set(session.scalars(query))


def _has_main(case: Case) -> bool:
    return bool(case.request.particulars.main)


def _main_is_issued(case: Case) -> bool:
    with case.deps.database.read() as session:
        main = document_by_code(session, case.request.particulars.main)
    return main.issued and main.status in OPEN


def _main_is_own(case: Case) -> bool:
    with case.deps.database.read() as session:
        agency = session.scalar(select(DocumentRow.agency).where(DocumentRow.code == case.request.particulars.main))
    return agency == case.signatory.agency


def _is_not_main(case: Case) -> bool:
    with case.deps.database.read() as session:
        known = _known(session, case)
    return known is None or known.code != case.request.particulars.main


def _is_copy_told(case: Case) -> bool:
    return bool(case.request.particulars.form and case.request.particulars.source)


def _copy_exists(case: Case) -> bool:
    told = case.request.particulars
    return case.rule.copy_text(told.form, told.source) is not None


def _paper_is_unsigned(case: Case) -> bool:
    # What bears signatures is an electronic original, whatever somebody says of it.
    return case.request.particulars.source != "paper" or not case.earlier.fields


def _has_comment(case: Case) -> bool:
    return bool(case.request.particulars.comment)


def _known(session: Session, case: Case) -> Registered | None:
    return find_by_revisions(session, case.earlier.revisions) if case.earlier.revisions else None


def _acts(session: Session, case: Case) -> list[tuple[str | None, str, str]]:
    query = select(SigningActRow.credential, SigningActRow.certificate_serial, SigningActRow.intent)
    done = query.where(SigningActRow.output_sha256.in_(case.earlier.revisions), SigningActRow.state == "done")
    return [(credential, serial, intent) for credential, serial, intent in session.execute(done)]


_MEANINGS: Mapping[str, Callable[[Case], bool]] = {
    "approved": _is_approved,
    "not-sealed-by-the-same": _is_not_sealed,
    "not-of-the-same-agency": _is_not_own,
    "not-arrived": _has_not_arrived,
    "main": _has_main,
    "main-issued": _main_is_issued,
    "main-of-the-same-agency": _main_is_own,
    "not-main-itself": _is_not_main,
    "copy-told": _is_copy_told,
    "copy-exists": _copy_exists,
    "paper-is-unsigned": _paper_is_unsigned,
    "comment": _has_comment,
}
