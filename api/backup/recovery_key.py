"""Recovery keys (age, X25519): made, read from their file, and their public halves. Kept away from the home, which never needs them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pyrage

from api.errors import UsageError

_MARK = "AGE-SECRET-KEY-1"
_MOST = 64 * 1024


def make_recovery_key(path: Path) -> str:
    """A new key in a file that only its owner reads, as age-keygen writes one; what backups are encrypted to."""
    identity = pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(f"# public key: {recipient}\n{identity}\n")
        file.flush()
        os.fsync(file.fileno())
    return recipient


def read_identities(path: Path, typed: str) -> list[pyrage.x25519.Identity]:
    """The recovery keys of a file; UsageError RECOVERY_KEY_UNREADABLE when there is none in it."""
    try:
        with path.open("rb") as file:
            lines = file.read(_MOST).decode("ascii", "replace").splitlines()
    except FileNotFoundError:
        raise UsageError("INPUT_MISSING", path=typed) from None
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=typed, reason=error.strerror or "") from None
    try:
        found = [pyrage.x25519.Identity.from_str(line.strip()) for line in lines if line.strip().startswith(_MARK)]
    except pyrage.IdentityError:
        found = []
    if not found:
        raise UsageError("RECOVERY_KEY_UNREADABLE", path=typed)
    return found


def parse_recipients(texts: Sequence[str]) -> list[pyrage.x25519.Recipient]:
    """What backups are encrypted to; UsageError when there is nobody, or one is none."""
    if not texts:
        raise UsageError("BACKUP_RECIPIENT_MISSING")
    found = []
    for each in texts:
        try:
            found.append(pyrage.x25519.Recipient.from_str(each.strip()))
        except pyrage.RecipientError:
            # Whoever puts the secret half here must not see it in a log.
            shown = "AGE-SECRET-KEY-…" if each.strip().upper().startswith("AGE-SECRET") else each[:80]
            raise UsageError("BACKUP_RECIPIENT_WRONG", text=shown) from None
    return found
