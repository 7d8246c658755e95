"""How a token signs: which CKM serves a scheme on a token with these mechanisms, and what is handed to it.

It leaves finding the key to pkcs11_store.py and the check of the signature to handles.py.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, Mechanism

from hsm.errors import MechanismUnavailable, SigningFailed
from hsm.handles import Scheme

PssParameters = tuple[Mechanism, MGF, int]


@dataclass(frozen=True)
class _DigestMechanisms:
    plain: Mechanism
    mask: MGF
    pkcs1v15: Mechanism
    pss: Mechanism
    digest_info: bytes  # DER of DigestInfo up to the digest itself (RFC 8017 9.2, note 1)


_BY_DIGEST = {
    "sha256": _DigestMechanisms(
        Mechanism.SHA256,
        MGF.SHA256,
        Mechanism.SHA256_RSA_PKCS,
        Mechanism.SHA256_RSA_PKCS_PSS,
        bytes.fromhex("3031300d060960864801650304020105000420"),
    ),
    "sha384": _DigestMechanisms(
        Mechanism.SHA384,
        MGF.SHA384,
        Mechanism.SHA384_RSA_PKCS,
        Mechanism.SHA384_RSA_PKCS_PSS,
        bytes.fromhex("3041300d060960864801650304020205000430"),
    ),
    "sha512": _DigestMechanisms(
        Mechanism.SHA512,
        MGF.SHA512,
        Mechanism.SHA512_RSA_PKCS,
        Mechanism.SHA512_RSA_PKCS_PSS,
        bytes.fromhex("3051300d060960864801650304020305000440"),
    ),
}


@dataclass(frozen=True)
class TokenSigning:
    """One way to have a token sign: the mechanism, its parameters, and the octets that go in."""

    mechanism: Mechanism
    parameters: PssParameters | None
    octets: bytes


def plan_signing(
    scheme: Scheme, digest: hashes.HashAlgorithm, message: bytes, key_bits: int, available: AbstractSet[int]
) -> TokenSigning:
    """Choose the mechanism: one that hashes in the token where there is one, else the raw one over a digest of ours."""
    by_digest = _BY_DIGEST[digest.name]
    if scheme is Scheme.ECDSA:
        _require(available, Mechanism.ECDSA)
        # A digest longer than the curve's order counts by its leftmost bits (FIPS 186-5, 6.4.1); not every token cuts
        # it itself. Both curves have orders of whole octets.
        return TokenSigning(Mechanism.ECDSA, None, _hashed(message, digest)[: key_bits // 8])
    if scheme is Scheme.RSA_PSS:
        parameters = (by_digest.plain, by_digest.mask, digest.digest_size)
        if by_digest.pss in available:
            return TokenSigning(by_digest.pss, parameters, message)
        _require(available, Mechanism.RSA_PKCS_PSS, wanted=by_digest.pss)
        return TokenSigning(Mechanism.RSA_PKCS_PSS, parameters, _hashed(message, digest))
    if by_digest.pkcs1v15 in available:
        return TokenSigning(by_digest.pkcs1v15, None, message)
    _require(available, Mechanism.RSA_PKCS, wanted=by_digest.pkcs1v15)
    return TokenSigning(Mechanism.RSA_PKCS, None, by_digest.digest_info + _hashed(message, digest))


def sign_in_token(key: pkcs11.Object, scheme: Scheme, plan: TokenSigning, key_bits: int) -> bytes:
    """Have the token sign, and give the signature the form that X.509 and CMS want."""
    if not isinstance(key, pkcs11.SignMixin):
        raise MechanismUnavailable(
            "the key may not sign", rv="CKR_KEY_FUNCTION_NOT_PERMITTED", mechanism=f"CKM_{plan.mechanism.name}"
        )
    signature = bytes(key.sign(plan.octets, mechanism=plan.mechanism, mechanism_param=plan.parameters))
    if scheme is not Scheme.ECDSA:
        return signature
    # The token answers r || s, each as long as the order (PKCS#11 v3.0, 6.3.1); outside it is a SEQUENCE.
    half = key_bits // 8
    if len(signature) != 2 * half:
        raise SigningFailed("the token's ECDSA signature has the wrong length")
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def _hashed(message: bytes, digest: hashes.HashAlgorithm) -> bytes:
    context = hashes.Hash(digest)
    context.update(message)
    return context.finalize()


def _require(available: AbstractSet[int], mechanism: Mechanism, wanted: Mechanism | None = None) -> None:
    if mechanism not in available:
        name = f"CKM_{(wanted or mechanism).name}"
        raise MechanismUnavailable(f"the token has no {name}", mechanism=name)
