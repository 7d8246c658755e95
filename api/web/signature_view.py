"""One signature as a card of the page: who, in what role, when and by whose clock, what came after."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from api.web.later_changes import LaterChanges, later_changes
from api.web.text import Attribute, masked, short_name, shown, subject_attributes
from certs.clock import for_people
from signer.credentials import OFFICER, SEAL
from signer.validation.facts import CertificateFacts
from signer.validation.policy import JudgedSignature

_TONES = {"valid": "good", "invalid": "bad", "indeterminate": "unsure"}
# Subject numbers of Thông tư 15/2025/TT-BKHCN: these belong to a person, those to an agency.
_OF_PERSON = ("CCCD", "CMND", "HC")
_OF_AGENCY = ("MST", "MNS")


@dataclass(frozen=True)
class OwnSigner:
    """What the inventory knows of a signer's certificate: a credential's role or nothing, and since when it is out of force."""

    role: str
    ended_at: datetime | None


@dataclass(frozen=True)
class SignatureView:
    """A card. `role` is officer, seal or empty when it cannot be told; `proven` says whether a time-stamp bears the time."""

    number: int
    type: str
    tone: str
    conclusion: str
    reason: str
    name: str
    title: str
    organization: str
    role: str
    trust: str
    time: str
    proven: bool
    claimed: str
    lenient: bool
    after: tuple[LaterChanges, ...]
    serial: str
    issuer: str
    subject: tuple[Attribute, ...]
    revocation: str
    ended: str
    level: str
    algorithm: str
    # What it was for, where the register knows (signer/office_policy.py): approve, issue, …
    purpose: str = ""


def view_signature(number: int, judged: JudgedSignature, own: Mapping[str, OwnSigner]) -> SignatureView:
    """`own` are those signers whose certificates are ours, by SHA-256."""
    facts = judged.facts
    signer = facts.signer
    subject = subject_attributes(signer.subject) if signer else ()
    claimed = for_people(facts.claimed_time) if facts.claimed_time else ""
    proven = for_people(judged.proven_time) if judged.proven_time else ""
    return SignatureView(
        number=number,
        type=facts.type,
        tone=_TONES[judged.conclusion],
        conclusion=judged.conclusion,
        reason=judged.reason,
        name=masked(shown((signer.common_name or signer.organization or "") if signer else "")),
        title=next((each.value for each in subject if each.name == "T"), ""),
        organization=masked(shown(signer.organization or "")) if signer else "",
        role=_role(signer, subject, own) if facts.type == "signature" else "",
        trust=judged.trust,
        time=proven or claimed,
        proven=bool(proven),
        claimed=claimed,
        lenient=facts.lenient,
        after=later_changes(facts),
        serial=shown(signer.serial) if signer else "",
        issuer=short_name(signer.issuer) if signer else "",
        subject=subject,
        revocation=judged.revocation,
        ended=_ended(judged, own),
        level=shown(facts.level),
        algorithm=shown(" · ".join(filter(None, (facts.signature_algorithm, facts.digest_algorithm)))),
    )


def _role(signer: CertificateFacts | None, subject: tuple[Attribute, ...], own: Mapping[str, OwnSigner]) -> str:
    """What the inventory says of our own certificates; of others what their numbers say, and nothing when those are silent."""
    if signer is None:
        return ""
    if signer.sha256 in own and own[signer.sha256].role:
        return own[signer.sha256].role
    numbers = [each.value.upper() for each in subject if each.name in ("UID", "serialNumber")]
    if any(number.startswith(_OF_PERSON) for number in numbers):
        return OFFICER
    # An employee's certificate may bear the tax code of the agency too: then the names differ.
    if any(number.startswith(_OF_AGENCY) for number in numbers) and signer.common_name == signer.organization:
        return SEAL
    return ""


def _ended(judged: JudgedSignature, own: Mapping[str, OwnSigner]) -> str:
    """Since when the signer's certificate is revoked or suspended: to be held against the time of signing."""
    if judged.revocation not in ("revoked", "suspended") or judged.facts.signer is None:
        return ""
    known = own.get(judged.facts.signer.sha256)
    if known is not None:
        return for_people(known.ended_at) if known.ended_at else ""
    path = judged.facts.path
    listed = [crl for crl in (path.certificates[0].crls if path and path.certificates else ()) if crl.revoked_at]
    latest = max(listed, key=lambda crl: crl.this_update, default=None)
    return for_people(latest.revoked_at) if latest and latest.revoked_at else ""
