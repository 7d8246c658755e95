"""A small PKI of software keys for signing test documents: made once a run, not by our own issuance code."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

NOW = datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def usage(**wanted: bool) -> x509.KeyUsage:
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment", "key_agreement",
        "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: wanted.get(name, False) for name in names})


@dataclass
class Party:
    """A certificate with its key."""

    certificate: x509.Certificate
    key: Key
    issuer: Party | None = None
    chain: list[x509.Certificate] = field(default_factory=list)

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.der).hexdigest()


def make(
    common_name: str,
    issuer: Party | None = None,
    *,
    ca: bool = False,
    key: Key | None = None,
    not_before: datetime = NOW - timedelta(days=30),
    not_after: datetime = NOW + timedelta(days=365),
    key_usage: x509.KeyUsage | None = None,
    path_length: int | None = None,
    permitted_dns: str | None = None,
    timestamping: bool = False,
    serial: int | None = None,
    more: Sequence[x509.ExtensionType] = (),
) -> Party:
    """A certificate signed by `issuer`, or by itself."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "SỞ THỬ NGHIỆM"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    signer = issuer.key if issuer else key
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer.certificate.subject if issuer else name)
        .public_key(key.public_key())
        .serial_number(serial or x509.random_serial_number())
        .not_valid_before(not_before)
        .not_valid_after(not_after)
        .add_extension(x509.BasicConstraints(ca=ca, path_length=path_length), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
    )
    default = usage(key_cert_sign=True, crl_sign=True) if ca else usage(content_commitment=True)
    builder = builder.add_extension(key_usage or default, critical=True)
    if timestamping:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING]), critical=True)
    if permitted_dns:
        constraint = x509.NameConstraints(
            [x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COUNTRY_NAME, permitted_dns)]))], None
        )
        builder = builder.add_extension(constraint, critical=True)
    for extension in more:
        builder = builder.add_extension(extension, critical=False)
    certificate = builder.sign(signer, hashes.SHA256())
    return Party(certificate, key, issuer, [issuer.certificate, *issuer.chain] if issuer else [])


def make_crl(
    issuer: Party,
    revoked: dict[int, tuple[datetime, x509.ReasonFlags]] | None = None,
    *,
    this_update: datetime = NOW - timedelta(hours=1),
    next_update: datetime = NOW + timedelta(days=7),
    signed_by: Party | None = None,
) -> bytes:
    """A revocation list; `signed_by` makes a forged one."""
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(issuer.certificate.subject)
        .last_update(this_update)
        .next_update(next_update)
        .add_extension(x509.CRLNumber(1), critical=False)
    )
    for serial, (moment, reason) in (revoked or {}).items():
        entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(moment)
        builder = builder.add_revoked_certificate(entry.add_extension(x509.CRLReason(reason), critical=False).build())
    key = (signed_by or issuer).key
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


@dataclass(frozen=True)
class Pki:
    """Root, issuing authority, officer, seal, and a time-stamping authority."""

    root: Party
    issuing: Party
    officer: Party
    seal: Party
    tsa: Party

    def crls(self) -> tuple[bytes, ...]:
        return make_crl(self.root), make_crl(self.issuing)


def build_pki() -> Pki:
    root = make("Thử Nghiệm Root CA", ca=True, not_after=NOW + timedelta(days=3650))
    issuing = make("Thử Nghiệm Issuing CA", root, ca=True, path_length=0, not_after=NOW + timedelta(days=1800))
    return Pki(
        root=root,
        issuing=issuing,
        officer=make("Nguyễn Thị Thử", issuing),
        seal=make("TRUNG TÂM THỬ NGHIỆM", issuing),
        tsa=make(
            "Dấu thời gian thử nghiệm",
            issuing,
            key=rsa.generate_private_key(65537, 2048),  # pyHanko's test time-stamper knows RSA only
            timestamping=True,
            key_usage=usage(digital_signature=True),
        ),
    )
