"""Derived files: what the cache folder holds, written whole, believed only while its SHA-256 fits, made again otherwise."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Any

_MAGIC = b"ANTINDERIVED1\n"


def pack(head: dict[str, Any], *streams: bytes) -> bytes:
    """Facts and streams as one string of octets that knows its own SHA-256."""
    line = json.dumps(
        {"head": head, "lengths": [len(stream) for stream in streams]}, separators=(",", ":"), sort_keys=True
    )
    body = b"".join([line.encode("ascii"), b"\n", *streams])
    return _MAGIC + hashlib.sha256(body).digest() + body


def unpack(packed: bytes) -> tuple[dict[str, Any], list[bytes]]:
    """Facts and streams of `pack`; ValueError when an octet is wrong or missing."""
    start = len(_MAGIC)
    digest, body = packed[start : start + 32], packed[start + 32 :]
    if not packed.startswith(_MAGIC) or hashlib.sha256(body).digest() != digest:
        raise ValueError("not a derived file, or damaged")
    line, _, rest = body.partition(b"\n")
    described = json.loads(line)
    streams: list[bytes] = []
    for length in described["lengths"]:
        streams.append(rest[:length])
        rest = rest[length:]
    return described["head"], streams


def keep(path: Path, packed: bytes) -> None:
    """Write a derived file whole. Another process may make the same one at the same time: each renames its own, and they are equal.

    A cache that cannot be written costs time and nothing else, so a full or read-only disk is passed over.
    """
    name: str | None = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".new")
        with os.fdopen(handle, "wb") as stream:
            stream.write(packed)
        Path(name).replace(path)
    except OSError:
        if name is not None:
            Path(name).unlink(missing_ok=True)
