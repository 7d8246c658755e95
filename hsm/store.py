"""The KeyStore protocol. Its docstring is the contract; every implementation passes tests/unit/hsm/contract.py."""

from __future__ import annotations

from typing import Protocol

from hsm.spec import KeyRef, KeySpec, PrivateKey, TokenStatus


class KeyStore(Protocol):
    """Where private keys live. A key is known by its public key; labels are for people and need not be unique.

    * `generate` returns only when the key can be found again by its public key.
    * `get` returns an object that is a `cryptography` private key and can only sign: it hashes the whole message
      itself, so that a later key process can see what is being signed. Asking it for private numbers raises
      TypeError, never key material. It may be kept and used from several threads at once.
    * RSA signs with PKCS#1 v1.5 and PSS (salt as long as the digest) over SHA-256/384/512; elliptic curves with ECDSA
      over the same digests. `Prehashed` and deterministic ECDSA are refused with MechanismUnavailable.
    * Every failure is an `HSMError`; a wrong PIN is tried once and never again by the same store.
    * `destroy` is final; a destroyed key raises KeyNotFound from then on, also through objects handed out before.
    """

    def generate(self, spec: KeySpec, label: str) -> KeyRef:
        """Make a key pair in the store: sensitive, not extractable, able to sign only."""
        ...

    def get(self, public_key_der: bytes) -> PrivateKey:
        """The private key that belongs to this SubjectPublicKeyInfo, or KeyNotFound."""
        ...

    def list_keys(self) -> list[KeyRef]:
        """All private keys of the store, in the order of their labels, then ids."""
        ...

    def check_protected(self, public_key_der: bytes) -> None:
        """Raise KeyNotProtected unless the key is sensitive, never extractable and was made inside the store."""
        ...

    def destroy(self, public_key_der: bytes) -> None:
        """Remove both halves of the key for good."""
        ...

    def status(self) -> TokenStatus:
        """How the store is doing; never raises for a token that is away."""
        ...

    def close(self) -> None:
        """Give the token back. The store is not usable afterwards; closing twice is harmless."""
        ...
