"""A certificate as `cryptography`'s builder writes it: what `certs.template.build_tbs` is compared with, and what tests take apart."""

from __future__ import annotations

from collections.abc import Sequence

from cryptography import x509
from cryptography.x509.oid import AuthorityInformationAccessOID

from certs.names import SubjectName, build_name
from certs.oids import EXTENDED_KEY_USAGES
from certs.profile import Profile, Validity
from certs.template import IssuerFacts, build_key_usage, delta_url, key_identifier
from hsm.spec import PublicKey, spki_der


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
    """The unsigned certificate."""
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


def _point(url: str) -> x509.DistributionPoint:
    return x509.DistributionPoint([x509.UniformResourceIdentifier(url)], None, None, None)


def _general_name(value: str) -> x509.GeneralName:
    return x509.RFC822Name(value) if "@" in value else x509.DNSName(value)
