"""How a token signs: which CKM serves a scheme on a token with these mechanisms, and what is handed to it.

It leaves finding the key to pkcs11_store.py and the check of the signature to handles.py.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import pkcs11
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import MGF, Mechanism

from hsm.errors import MechanismUnavailable, SigningFailed
from hsm.functions import SigningMechanism
from hsm.handles import Scheme

# Session, key, mechanism, octets: Functions.sign.
TokenCall = Callable[[int, int, SigningMechanism, bytes], bytes]


class Digest(Protocol):
    """A digest being made, as hashlib has them."""

    def digest(self) -> bytes: ...


@dataclass(frozen=True)
class _DigestMechanisms:
    plain: Mechanism
    mask: MGF
    pkcs1v15: Mechanism
    pss: Mechanism
    hashed: Callable[[bytes], Digest]
    digest_info: bytes  # DER of DigestInfo up to the digest itself (RFC 8017 9.2, note 1)


_BY_DIGEST = {
    "sha256": _DigestMechanisms(
        Mechanism.SHA256,
        MGF.SHA256,
        Mechanism.SHA256_RSA_PKCS,
        Mechanism.SHA256_RSA_PKCS_PSS,
        hashlib.sha256,
        bytes.fromhex("3031300d060960864801650304020105000420"),
    ),
    "sha384": _DigestMechanisms(
        Mechanism.SHA384,
        MGF.SHA384,
        Mechanism.SHA384_RSA_PKCS,
        Mechanism.SHA384_RSA_PKCS_PSS,
        hashlib.sha384,
        bytes.fromhex("3041300d060960864801650304020205000430"),
    ),
    "sha512": _DigestMechanisms(
        Mechanism.SHA512,
        MGF.SHA512,
        Mechanism.SHA512_RSA_PKCS,
        Mechanism.SHA512_RSA_PKCS_PSS,
        hashlib.sha512,
        bytes.fromhex("3051300d060960864801650304020305000440"),
    ),
}


@dataclass(frozen=True)
class SigningPlan:
    """One way to have a token sign any number of messages: the mechanism with its parameters, and what is handed in.

    `hashed` is None where the token hashes; else `prefix` and the digest go in. `order` is for ECDSA: how many octets the
    order of the curve has, to which a digest is cut.
    """

    mechanism: Mechanism
    call: SigningMechanism
    hashed: Callable[[bytes], Digest] | None = None
    prefix: bytes = b""
    order: int | None = None

    @cached_property
    def name(self) -> str:
        """The mechanism's own."""
        return f"CKM_{self.mechanism.name}"

    def octets(self, message: bytes) -> bytes:
        """What is handed to the token for a message."""
        if self.hashed is None:
            return message
        return self.prefix + self.hashed(message).digest()[: self.order]


def plan_signing(
    scheme: Scheme, digest: hashes.HashAlgorithm, key_bits: int, available: AbstractSet[int]
) -> SigningPlan:
    """Choose the mechanism: one that hashes in the token where there is one, else the raw one over a digest of ours."""
    by_digest = _BY_DIGEST[digest.name]
    if scheme is Scheme.ECDSA:
        _require(available, Mechanism.ECDSA)
        # A digest longer than the curve's order counts by its leftmost bits (FIPS 186-5, 6.4.1); not every token cuts
        # it itself. Both curves have orders of whole octets.
        call = SigningMechanism(Mechanism.ECDSA)
        return SigningPlan(Mechanism.ECDSA, call, by_digest.hashed, order=key_bits // 8)
    if scheme is Scheme.RSA_PSS:
        parameters = (int(by_digest.plain), int(by_digest.mask), digest.digest_size)
        if by_digest.pss in available:
            return SigningPlan(by_digest.pss, SigningMechanism(by_digest.pss, parameters))
        _require(available, Mechanism.RSA_PKCS_PSS, wanted=by_digest.pss)
        return SigningPlan(
            Mechanism.RSA_PKCS_PSS, SigningMechanism(Mechanism.RSA_PKCS_PSS, parameters), by_digest.hashed
        )
    if by_digest.pkcs1v15 in available:
        return SigningPlan(by_digest.pkcs1v15, SigningMechanism(by_digest.pkcs1v15))
    _require(available, Mechanism.RSA_PKCS, wanted=by_digest.pkcs1v15)
    return SigningPlan(
        Mechanism.RSA_PKCS, SigningMechanism(Mechanism.RSA_PKCS), by_digest.hashed, prefix=by_digest.digest_info
    )


def signing_handle(key: pkcs11.Object, plan: SigningPlan) -> int:
    """The token's number for a key that is to sign, MechanismUnavailable when it may not."""
    if not isinstance(key, pkcs11.SignMixin):
        raise MechanismUnavailable("the key may not sign", rv="CKR_KEY_FUNCTION_NOT_PERMITTED", mechanism=plan.name)
    # Without a handle it was destroyed; 0 is CK_INVALID_HANDLE, which the token refuses.
    return key.handle or 0


def sign_in_token(call: TokenCall, session: int, key: int, plan: SigningPlan, octets: bytes) -> bytes:
    """Have the token sign, and give the signature the form that X.509 and CMS want."""
    signature = call(session, key, plan.call, octets)
    half = plan.order
    if half is None:
        return signature
    # The token answers r || s, each as long as the order (PKCS#11 v3.0, 6.3.1); outside it is a SEQUENCE.
    if len(signature) != 2 * half:
        raise SigningFailed("the token's ECDSA signature has the wrong length")
    return encode_dss_signature(int.from_bytes(signature[:half], "big"), int.from_bytes(signature[half:], "big"))


def _require(available: AbstractSet[int], mechanism: Mechanism, wanted: Mechanism | None = None) -> None:
    if mechanism not in available:
        name = f"CKM_{(wanted or mechanism).name}"
        raise MechanismUnavailable(f"the token has no {name}", mechanism=name)
