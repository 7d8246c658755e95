"""Files that hold no signature that can be judged here, told apart by their octets: people send what they have, and each kind
wants its own answer. Names of files are never asked.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from signer.octets import Octets
from signer.validation.armour import Block
from signer.validation.shapes import Shape, shape_of

_HEAD = 4096
_WINDOW = 1024 * 1024
_PICTURES = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n",
    b"GIF8",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"\x00\x00\x00\x0cJXL ",
    b"\xff\x0a",
)
_HEIF = re.compile(rb"....ftyp(heic|heix|heif|heim|heis|hevc|hevx|mif1|msf1|avif|avis)", re.DOTALL)
_ZIP, _OLE, _RTF = (b"PK\x03\x04", b"PK\x05\x06"), b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", b"{\\rtf"
_EDXML = (b"http://www.mic.gov.vn/TBT/QCVN_102_2016", b"http://www.go.vn/eDoc", b"<edXML", b":edXML")
_SIGNED_XML = (b"http://uri.etsi.org/01903/", b"http://www.w3.org/2000/09/xmldsig#")
_MAIL_HEADER = re.compile(
    rb"(?:From |(?:Return-Path|Received|MIME-Version|Delivered-To|Message-ID|From|To|Date|Subject|Content-Type|X-[\w-]+):)",
    re.IGNORECASE,
)
_MAIL_LINE = re.compile(rb"^(?:From|MIME-Version|Message-ID|Content-Type):", re.IGNORECASE | re.MULTILINE)
_XML_IN_UTF16 = (b"\xff\xfe<\x00", b"\xfe\xff\x00<")

_OF_SHAPE: Final[dict[Shape, str]] = {
    "enveloped-data": "UNREADABLE_CMS_ENCRYPTED",
    "other-cms": "UNREADABLE_CMS_OTHER",
    "crl": "UNREADABLE_CRL",
    "ocsp": "UNREADABLE_CRL",
    "request": "UNREADABLE_REQUEST",
    "timestamp-refusal": "UNREADABLE_STAMP_REFUSED",
    "private-key": "UNREADABLE_PRIVATE_KEY",
    "key-store": "UNREADABLE_PRIVATE_KEY",
}
# Words of an armour; the others say it by their shape.
_OF_LABEL = {
    "CERTIFICATE REQUEST": "UNREADABLE_REQUEST",
    "NEW CERTIFICATE REQUEST": "UNREADABLE_REQUEST",
    "X509 CRL": "UNREADABLE_CRL",
}


def reason_of(file: Octets, blocks: tuple[Block, ...]) -> str:
    """Why nothing in this file can be judged, a code of the closed table."""
    for block in blocks[:1]:
        if block.label.endswith("PRIVATE KEY"):
            return "UNREADABLE_PRIVATE_KEY"
        if block.label in _OF_LABEL:
            return _OF_LABEL[block.label]
        found = _OF_SHAPE.get(shape_of(block.der))
        if found is not None:
            return found
        if block.label:
            return "UNREADABLE_DAMAGED"
    head = file[:_HEAD]
    return next((reason for is_kind, reason in _KINDS if is_kind(head, file)), "UNREADABLE_NOT_PDF")


def is_mail(head: bytes) -> bool:
    """Whether a message of RFC 5322 begins here: it may hold armour, and is a message all the same."""
    return bool(_MAIL_HEADER.match(head.lstrip())) and bool(_MAIL_LINE.search(head[:_HEAD].replace(b"\r", b"")))


def _is_picture(head: bytes, _: Octets) -> bool:
    return head.startswith(_PICTURES) or bool(_HEIF.match(head)) or (head[:4] == b"RIFF" and head[8:12] == b"WEBP")


def _both_ends(file: Octets) -> bytes:
    return file[:_WINDOW] + file[max(_WINDOW, len(file) - _WINDOW) :]


def _in_archive(*names: bytes) -> Callable[[bytes, Octets], bool]:
    return lambda head, file: head.startswith(_ZIP) and any(name in _both_ends(file) for name in names)


def _in_compound(*streams: str) -> Callable[[bytes, Octets], bool]:
    names = [name.encode("utf-16-le") for name in streams]
    return lambda head, file: head.startswith(_OLE) and any(name in _both_ends(file) for name in names)


def _xml(file: Octets) -> bytes:
    """The beginning of an XML file in octets of ASCII; empty for anything else."""
    text = file[:_WINDOW]
    if text.startswith(_XML_IN_UTF16):
        return text[2:].replace(b"\x00", b"")
    text = text.removeprefix(b"\xef\xbb\xbf").lstrip()
    is_xml = text.startswith(b"<?xml") or (
        text.startswith(b"<") and any(word in text for word in (*_EDXML, *_SIGNED_XML))
    )
    return text if is_xml else b""


def _has(*words: bytes) -> Callable[[bytes, Octets], bool]:
    def is_kind(_: bytes, file: Octets) -> bool:
        text = _xml(file)
        return bool(text) and any(word in text for word in words)

    return is_kind


_KINDS: tuple[tuple[Callable[[bytes, Octets], bool], str], ...] = (
    (_is_picture, "UNREADABLE_PHOTO"),
    (_in_archive(b"application/vnd.etsi.asic"), "UNREADABLE_ASIC"),
    (_in_archive(b"word/"), "UNREADABLE_WORD"),
    (_in_archive(b"xl/"), "UNREADABLE_EXCEL"),
    (_in_archive(b"ppt/", b"mimetypeapplication/vnd.oasis", b"[Content_Types].xml"), "UNREADABLE_OFFICE"),
    (_in_compound("WordDocument"), "UNREADABLE_WORD"),
    (_in_compound("Workbook", "Book"), "UNREADABLE_EXCEL"),
    (_in_compound("__substg1.0_"), "UNREADABLE_EMAIL"),
    (lambda head, _: head.startswith((_OLE, _RTF)), "UNREADABLE_OFFICE"),
    (lambda head, _: head.startswith((*_ZIP, b"Rar!\x1a", b"7z\xbc\xaf\x27\x1c", b"\x1f\x8b")), "UNREADABLE_ZIP"),
    (_has(*_EDXML), "UNREADABLE_EDXML"),
    (_has(*_SIGNED_XML), "UNREADABLE_XADES"),
    (lambda _, file: bool(_xml(file)), "UNREADABLE_XML"),
    (lambda head, _: is_mail(head), "UNREADABLE_EMAIL"),
)  # fmt: skip
