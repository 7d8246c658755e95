"""The rules: each a function from a twin, or from its frame, to what is wrong with it. Their names are what an error shows."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from certs.dns import is_host_name, is_mail_address
from certs.errors import KeyWeak, NameRefused
from certs.identifiers import check_identifiers, uid_kinds
from certs.lint.twin import Frame, Twin
from certs.names import NameEntry, SubjectName, attribute_name, common_name, subject_of
from certs.oids import EXTENDED_KEY_USAGES, SUBJECT_ATTRIBUTES
from certs.profile import SanKind, Usage
from certs.template import build_key_usage, key_identifier
from hsm import der

# RFC 5280 4.1.2.5: through 2049 UTCTime, from 2050 on GeneralizedTime.
_GENERALIZED_FROM = datetime(2050, 1, 1, tzinfo=UTC)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# X.520 upper bounds in characters.
_BOUNDS = {"CN": 64, "O": 64, "OU": 64, "T": 64, "serialNumber": 64}
_PRINTABLE = ("C", "serialNumber")
_VERSION_3 = der.explicit(0, der.integer(2))
_OID_ANY_POLICY = x509.ObjectIdentifier("2.5.29.32.0")


def version_is_3(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.1: extensions are used, so the version is 3."""
    if twin.parts.version != _VERSION_3:
        yield f"version {twin.certificate.version.name}"


