"""Certificate requests: the public key and the proof of its possession, and nothing else that a request may say."""

from __future__ import annotations

import functools

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certs.errors import CsrMalformed, CsrProofWrong, KeyBroken, KeyWeak
from certs.weakness import is_published, modulus_problem
from hsm import der
from hsm.spec import PublicKey, spki_der

# A request with a 4096-bit key takes 2 kB; the rest of a larger one is extensions that nobody reads.
CSR_LIMIT = 64 * 1024
_ALLOWED = "RSA of 2048 to 8192 bits with exponent 65537, P-256, P-384"
# Larger keys cost every relying party time and gain nothing.
_RSA_MIN, _RSA_MAX = 2048, 8192
_CURVES = (ec.SECP256R1, ec.SECP384R1)
# RFC 5480 2.1.1 and 2.2: all of an uncompressed point on P-256 but its two coordinates of 32 octets.
_P256_HEAD = bytes.fromhex("3059301306072a8648ce3d020106082a8648ce3d03010703420004")
_P256_LENGTH = len(_P256_HEAD) + 64
# Keys of a batch are all read before the first of them is judged in its certificate.
_KEPT = 512


def parse_csr(data: bytes) -> bytes:
    """PKCS#10 in PEM or DER to the SubjectPublicKeyInfo (DER) whose private key signed it.

    Names and extensions of the request are not even read (law 5): what a certificate says comes from the profile and
    from what the registration officer confirmed.
    """
    if len(data) > CSR_LIMIT:
        raise CsrMalformed("the request is too large", limit=str(CSR_LIMIT))
    if data.count(b"-----BEGIN") > 1:
        # Which of them was meant is not ours to choose.
        raise CsrMalformed("more than one PEM block", limit=str(CSR_LIMIT))
    try:
        csr = x509.load_pem_x509_csr(data) if b"-----BEGIN" in data else x509.load_der_x509_csr(data)
        key = csr.public_key()
    except (ValueError, UnsupportedAlgorithm, x509.InvalidVersion) as error:
        raise CsrMalformed(f"not a certificate request: {error}", limit=str(CSR_LIMIT)) from error
    if _has_unused_bits(csr.public_bytes(serialization.Encoding.DER)):
        # The reader passes it over, so the octets could be changed without the proof failing.
        raise CsrMalformed(
            "not a certificate request: the signature is no whole number of octets", limit=str(CSR_LIMIT)
        )
    public_key = check_public_key(key)
    try:
        proven = csr.is_signature_valid
    except (ValueError, InvalidSignature, UnsupportedAlgorithm):
        proven = False
    if not proven:
        raise CsrProofWrong("the request is not signed by its own key")
    return spki_der(public_key)


def _has_unused_bits(csr_der: bytes) -> bool:
    """Whether the signature's BIT STRING ends within an octet, which no signature does (RFC 2986 4.2, X.690 8.6.2.2)."""
    _, start, end = der.element(csr_der, 0)
    _, signature, _ = der.elements(csr_der, start, end)[2]
    return csr_der[signature] != 0


def parse_public_key(public_key_der: bytes) -> PublicKey:
    """A SubjectPublicKeyInfo (DER) to a key that Antin certifies; KeyWeak otherwise."""
    return read_public_key(public_key_der)[0]


@functools.lru_cache(maxsize=_KEPT)
def read_public_key(public_key_der: bytes) -> tuple[PublicKey, bytes]:
    """`parse_public_key`, and the key's SubjectPublicKeyInfo as we write it.

    The same octets are asked for more than once in an issuance: what passed is kept for a while.
    """
    try:
        key = serialization.load_der_public_key(public_key_der)
    except (ValueError, UnsupportedAlgorithm) as error:
        raise _weak("unknown", "unreadable") from error
    # There is one way to write such a key with this head and this length, and writing takes as long as reading.
    is_ours = len(public_key_der) == _P256_LENGTH and public_key_der.startswith(_P256_HEAD)
    return _certifiable(key, public_key_der if is_ours else None)


def check_public_key(key: object) -> PublicKey:
    """The key itself when Antin certifies its kind and nobody can know its private key; KeyWeak, or KeyBroken, otherwise."""
    return _certifiable(key, None)[0]


def _certifiable(key: object, written: bytes | None) -> tuple[PublicKey, bytes]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        if type(key.curve) not in _CURVES:
            raise _weak(key.curve.name, "curve")
        kind, problem = key.curve.name, ""
    elif isinstance(key, rsa.RSAPublicKey):
        kind = f"RSA-{key.key_size}"
        if not _RSA_MIN <= key.key_size <= _RSA_MAX:
            raise _weak(kind, "size")
        numbers = key.public_numbers()
        # FIPS 186-5 A.1.1 wants an odd exponent above 2**16; what everybody makes, and every reader accepts, is 65537.
        if numbers.e != 65537:
            raise _weak(kind, "exponent")
        problem = modulus_problem(numbers.n)
    else:
        raise _weak(type(key).__name__, "kind")
    written = written or spki_der(key)
    if problem or is_published(written):
        raise KeyBroken(
            f"{kind}: {problem or 'published'}", kind=kind, problem=problem or "published", allowed=_ALLOWED
        )
    return key, written


def _weak(kind: str, problem: str) -> KeyWeak:
    return KeyWeak(f"{kind} is not certified: {problem}", kind=kind, problem=problem, allowed=_ALLOWED)
