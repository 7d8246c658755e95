"""One PDF from bytes to a PAdES signature: digest over a prepared file, CMS, a byte write into the hole (ETSI EN 319 142-1).

Preparing (parsing the file, placing the field) is signer/preparing.py's, and may happen in another process; nothing here
parses a PDF, and nothing here trusts what the preparing process says about its own output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hsm.spec import PrivateKey, PublicKey
from pki.schemes import SignatureMismatch, check_signature, sign_ahead
from signer.cms import CmsTemplate, timestamp_attribute
from signer.errors import OwnOutputBroken
from signer.octets import Octets, digest_around, hasher_over

_BYTE_RANGE = re.compile(rb"/ByteRange\s*\[\s*(\d+)\s+(\d+)\s+(\d+)\s+(\d+)\s*\]")


@dataclass(frozen=True)
class PreparedPdf:
    """A PDF whose last revision has a signature dictionary with an empty hole. Kept in two parts: what was there is not copied.

    `hole`: offsets of the hex string's `<` and of the octet after its `>`; everything outside is what gets signed.
    """

    original: Octets
    tail: bytes
    hole: tuple[int, int]
    field: str

    @property
    def content(self) -> Octets:
        """The file as a whole."""
        return self.original + self.tail

    @property
    def hole_in_tail(self) -> tuple[int, int]:
        return self.hole[0] - len(self.original), self.hole[1] - len(self.original)

    @property
    def capacity(self) -> int:
        """Octets of CMS that fit."""
        return (self.hole[1] - self.hole[0] - 2) // 2


def accept_prepared(original: Octets, tail: bytes, hole: tuple[int, int], field: str) -> PreparedPdf:
    """Put the appended revision behind the very bytes that were given; raise OwnOutputBroken unless the hole is what it claims.

    The tail comes from a process that parsed a stranger's file: its offsets are checked here, on our own copy.
    """
    prepared = PreparedPdf(original, tail, hole, field)
    start, end = prepared.hole_in_tail
    held = end - start - 2
    sound = (
        0 <= start < end <= len(tail)
        and held >= 0
        and held % 2 == 0
        and tail[start:end] == b"<%b>" % (b"0" * held)
        and _ranges_around(tail, start, end) == [(0, *hole, len(tail) - end)]
    )
    if not sound:
        raise OwnOutputBroken("PREPARED_FILE_WRONG")
    return prepared


def _ranges_around(tail: bytes, start: int, end: int) -> list[tuple[int, ...]]:
    """All byte ranges that a tail names. Its hole, which is most of it, holds zeros alone and no match can reach across."""
    found = [*_BYTE_RANGE.finditer(tail, 0, start), *_BYTE_RANGE.finditer(tail, end)]
    return [tuple(map(int, each.groups())) for each in found]


def document_digest(prepared: PreparedPdf, algorithm: str) -> bytes:
    """Digest over the two ranges around the hole (ISO 32000-2 12.8.1)."""
    (start, end), tail = prepared.hole_in_tail, memoryview(prepared.tail)
    hasher = hasher_over(prepared.original, algorithm)
    hasher.update(tail[:start])
    hasher.update(tail[end:])
    return bytes(hasher.digest())


def embed_cms(prepared: PreparedPdf, cms: bytes) -> Octets:
    """Write the CMS as hex into the hole; the rest of the hole stays zeros. No other octet changes."""
    if len(cms) > prepared.capacity:
        raise OwnOutputBroken("CMS_TOO_LARGE", octets=str(len(cms)), capacity=str(prepared.capacity))
    (start, _), tail, text = prepared.hole_in_tail, prepared.tail, cms.hex().encode("ascii")
    return prepared.original + b"".join((tail[: start + 1], text, tail[start + 1 + len(text) :]))


def sign_prepared(
    prepared: PreparedPdf, template: CmsTemplate, key: PrivateKey, stamp: Callable[[bytes], bytes] | None = None
) -> Octets:
    """Sign a prepared file: the octets of the finished PDF. The key is used once."""
    attributes = template.signed_attributes(document_digest(prepared, template.scheme.digest))
    with sign_ahead(key, template.scheme, attributes) as signed:
        output = embed_signature(prepared, template, attributes, signed.signature, stamp)
        signed.confirm()
    return output


def embed_signature(
    prepared: PreparedPdf,
    template: CmsTemplate,
    attributes: bytes,
    signature: bytes,
    stamp: Callable[[bytes], bytes] | None = None,
) -> Octets:
    """The finished PDF for a signature value over its signed attributes, whoever made it.

    `stamp` gives a time-stamp token over the value, which makes it B-T; one that gives nothing leaves it at B-B.
    """
    # EN 319 142-1 6.3: the time-stamp of B-T is over the signature value, so it can only come after it.
    token = stamp(signature) if stamp is not None else b""
    unsigned = timestamp_attribute(token) if token else b""
    return embed_cms(prepared, template.assemble(attributes, signature, unsigned))


def check_output(
    output: Octets,
    prepared: PreparedPdf,
    template: CmsTemplate,
    public_key: PublicKey,
    stamped: tuple[bytes, bytes] | None = None,
    signing_time: datetime | None = None,
) -> None:
    """Check our own output before anybody gets it, from its own octets: digest, signature value, certificates, time-stamp.

    Nothing remembered from signing is reused but the template; and of a long file, which lies before
    us alone, the digest that was begun over its octets. `stamped`: the signature value and the token over it, which was checked
    when it came. Raises OwnOutputBroken.
    """
    start, end = prepared.hole
    attributes = template.signed_attributes(digest_around(output, prepared.hole, template.scheme.digest), signing_time)
    # The template decides every octet of the CMS but the signature value and the time-stamp token.
    hole = bytes.fromhex(output[start + 1 : end - 1].decode("ascii"))
    parts = template.parts_of(hole, attributes)
    if parts is None or bool(parts[1]) is not (stamped is not None):
        raise OwnOutputBroken("SELF_CHECK_FAILED", part="cms")
    signature, token = parts
    try:
        check_signature(public_key, template.scheme, signature, attributes)
    except SignatureMismatch:
        raise OwnOutputBroken("SELF_CHECK_FAILED", part="signature") from None
    if stamped is not None and stamped != (signature, token):
        raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp")
