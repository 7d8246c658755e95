"""Sealing: a small secret that has to wait on disk is encrypted with a key in another folder, bound to what it waits for.

Whoever finds one of the two, in a copy of a folder or of a disk's half, has nothing. Both are of no worth when the wait is over.
"""

from __future__ import annotations

import secrets
from pathlib import Path

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from signer.errors import Unavailable
from signer.storage import write_once

_KEY_OCTETS = 32
_NONCE_OCTETS = 12


def seal(secret: bytes, purpose: str, key_file: Path) -> bytes:
    """The secret, sealed with AES-256-GCM; the key is made when there is none yet."""
    write_once(key_file, secrets.token_bytes(_KEY_OCTETS), mode=0o600)
    nonce = secrets.token_bytes(_NONCE_OCTETS)
    return nonce + AESGCM(_key(key_file)).encrypt(nonce, secret, purpose.encode())


def unseal(sealed: bytes, purpose: str, key_file: Path) -> bytes:
    """What was sealed for this purpose; Unavailable SEAL_BROKEN for anything else."""
    try:
        return AESGCM(_key(key_file)).decrypt(sealed[:_NONCE_OCTETS], sealed[_NONCE_OCTETS:], purpose.encode())
    except (InvalidTag, ValueError) as error:
        raise Unavailable("SEAL_BROKEN", path=key_file.name) from error


def _key(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise Unavailable("SEAL_BROKEN", path=file.name) from error
