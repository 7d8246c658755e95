"""The signature dictionary as far as judging needs it, read through the library or, where that fails, from raw bytes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.misc import PdfReadError
from pyhanko.pdf_utils.reader import PdfFileReader

from signer.octets import Octets
from signer.validation.certificates import utc
from signer.validation.structure import RawSignature, find_raw_signatures

_DATE = re.compile(r"D:\d{4}")
_RAW_SUBFILTER = re.compile(rb"/SubFilter[\x00\t\n\x0c\r ]{0,16}/([A-Za-z0-9.]{1,60})")
_RAW_TYPE = re.compile(rb"/Type[\x00\t\n\x0c\r ]{0,16}/([A-Za-z0-9.]{1,60})")
_RAW_TIME = re.compile(rb"/M[\x00\t\n\x0c\r ]{0,16}\((D:[0-9+\-Z']{4,40})\)")
_LEADING_HEX = re.compile(rb"<([0-9A-Fa-f]+)")
_OBJECT_LIMIT = 65536


@dataclass(frozen=True)
class SignatureValue:
    """/V of a signature field. `byte_range` holds whatever stood there."""

    subfilter: str
    type: str
    byte_range: Sequence[object]
    contents: bytes
    claimed_time: datetime | None
    # /Cert: of signatures that bring no certificates inside (ISO 32000-2 table 255).
    certificates: tuple[bytes, ...] = ()


def resolved(item: Any) -> Any:
    """What a reference leads to; anything else as it is."""
    return item.get_object()


def entry(holder: Any, key: str, default: Any = None) -> Any:
    """An entry of a dictionary with its reference followed, which `get` of the library's dictionaries leaves as it is."""
    return holder[key] if key in holder else default  # noqa: SIM401  see above


def read_value(field: Any) -> SignatureValue | None:
    """The value of a field as the library reads it; None when it is no dictionary. Raises what the library raises."""
    value = field["/V"]
    if not isinstance(value, generic.DictionaryObject):
        return None
    byte_range: Any = value.raw_get("/ByteRange") if "/ByteRange" in value else None
    if isinstance(byte_range, generic.IndirectObject):
        byte_range = resolved(byte_range)
    held: Any = value.raw_get("/Contents", decrypt=generic.EncryptedObjAccess.RAW) if "/Contents" in value else None
    is_text = isinstance(held, generic.TextStringObject | generic.ByteStringObject)
    return SignatureValue(
        subfilter=str(entry(value, "/SubFilter", "")),
        type=str(entry(value, "/Type", "/Sig")),
        byte_range=list(byte_range) if isinstance(byte_range, generic.ArrayObject) else [],
        contents=bytes(held.original_bytes) if is_text else b"",
        claimed_time=_time(entry(value, "/M")),
        certificates=_certificates(entry(value, "/Cert")),
    )


def _certificates(held: Any) -> tuple[bytes, ...]:
    """A string or an array of strings, the signer's first."""
    items = list(held) if isinstance(held, generic.ArrayObject) else [held]
    texts = [resolved(each) for each in items if each is not None]
    kinds = (generic.TextStringObject, generic.ByteStringObject)
    return tuple(bytes(each.original_bytes) for each in texts if isinstance(each, kinds))


def read_raw_value(pdf: Octets, raw: RawSignature) -> SignatureValue:
    """The dictionary around a /ByteRange in raw bytes; contents are what the gap holds, or nothing."""
    gap_start, gap_end = raw.byte_range[1], raw.byte_range[2]
    opening = max(pdf.rfind(b" obj", max(0, gap_start - _OBJECT_LIMIT), gap_start), 0)
    closing = pdf.find(b"endobj", gap_end, gap_end + _OBJECT_LIMIT)
    around = pdf[opening:gap_start] + b" " + pdf[gap_end : closing if closing >= 0 else gap_end]
    subfilter, kind, time = _RAW_SUBFILTER.search(around), _RAW_TYPE.search(around), _RAW_TIME.search(around)
    return SignatureValue(
        subfilter="/" + subfilter.group(1).decode("ascii") if subfilter else "",
        type="/" + kind.group(1).decode("ascii") if kind else "/Sig",
        byte_range=list(raw.byte_range),
        contents=_first_hex(pdf[gap_start:gap_end]),
        claimed_time=_time(time.group(1).decode("ascii")) if time else None,
    )


def find_value_in_bytes(pdf: Octets, reader: PdfFileReader, field: Any) -> RawSignature | None:
    """The /ByteRange inside the very object that the field names, for objects the library cannot parse."""
    reference = field.raw_get("/V")
    if not isinstance(reference, generic.IndirectObject):
        return None
    place = reader.xrefs[reference.reference]
    if not isinstance(place, int):
        return None
    end = pdf.find(b"endobj", place)
    inside = [raw for raw in find_raw_signatures(pdf) if place < raw.offset < end]
    return inside[0] if len(inside) == 1 else None


def _first_hex(gap: bytes) -> bytes:
    digits = _LEADING_HEX.match(gap)
    if digits is None:
        return b""
    text = digits.group(1)
    return bytes.fromhex(text[: len(text) // 2 * 2].decode("ascii"))


def _time(text: object) -> datetime | None:
    """/M, the time the signer claims (EN 319 142-1 5.3)."""
    if not isinstance(text, str) or not _DATE.match(text):
        return None
    try:
        return utc(generic.parse_pdf_date(text, strict=False))
    except (ValueError, OverflowError, TypeError, PdfReadError):
        return None
