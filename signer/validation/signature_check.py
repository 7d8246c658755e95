"""One signature value against its octets and key: the library's schemes, and those of the standards that it does not know.

RSA with SHA-3 (NIST CSOR, RFC 9688) and ECDSA in plain format (BSI TR-03111 5.2.1: r and s side by side) are rules of our own.
"""

from __future__ import annotations

from dataclasses import dataclass

from asn1crypto import algos, keys
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, encode_dss_signature
from pyhanko_certvalidator.sig_validate import (
    DEFAULT_VALIDATION_CONTEXT,
    DefaultSignatureValidator,
    SignatureValidationContext,
    SignatureValidator,
)

_PLAIN, _RSA = "plain-ecdsa", "rsassa_pkcs1v15"
_HASHES: dict[str, type[hashes.HashAlgorithm]] = {
    "sha1": hashes.SHA1, "sha224": hashes.SHA224, "sha256": hashes.SHA256, "sha384": hashes.SHA384, "sha512": hashes.SHA512,
    "sha3_224": hashes.SHA3_224, "sha3_256": hashes.SHA3_256, "sha3_384": hashes.SHA3_384, "sha3_512": hashes.SHA3_512,
}  # fmt: skip
_OURS = {
    # NIST CSOR, id-rsassa-pkcs1-v1-5-with-sha3-…; RFC 9688 2.1
    "2.16.840.1.101.3.4.3.13": (_RSA, "sha3_224"),
    "2.16.840.1.101.3.4.3.14": (_RSA, "sha3_256"),
    "2.16.840.1.101.3.4.3.15": (_RSA, "sha3_384"),
    "2.16.840.1.101.3.4.3.16": (_RSA, "sha3_512"),
    # BSI TR-03111 5.2.1.1, ecdsa-plain-…
    "0.4.0.127.0.7.1.1.4.1.1": (_PLAIN, "sha1"),
    "0.4.0.127.0.7.1.1.4.1.2": (_PLAIN, "sha224"),
    "0.4.0.127.0.7.1.1.4.1.3": (_PLAIN, "sha256"),
    "0.4.0.127.0.7.1.1.4.1.4": (_PLAIN, "sha384"),
    "0.4.0.127.0.7.1.1.4.1.5": (_PLAIN, "sha512"),
    "0.4.0.127.0.7.1.1.4.1.8": (_PLAIN, "sha3_224"),
    "0.4.0.127.0.7.1.1.4.1.9": (_PLAIN, "sha3_256"),
    "0.4.0.127.0.7.1.1.4.1.10": (_PLAIN, "sha3_384"),
    "0.4.0.127.0.7.1.1.4.1.11": (_PLAIN, "sha3_512"),
}
# The library knows the schemes of these and not their digests.
_SHA3_ECDSA = {f"sha3_{bits}_ecdsa": f"sha3_{bits}" for bits in (224, 256, 384, 512)}


@dataclass(frozen=True)
class Scheme:
    """How a value was made. `digest` is None where the algorithm leaves it to its surroundings (RFC 3370 3.2)."""

    name: str
    digest: str | None


def scheme_of(algorithm: algos.SignedDigestAlgorithm) -> Scheme:
    """The scheme that an identifier names; an identifier that nobody knows is its own name.

    ECDSA in plain format is ECDSA: only the encoding of its value differs.
    """
    ours = _OURS.get(algorithm["algorithm"].dotted)
    if ours is not None:
        return Scheme("ecdsa" if ours[0] == _PLAIN else ours[0], ours[1])
    native = str(algorithm["algorithm"].native)
    if native in _SHA3_ECDSA:
        return Scheme("ecdsa", _SHA3_ECDSA[native])
    try:
        name = str(algorithm.signature_algo)
    except ValueError:
        return Scheme(native, None)
    try:
        return Scheme(name, str(algorithm.hash_algo))
    except ValueError:
        return Scheme(name, None)


def readable_key(key: keys.PublicKeyInfo) -> keys.PublicKeyInfo:
    """The same key, its RSA modulus as the positive number that it is.

    Certificates exist whose modulus lacks the zero octet before it and so is negative in DER (X.690 8.3.3). A modulus never is (RFC
    8017 3.1), so its octets can mean one number only.
    """
    if key.algorithm != "rsa":
        return key
    numbers = key["public_key"].parsed
    if numbers["modulus"].native >= 0:
        return key
    modulus = int.from_bytes(numbers["modulus"].contents, "big")
    exponent = int.from_bytes(numbers["public_exponent"].contents, "big")
    return keys.PublicKeyInfo.wrap(keys.RSAPublicKey({"modulus": modulus, "public_exponent": exponent}), "rsa")


def check_value(
    value: bytes,
    message: bytes,
    key: keys.PublicKeyInfo,
    algorithm: algos.SignedDigestAlgorithm,
    digest: str | None = None,
    *,
    prehashed: bool = False,
) -> None:
    """InvalidSignature when the value is not the key's over the message. `digest`: where the algorithm names none.

    An algorithm that is not known raises what the library raises, or UnsupportedAlgorithm.
    """
    key = readable_key(key)
    ours = _OURS.get(algorithm["algorithm"].dotted)
    hashed = _SHA3_ECDSA.get(str(algorithm["algorithm"].native))
    if ours is None and hashed is None:
        context = SignatureValidationContext(digest, prehashed=prehashed)
        DefaultSignatureValidator().validate_signature(value, message, key, algorithm, context)
        return
    kind, named = ours or ("ecdsa", str(hashed))
    public = serialization.load_der_public_key(key.dump())
    chosen = _HASHES[named]()
    with_hash = Prehashed(chosen) if prehashed else chosen
    if kind == _RSA:
        if not isinstance(public, rsa.RSAPublicKey):
            raise UnsupportedAlgorithm("the key is of another kind")
        public.verify(value, message, padding.PKCS1v15(), with_hash)
        return
    if not isinstance(public, ec.EllipticCurvePublicKey):
        raise UnsupportedAlgorithm("the key is of another kind")
    public.verify(_from_plain(value, public.curve) if kind == _PLAIN else value, message, ec.ECDSA(with_hash))


class EverySignature(SignatureValidator):
    """The same for the library, where it validates paths by itself."""

    def validate_signature(
        self,
        signature: bytes,
        signed_data: bytes,
        public_key_info: keys.PublicKeyInfo,
        signature_algorithm: algos.SignedDigestAlgorithm,
        context: SignatureValidationContext = DEFAULT_VALIDATION_CONTEXT,
    ) -> None:
        """As check_value."""
        digest, prehashed = context.contextual_md_algorithm, context.prehashed
        check_value(signature, signed_data, public_key_info, signature_algorithm, digest, prehashed=prehashed)


def _from_plain(value: bytes, curve: ec.EllipticCurve) -> bytes:
    """TR-03111 5.2.1: two numbers, each as long as the order of the curve's base point."""
    length = (curve.group_order.bit_length() + 7) // 8
    if len(value) != 2 * length:
        raise InvalidSignature
    return encode_dss_signature(int.from_bytes(value[:length], "big"), int.from_bytes(value[length:], "big"))
