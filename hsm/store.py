"""The KeyStore protocol. Its docstring is the contract; every implementation passes tests/unit/hsm/contract.py."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cryptography.hazmat.primitives import hashes

from hsm.handles import Scheme
from hsm.spec import KeyRef, KeySpec, PrivateKey, Purpose, TokenStatus


class KeyStore(Protocol):
    """Where private keys live. A key is known by its public key; labels are for people and need not be unique.

    * `generate` returns only when the key can be found again by its public key, together with its purpose.
    * `get` returns an object that is a `cryptography` private key and can only sign: it hashes the whole message
      itself, because the purpose of a key cannot be checked on a digest. Asking it for private numbers raises
      TypeError, never key material. It may be kept and used from several threads at once. A message may lie in a file
      (messages.py); the store's side of a socket gets all of it.
    * A key signs only what its purpose allows (purposes.py); anything else is KeyPurposeWrong, before the token is asked.
    * A key is used only after its attributes were checked once: sensitive, never extractable, made in the store.
    * RSA signs with PKCS#1 v1.5 and PSS (salt as long as the digest) over SHA-256/384/512; elliptic curves with ECDSA
      over the same digests. `Prehashed` and deterministic ECDSA are refused with MechanismUnavailable.
    * No signature is handed out that does not verify with the public key.
    * Every failure is an `HSMError`; a wrong PIN is tried once and never again with the same PIN file.
    * `destroy` is final; a destroyed key raises KeyDestroyed from then on, also through objects handed out before.
    """

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        """Make a key pair in the store: sensitive, not extractable, able to sign only, and only for its purpose."""
        ...

    def get(self, public_key_der: bytes) -> PrivateKey:
        """The private key that belongs to this SubjectPublicKeyInfo, or KeyNotFound."""
        ...

    def sign_many(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        """One signature for each message, in their order: all of them, or an error and none."""
        ...

    def list_keys(self) -> list[KeyRef]:
        """All private keys of the store, in the order of their labels, then ids."""
        ...

    def list_destroyed(self) -> list[KeyRef]:
        """What is left of destroyed keys, in the same order."""
        ...

    def assign_purpose(self, public_key_der: bytes, purpose: Purpose) -> None:
        """Give a key without a purpose its one; KeyPurposeSet for a key that has another already."""
        ...

    def check_protected(self, public_key_der: bytes) -> None:
        """Raise KeyNotProtected unless the key is sensitive, never extractable and was made inside the store."""
        ...

    def destroy(self, public_key_der: bytes) -> None:
        """Remove the private half for good and leave the public one as a tombstone."""
        ...

    def status(self) -> TokenStatus:
        """How the store is doing; never raises for a token that is away."""
        ...

    def close(self) -> None:
        """Give the token back. The store is not usable afterwards; closing twice is harmless."""
        ...
