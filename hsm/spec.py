"""Values that name keys: what kind (KeySpec), what for (Purpose), which one (KeyRef), and how a token is doing (TokenStatus)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

PublicKey = rsa.RSAPublicKey | ec.EllipticCurvePublicKey
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


class KeySpec(StrEnum):
    """The kinds of key Antin makes. The value is the name used in settings and on the command line."""

    RSA_2048 = "rsa-2048"
    RSA_3072 = "rsa-3072"
    P_256 = "p-256"
    P_384 = "p-384"

    @property
    def is_rsa(self) -> bool:
        return self in (KeySpec.RSA_2048, KeySpec.RSA_3072)


class Purpose(StrEnum):
    """What a key is for, and so what it may sign. Kept on the token, beside the key; the value is the name that is kept.

    What each may sign stands in purposes.py. A key without a purpose signs nothing until it is given one.
    """

    AUTHORITY = "authority"
    OCSP_RESPONDER = "ocsp-responder"
    TSA = "tsa"
    DOCUMENT = "document"
    RECEIPT = "receipt"
    TRUST_STORE = "trust-store"


_RSA_BITS = {KeySpec.RSA_2048: 2048, KeySpec.RSA_3072: 3072}
_CURVES: dict[KeySpec, type[ec.EllipticCurve]] = {KeySpec.P_256: ec.SECP256R1, KeySpec.P_384: ec.SECP384R1}
_OF_BITS = {bits: spec for spec, bits in _RSA_BITS.items()}
_OF_CURVE = {curve: spec for spec, curve in _CURVES.items()}


def rsa_bits(spec: KeySpec) -> int:
    """Modulus length in bits of an RSA spec."""
    return _RSA_BITS[spec]


def curve_of(spec: KeySpec) -> ec.EllipticCurve:
    """The curve of an elliptic-curve spec."""
    return _CURVES[spec]()


def spec_of(public_key: PublicKey) -> KeySpec:
    """The spec a public key fits; ValueError for a kind that Antin does not make."""
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        spec = _OF_CURVE.get(type(public_key.curve))
        if spec is None:
            raise ValueError(f"curve {public_key.curve.name} is not a kind of key Antin makes")
        return spec
    spec = _OF_BITS.get(public_key.key_size)
    if spec is None:
        raise ValueError(f"RSA of {public_key.key_size} bits is not a kind of key Antin makes")
    return spec


def key_id_of(public_key_der: bytes) -> bytes:
    """CKA_ID of a key: the first 20 octets of the SHA-256 of its SubjectPublicKeyInfo (DER).

    Anybody who holds a certificate can thus find its key, on any token, without a label.
    """
    return hashlib.sha256(public_key_der).digest()[:20]


def spki_der(public_key: PublicKey) -> bytes:
    """SubjectPublicKeyInfo in DER (RFC 5280 4.1.2.7)."""
    return public_key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def load_public_key(public_key_der: bytes) -> PublicKey:
    """The key of a SubjectPublicKeyInfo (DER); ValueError for a kind that Antin does not make."""
    key = serialization.load_der_public_key(public_key_der)
    if not isinstance(key, rsa.RSAPublicKey | ec.EllipticCurvePublicKey):
        raise ValueError(f"{type(key).__name__} is not a kind of key Antin makes")  # noqa: TRY004 it is the DER that is wrong
    return key


@dataclass(frozen=True)
class KeyRef:
    """Which key: everything needed to find it again. Holds nothing secret.

    `purpose` is None for a key that was made before purposes were kept, or by other software.
    """

    label: str
    spec: KeySpec
    public_key_der: bytes
    purpose: Purpose | None = None

    @property
    def key_id(self) -> bytes:
        return key_id_of(self.public_key_der)

    def public_key(self) -> PublicKey:
        return load_public_key(self.public_key_der)


@dataclass(frozen=True)
class TokenStatus:
    """How a key store is doing: `state` is ok, degraded or away; `session_limit` None where the token names none."""

    module: str
    token: str
    state: str
    sessions_open: int
    session_limit: int | None
    pid: int | None
    detail: str = ""
