"""Whose a time-stamp token is, found from the certificates in it, up to an anchor that the reader trusts.

For tokens over our own exports, read where no service is at hand. The tokens of documents are judged by signer/validation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from hsm.spec import PublicKey
from pki.errors import TokenWrong
from pki.schemes import Scheme, scheme_for
from pki.tsa.token import check_token, embedded_certificates

_LONGEST_PATH = 6


@dataclass(frozen=True)
class Stamp:
    """What a good token proves: when, by whom, and which anchor that leads to."""

    time: datetime
    signer: x509.Certificate
    anchor: x509.Certificate


@dataclass(frozen=True)
class _Signer:
    certificate: x509.Certificate
    public_key: PublicKey
    scheme: Scheme


def check_stamp(token: bytes, digest: str, hashed: bytes, policy: str, anchors: Sequence[x509.Certificate]) -> Stamp:
    """Time and signer of a token over this hash under this policy; TokenWrong with the part that is not right."""
    try:
        held = embedded_certificates(token)
    except ValueError as error:
        raise TokenWrong(f"not a token: {error}", part="structure") from error
    failure = TokenWrong("no certificate in it may sign time-stamps", part="signer")
    for certificate in filter(may_stamp, held):
        public_key = certificate.public_key()
        if not isinstance(public_key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
            continue
        signer = _Signer(certificate, public_key, scheme_for(public_key, rsa_padding="pkcs1v15"))
        try:
            moment = check_token(token, digest, hashed, signer, policy)
        except TokenWrong as error:
            failure = error
            continue
        path = find_path(certificate, held, anchors, moment)
        if path is not None:
            return Stamp(moment, certificate, path[-1])
        failure = TokenWrong("the signer leads to no anchor", part="path")
    raise failure


def may_stamp(certificate: x509.Certificate) -> bool:
    """Whether time-stamps are what it is for: the only extended key usage, and critical (RFC 3161 2.3)."""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return usage.critical and list(usage.value) == [ExtendedKeyUsageOID.TIME_STAMPING]


def find_path(
    certificate: x509.Certificate, held: Sequence[x509.Certificate], anchors: Sequence[x509.Certificate], moment: datetime
) -> tuple[x509.Certificate, ...] | None:  # fmt: skip
    """Climb from issuer to issuer, each good at that moment, until one of the anchors has signed; it comes last. None: none has."""
    path = [certificate]
    for _ in range(_LONGEST_PATH):
        if not certificate.not_valid_before_utc <= moment <= certificate.not_valid_after_utc:
            return None
        anchor = next((each for each in anchors if _has_issued(each, certificate, moment)), None)
        if anchor is not None:
            return (*path, anchor)
        issuer = next((each for each in held if each not in path and _has_issued(each, certificate, moment)), None)
        if issuer is None:
            return None
        certificate = issuer
        path.append(certificate)
    return None


def _has_issued(issuer: x509.Certificate, certificate: x509.Certificate, moment: datetime) -> bool:
    """Whether an authority that was good then has signed this certificate (RFC 5280 6.1.4)."""
    try:
        constraints = issuer.extensions.get_extension_for_class(x509.BasicConstraints).value
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        certificate.verify_directly_issued_by(issuer)
    except (x509.ExtensionNotFound, InvalidSignature, ValueError, TypeError):
        return False
    in_force = issuer.not_valid_before_utc <= moment <= issuer.not_valid_after_utc
    return constraints.ca and usage.key_cert_sign and in_force
