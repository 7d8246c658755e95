"""Armour taken off: PEM (RFC 7468) and bare base64 around DER or BER, as files of signatures and certificates come. Judges nothing."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from signer.octets import Octets, whole

# What is longer is not taken apart in memory.
MOST_OCTETS = 128 * 1024 * 1024
_HEAD = 16 * 1024
_MOST_BLOCKS = 500
_BEGIN = re.compile(rb"(?:^|[\r\n])-----BEGIN ([A-Z0-9 ]{1,40})-----[ \t]*\r?\n")
# A SEQUENCE begins with 0x30, which is an M in base64 whatever its length.
_BASE64 = re.compile(rb"M[A-Za-z0-9+/\s]*={0,2}\s*")
_SEQUENCE = b"\x30"


@dataclass(frozen=True)
class Block:
    """One structure of a file. `label` is the word of its PEM armour, empty where there was none."""

    der: bytes
    label: str = ""


def blocks_of(file: Octets) -> tuple[Block, ...]:
    """The structures that a file holds; none where it is neither DER nor armoured."""
    head = file[:_HEAD]
    if len(file) > MOST_OCTETS:
        return ()
    if head.startswith(_SEQUENCE):
        return (Block(whole(file)),)
    if _BEGIN.search(head):
        return _pem_blocks(whole(file))
    text = head.lstrip()
    if text.startswith(b"M") and _BASE64.fullmatch(head if len(file) > _HEAD else text):
        body = whole(file)
        if _BASE64.fullmatch(body.lstrip()):
            der = _decoded(body)
            return (Block(der),) if der.startswith(_SEQUENCE) else ()
    return ()


def is_armoured(head: bytes) -> bool:
    """Whether PEM begins here on a line of its own."""
    return _BEGIN.search(head[:_HEAD]) is not None


def _pem_blocks(text: bytes) -> tuple[Block, ...]:
    found: list[Block] = []
    at = 0
    while len(found) < _MOST_BLOCKS:
        begun = _BEGIN.search(text, at)
        if begun is None:
            break
        end = text.find(b"-----END " + begun[1] + b"-----", begun.end())
        if end < 0:
            break
        body = text[begun.end() : end]
        if b":" in body:  # headers of RFC 1421, which old encrypted keys bear
            body = body.partition(b"\n\n")[2]
        found.append(Block(_decoded(body), begun[1].decode("ascii")))
        at = end
    return tuple(found)


def _decoded(body: bytes) -> bytes:
    try:
        return base64.b64decode(b"".join(body.split()), validate=True)
    except (binascii.Error, ValueError):
        return b""
