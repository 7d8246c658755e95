"""Profile, names and key to an unsigned certificate. Decides nothing and signs nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.x509.oid import AuthorityInformationAccessOID

from certs.names import SubjectName, build_name
from certs.oids import EXTENDED_KEY_USAGES
from certs.profile import Profile, Usage, Validity
from hsm import der
from hsm.spec import PublicKey, spki_der


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


def build_certificate(
    profile: Profile,
    subject: SubjectName,
    public_key: PublicKey,
    issuer: IssuerFacts,
    *,
    serial: int,
    validity: Validity,
    san: Sequence[str] = (),
) -> x509.CertificateBuilder:
    """The unsigned certificate. The order and criticality of extensions are fixed here, once for all profiles."""
    builder = x509.CertificateBuilder(
        issuer_name=issuer.name,
        subject_name=build_name(subject),
        serial_number=serial,
        not_valid_before=validity.not_before.replace(tzinfo=None),
        not_valid_after=validity.not_after.replace(tzinfo=None),
    ).public_key(public_key)
    if profile.authority:
        # RFC 5280 4.2.1.9: critical in every certificate whose key signs certificates; absent from all others.
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=profile.path_length), critical=True)
    builder = builder.add_extension(build_key_usage(profile.key_usage), critical=True)  # RFC 5280 4.2.1.3: SHOULD
    if profile.extended_key_usage:
        usages = [EXTENDED_KEY_USAGES.get(name) or x509.ObjectIdentifier(name) for name in profile.extended_key_usage]
        builder = builder.add_extension(x509.ExtendedKeyUsage(usages), critical=profile.extended_key_usage_critical)
    ski = x509.SubjectKeyIdentifier(key_identifier(spki_der(public_key)))
    builder = builder.add_extension(ski, critical=False)  # RFC 5280 4.2.1.2: MUST be non-critical
    # RFC 5280 4.2.1.1: key identifier only, so that a reissued issuer certificate still fits.
    aki = x509.AuthorityKeyIdentifier(issuer.key_identifier, None, None)
    builder = builder.add_extension(aki, critical=False)
    if profile.policies:
        policies = [x509.PolicyInformation(x509.ObjectIdentifier(oid), None) for oid in profile.policies]
        builder = builder.add_extension(x509.CertificatePolicies(policies), critical=False)
    if san:
        builder = builder.add_extension(x509.SubjectAlternativeName([_general_name(v) for v in san]), critical=False)
    if profile.cdp:
        crl_url = issuer.crl_url_of(serial)
        builder = builder.add_extension(x509.CRLDistributionPoints([_point(crl_url)]), critical=False)
        if issuer.names_deltas:
            # RFC 5280 4.2.1.15: MUST be non-critical.
            builder = builder.add_extension(x509.FreshestCRL([_point(delta_url(crl_url))]), critical=False)
    if profile.aia:
        pointers = [(AuthorityInformationAccessOID.CA_ISSUERS, issuer.ca_url)]
        if issuer.ocsp_url is not None:
            pointers.insert(0, (AuthorityInformationAccessOID.OCSP, issuer.ocsp_url))  # RFC 6960 3.1
        access = [x509.AccessDescription(method, x509.UniformResourceIdentifier(url)) for method, url in pointers]
        builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
    if profile.ocsp_no_check:
        builder = builder.add_extension(x509.OCSPNoCheck(), critical=False)  # RFC 6960 4.2.2.2.1
    return builder


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
