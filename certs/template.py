"""Profile, names and key to the octets that will be signed. Decides nothing and signs nothing."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID

from certs.names import SubjectName
from certs.oids import EXTENDED_KEY_USAGES
from certs.profile import Profile, Usage, Validity
from hsm import der


@dataclass(frozen=True)
class IssuerFacts:
    """What a certificate says about its issuer. `ocsp_url` None: no responder answers for this issuer.

    `shard_url` holds `{shard}` where the number of a partition belongs. With `names_deltas` certificates say where changes
    since the last CRL are found, which is the same folder with `delta.crl`.
    """

    name: x509.Name
    key_identifier: bytes
    not_after: datetime | None
    crl_url: str
    ca_url: str
    ocsp_url: str | None = None
    crl_partitions: int = 0
    shard_url: str = ""
    names_deltas: bool = False

    def __hash__(self) -> int:
        # Asked at every issuance, and the hash of a name takes longer than all that is looked up by it.
        return hash((self.key_identifier, self.crl_url))

    def shard_of(self, serial: int) -> int | None:
        """The partition of the CRL that will list this serial, for ever; None: the full CRL."""
        return serial % self.crl_partitions + 1 if self.crl_partitions else None

    def crl_url_of(self, serial: int) -> str:
        """Where the list with this serial is fetched."""
        shard = self.shard_of(serial)
        return self.crl_url if shard is None else self.shard_url.format(shard=shard)


def delta_url(crl_url: str) -> str:
    """Where the delta beside a complete list is fetched."""
    return f"{crl_url.removesuffix('.crl')}/delta.crl"


def key_identifier(public_key_der: bytes) -> bytes:
    """The subject key identifier: first 160 bits of the SHA-256 of the key's bits (RFC 7093 section 2, method 1)."""
    _, start, end = der.element(public_key_der, 0)
    _, (_, bits, bits_end) = der.elements(public_key_der, start, end)
    # The contents of a BIT STRING begin with the octet that counts unused bits; the digest is over what follows.
    return hashlib.sha256(public_key_der[bits + 1 : bits_end]).digest()[:20]