def serial_is_long_and_positive(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.2: positive, at most 20 octets; at least 16, so that nobody can foresee it (facts of 2019)."""
    octets = twin.parts.serial
    if octets[0] & 0x80:
        yield "the serial is negative"
    if not 16 <= len(octets) <= 20:
        yield f"the serial has {len(octets)} octets"


def validity_is_ordered(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.5: the end comes after the beginning, within the profile's term."""
    start, end = twin.validity
    if not start < end:
        yield f"ends {end} and begins {start}"
    days = (end - start).days
    if days > twin.profile.validity_days:
        yield f"is valid for {days} days, the profile allows {twin.profile.validity_days}"


def validity_lies_within_the_issuers(twin: Twin) -> Iterator[str]:
    """Nothing that begins before its issuer or ends after it verifies to its end."""
    issuer = twin.issuer_says
    if issuer is None:
        return
    start, end = twin.validity
    if start < issuer.not_before:
        yield "begins before its issuer"
    if end > issuer.not_after:
        yield "ends after its issuer"


def times_have_the_form_of_their_year(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.5.1 and 4.1.2.5.2: UTCTime or GeneralizedTime by the year, seconds, Zulu, no fraction."""
    (start, end), parts = twin.validity, twin.parts
    for field, moment, (tag, content) in (("not_before", start, parts.not_before), ("not_after", end, parts.not_after)):
        wanted, length = (der.GENERALIZED_TIME, 15) if moment >= _GENERALIZED_FROM else (der.UTC_TIME, 13)
        if tag != wanted:
            yield f"{field} has the tag {tag:02x}"
        if len(content) != length or not content.endswith(b"Z"):
            yield f"{field} is written {content!r}"


def issuer_name_is_the_issuers_subject(twin: Twin) -> Iterator[str]:
    """RFC 5280 6.1.3 (a)(4): the same octets, so that no reader needs to compare names by rules."""
    holder = twin.issuer_says or twin.parts
    if twin.parts.issuer != holder.subject:
        yield "the issuer name differs from the issuer's subject"


def subject_is_well_formed(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.2.4, 4.1.2.6: not empty, bounds in characters, PrintableString or UTF8String, NFC, one per RDN."""
    if not twin.subject:
        yield "the subject is empty"
    for rdn in twin.subject:
        if len(rdn) != 1:
            yield "the subject has a multi-valued part"
        for name, tag, value in rdn:
            if not value:
                yield f"{name} is empty or not text"
                continue
            if len(value) > _BOUNDS.get(name, len(value)):
                yield f"{name} has {len(value)} characters"
            if not unicodedata.is_normalized("NFC", value):
                yield f"{name} is not in NFC"
            # Printable is more than this rule wants, and quickly asked.
            if not value.isprintable() and any(unicodedata.category(character)[0] == "C" for character in value):
                yield f"{name} holds a control or invisible character"
            if name in _PRINTABLE and tag != der.PRINTABLE_STRING:
                yield f"{name} has the tag {tag:02x}"


def key_usage_is_the_profiles(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.3: present, critical, exactly the profile's bits."""
    usage = frame.extension(x509.KeyUsage)
    if usage is None:
        yield "keyUsage is missing"
    elif not usage.critical:
        yield "keyUsage is not critical"
    elif usage.value != build_key_usage(frame.profile.key_usage):
        yield "keyUsage is not the profile's"


def signers_have_non_repudiation_alone(frame: Frame) -> Iterator[str]:
    """EN 319 412-2 4.3.2 type A: a key that signs documents signs nothing else."""
    usage = frame.extension(x509.KeyUsage)
    if frame.profile.signs_documents and (
        usage is None or usage.value != build_key_usage((Usage.NON_REPUDIATION,)) or not usage.value.content_commitment
    ):
        yield "keyUsage is not nonRepudiation alone"


def basic_constraints_fit(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.9: critical with cA in authorities, with the profile's path length; never cA elsewhere."""
    constraints = frame.extension(x509.BasicConstraints)
    if not frame.profile.authority:
        if constraints is not None and constraints.value.ca:
            yield "a leaf claims to be an authority"
        return
    if constraints is None or not constraints.value.ca:
        yield "an authority lacks cA"
    elif not constraints.critical:
        yield "basicConstraints is not critical"
    elif constraints.value.path_length != frame.profile.path_length:
        yield f"path length {constraints.value.path_length}"


def path_length_of_the_issuer_allows_it(frame: Frame) -> Iterator[str]:
    """RFC 5280 6.1.4 (m): an issuer of path length 0 certifies no authority."""
    if frame.issuer is None:
        return
    constraints = frame.issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
    if frame.profile.authority and constraints.path_length == 0:
        yield "the issuer may not certify authorities"


def subject_key_identifier_fits_the_key(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.2: present, not critical, ours by RFC 7093."""
    found = twin.key_identifiers
    if not found:
        yield "subjectKeyIdentifier is missing"
    expected = der.octets(key_identifier(twin.parts.public_key))
    for each in found:
        if each.critical:
            yield "subjectKeyIdentifier is critical"
        if each.value != expected:
            yield "subjectKeyIdentifier is not that of the key"


def authority_key_identifier_fits_the_issuer(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.1: present, not critical, equal to what the issuer's certificate states."""
    aki = frame.extension(x509.AuthorityKeyIdentifier)
    if aki is None:
        yield "authorityKeyIdentifier is missing"
        return
    if aki.critical:
        yield "authorityKeyIdentifier is critical"
    if aki.value.key_identifier != frame.issuer_key_identifier:
        yield "authorityKeyIdentifier is not the issuer's"


def signature_algorithm_is_strong_and_stated_twice(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.1.1.2: inside and outside alike; SHA-2 only (Thông tư 15/2025)."""
    if twin.parts.outer_algorithm != twin.parts.inner_algorithm:
        yield "the two signature algorithms differ"
    digest = twin.certificate.signature_hash_algorithm
    if not isinstance(digest, _HASHES):
        yield f"digest {digest.name if digest else 'none'}"


def public_key_is_strong(twin: Twin) -> Iterator[str]:
    """The kinds that requests are checked for, looked at once more in what would be signed."""
    try:
        _ = twin.public_key
    except KeyWeak as error:
        yield str(error)


def extended_key_usage_is_the_profiles(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.12 and RFC 3161 2.3: exactly the profile's purposes and criticality."""
    usage = frame.extension(x509.ExtendedKeyUsage)
    wanted = [EXTENDED_KEY_USAGES.get(n) or x509.ObjectIdentifier(n) for n in frame.profile.extended_key_usage]
    if (list(usage.value) if usage else []) != wanted:
        yield "extendedKeyUsage is not the profile's"
    elif usage is not None and usage.critical is not frame.profile.extended_key_usage_critical:
        yield "extendedKeyUsage has the wrong criticality"


def no_check_is_the_profiles(frame: Frame) -> Iterator[str]:
    """RFC 6960 4.2.2.2.1: only where the profile says so, not critical, and only beside OCSPSigning."""
    extension = frame.extension(x509.OCSPNoCheck)
    if (extension is not None) is not frame.profile.ocsp_no_check:
        yield "ocsp-nocheck is not as the profile says"
    if extension is None:
        return
    usage = frame.extension(x509.ExtendedKeyUsage)
    if usage is None or list(usage.value) != [EXTENDED_KEY_USAGES["OCSPSigning"]]:
        yield "ocsp-nocheck in a certificate that is not an OCSP responder's"
    if extension.critical:
        yield "ocsp-nocheck is critical"


def time_stamping_stands_alone(frame: Frame) -> Iterator[str]:
    """RFC 3161 2.3: the purpose timeStamping is the only one, and critical."""
    usage = frame.extension(x509.ExtendedKeyUsage)
    if usage is None or EXTENDED_KEY_USAGES["timeStamping"] not in usage.value:
        return
    if len(list(usage.value)) != 1:
        yield "timeStamping has company"
    if not usage.critical:
        yield "extendedKeyUsage with timeStamping is not critical"


def pointers_are_the_profiles(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.13 and 4.2.2.1: where the profile says so, not critical, plain HTTP(S) addresses."""
    points = frame.extension(x509.CRLDistributionPoints)
    access = frame.extension(x509.AuthorityInformationAccess)
    if (points is not None) is not frame.profile.cdp:
        yield "cRLDistributionPoints is not as the profile says"
    if (access is not None) is not frame.profile.aia:
        yield "authorityInfoAccess is not as the profile says"
    urls: list[str] = []
    if points is not None:
        urls += [name.value for point in points.value for name in point.full_name or () if isinstance(name.value, str)]
    if access is not None:
        urls += [entry.access_location.value for entry in access.value]
    freshest = frame.extension(x509.FreshestCRL)
    if freshest is not None:
        # RFC 5280 4.2.1.15: a delta says what changed since the list that the distribution point names.
        urls += [
            name.value for point in freshest.value for name in point.full_name or () if isinstance(name.value, str)
        ]
        if points is None or freshest.critical:
            yield "freshestCRL is critical, or stands without cRLDistributionPoints"
    if (points is not None and points.critical) or (access is not None and access.critical):
        yield "a pointer is critical"
    for url in urls:
        if not url.startswith(("http://", "https://")):
            yield f"{url} is not an HTTP address"


def policies_are_the_profiles(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2.1.4: exactly the profile's, none twice, anyPolicy in authorities only."""
    extension = frame.extension(x509.CertificatePolicies)
    present = [policy.policy_identifier for policy in extension.value] if extension else []
    if [oid.dotted_string for oid in present] != list(frame.profile.policies):
        yield "certificatePolicies is not the profile's"
    if len(set(present)) != len(present):
        yield "a policy stands twice"
    if _OID_ANY_POLICY in present and not frame.profile.authority:
        yield "anyPolicy in a leaf"


def alternative_names_are_allowed(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.6: only kinds that the profile allows, there when it wants one."""
    extension = twin.alternative_names
    if extension is None:
        if twin.profile.san_required:
            yield "subjectAltName is missing"
        return
    kinds = {SanKind.DNS: x509.DNSName, SanKind.EMAIL: x509.RFC822Name}
    allowed = tuple(kinds[kind] for kind in twin.profile.san)
    for name in extension.value:
        if not isinstance(name, allowed):
            yield f"subjectAltName holds a {type(name).__name__}"


def alternative_names_are_well_formed(twin: Twin) -> Iterator[str]:
    """RFC 5280 4.2.1.6: preferred name syntax and ASCII mailboxes, each name once; never critical beside a subject."""
    extension = twin.alternative_names
    if extension is None:
        return
    if extension.critical:
        yield "subjectAltName is critical beside a subject"
    seen = set()
    for name in extension.value:
        if isinstance(name, x509.DNSName) and not is_host_name(name.value):
            yield f"{name.value} is not a host name"
        if isinstance(name, x509.RFC822Name) and not is_mail_address(name.value):
            yield f"{name.value} is not a mail address"
        if name in seen:
            yield f"{name.value} stands twice in subjectAltName"
        seen.add(name)


def common_name_is_an_alternative_name(twin: Twin) -> Iterator[str]:
    """CA/Browser Forum BR 7.1.4.3, where the profile asks for it: the common name is one of the server's names."""
    if not twin.profile.common_name_in_san:
        return
    extension = twin.alternative_names
    names = extension.value.get_values_for_type(x509.DNSName) if extension else []
    name = common_name(subject_of(twin.certificate))
    if name and name not in names:
        yield f"the common name {name} is not in subjectAltName"


def identifiers_fit(twin: Twin) -> Iterator[str]:
    """UIDs of the kinds that the profile allows and EN 319 412-1 identifiers, read back from what would be signed."""
    try:
        entries = [
            NameEntry(name if name in SUBJECT_ATTRIBUTES else attribute_name(name), text or "")
            for rdn in twin.subject
            for name, _, text in rdn
        ]
        subject = SubjectName(tuple(entries))
        check_identifiers(subject)
    except NameRefused as error:
        yield f"{error.code}: {error}"
        return
    for kind in uid_kinds(subject):
        if kind not in twin.profile.subject.uids:
            yield f"a UID {kind} in {twin.profile.name}"


def only_known_extensions(frame: Frame) -> Iterator[str]:
    """RFC 5280 4.2: one of each at most (the reader raises for two), and none that no profile can have asked for."""
    known = {kind.oid for kind in (
        x509.BasicConstraints, x509.KeyUsage, x509.ExtendedKeyUsage, x509.SubjectKeyIdentifier,
        x509.AuthorityKeyIdentifier, x509.CertificatePolicies, x509.SubjectAlternativeName,
        x509.CRLDistributionPoints, x509.AuthorityInformationAccess, x509.OCSPNoCheck, x509.FreshestCRL,
    )}  # fmt: skip
    for oid, _, _ in frame.extensions():
        if oid not in known:
            yield f"extension {oid.dotted_string}"


# What looks at a certificate itself.
RULES: tuple[Callable[[Twin], Iterator[str]], ...] = (
    version_is_3,
    serial_is_long_and_positive,
    validity_is_ordered,
    validity_lies_within_the_issuers,
    times_have_the_form_of_their_year,
    issuer_name_is_the_issuers_subject,
    subject_is_well_formed,
    subject_key_identifier_fits_the_key,
    signature_algorithm_is_strong_and_stated_twice,
    public_key_is_strong,
    alternative_names_are_allowed,
    alternative_names_are_well_formed,
    common_name_is_an_alternative_name,
    identifiers_fit,
)
# What looks at its frame, which thousands of certificates share.
FRAME_RULES: tuple[Callable[[Frame], Iterator[str]], ...] = (
    key_usage_is_the_profiles,
    signers_have_non_repudiation_alone,
    basic_constraints_fit,
    path_length_of_the_issuer_allows_it,
    authority_key_identifier_fits_the_issuer,
    extended_key_usage_is_the_profiles,
    no_check_is_the_profiles,
    time_stamping_stands_alone,
    pointers_are_the_profiles,
    policies_are_the_profiles,
    only_known_extensions,
)
