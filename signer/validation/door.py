"""The door for every file that is to be judged: what it is, by its octets and never by its name, and who reads it.

Runs in the judge process. A further format is one more row of FORMATS.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from asn1crypto import cms

from signer.octets import Octets, sha256_of
from signer.validation import gathering
from signer.validation.armour import MOST_OCTETS, Block, blocks_of, is_armoured
from signer.validation.certificate_file import gather_certificate
from signer.validation.cms_file import gather_signed_data
from signer.validation.errors import InputsUnreadable
from signer.validation.facts import FileFacts, ValidationInputs
from signer.validation.shapes import Shape, shape_of
from signer.validation.strangers import is_mail, reason_of
from signer.validation.structure import has_pdf_header, is_blank
from signer.validation.token_file import gather_reply, gather_token

_HEAD = 16 * 1024
Gather = Callable[["Opened", FileFacts, ValidationInputs], FileFacts]


@dataclass(frozen=True)
class Opened:
    """A file with what its first octets say: the structures in it, and the shape of the first."""

    file: Octets
    blocks: tuple[Block, ...]
    shape: Shape


@dataclass(frozen=True)
class Format:
    """One kind of file that can be judged. `takes_content`: what it signs may stand in a second file."""

    name: str
    recognises: Callable[[Opened], bool]
    gather: Gather
    takes_content: bool = False


def gather_task(header: dict[str, Any], blobs: list[Any]) -> tuple[dict[str, Any], list[bytes]]:
    """The task of the judge process: the first blob is the file, the others belong to ValidationInputs."""
    logging.disable(logging.CRITICAL)  # the library's warnings quote the file and nobody would read them
    file: Octets = blobs.pop(0)
    return gather(file, ValidationInputs.from_message(header, blobs)).to_json(), []


def gather(file: Octets, inputs: ValidationInputs) -> FileFacts:
    """Everything that can be found out about a file of any kind."""
    unread = FileFacts(sha256=sha256_of(file), size=len(file))
    if is_blank(file[:4096]) and is_blank(file):
        return replace(unread, unreadable="UNREADABLE_EMPTY")
    opened = _opened(file)
    found = next((each for each in FORMATS if each.recognises(opened)), None)
    if inputs.content is not None and (found is None or not found.takes_content):
        return replace(unread, unreadable="UNREADABLE_TWO_FILES")
    if found is None:
        return replace(unread, unreadable=_why_not(opened))
    try:
        return found.gather(opened, unread, inputs)
    except (MemoryError, InputsUnreadable):
        raise
    except Exception:  # noqa: BLE001  asn1crypto raises many kinds on what only looks like one of these
        return replace(unread, unreadable="UNREADABLE_DAMAGED")


def _opened(file: Octets) -> Opened:
    """A PDF and a message may hold armour further down, and are what they are all the same."""
    head = file[:_HEAD]
    if has_pdf_header(file) or is_mail(head):
        return Opened(file, (), "unknown")
    blocks = blocks_of(file)
    return Opened(file, blocks, shape_of(blocks[0].der) if blocks else "unknown")


def _why_not(opened: Opened) -> str:
    head = opened.file[:_HEAD]
    if len(opened.file) > MOST_OCTETS and (head.startswith(b"\x30") or is_armoured(head)):
        return "UNREADABLE_LIMIT"
    return reason_of(opened.file, opened.blocks)


def _has_shape(*shapes: Shape) -> Callable[[Opened], bool]:
    return lambda opened: opened.shape in shapes


def _gather_pdf(opened: Opened, _: FileFacts, inputs: ValidationInputs) -> FileFacts:
    return gathering.gather(opened.file, inputs)


def _gather_cms(opened: Opened, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    """Signed data: a time-stamp says so by the type of its content (RFC 3161 2.4.2)."""
    der = opened.blocks[0].der
    found = cms.ContentInfo.load(der)
    if found["content"]["encap_content_info"]["content_type"].native == "tst_info":
        return gather_token(found, unread, inputs)
    return gather_signed_data(der, unread, inputs)


def _gather_reply(opened: Opened, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    return gather_reply(opened.blocks[0].der, unread, inputs)


def _gather_certificate(opened: Opened, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    ders = [block.der for block in opened.blocks if shape_of(block.der) == "certificate"]
    return gather_certificate(ders, unread, inputs)


FORMATS = (
    Format("PDF", lambda opened: has_pdf_header(opened.file), _gather_pdf),
    Format("CMS", _has_shape("signed-data"), _gather_cms, takes_content=True),
    Format("RFC3161", _has_shape("timestamp-reply"), _gather_reply, takes_content=True),
    Format("X.509", _has_shape("certificate"), _gather_certificate),
)