def key_identifier_of(certificate: x509.Certificate) -> bytes:
    """The key identifier that a certificate states, or the one we would give its key."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        spki = serialization.PublicFormat.SubjectPublicKeyInfo
        return key_identifier(certificate.public_key().public_bytes(serialization.Encoding.DER, spki))


@dataclass(frozen=True)
class _Frame:
    """What all certificates of a profile from an issuer say alike, in DER."""

    issuer: bytes
    before_key_identifier: bytes
    after_key_identifier: bytes
    at_the_end: bytes


def build_tbs(
    profile: Profile,
    subject: SubjectName,
    public_key_der: bytes,
    issuer: IssuerFacts,
    *,
    serial: int,
    validity: Validity,
    algorithm: bytes,
    san: Sequence[str] = (),
) -> bytes:
    """The to-be-signed octets (RFC 5280 4.1). The order and criticality of extensions are fixed here, once for all profiles.

    `algorithm` is the AlgorithmIdentifier of the signature to come, `public_key_der` a SubjectPublicKeyInfo. Written from parts that
    are encoded once: a builder of objects takes six times as long.
    """
    frame = _frame(profile, issuer)
    extensions = [
        frame.before_key_identifier,
        _KEY_IDENTIFIER,
        key_identifier(public_key_der),
        frame.after_key_identifier,
    ]
    if san:
        names = x509.SubjectAlternativeName([_general_name(value) for value in san])
        extensions.append(_extension(names, critical=False))
    if profile.cdp:
        extensions.append(_pointers(issuer.crl_url_of(serial), names_deltas=issuer.names_deltas))
    extensions.append(frame.at_the_end)
    return der.sequence(
        _VERSION_3,
        der.integer(serial),
        algorithm,
        frame.issuer,
        der.sequence(der.certificate_time(validity.not_before), der.certificate_time(validity.not_after)),
        subject.der,
        public_key_der,
        der.explicit(3, der.sequence(*extensions)),
    )


_VERSION_3 = der.explicit(0, der.integer(2))  # RFC 5280 4.1.2.1
# As many pairs of a profile and an issuer, and as many partitions of CRLs, as are in use at a time.
_KEPT_FRAMES, _KEPT_POINTERS = 256, 4096


@functools.lru_cache(maxsize=_KEPT_FRAMES)
def _frame(profile: Profile, issuer: IssuerFacts) -> _Frame:
    before, after, end = [], [], []
    if profile.authority:
        # RFC 5280 4.2.1.9: critical in every certificate whose key signs certificates; absent from all others.
        before.append(_extension(x509.BasicConstraints(ca=True, path_length=profile.path_length), critical=True))
    before.append(_extension(build_key_usage(profile.key_usage), critical=True))  # RFC 5280 4.2.1.3: SHOULD
    if profile.extended_key_usage:
        usages = [EXTENDED_KEY_USAGES.get(name) or x509.ObjectIdentifier(name) for name in profile.extended_key_usage]
        before.append(_extension(x509.ExtendedKeyUsage(usages), critical=profile.extended_key_usage_critical))
    # RFC 5280 4.2.1.1: key identifier only, so that a reissued issuer certificate still fits.
    after.append(_extension(x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None), critical=False))
    if profile.policies:
        policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in profile.policies]
        after.append(_extension(x509.CertificatePolicies(policies), critical=False))
    if profile.aia:
        pointers = [(AuthorityInformationAccessOID.CA_ISSUERS, issuer.ca_url)]
        if issuer.ocsp_url is not None:
            pointers.insert(0, (AuthorityInformationAccessOID.OCSP, issuer.ocsp_url))  # RFC 6960 3.1
        access = [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in pointers]
        end.append(_extension(x509.AuthorityInformationAccess(access), critical=False))
    if profile.ocsp_no_check:
        end.append(_extension(x509.OCSPNoCheck(), critical=False))  # RFC 6960 4.2.2.2.1
    return _Frame(issuer.name.public_bytes(), b"".join(before), b"".join(after), b"".join(end))


@functools.lru_cache(maxsize=_KEPT_POINTERS)
def _pointers(crl_url: str, *, names_deltas: bool) -> bytes:
    points = _extension(x509.CRLDistributionPoints([_point(crl_url)]), critical=False)
    if names_deltas:
        # RFC 5280 4.2.1.15: MUST be non-critical.
        points += _extension(x509.FreshestCRL([_point(delta_url(crl_url))]), critical=False)
    return points


def _extension(value: x509.ExtensionType, *, critical: bool) -> bytes:
    """An Extension; `critical` is left out where it is the default (X.690 11.5)."""
    marks = der.tlv(der.BOOLEAN, b"\xff") if critical else b""
    return der.sequence(der.oid(value.oid.dotted_string), marks, der.octets(value.public_bytes()))


# RFC 5280 4.2.1.2: MUST be non-critical. All of it but the twenty octets at its end.
_KEY_IDENTIFIER = _extension(x509.SubjectKeyIdentifier(bytes(20)), critical=False)[:-20]


def build_key_usage(usages: Sequence[Usage]) -> x509.KeyUsage:
    """The KeyUsage extension with exactly these bits."""
    return x509.KeyUsage(
        digital_signature=Usage.DIGITAL_SIGNATURE in usages,
        content_commitment=Usage.NON_REPUDIATION in usages,
        key_encipherment=Usage.KEY_ENCIPHERMENT in usages,
        data_encipherment=Usage.DATA_ENCIPHERMENT in usages,
        key_agreement=Usage.KEY_AGREEMENT in usages,
        key_cert_sign=Usage.KEY_CERT_SIGN in usages,
        crl_sign=Usage.CRL_SIGN in usages,
        encipher_only=False,
        decipher_only=False,
    )


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _general_name(value: str) -> x509.GeneralName:
    return x509.RFC822Name(value) if "@" in value else x509.DNSName(value)
