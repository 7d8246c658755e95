"""Signature schemes: which algorithm goes with a key, how it is named in DER, and how it signs and is checked."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from enum import StrEnum

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding

from hsm import der
from hsm.ahead import SignedAhead
from hsm.handles import Scheme as KeyScheme
from hsm.handles import SignOnlyECKey, SignOnlyRSAKey
from hsm.messages import FileMessage, Message
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
        return self.hash.name

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return _HASHES[self]

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


# Made once, for they are needed for every signature; a member that is asked for by its class's name is a call each time.
_ECDSA_SHA256, _ECDSA_SHA384 = Scheme.ECDSA_SHA256, Scheme.ECDSA_SHA384
_PSS_SHA256, _PKCS1_SHA256 = Scheme.PSS_SHA256, Scheme.PKCS1_SHA256
_HASHES = {each: hashes.SHA384() if each is _ECDSA_SHA384 else hashes.SHA256() for each in Scheme}
_PSS = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)
_OF_STORES = (SignOnlyECKey, SignOnlyRSAKey)
# What `cryptography` wants to be told besides the message, by a private key to sign and by a public one to verify.
_HOW: dict[Scheme, tuple[object, ...]] = {
    _ECDSA_SHA256: (ec.ECDSA(_HASHES[_ECDSA_SHA256]),),
    _ECDSA_SHA384: (ec.ECDSA(_HASHES[_ECDSA_SHA384]),),
    _PSS_SHA256: (_PSS, _HASHES[_PSS_SHA256]),
    _PKCS1_SHA256: (padding.PKCS1v15(), _HASHES[_PKCS1_SHA256]),
}


def scheme_for(public_key: PublicKey, *, rsa_padding: str = "pss") -> Scheme:
    """The scheme for a key: PSS by default for RSA (Thông tư 15/2025), `pkcs1v15` for readers that know nothing newer.

    PSS for certificates too: the readers we test with (OpenSSL) verify such chains. A digest as strong as the curve (RFC 5753 8,
    SP 800-57 part 1 table 3).
    """
    if isinstance(public_key, ec.EllipticCurvePublicKey):
        return _ECDSA_SHA384 if public_key.curve.key_size > 256 else _ECDSA_SHA256
    return _PKCS1_SHA256 if rsa_padding == "pkcs1v15" else _PSS_SHA256


def sign_message(
    key: PrivateKey, scheme: Scheme, message: Message, meanwhile: Callable[[], None] | None = None
) -> bytes:
    """Sign a whole message, which only keys of a store take as a file. The only function here that touches a key.

    `meanwhile` may be called, once, while another process makes the signature: what it does must not depend on that.
    """
    sign: Callable[..., bytes] = key.sign
    if isinstance(key, _OF_STORES):
        return sign(message, *_HOW[scheme], meanwhile)
    return sign(bytes(message) if isinstance(message, FileMessage) else message, *_HOW[scheme])


def sign_ahead(key: PrivateKey, scheme: Scheme, message: bytes) -> SignedAhead:
    """The same for whoever checks the signature himself, while the key's store does."""
    if isinstance(key, SignOnlyECKey | SignOnlyRSAKey):
        return key.sign_ahead(message, _KEY_SCHEMES[scheme], scheme.hash)
    return SignedAhead(sign_message(key, scheme, message), lambda: None)


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
    verify: Callable[..., None] = public_key.verify
    try:
        verify(signature, message, *_HOW[scheme])
    except InvalidSignature:
        raise SignatureMismatch("the signature does not verify with the signer's certificate") from None
