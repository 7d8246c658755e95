"""What a certificate of one kind contains: the values of one profile file, and the checks of a request against them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from certs.dns import is_host_name, is_mail_address
from certs.errors import (
    CommonNameNotInSan,
    EmailInSubject,
    KeySpecRefused,
    ProfileInvalid,
    RegistrationIncomplete,
    SanRefused,
    SubjectAttributeMissing,
    SubjectAttributeRefused,
    UidRefused,
    ValidityRefused,
)
from certs.identifiers import UidKind, check_identifiers, check_tax_codes, identifier_example, uid_kinds
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


class Holder(StrEnum):
    """Whose certificate it is, where an ETSI standard says how such a one looks: EN 319 412-2 or 412-3."""

    NATURAL_PERSON = "natural-person"
    LEGAL_PERSON = "legal-person"


@dataclass(frozen=True)
class LintException:
    """A warning of the second opinion that the reviewers of a profile accept, and why."""

    code: str
    reason: str

    def __post_init__(self) -> None:
        if not self.code or not self.reason.strip():
            raise ValueError("code and reason, both of them")


@dataclass(frozen=True)
class SubjectRule:
    """Which attributes a subject must and may have, by short name, and which kinds of UID."""

    required: tuple[str, ...]
    optional: tuple[str, ...] = ()
    uids: tuple[UidKind, ...] = tuple(UidKind)

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
    # How many people besides the one who asks must approve before a certificate is issued.
    approvals: int = 0
    # Attributes that a registration for real use needs besides the required ones.
    registration: tuple[str, ...] = ()
    # The common name, where there is one, is one of the names in subjectAltName.
    common_name_in_san: bool = False
    holder: Holder | None = None
    lint_exceptions: tuple[LintException, ...] = ()

    def __hash__(self) -> int:
        # Asked at every issuance, and the hash of all fields takes longer than what is looked up by it.
        return hash(self.name)

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
        "an attribute of registration is not allowed in the subject": bool(
            set(profile.registration) - {*profile.subject.required, *profile.subject.optional}
        ),
        # RFC 5280 4.1.2.6: the attribute is kept for old readers; new certificates use subjectAltName.
        "emailAddress belongs into subjectAltName": (
            "emailAddress" in (*profile.subject.required, *profile.subject.optional)
        ),
        "common_name_in_san needs san_required": profile.common_name_in_san and not profile.san_required,
        # CA/Browser Forum BR 7.1.2.7: what a reader of server certificates takes for granted.
        "serverAuth needs a name in subjectAltName": (
            "serverAuth" in profile.extended_key_usage and not profile.san_required
        ),
        "policies are dotted object identifiers, each once": (
            len(set(profile.policies)) != len(profile.policies)
            or not all(_is_object_identifier(oid) for oid in profile.policies)
        ),
    }
    unknown = [name for name in profile.extended_key_usage if not _is_extended_key_usage(name)]
    problems[f"extended_key_usage {', '.join(unknown)} is unknown"] = bool(unknown)
    for problem, present in problems.items():
        if present:
            raise ProfileInvalid(f"{profile.name}: {problem}", profile=profile.name, problem=problem)


def check_subject(profile: Profile, subject: SubjectName) -> None:
    """Raise unless the subject has all that the profile requires and nothing that it does not know."""
    present = subject.attributes
    for attribute in profile.subject.required:
        if attribute not in present:
            raise SubjectAttributeMissing(f"{attribute} is required", profile=profile.name, attribute=attribute)
    allowed = (*profile.subject.required, *profile.subject.optional)
    for attribute in present:
        if attribute not in allowed:
            refusal = EmailInSubject if attribute == "emailAddress" else SubjectAttributeRefused
            raise refusal(
                f"{attribute} is not allowed",
                profile=profile.name,
                attribute=attribute,
                allowed=", ".join(allowed),
            )
    # EN 319 412-2 4.2.4: a pseudonym stands in the place of the names.
    if subject.first("pseudonym") and (subject.first("GN") or subject.first("SN")):
        raise SubjectAttributeRefused(
            "pseudonym beside a name", profile=profile.name, attribute="pseudonym", allowed="GN, SN"
        )
    for kind in uid_kinds(subject):
        if kind not in profile.subject.uids:
            raise UidRefused(
                f"a UID {kind} is not allowed",
                profile=profile.name,
                uid=kind.value,
                allowed=", ".join(profile.subject.uids) or "–",
            )
    check_identifiers(subject)


def check_registration(profile: Profile, subject: SubjectName) -> None:
    """Raise RegistrationIncomplete unless the subject has all that a registration for real use needs by the profile, and
    TaxCodeWrong for a tax code that nobody can have.
    """
    missing = [attribute for attribute in profile.registration if not subject.first(attribute)]
    if missing:
        raise RegistrationIncomplete(
            f"missing: {', '.join(missing)}",
            profile=profile.name,
            missing=", ".join(missing),
            write=",".join(identifier_example(attribute, subject) for attribute in missing),
        )
    check_tax_codes(subject)


def check_key_spec(profile: Profile, spec: KeySpec) -> None:
    """Raise KeySpecRefused unless the profile allows this kind of key."""
    if spec not in profile.keys:
        allowed = ", ".join(profile.keys)
        raise KeySpecRefused(f"{spec} is not allowed", profile=profile.name, spec=spec.value, allowed=allowed)


def check_san(profile: Profile, san: Sequence[str]) -> None:
    """Raise SanRefused for a name of a kind that the profile does not allow, or when it asks for one in vain."""
    if profile.san_required and not san:
        raise SanRefused("a subjectAltName is required", profile=profile.name, value="")
    for position, value in enumerate(san):
        kind = SanKind.EMAIL if "@" in value else SanKind.DNS
        fits = is_mail_address(value) if kind is SanKind.EMAIL else is_host_name(value)
        if kind not in profile.san or not fits or value in san[:position]:
            raise SanRefused(f"{value!r} is not allowed", profile=profile.name, value=value[:64])


def check_common_name(profile: Profile, subject: SubjectName, san: Sequence[str]) -> None:
    """Raise CommonNameNotInSan where the profile wants the common name among the alternative names."""
    name = subject.common_name
    # CA/Browser Forum BR 7.1.4.3: character by character one of the entries of subjectAltName.
    if profile.common_name_in_san and name and name not in san:
        raise CommonNameNotInSan(f"{name!r} is not in subjectAltName", profile=profile.name, value=name)


def check_days(profile: Profile, days: int | None) -> None:
    """Raise ValidityRefused for a term that is none, or longer than the profile's; None is the profile's own."""
    if days is not None and not 0 < days <= profile.validity_days:
        raise ValidityRefused(
            f"{days} days are not within the profile", profile=profile.name, limit_days=str(profile.validity_days)
        )


def decide_validity(profile: Profile, now: datetime, issuer_end: datetime | None, days: int | None = None) -> Validity:
    """From now for the profile's term or a shorter one, but never past the issuer's end (nothing would verify there)."""
    check_days(profile, days)
    start = now.astimezone(UTC).replace(microsecond=0)
    end = start + timedelta(days=days or profile.validity_days)
    if issuer_end is not None:
        end = min(end, issuer_end.replace(microsecond=0))
    if end <= start:
        raise ValidityRefused("the issuer's certificate has ended", profile=profile.name, limit_days="0")
    return Validity(start, end)


def _is_extended_key_usage(name: str) -> bool:
    return name in EXTENDED_KEY_USAGES or _is_object_identifier(name)


def _is_object_identifier(text: str) -> bool:
    return text[:1] in set("012") and "." in text and all(part.isascii() and part.isdigit() for part in text.split("."))
