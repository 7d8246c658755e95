"""CMS SignedData with one signer, assembled from parts that are encoded once (RFC 5652, RFC 5035).

What a signer repeats in every signature (certificates, algorithm identifiers, the signing-certificate attribute) is DER
made when `SignerTemplate` is built; per content only the digest, the signed attributes and the signature value are new.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from hsm import der
from hsm.der import Reader
from pki.schemes import DIGEST_OIDS, Scheme

DATA = "1.2.840.113549.1.7.1"
TST_INFO = "1.2.840.113549.1.9.16.1.4"
_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_CONTENT_TYPE = der.oid("1.2.840.113549.1.9.3")
_SIGNING_TIME = der.oid("1.2.840.113549.1.9.5")
_MESSAGE_DIGEST = der.oid("1.2.840.113549.1.9.4")
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")


@dataclass(frozen=True)
class SignedParts:
    """What stands in a SignedData of one signer; `certificates_field` and `attributes` without their tag."""

    content: bytes
    certificates_field: bytes
    attributes: bytes
    signature: bytes

    @property
    def certificates(self) -> tuple[bytes, ...]:
        """In DER, in any order; ValueError when one of them cannot be read."""
        held = Reader(self.certificates_field)
        found: list[bytes] = []
        while not held.is_empty:
            found.append(der.tlv(der.SEQUENCE, held.take(der.SEQUENCE)))
        return tuple(found)


def read_signed_data(octets: bytes, content_type: str) -> SignedParts:
    """The parts of a file as `SignerTemplate` makes them; ValueError for anything else. Nothing of it is checked."""
    outer = Reader(octets)
    content_info = outer.enter()
    outer.end()
    content_info.take(der.OID)
    signed_data = content_info.enter(0xA0).enter()
    signed_data.integer()
    signed_data.take(der.SET)
    encapsulated = signed_data.enter()
    if der.tlv(der.OID, encapsulated.take(der.OID)) != der.oid(content_type):
        raise ValueError("the content is of another type")
    content = encapsulated.enter(0xA0).take(der.OCTET_STRING)
    certificates = signed_data.take(0xA0) if signed_data.next_is(0xA0) else b""
    signer = signed_data.enter(der.SET).enter()
    signer.integer()
    for _ in ("sid", "digestAlgorithm"):
        signer.take(der.SEQUENCE)
    attributes = signer.take(0xA0)
    signer.take(der.SEQUENCE)  # signatureAlgorithm
    return SignedParts(content, certificates, attributes, signer.take(der.OCTET_STRING))


class SignerTemplate:
    """Everything of a signer's SignedData that does not depend on the content."""

    def __init__(self, certificate: x509.Certificate, scheme: Scheme, content_type: str = DATA) -> None:
        self.scheme = scheme
        self._content_type_oid = der.oid(content_type)
        # RFC 5652 5.1: version 3 when the content is not id-data, else 1; our signers are named by issuer and serial.
        self._version = der.integer(1 if content_type == DATA else 3)
        self.certificate = certificate.public_bytes(Encoding.DER)
        self._digest_id = der.algorithm(DIGEST_OIDS[scheme.digest])  # RFC 5754 2: parameters absent
        self._content_type = der.sequence(_CONTENT_TYPE, der.set_of([self._content_type_oid]))
        certificate_hash = der.octets(hashlib.new(scheme.digest, self.certificate).digest())
        # ESSCertIDv2 (RFC 5035 3): SHA-256 is the DEFAULT and so must not be written in DER.
        ess_id = der.sequence(*(() if scheme.digest == "sha256" else (self._digest_id,)), certificate_hash)
        self._signing_certificate = der.sequence(
            _SIGNING_CERTIFICATE_V2, der.set_of([der.sequence(der.sequence(ess_id))])
        )
        # The very octets of the issuer's name: readers compare them (RFC 5652 10.2.4).
        issuer = asn1_x509.Certificate.load(self.certificate).issuer.dump()
        self._signer_head = (
            der.integer(1) + der.sequence(issuer, der.integer(certificate.serial_number)) + self._digest_id
        )
        self._signature_id = scheme.algorithm_identifier()
        # The attributes but for the digest's octets. Their order in the SET never depends on those: their OIDs stand before.
        self._digest_octets = hashlib.new(scheme.digest).digest_size
        blank = b"\xff" * self._digest_octets
        self._before_digest, self._after_digest = self._attributes_of(blank).split(blank)

    @property
    def octets(self) -> int:
        """How much of a SignerInfo is fixed."""
        return len(self._signer_head) + len(self._signature_id)

    def head(self, content: bytes | None = None) -> bytes:
        """What stands before the certificates: version, digest algorithms, content. `content` None: detached."""
        held = () if content is None else (der.explicit(0, der.octets(content)),)
        return self._version + der.set_of([self._digest_id]) + der.sequence(self._content_type_oid, *held)

    def certificates(self, chain: Sequence[x509.Certificate]) -> bytes:
        """The certificates field: [0] IMPLICIT SET, the signer's own and `chain`."""
        return der.set_of([self.certificate, *(each.public_bytes(Encoding.DER) for each in chain)], tag=0xA0)

    def signed_attributes(self, content_digest: bytes, signing_time: datetime | None = None) -> bytes:
        """The attributes to be signed, as the DER SET that is hashed (RFC 5652 5.4)."""
        if signing_time is not None:
            when = der.sequence(_SIGNING_TIME, der.set_of([der.certificate_time(signing_time)]))  # 11.3
            return self._attributes_of(content_digest, when)
        if len(content_digest) != self._digest_octets:
            return self._attributes_of(content_digest)
        return self._before_digest + content_digest + self._after_digest

    def _attributes_of(self, content_digest: bytes, *more: bytes) -> bytes:
        message_digest = der.sequence(_MESSAGE_DIGEST, der.set_of([der.octets(content_digest)]))
        return der.set_of([self._content_type, message_digest, self._signing_certificate, *more])

    def content_info(
        self, head: bytes, signed_attributes: bytes, signature: bytes, unsigned_attributes: bytes = b""
    ) -> bytes:
        """The whole ContentInfo in DER. `unsigned_attributes`: an encoded [1] IMPLICIT SET, or nothing."""
        signer_info = der.sequence(
            self._signer_head,
            b"\xa0" + signed_attributes[1:],  # [0] IMPLICIT: the same octets under another tag
            self._signature_id,
            der.octets(signature),
            unsigned_attributes,
        )
        signed_data = der.sequence(head, der.tlv(der.SET, signer_info))
        return der.sequence(_SIGNED_DATA, der.explicit(0, signed_data))
