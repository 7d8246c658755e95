"""CMS SignedData of PAdES for one credential, with room for a signature time-stamp (ETSI EN 319 122-1, EN 319 142-1).

What every CMS of ours shares (attributes, SignerInfo, certificates) is pki/signed_data.py's.
"""

from __future__ import annotations

from datetime import datetime

from cryptography import x509

from hsm import der
from pki.schemes import Scheme
from pki.signed_data import SignerTemplate

_SIGNATURE_TIME_STAMP = der.oid("1.2.840.113549.1.9.16.2.14")
_UNSIGNED_ATTRIBUTES = 0xA1

# The signature time-stamp goes in as an unsigned attribute, now or later; room for it is reserved from the start.
TIMESTAMP_ROOM = 6144
_SLACK = 256


class CmsTemplate:
    """Everything of a credential's SignedData that does not depend on the document."""

    def __init__(self, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...], scheme: Scheme) -> None:
        """`chain`: the issuers above the certificate, without the root, which a relying party must have already."""
        self.scheme = scheme
        self._signer = SignerTemplate(certificate, scheme)
        self._head = self._signer.head() + self._signer.certificates(chain)
        self.certificate = self._signer.certificate

    def signed_attributes(self, document_digest: bytes, signing_time: datetime | None = None) -> bytes:
        """The attributes to be signed, as the DER SET that is hashed.

        `signing_time` only for adbe.pkcs7.detached: PAdES takes the time from /M (ETSI EN 319 142-1 6.3).
        """
        return self._signer.signed_attributes(document_digest, signing_time)

    def assemble(self, signed_attributes: bytes, signature: bytes, unsigned_attributes: bytes = b"") -> bytes:
        """The whole ContentInfo in DER. `unsigned_attributes`: an encoded [1] IMPLICIT SET, or nothing."""
        return self._signer.content_info(self._head, signed_attributes, signature, unsigned_attributes)

    def parts_of(self, hole: bytes, signed_attributes: bytes) -> tuple[bytes, bytes] | None:
        """Signature value and time-stamp token (or nothing) in a zero-padded hole.

        None unless every other octet is exactly what this template makes.
        """
        try:
            _, start, end = der.element(hole, 0)
            _, (_, start, _) = der.elements(hole, start, end)  # contentType, content [0]
            _, start, signed_data_end = der.element(hole, start)
            *_, (_, start, _) = der.elements(hole, start, signed_data_end)  # …, signerInfos
            _, start, signer_info_end = der.element(hole, start)
            *_, before, last = der.elements(hole, start, signer_info_end)  # …, signature, unsignedAttrs OPTIONAL
            token = b""
            if last[0] == _UNSIGNED_ATTRIBUTES:
                token = _token_in(hole, last[1])
                last = before
        except ValueError:
            return None
        signature = hole[last[1] : last[2]]
        unsigned = timestamp_attribute(token) if token else b""
        same = self.assemble(signed_attributes, signature, unsigned) == hole[:end] and not hole[end:].strip(b"\0")
        return (signature, token) if same else None

    def signature_of(self, hole: bytes, signed_attributes: bytes) -> bytes | None:
        """The signature value of a hole without a time-stamp; None as for `parts_of`."""
        parts = self.parts_of(hole, signed_attributes)
        return parts[0] if parts is not None and not parts[1] else None

    def reserved_octets(self, stamp_room: int = TIMESTAMP_ROOM) -> int:
        """How many octets to reserve for the ContentInfo: by rule, never by a trial signature."""
        signature_room = 512  # RSA-4096
        attributes_room = 320
        fixed = len(self._head) + self._signer.octets
        return fixed + signature_room + attributes_room + stamp_room + _SLACK


def timestamp_attribute(token: bytes) -> bytes:
    """The unsigned attributes of a SignerInfo that hold one time-stamp token on its signature (RFC 3161 appendix A)."""
    attribute = der.sequence(_SIGNATURE_TIME_STAMP, der.set_of([token]))
    return der.set_of([attribute], tag=_UNSIGNED_ATTRIBUTES)


def _token_in(data: bytes, at: int) -> bytes:
    """The octets of the first value of the attribute at an offset."""
    _, start, stop = der.element(data, at)
    *_, (_, start, _) = der.elements(data, start, stop)
    _, _, stop = der.element(data, start)
    return data[start:stop]
