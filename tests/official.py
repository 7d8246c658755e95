"""Look-alikes of the authorities that official certificates come from: both generations of the state's, a public one and a foreign one.

Real anchors cannot be shipped. What is alike is the shape: what is critical and what is not, which extensions and subject attributes stand there,
how short a serial is and how long a term. Names and keys are fictive.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from tests.attacks.pki import usage

_UID = NameOID.USER_ID
_NETSCAPE_TYPE = ObjectIdentifier("2.16.840.1.113730.1.1")
_NETSCAPE_COMMENT = ObjectIdentifier("2.16.840.1.113730.1.13")
_ISSUER_ALT_NAME = ObjectIdentifier("2.5.29.18")
_SMARTCARD_LOGON = ObjectIdentifier("1.3.6.1.4.1.311.20.2.2")
GOVERNMENT_POLICY = ObjectIdentifier("2.16.704.1.1.1.1.1")
# The first generation's keys are RSA, and one is enough for all tests: making them takes longer than everything else here.
_KEYS: dict[str, rsa.RSAPrivateKey] = {}


def _key(name: str) -> rsa.RSAPrivateKey:
    if name not in _KEYS:
        _KEYS[name] = rsa.generate_private_key(65537, 2048)
    return _KEYS[name]


def _name(**parts: str) -> x509.Name:
    kinds = {"C": NameOID.COUNTRY_NAME, "O": NameOID.ORGANIZATION_NAME, "CN": NameOID.COMMON_NAME}
    return x509.Name([x509.NameAttribute(kinds[kind], value) for kind, value in parts.items()])


@dataclass(frozen=True)
class LookAlike:
    """One tree: a root and what issues below it. `generation` 1 or 2 of the state's, 0 for others."""

    tree: str
    generation: int
    root: x509.Certificate
    issuing: x509.Certificate
    root_key: rsa.RSAPrivateKey
    issuing_key: rsa.RSAPrivateKey
    now: datetime
    more: tuple[tuple[x509.ExtensionType, bool], ...] = field(default=())

    @property
    def chain(self) -> bytes:
        return self.issuing.public_bytes(Encoding.PEM)

    @property
    def fingerprint(self) -> bytes:
        return self.root.fingerprint(hashes.SHA256())

    def certify(
        self,
        csr: bytes,
        *,
        subject: x509.Name | None = None,
        serial: int | None = None,
        days: int = 5 * 365,
        begin: datetime | None = None,
        more: tuple[tuple[x509.ExtensionType, bool], ...] = (),
    ) -> x509.Certificate:
        """What this authority makes of a request: its key, and a subject of the authority's own wording."""
        request = x509.load_der_x509_csr(csr)
        assert request.is_signature_valid
        begin = begin or self.now - timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject or person())
            .issuer_name(self.issuing.subject)
            .public_key(request.public_key())
            .serial_number(serial or (4711 if self.generation == 1 else x509.random_serial_number()))
            .not_valid_before(begin)
            .not_valid_after(begin + timedelta(days=days))
        )
        for extension, critical in (*self._leaf(), *self.more, *more):
            builder = builder.add_extension(extension, critical=critical)
        return builder.sign(self.issuing_key, hashes.SHA256())

    def _leaf(self) -> list[tuple[x509.ExtensionType, bool]]:
        first = self.generation == 1
        found: list[tuple[x509.ExtensionType, bool]] = [
            (x509.BasicConstraints(ca=False, path_length=None), not first),
            (usage(digital_signature=True, content_commitment=True, key_encipherment=True), not first),
            (x509.AuthorityKeyIdentifier.from_issuer_public_key(self.issuing_key.public_key()), False),
        ]
        purposes = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.EMAIL_PROTECTION]
        if first:
            purposes.append(_SMARTCARD_LOGON)
            found += [
                (x509.UnrecognizedExtension(_NETSCAPE_TYPE, b"\x03\x02\x05\xa0"), False),
                (x509.UnrecognizedExtension(_NETSCAPE_COMMENT, b"\x16\x0eChung thu thu."), False),
                (x509.UnrecognizedExtension(_ISSUER_ALT_NAME, b"\x30\x00"), False),
            ]
        if self.generation == 2:
            qualifier = "http://ca.example.vn/cps"
            found += [
                (x509.CertificatePolicies([x509.PolicyInformation(GOVERNMENT_POLICY, [qualifier])]), False),
                (x509.SubjectAlternativeName([x509.RFC822Name("can.bo@example.vn")]), False),
            ]
        found.append((x509.ExtendedKeyUsage(purposes), False))
        return found

    def lists(self, *revoked: int, when: datetime | None = None) -> tuple[bytes, bytes]:
        """The revocation lists of root and issuing authority, the second with these serials."""
        return self._list(self.root, self.root_key, (), when), self._list(self.issuing, self.issuing_key, revoked, when)

    def _list(
        self, issuer: x509.Certificate, key: rsa.RSAPrivateKey, revoked: tuple[int, ...], when: datetime | None
    ) -> bytes:
        at = when or self.now - timedelta(hours=1)
        builder = x509.CertificateRevocationListBuilder().issuer_name(issuer.subject)
        builder = builder.last_update(at).next_update(at + timedelta(days=7)).add_extension(x509.CRLNumber(3), False)
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(at - timedelta(minutes=5))
            builder = builder.add_revoked_certificate(entry.build())
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)


def person(name: str = "Nguyễn Văn An") -> x509.Name:
    """A subject as the state's authority words it: several UIDs in one name, a title."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "VN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "TRUNG TÂM PHỤC VỤ HÀNH CHÍNH CÔNG"),
            x509.NameAttribute(NameOID.TITLE, "Giám đốc"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
            x509.NameAttribute(_UID, "MST:0400000000-001"),
            x509.NameAttribute(_UID, "CCCD:001200000017"),
        ]
    )


def look_alike(tree: str, generation: int = 0, now: datetime | None = None, **more: Any) -> LookAlike:
    """A root of a tree with an issuing authority below it."""
    now = now or datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)
    country = "DE" if tree == "foreign" else "VN"
    words = f"{tree} {generation or ''}".strip()
    names = [_name(C=country, O=f"Look-alike {words}", CN=f"Look-alike {words} {kind}") for kind in ("Root", "CA")]
    root_key, issuing_key = _key(f"{words} root"), _key(f"{words} issuing")
    root = _authority(names[0], root_key, None, now, generation)
    issuing = _authority(names[1], issuing_key, (root, root_key), now, generation)
    return LookAlike(tree, generation, root, issuing, root_key, issuing_key, now, **more)


def _authority(
    name: x509.Name,
    key: rsa.RSAPrivateKey,
    above: tuple[x509.Certificate, rsa.RSAPrivateKey] | None,
    now: datetime,
    generation: int,
) -> x509.Certificate:
    first = generation == 1
    issuer, signer = (above[0].subject, above[1]) if above is not None else (name, key)
    years = 20 if above is None else 10
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number((1 if above is None else 2) if first else x509.random_serial_number())
        .not_valid_before(now - timedelta(days=400))
        .not_valid_after(now + timedelta(days=365 * years))
        # The first generation says neither with force (RFC 5280 4.2.1.9 wants it).
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=not first)
        .add_extension(usage(key_cert_sign=True, crl_sign=True), critical=not first)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(signer, hashes.SHA256())
