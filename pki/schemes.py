"""Signature schemes: which algorithm goes with a key, how it is named in DER, and how it signs and is checked."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hsm import der
from hsm.handles import Scheme as KeyScheme
from hsm.handles import SignOnlyECKey, SignOnlyRSAKey
from hsm.messages import Message
from hsm.spec import PrivateKey, PublicKey
from hsm.store import KeyStore

# Digests by their names in hashlib (RFC 5754 2).
DIGEST_OIDS = {
    "sha256": "2.16.840.1.101.3.4.2.1",
    "sha384": "2.16.840.1.101.3.4.2.2",
    "sha512": "2.16.840.1.101.3.4.2.3",
}
_MGF1 = "1.2.840.113549.1.1.8"
NULL = der.tlv(der.NULL, b"")


class Scheme(StrEnum):
    """Signature schemes Antin signs with; the value is the name used in settings and verdicts."""

    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    PSS_SHA256 = "rsassa-pss-sha256"
    PKCS1_SHA256 = "rsassa-pkcs1v15-sha256"

    @property
    def digest(self) -> str:
        """Name of the digest, as hashlib and pyHanko write it."""
        return "sha384" if self is Scheme.ECDSA_SHA384 else "sha256"

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return hashes.SHA384() if self is Scheme.ECDSA_SHA384 else hashes.SHA256()

    @functools.cache
    def algorithm_identifier(self) -> bytes:
        """The signature's AlgorithmIdentifier, in DER."""
        if self is Scheme.ECDSA_SHA256:
            return der.algorithm("1.2.840.10045.4.3.2")  # RFC 5754 3.3
        if self is Scheme.ECDSA_SHA384:
            return der.algorithm("1.2.840.10045.4.3.3")
        if self is Scheme.PKCS1_SHA256:
            return der.algorithm("1.2.840.113549.1.1.11", NULL)  # RFC 4055 5: parameters NULL
        hash_id = der.algorithm(DIGEST_OIDS["sha256"], NULL)
        parameters = der.sequence(  # RSASSA-PSS-params, RFC 4055 3.1; the salt is as long as the digest
            der.explicit(0, hash_id),
            der.explicit(1, der.algorithm(_MGF1, hash_id)),
            der.explicit(2, der.integer(32)),
        )
        return der.algorithm("1.2.840.113549.1.1.10", parameters)


def scheme_for(public_key: PublicKey, *, rsa_padding: str = "pss") -> Scheme:
    """The scheme for a key: PSS by default for RSA (Thông tư 15/2025), `pkcs1v15` for readers that know nothing newer.

    PSS for certificates too: the readers we test with (OpenSSL) verify such chains. A digest as strong as the curve (RFC 5753 8,
    SP 800-57 part 1 table 3).
    """
    if isinstance(public_key, rsa.RSAPublicKey):
        return Scheme.PKCS1_SHA256 if rsa_padding == "pkcs1v15" else Scheme.PSS_SHA256
    return Scheme.ECDSA_SHA384 if public_key.curve.key_size > 256 else Scheme.ECDSA_SHA256


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def sign_message(key: PrivateKey, scheme: Scheme, message: Message) -> bytes:
    """Sign a whole message, which only keys of a store take as a file. The only function here that touches a key."""
    pad = padding.PKCS1v15() if scheme is Scheme.PKCS1_SHA256 else _pss()
    if isinstance(key, SignOnlyECKey):
        return key.sign(message, ec.ECDSA(scheme.hash))
    if isinstance(key, SignOnlyRSAKey):
        return key.sign(message, pad, scheme.hash)
    whole = bytes(message)
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(whole, ec.ECDSA(scheme.hash))
    return key.sign(whole, pad, scheme.hash)


def sign_messages(keys: KeyStore, public_key_der: bytes, scheme: Scheme, messages: Sequence[bytes]) -> list[bytes]:
    """Sign many whole messages with one key, which takes less than half the time that one by one does."""
    return keys.sign_many(public_key_der, messages, _KEY_SCHEMES[scheme], scheme.hash)


_KEY_SCHEMES = {
    Scheme.ECDSA_SHA256: KeyScheme.ECDSA,
    Scheme.ECDSA_SHA384: KeyScheme.ECDSA,
    Scheme.PSS_SHA256: KeyScheme.RSA_PSS,
    Scheme.PKCS1_SHA256: KeyScheme.RSA_PKCS1V15,
}


class SignatureMismatch(Exception):
    """A signature that we made ourselves does not verify."""


def check_signature(public_key: PublicKey, scheme: Scheme, signature: bytes, message: bytes) -> None:
    """Raise SignatureMismatch unless the signature over the message verifies with this key."""
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, message, ec.ECDSA(scheme.hash))
        else:
            pad = padding.PKCS1v15() if scheme is Scheme.PKCS1_SHA256 else _pss()
            public_key.verify(signature, message, pad, scheme.hash)
    except InvalidSignature:
        raise SignatureMismatch("the signature does not verify with the signer's certificate") from None
