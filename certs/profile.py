"""What a certificate of one kind contains: the values of one profile file, and the checks of a request against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from certs.errors import (
    KeySpecRefused,
    ProfileInvalid,
    SanRefused,
    SubjectAttributeMissing,
    SubjectAttributeRefused,
    ValidityRefused,
)
from certs.names import SubjectName
from certs.oids import EXTENDED_KEY_USAGES, SUBJECT_ATTRIBUTES
from hsm.spec import KeySpec

# `issued_by` of a certificate that signs itself.
SELF = "self"


class Usage(StrEnum):
    """Key usage bits by the names of RFC 5280 4.2.1.3. contentCommitment is written by its older name there."""

    DIGITAL_SIGNATURE = "digitalSignature"
    NON_REPUDIATION = "nonRepudiation"
    KEY_ENCIPHERMENT = "keyEncipherment"
    DATA_ENCIPHERMENT = "dataEncipherment"
    KEY_AGREEMENT = "keyAgreement"
    KEY_CERT_SIGN = "keyCertSign"
    CRL_SIGN = "cRLSign"


class SanKind(StrEnum):
    """The kinds of subjectAltName that a profile may allow."""

    DNS = "dns"
    EMAIL = "email"


@dataclass(frozen=True)
class SubjectRule:
    """Which attributes a subject must and may have, by short name."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for attribute in (*self.required, *self.optional):
            if attribute not in SUBJECT_ATTRIBUTES:
                raise ValueError(f"{attribute} is not one of {', '.join(SUBJECT_ATTRIBUTES)}")


@dataclass(frozen=True)
class Profile:
    """One profile file. Its keys are exactly these fields; `name` comes from the file's name."""

    name: str
    description: str
    issued_by: tuple[str, ...]
    validity_days: int
    keys: tuple[KeySpec, ...]
    key_usage: tuple[Usage, ...]
    subject: SubjectRule
    authority: bool = False
    path_length: int | None = None
    extended_key_usage: tuple[str, ...] = ()
    extended_key_usage_critical: bool = False
    policies: tuple[str, ...] = ()
    san: tuple[SanKind, ...] = ()
    san_required: bool = False
    aia: bool = True
    cdp: bool = True
    ocsp_no_check: bool = False
    # Signers' certificates are linted harder: nonRepudiation alone (EN 319 412-2 4.3.2).
    signs_documents: bool = False
    # How many others have to approve before one is issued (pki/approval.py).
    approvals: int = 0

    @property
    def is_self_signed(self) -> bool:
        return self.issued_by == (SELF,)


@dataclass(frozen=True)
class Validity:
    """From when until when; both whole seconds in UTC, both inside (RFC 5280 4.1.2.5)."""

    not_before: datetime
    not_after: datetime


def check_profile(profile: Profile) -> None:
    """Raise ProfileInvalid for a profile that no conforming certificate could follow."""
    problems = {
        "validity_days must be positive": profile.validity_days <= 0,
        "keys is empty": not profile.keys,
        "key_usage is empty": not profile.key_usage,
        "issued_by is empty": not profile.issued_by,
        "self stands alone in issued_by": SELF in profile.issued_by and len(profile.issued_by) > 1,
        # RFC 5280 4.2.1.3 and 4.2.1.9 bind keyCertSign and the CA flag to each other.
        "keyCertSign belongs to authorities, and every authority has it": (
            (Usage.KEY_CERT_SIGN in profile.key_usage) != profile.authority
        ),
        "path_length belongs to authorities": profile.path_length is not None and not profile.authority,
        "path_length must not be negative": (profile.path_length or 0) < 0,
        "approvals must not be negative": profile.approvals < 0,
        "authority keys are at least rsa-3072": profile.authority and KeySpec.RSA_2048 in profile.keys,
        "a signer of documents has nonRepudiation alone": (
            profile.signs_documents and profile.key_usage != (Usage.NON_REPUDIATION,)
        ),
        "san_required needs san": profile.san_required and not profile.san,
        # RFC 3161 2.3.
        "timeStamping stands alone in extended_key_usage and is critical": (
            "timeStamping" in profile.extended_key_usage
            and not (profile.extended_key_usage == ("timeStamping",) and profile.extended_key_usage_critical)
        ),
        # RFC 6960 4.2.2.2.1: for nobody else may revocation go unasked.
        "ocsp_no_check belongs to OCSP responders": (
            profile.ocsp_no_check and profile.extended_key_usage != ("OCSPSigning",)
        ),
        "a self-signed certificate has neither aia nor cdp": profile.is_self_signed and (profile.aia or profile.cdp),
    }
    unknown = [name for name in profile.extended_key_usage if not _is_extended_key_usage(name)]
    problems[f"extended_key_usage {', '.join(unknown)} is unknown"] = bool(unknown)
    for problem, present in problems.items():
        if present:
            raise ProfileInvalid(f"{profile.name}: {problem}", profile=profile.name, problem=problem)


def check_subject(profile: Profile, subject: SubjectName) -> None:
    """Raise unless the subject has all that the profile requires and nothing that it does not know."""
    present = {entry.attribute for entry in subject.entries}
    for attribute in profile.subject.required:
        if attribute not in present:
            raise SubjectAttributeMissing(f"{attribute} is required", profile=profile.name, attribute=attribute)
    allowed = (*profile.subject.required, *profile.subject.optional)
    for entry in subject.entries:
        if entry.attribute not in allowed:
            raise SubjectAttributeRefused(
                f"{entry.attribute} is not allowed",
                profile=profile.name,
                attribute=entry.attribute,
                allowed=", ".join(allowed),
            )


def check_key_spec(profile: Profile, spec: KeySpec) -> None:
    """Raise KeySpecRefused unless the profile allows this kind of key."""
    if spec not in profile.keys:
        allowed = ", ".join(profile.keys)
        raise KeySpecRefused(f"{spec} is not allowed", profile=profile.name, spec=spec.value, allowed=allowed)


def check_san(profile: Profile, san: Sequence[str]) -> None:
    """Raise SanRefused for a name of a kind that the profile does not allow, or when it asks for one in vain."""
    if profile.san_required and not san:
        raise SanRefused("a subjectAltName is required", profile=profile.name, value="")
    for value in san:
        kind = SanKind.EMAIL if "@" in value else SanKind.DNS
        if kind not in profile.san or not value.isascii() or not value or any(c.isspace() for c in value):
            raise SanRefused(f"{value!r} is not allowed", profile=profile.name, value=value)


def decide_validity(profile: Profile, now: datetime, issuer_end: datetime | None, days: int | None = None) -> Validity:
    """From now for the profile's term or a shorter one, but never past the issuer's end (nothing would verify there)."""
    if days is not None and not 0 < days <= profile.validity_days:
        raise ValidityRefused(
            f"{days} days are not within the profile", profile=profile.name, limit_days=str(profile.validity_days)
        )
    start = now.astimezone(UTC).replace(microsecond=0)
    end = start + timedelta(days=days or profile.validity_days)
    if issuer_end is not None:
        end = min(end, issuer_end.replace(microsecond=0))
    if end <= start:
        raise ValidityRefused("the issuer's certificate has ended", profile=profile.name, limit_days="0")
    return Validity(start, end)


def _is_extended_key_usage(name: str) -> bool:
    return name in EXTENDED_KEY_USAGES or (name[:1] in "012" and name.replace(".", "").isdigit() and "." in name)
