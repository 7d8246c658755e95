"""CMS SignedData for one credential, assembled from parts that are encoded once (RFC 5652, RFC 5035, ETSI EN 319 122-1).

What a credential repeats in every signature (certificates, algorithm identifiers, the signing-certificate attribute) is
DER made when `CmsTemplate` is built; per document only the digest, the signed attributes and the signature value are new.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hsm.spec import PrivateKey, PublicKey
from signer import der

_DATA = "1.2.840.113549.1.7.1"
_SIGNED_DATA = "1.2.840.113549.1.7.2"
_CONTENT_TYPE = "1.2.840.113549.1.9.3"
_MESSAGE_DIGEST = "1.2.840.113549.1.9.4"
_SIGNING_CERTIFICATE_V2 = "1.2.840.113549.1.9.16.2.47"
_MGF1 = "1.2.840.113549.1.1.8"
_DIGEST_OIDS = {"sha256": "2.16.840.1.101.3.4.2.1", "sha384": "2.16.840.1.101.3.4.2.2"}
_NULL = der.tlv(der.NULL, b"")

# An archive timestamp of the next level goes in as an unsigned attribute later; room for it is reserved from the start.
TIMESTAMP_ROOM = 6144
_SLACK = 256


class Scheme(StrEnum):
    """Signature schemes Antin signs documents with; the value is the name used in settings and verdicts."""

    ECDSA_SHA256 = "ecdsa-sha256"
    ECDSA_SHA384 = "ecdsa-sha384"
    PSS_SHA256 = "rsassa-pss-sha256"
    PKCS1_SHA256 = "rsassa-pkcs1v15-sha256"

    @property
    def digest(self) -> str:
        """Name of the digest, as hashlib and pyHanko write it."""
        return "sha384" if self is Scheme.ECDSA_SHA384 else "sha256"

    @property
    def hash(self) -> hashes.HashAlgorithm:
        return hashes.SHA384() if self is Scheme.ECDSA_SHA384 else hashes.SHA256()

    def algorithm_identifier(self) -> bytes:
        """signatureAlgorithm of the SignerInfo, in DER."""
        if self is Scheme.ECDSA_SHA256:
            return der.algorithm("1.2.840.10045.4.3.2")  # RFC 5754 3.3
        if self is Scheme.ECDSA_SHA384:
            return der.algorithm("1.2.840.10045.4.3.3")
        if self is Scheme.PKCS1_SHA256:
            return der.algorithm("1.2.840.113549.1.1.11", _NULL)  # RFC 4055 5: parameters NULL
        hash_id = der.algorithm(_DIGEST_OIDS["sha256"], _NULL)
        parameters = der.sequence(  # RSASSA-PSS-params, RFC 4055 3.1; the salt is as long as the digest
            der.explicit(0, hash_id),
            der.explicit(1, der.algorithm(_MGF1, hash_id)),
            der.explicit(2, der.integer(32)),
        )
        return der.algorithm("1.2.840.113549.1.1.10", parameters)


def scheme_for(public_key: PublicKey, *, rsa_padding: str = "pss") -> Scheme:
    """The scheme for a key: PSS by default for RSA (Thông tư 15/2025), `pkcs1v15` for readers that know nothing newer."""
    if isinstance(public_key, rsa.RSAPublicKey):
        return Scheme.PKCS1_SHA256 if rsa_padding == "pkcs1v15" else Scheme.PSS_SHA256
    return Scheme.ECDSA_SHA384 if public_key.curve.key_size > 256 else Scheme.ECDSA_SHA256


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=padding.PSS.DIGEST_LENGTH)


def sign_attributes(key: PrivateKey, scheme: Scheme, signed_attributes: bytes) -> bytes:
    """Sign the DER of the signed attributes. The only function here that touches a key."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(signed_attributes, ec.ECDSA(scheme.hash))
    pad = padding.PKCS1v15() if scheme is Scheme.PKCS1_SHA256 else _pss()
    return key.sign(signed_attributes, pad, scheme.hash)


class SignatureMismatch(Exception):
    """A signature that we made ourselves does not verify."""


def check_signature(public_key: PublicKey, scheme: Scheme, signature: bytes, signed_attributes: bytes) -> None:
    """Raise SignatureMismatch unless the signature over the attributes verifies with this key."""
    try:
        if isinstance(public_key, ec.EllipticCurvePublicKey):
            public_key.verify(signature, signed_attributes, ec.ECDSA(scheme.hash))
        else:
            pad = padding.PKCS1v15() if scheme is Scheme.PKCS1_SHA256 else _pss()
            public_key.verify(signature, signed_attributes, pad, scheme.hash)
    except InvalidSignature:
        raise SignatureMismatch("the signature does not verify with the credential's certificate") from None


