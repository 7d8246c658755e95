"""A certificate from outside, whose key is on a card or at a signing service: whether it may sign here, as far as can be said.

It is not in the inventory, or at least no credential of ours has its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy.orm import Session

from certs.clock import rfc3339
from certs.inventory import find_by_sha256, get_standings
from certs.names import common_name, organization, rfc4514, subject_of
from certs.serial import serial_hex
from pki.schemes import Scheme, scheme_for
from signer.cms import CmsTemplate
from signer.credentials import OFFICER, Signatory, refuse_out_of_force
from signer.errors import Refused, UsageWrong

_LEAST_RSA_BITS = 2048
_LONGEST_SERIAL = 40
_LONGEST_PATH = 10


@dataclass(frozen=True)
class Outside(Signatory):
    """A signatory whose key is elsewhere. `above`: who issued it, from the nearest up, without a root; `roots`: who was named as one."""

    certificate: x509.Certificate
    above: tuple[x509.Certificate, ...]
    roots: tuple[x509.Certificate, ...]

    @property
    def sha256(self) -> str:
        return self.certificate.fingerprint(hashes.SHA256()).hex()


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """Certificates in PEM, or one in DER; UsageWrong OUTSIDE_UNREADABLE."""
    try:
        if data.startswith(b"0"):
            return [x509.load_der_x509_certificate(data)]
        return x509.load_pem_x509_certificates(data)
    except ValueError:
        raise UsageWrong("OUTSIDE_UNREADABLE") from None


def outside_signatory(
    certificate: x509.Certificate,
    others: Sequence[x509.Certificate],
    now: datetime,
    *,
    rsa_padding: str = "pss",
    scheme: Scheme | None = None,
) -> Outside:
    """Who signs with this certificate; Refused when it may not sign documents now. `others`: the certificates above it, in any order."""
    public_key = certificate.public_key()
    _refuse_key(public_key)
    name, agency = _names(certificate)
    _refuse_use(certificate, name)
    _refuse_term(certificate, name, now)
    above, roots = _path(certificate, list(others), now)
    assert isinstance(public_key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey)
    scheme = scheme or scheme_for(public_key, rsa_padding=rsa_padding)
    serial = serial_hex(certificate.serial_number)
    if certificate.serial_number < 0 or len(serial) > _LONGEST_SERIAL:
        raise UsageWrong("OUTSIDE_UNREADABLE")
    return Outside(
        name=None,
        role=OFFICER,
        agency=agency,
        common_name=name,
        serial=serial,
        image_sha256=None,
        diameter_mm=None,
        template=CmsTemplate(certificate, above, scheme),
        public_key=public_key,
        certificate=certificate,
        above=above,
        roots=roots,
    )


def refuse_if_ended(session: Session, outside: Outside, now: datetime) -> None:
    """Refused unless it is in force now: by its term, and by the inventory where it is one of ours after all."""
    _refuse_term(outside.certificate, outside.common_name, now)
    record = find_by_sha256(session, outside.sha256)
    if record is not None:
        for standing in get_standings(session, (record.serial,), keep=True):
            refuse_out_of_force(standing, outside.common_name, now)


def _names(certificate: x509.Certificate) -> tuple[str, str]:
    """Whom the stamp names, and of which agency."""
    try:
        subject = subject_of(certificate)
        name = common_name(subject) or rfc4514(subject)
        return name[:64], (organization(subject) or name)[:64]
    except (ValueError, TypeError, KeyError):
        raise UsageWrong("OUTSIDE_UNREADABLE") from None


def _written(certificate: x509.Certificate) -> str:
    return rfc4514(subject_of(certificate))


def _refuse_key(public_key: object) -> None:
    good = isinstance(public_key, ec.EllipticCurvePublicKey) and public_key.curve.name in ("secp256r1", "secp384r1")
    if isinstance(public_key, rsa.RSAPublicKey):
        good = public_key.key_size >= _LEAST_RSA_BITS
    if not good:
        raise Refused("OUTSIDE_KEY_REFUSED")


def _refuse_use(certificate: x509.Certificate, name: str) -> None:
    """It is a person's or an agency's, and for signing (RFC 5280 4.2.1.3, EN 319 412-2 4.3.2)."""
    try:
        extensions = certificate.extensions
    except ValueError:
        raise UsageWrong("OUTSIDE_UNREADABLE") from None
    for extension in extensions:
        value = extension.value
        if isinstance(value, x509.BasicConstraints) and value.ca:
            raise Refused("OUTSIDE_IS_AUTHORITY", name=name)
        if isinstance(value, x509.KeyUsage) and not (value.content_commitment or value.digital_signature):
            raise Refused("OUTSIDE_KEY_USAGE", name=name)


def _refuse_term(certificate: x509.Certificate, name: str, now: datetime) -> None:
    if now < certificate.not_valid_before_utc:
        raise Refused("CREDENTIAL_NOT_YET_VALID", name=name, when=rfc3339(certificate.not_valid_before_utc))
    if now > certificate.not_valid_after_utc:
        raise Refused("CREDENTIAL_EXPIRED", name=name, when=rfc3339(certificate.not_valid_after_utc))


def _path(
    certificate: x509.Certificate, others: list[x509.Certificate], now: datetime
) -> tuple[tuple[x509.Certificate, ...], tuple[x509.Certificate, ...]]:
    """Everything that was named must stand above the certificate, in force: one that does not is somebody's mistake."""
    above: list[x509.Certificate] = []
    roots: list[x509.Certificate] = []
    lower = certificate
    while others and len(above) < _LONGEST_PATH:
        issuer = next((each for each in others if _is_issued_by(lower, each)), None)
        if issuer is None:
            break
        others.remove(issuer)
        _refuse_issuer(issuer, now)
        if _is_issued_by(issuer, issuer):
            roots.append(issuer)
            break
        above.append(issuer)
        lower = issuer
    if others:
        raise Refused("OUTSIDE_CHAIN_BROKEN", subject=_written(others[0]))
    return tuple(above), tuple(roots)


def _is_issued_by(lower: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        lower.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _refuse_issuer(issuer: x509.Certificate, now: datetime) -> None:
    constraints = next(
        (each.value for each in issuer.extensions if isinstance(each.value, x509.BasicConstraints)), None
    )
    in_term = issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc
    if constraints is None or not constraints.ca or not in_term:
        raise Refused("OUTSIDE_CHAIN_BROKEN", subject=_written(issuer))


def der_of(certificates: Sequence[x509.Certificate]) -> tuple[bytes, ...]:
    """Their octets."""
    return tuple(each.public_bytes(Encoding.DER) for each in certificates)
