"""Seals the secrets of second factors for the database, with a key that lies in the home and not in the database."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signer.errors import Unavailable

_KEY_OCTETS, _NONCE_OCTETS = 32, 12


@dataclass(frozen=True)
class FactorSeal:
    """AES-256-GCM, bound to the credential's name: a row that is put in another's place opens nothing."""

    key_file: Path

    def close(self, secret: bytes, name: str) -> bytes:
        """Sealed octets; the key is made with the first of them."""
        nonce = secrets.token_bytes(_NONCE_OCTETS)
        return nonce + AESGCM(self._key(makes=True)).encrypt(nonce, secret, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes:
        """The secret; Unavailable FACTOR_UNREADABLE when the key is not the one that it was sealed with."""
        try:
            return AESGCM(self._key(makes=False)).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], name.encode())
        except (InvalidTag, ValueError):
            raise Unavailable("FACTOR_UNREADABLE", name=name) from None

    def _key(self, *, makes: bool) -> bytes:
        try:
            if makes and not self.key_file.exists():
                self._make()
            key = self.key_file.read_bytes()
        except OSError as error:
            raise Unavailable("FACTOR_KEY_MISSING", path=self.key_file.name, reason=error.strerror or "") from error
        if len(key) != _KEY_OCTETS:
            raise Unavailable("FACTOR_KEY_MISSING", path=self.key_file.name, reason=f"{len(key)} octets")
        return key

    def _make(self) -> None:
        """Whole or not at all, and once: of two who make it the first one's stays."""
        fresh = self.key_file.with_name(f".{self.key_file.name}-{secrets.token_hex(8)}")
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            os.write(descriptor, secrets.token_bytes(_KEY_OCTETS))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        try:
            os.link(fresh, self.key_file)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
