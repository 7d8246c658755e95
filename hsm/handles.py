"""Private keys that can only sign: `cryptography` key classes around a callable, wherever the key itself lives.

They leave to the store that made them how a signature comes about. They hand out no private numbers, decrypt nothing
and agree on no secret, and no signature passes that the public key does not verify.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import NoReturn

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils
from cryptography.utils import Buffer

from hsm.ahead import SignedAhead
from hsm.errors import MechanismUnavailable, SigningFailed
from hsm.messages import FileMessage, Message
from hsm.spec import PrivateKey, PublicKey

SIGNING_DIGESTS = (hashes.SHA256, hashes.SHA384, hashes.SHA512)


class Scheme(StrEnum):
    """The signature schemes Antin signs with. With a digest they name an algorithm completely."""

    RSA_PKCS1V15 = "rsa-pkcs1v15"
    RSA_PSS = "rsa-pss"
    ECDSA = "ecdsa"


# Made once: every signature is verified with one of them. For PSS, MGF1 and salt follow the digest (RFC 4055 3.1).
_ECDSA: dict[type, ec.ECDSA] = {kind: ec.ECDSA(kind()) for kind in SIGNING_DIGESTS}
_PSS: dict[type, padding.PSS] = {kind: padding.PSS(padding.MGF1(kind()), kind.digest_size) for kind in SIGNING_DIGESTS}
_PKCS1V15 = padding.PKCS1v15()

# The whole message, never its digest: a key process must be able to see what it signs.
SignCall = Callable[[Message, Scheme, hashes.HashAlgorithm], bytes]
# The same for one who verifies it himself meanwhile.
AheadCall = Callable[[Message, Scheme, hashes.HashAlgorithm], SignedAhead]
# The same, and something to be done once while another process makes the signature.
SignMeanwhile = Callable[[Message, Scheme, hashes.HashAlgorithm, Callable[[], None]], bytes]
# Public key, signature, message, scheme, digest: returns, or raises SigningFailed.
Verify = Callable[[PublicKey, bytes, Message, Scheme, hashes.HashAlgorithm], None]


class SignOnlyRSAKey(rsa.RSAPrivateKey):
    """An RSA private key that signs through a store."""

    def __init__(
        self,
        public_key: rsa.RSAPublicKey,
        sign_call: SignCall,
        verify: Verify,
        sign_meanwhile: SignMeanwhile | None = None,
        ahead_call: AheadCall | None = None,
    ) -> None:
        self._public_key = public_key
        self._sign_call = sign_call
        self._verify = verify
        self._ahead_call = ahead_call
        self._sign_meanwhile = sign_meanwhile

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def public_key(self) -> rsa.RSAPublicKey:
        return self._public_key

    def sign(
        self,
        data: Buffer | FileMessage,
        padding: object,
        algorithm: object,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        """Sign a whole message with PKCS #1 v1.5 or PSS (RFC 8017 8.2, 8.1). `meanwhile`: see sign_only_key."""
        digest = _digest(algorithm)
        scheme = _rsa_scheme(padding, digest)
        message = data if isinstance(data, FileMessage) else bytes(data)
        if meanwhile is not None and self._sign_meanwhile is not None:
            signature = self._sign_meanwhile(message, scheme, digest, meanwhile)
        else:
            signature = self._sign_call(message, scheme, digest)
        self._verify(self._public_key, signature, message, scheme, digest)
        return signature

    def sign_ahead(self, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> SignedAhead:
        """A signature that the store verifies while its asker does."""
        check_scheme(self._public_key, scheme, digest)
        if self._ahead_call is not None:
            return self._ahead_call(message, scheme, digest)
        signature = self._sign_call(message, scheme, digest)
        return SignedAhead(signature, lambda: self._verify(self._public_key, signature, message, scheme, digest))

    def decrypt(self, ciphertext: bytes, padding: object) -> NoReturn:  # noqa: ARG002 overrides
        _only_signs("decrypt")

    def private_numbers(self) -> NoReturn:
        _only_signs("give private numbers")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:  # noqa: A002, ARG002 overrides
        _only_signs("be serialised")

    def __copy__(self) -> SignOnlyRSAKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> SignOnlyRSAKey:
        return self

    def __reduce__(self) -> NoReturn:
        _only_signs("be pickled")


class SignOnlyECKey(ec.EllipticCurvePrivateKey):
    """An elliptic-curve private key that signs through a store."""

    def __init__(
        self,
        public_key: ec.EllipticCurvePublicKey,
        sign_call: SignCall,
        verify: Verify,
        sign_meanwhile: SignMeanwhile | None = None,
        ahead_call: AheadCall | None = None,
    ) -> None:
        self._public_key = public_key
        self._sign_call = sign_call
        self._verify = verify
        self._ahead_call = ahead_call
        self._sign_meanwhile = sign_meanwhile

    @property
    def curve(self) -> ec.EllipticCurve:
        return self._public_key.curve

    @property
    def key_size(self) -> int:
        return self._public_key.key_size

    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public_key

    def sign(
        self,
        data: Buffer | FileMessage,
        signature_algorithm: ec.EllipticCurveSignatureAlgorithm,
        meanwhile: Callable[[], None] | None = None,
    ) -> bytes:
        """Sign a whole message with ECDSA; the signature is an Ecdsa-Sig-Value (RFC 3279 2.2.3). `meanwhile`: see sign_only_key."""
        if not isinstance(signature_algorithm, ec.ECDSA):
            raise MechanismUnavailable("only ECDSA is signed", mechanism=type(signature_algorithm).__name__)
        if signature_algorithm.deterministic_signing:
            # It would be ignored silently: the nonce is the token's.
            raise MechanismUnavailable("deterministic ECDSA is not signed", mechanism="deterministic ECDSA")
        digest = _digest(signature_algorithm.algorithm)
        message = data if isinstance(data, FileMessage) else bytes(data)
        if meanwhile is not None and self._sign_meanwhile is not None:
            signature = self._sign_meanwhile(message, Scheme.ECDSA, digest, meanwhile)
        else:
            signature = self._sign_call(message, Scheme.ECDSA, digest)
        self._verify(self._public_key, signature, message, Scheme.ECDSA, digest)
        return signature

    def sign_ahead(self, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm) -> SignedAhead:
        """A signature that the store verifies while its asker does."""
        check_scheme(self._public_key, scheme, digest)
        if self._ahead_call is not None:
            return self._ahead_call(message, scheme, digest)
        signature = self._sign_call(message, scheme, digest)
        return SignedAhead(signature, lambda: self._verify(self._public_key, signature, message, scheme, digest))

    def exchange(self, algorithm: object, peer_public_key: object) -> NoReturn:  # noqa: ARG002 overrides
        _only_signs("agree on a secret")

    def private_numbers(self) -> NoReturn:
        _only_signs("give private numbers")

    def private_bytes(self, encoding: object, format: object, encryption_algorithm: object) -> NoReturn:  # noqa: A002, ARG002 overrides
        _only_signs("be serialised")

    def __copy__(self) -> SignOnlyECKey:
        return self

    def __deepcopy__(self, memo: dict[int, object]) -> SignOnlyECKey:
        return self

    def __reduce__(self) -> NoReturn:
        _only_signs("be pickled")


def sign_only_key(
    public_key: PublicKey,
    sign_call: SignCall,
    verify: Verify | None = None,
    sign_meanwhile: SignMeanwhile | None = None,
    ahead_call: AheadCall | None = None,
) -> PrivateKey:
    """The private-key object that goes with a public key. `verify` is verify_signature, or the store's own around it.

    `sign_meanwhile` and `ahead_call`: of a store that waits for another process. With the first, what is given to `sign` as `meanwhile`
    is called at most once while that process works; without it, never. With the second that process verifies what is signed
    ahead; without it this one does, when the signature is to be confirmed.
    """
    check = verify or verify_signature
    if isinstance(public_key, rsa.RSAPublicKey):
        return SignOnlyRSAKey(public_key, sign_call, check, sign_meanwhile, ahead_call)
    return SignOnlyECKey(public_key, sign_call, check, sign_meanwhile, ahead_call)


def check_scheme(public_key: PublicKey, scheme: Scheme, digest: hashes.HashAlgorithm) -> None:
    """Raise MechanismUnavailable unless keys of this kind sign with this scheme over this digest."""
    _digest(digest)
    if (scheme is Scheme.ECDSA) is isinstance(public_key, rsa.RSAPublicKey):
        raise MechanismUnavailable(f"the key does not sign with {scheme.value}", mechanism=scheme.value)


def verify_signature(
    public_key: PublicKey, signature: bytes, message: Message, scheme: Scheme, digest: hashes.HashAlgorithm
) -> None:
    """Raise SigningFailed unless the signature is the key's over the message. The scheme is one of its kind."""
    if not isinstance(message, FileMessage):
        signature_check(public_key, scheme, digest)(signature, message)
        return
    try:
        _verify_digest(public_key, signature, digest_of(message, digest), rsa_padding(scheme, digest), digest)
    except InvalidSignature as error:
        raise _mismatch() from error


def signature_check(
    public_key: PublicKey, scheme: Scheme, digest: hashes.HashAlgorithm
) -> Callable[[bytes, bytes], None]:
    """verify_signature with all but signature and message said once, for many messages that are held."""
    verify: Callable[..., None] = public_key.verify
    over_curve = scheme is Scheme.ECDSA
    how = (_ECDSA.get(type(digest)) or ec.ECDSA(digest),) if over_curve else (rsa_padding(scheme, digest), digest)

    def check(signature: bytes, message: bytes) -> None:
        try:
            verify(signature, message, *how)
        except InvalidSignature as error:
            raise _mismatch() from error

    return check


def digest_of(message: FileMessage, digest: hashes.HashAlgorithm) -> bytes:
    """The digest of a message that is too long to be held."""
    made = hashes.Hash(digest)
    for piece in message.pieces():
        made.update(piece)
    return made.finalize()


def rsa_padding(scheme: Scheme, digest: hashes.HashAlgorithm) -> padding.AsymmetricPadding:
    """The one padding that belongs to an RSA scheme: for PSS, MGF1 and salt follow the digest (RFC 4055 3.1)."""
    if scheme is Scheme.RSA_PKCS1V15:
        return _PKCS1V15
    return _PSS.get(type(digest)) or padding.PSS(mgf=padding.MGF1(digest), salt_length=digest.digest_size)


def _verify_digest(
    public_key: PublicKey, signature: bytes, made: bytes, pad: padding.AsymmetricPadding, digest: hashes.HashAlgorithm
) -> None:
    if isinstance(public_key, rsa.RSAPublicKey):
        public_key.verify(signature, made, pad, utils.Prehashed(digest))
    else:
        public_key.verify(signature, made, ec.ECDSA(utils.Prehashed(digest)))


def _digest(algorithm: object) -> hashes.HashAlgorithm:
    # Prehashed and NoDigestInfo land here too: the purpose of a key cannot be checked on a bare digest.
    if not isinstance(algorithm, SIGNING_DIGESTS):
        name = algorithm.name if isinstance(algorithm, hashes.HashAlgorithm) else type(algorithm).__name__
        raise MechanismUnavailable(f"{name} is not a digest that keys sign over", mechanism=name)
    return algorithm


def _rsa_scheme(asked: object, digest: hashes.HashAlgorithm) -> Scheme:
    if isinstance(asked, padding.PKCS1v15):
        return Scheme.RSA_PKCS1V15
    if not isinstance(asked, padding.PSS):
        raise MechanismUnavailable("only PKCS #1 v1.5 and PSS are signed", mechanism=type(asked).__name__)
    mask_digest = getattr(asked.mgf, "_algorithm", None)  # the only place where MGF1 keeps it
    if not isinstance(mask_digest, type(digest)):
        raise MechanismUnavailable("PSS needs MGF1 over the message's digest", mechanism="RSA-PSS, other MGF1 digest")
    # `cryptography` names its special lengths by marker objects; MAX_LENGTH and AUTO are not what tokens are asked for.
    salt = asked._salt_length  # noqa: SLF001 no public name
    if salt is not padding.PSS.DIGEST_LENGTH and salt != digest.digest_size:
        raise MechanismUnavailable("PSS needs a salt as long as the digest", mechanism="RSA-PSS, other salt length")
    return Scheme.RSA_PSS


def _mismatch() -> SigningFailed:
    return SigningFailed("the signature that came back does not verify with the public key")


def _only_signs(deed: str) -> NoReturn:
    raise TypeError(f"this key can only sign; it cannot {deed}")