class CmsTemplate:
    """Everything of a credential's SignedData that does not depend on the document."""

    def __init__(self, certificate: x509.Certificate, chain: tuple[x509.Certificate, ...], scheme: Scheme) -> None:
        """`chain`: the issuers above the certificate, without the root, which a relying party must have already."""
        self.scheme = scheme
        certificate_der = certificate.public_bytes(serialization.Encoding.DER)
        digest_id = der.algorithm(_DIGEST_OIDS[scheme.digest])  # RFC 5754 2: parameters absent
        self._digest_id = digest_id
        self._content_type = der.sequence(der.oid(_CONTENT_TYPE), der.set_of([der.oid(_DATA)]))
        self._message_digest_oid = der.oid(_MESSAGE_DIGEST)
        certificate_hash = der.octets(hashlib.new(scheme.digest, certificate_der).digest())
        # ESSCertIDv2 (RFC 5035 3): SHA-256 is the DEFAULT and so must not be written in DER.
        ess_id = der.sequence(*(() if scheme.digest == "sha256" else (digest_id,)), certificate_hash)
        self._signing_certificate = der.sequence(
            der.oid(_SIGNING_CERTIFICATE_V2), der.set_of([der.sequence(der.sequence(ess_id))])
        )
        chain_der = [each.public_bytes(serialization.Encoding.DER) for each in chain]
        self._certificates = der.set_of([certificate_der, *chain_der], tag=0xA0)
        self._head = (
            der.integer(1)  # version: all certificates X.509, content id-data (RFC 5652 5.1)
            + der.set_of([digest_id])
            + der.sequence(der.oid(_DATA))  # detached: no eContent
            + self._certificates
        )
        issuer = certificate.issuer.public_bytes()
        self._signer_head = der.integer(1) + der.sequence(issuer, der.integer(certificate.serial_number)) + digest_id
        self._signature_id = scheme.algorithm_identifier()

    def signed_attributes(self, document_digest: bytes) -> bytes:
        """The attributes to be signed, as the DER SET that is hashed (RFC 5652 5.4).

        No signing-time: PAdES takes the time from /M (ETSI EN 319 142-1 6.3).
        """
        message_digest = der.sequence(self._message_digest_oid, der.set_of([der.octets(document_digest)]))
        return der.set_of([self._content_type, message_digest, self._signing_certificate])

    def assemble(self, signed_attributes: bytes, signature: bytes, unsigned_attributes: bytes = b"") -> bytes:
        """The whole ContentInfo in DER. `unsigned_attributes`: an encoded [1] IMPLICIT SET, or nothing."""
        signer_info = der.sequence(
            self._signer_head,
            b"\xa0" + signed_attributes[1:],  # [0] IMPLICIT: the same octets under another tag
            self._signature_id,
            der.octets(signature),
            unsigned_attributes,
        )
        signed_data = der.sequence(self._head, der.set_of([signer_info]))
        return der.sequence(der.oid(_SIGNED_DATA), der.explicit(0, signed_data))

    def signature_of(self, hole: bytes, signed_attributes: bytes) -> bytes | None:
        """The signature value in a zero-padded hole, or None unless every other octet is exactly what this template makes."""
        try:
            _, start, end = der.element(hole, 0)
            _, (_, start, _) = der.elements(hole, start, end)  # contentType, content [0]
            _, start, signed_data_end = der.element(hole, start)
            *_, (_, start, _) = der.elements(hole, start, signed_data_end)  # …, signerInfos
            _, start, signer_info_end = der.element(hole, start)
            *_, (_, start, stop) = der.elements(hole, start, signer_info_end)  # …, signature
        except ValueError:
            return None
        signature = hole[start:stop]
        same = self.assemble(signed_attributes, signature) == hole[:end] and not any(hole[end:])
        return signature if same else None

    def reserved_octets(self) -> int:
        """How many octets to reserve for the ContentInfo: by rule, never by a trial signature."""
        signature_room = 512  # RSA-4096
        attributes_room = 320
        fixed = len(self._head) + len(self._signer_head) + len(self._signature_id)
        return fixed + signature_room + attributes_room + TIMESTAMP_ROOM + _SLACK
