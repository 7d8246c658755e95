"""A refused PIN, remembered beside the sockets: no key process, now or later, tries the same PIN file again."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from hsm.pin import PinDescriptor, PinSource

Identity = tuple[int, int, int]


@dataclass(frozen=True)
class Refusal:
    """What the token answered (an error's code and the CK_RV), and to which PIN file."""

    identity: Identity
    code: str
    rv: str | None


def identify(source: PinSource) -> Identity | None:
    """Time of change, inode and size of the PIN file; None when it cannot be looked at."""
    try:
        told = os.fstat(source.number) if isinstance(source, PinDescriptor) else source.stat()
    except OSError:
        return None
    return told.st_mtime_ns, told.st_ino, told.st_size


def remember(file: Path, refusal: Refusal) -> None:
    """Write the refusal down, whole or not at all."""
    fresh = file.with_name(file.name + ".new")
    text = json.dumps({"identity": refusal.identity, "code": refusal.code, "rv": refusal.rv})
    with contextlib.suppress(OSError):
        fresh.write_text(text, encoding="utf-8")
        fresh.replace(file)


def recall(file: Path) -> Refusal | None:
    """What was written down; None when nothing was, or nothing that makes sense."""
    try:
        body = json.loads(file.read_text(encoding="utf-8"))
        changed, inode, size = body["identity"]
        rv = body["rv"]
        return Refusal((int(changed), int(inode), int(size)), str(body["code"]), None if rv is None else str(rv))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def forget(file: Path) -> None:
    """The PIN was accepted."""
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
