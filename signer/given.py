"""A signature that was made elsewhere, for a file that was prepared here: a bare value or a whole CMS. Believed in nothing.

What can be said from its own octets and the announced certificate is said here; the finished file is judged by handing_over.py.
"""

from __future__ import annotations

from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

from hsm import der
from pki.schemes import DIGEST_OIDS, SignatureMismatch, check_signature
from pki.signed_data import DATA
from signer.credentials import Signatory
from signer.errors import Refused
from signer.pades import PreparedPdf, document_digest
from signer.password import NO_PASSWORD, Password
from signer.subfilters import PADES
from signer.validation.facts import TrustAnchor

_SIGNED_DATA = der.oid("1.2.840.113549.1.7.2")
_DATA = der.oid(DATA)
_CONTENT_TYPE, _MESSAGE_DIGEST, _SIGNING_TIME = (der.oid(f"1.2.840.113549.1.9.{arc}") for arc in (3, 4, 5))
_SIGNING_CERTIFICATE_V2 = der.oid("1.2.840.113549.1.9.16.2.47")
_DIGESTS = {der.oid(dotted): name for name, dotted in DIGEST_OIDS.items()}


@dataclass(frozen=True)
class Given:
    """What somebody brings to finish a prepared document; nothing at all where the key is ours.

    `anchors` and `crls` are what he wants the signer's certificate to be judged by, besides what was named when it was prepared.
    `password` opens an encrypted file: it is kept nowhere, so it comes again.
    `activation`: the consent to sign with, instead of the one it was prepared with.
    """

    signature: bytes | None = None
    cms: bytes | None = None
    anchors: tuple[TrustAnchor, ...] = ()
    crls: tuple[bytes, ...] = ()
    password: Password = NO_PASSWORD
    activation: str | None = None


def accept_value(value: bytes, attributes: bytes, signatory: Signatory, prepared_id: str) -> bytes:
    """The value as a CMS holds it; Refused unless it is the announced certificate's over these attributes."""
    for written in (value, *_paired(value, signatory)):
        try:
            check_signature(signatory.public_key, signatory.template.scheme, written, attributes)
        except SignatureMismatch:
            continue
        return written
    raise Refused("PREPARED_SIGNATURE_WRONG", id=prepared_id, algorithm=signatory.template.scheme.value)


def _paired(value: bytes, signatory: Signatory) -> tuple[bytes, ...]:
    """An ECDSA value that a token gives as r and s side by side (PKCS #11 2.3.1), as CMS wants it (RFC 3279 2.2.3)."""
    key = signatory.public_key
    width = (key.curve.key_size + 7) // 8 if isinstance(key, ec.EllipticCurvePublicKey) else 0
    if not width or len(value) != 2 * width:
        return ()
    r, s = (int.from_bytes(half, "big") for half in (value[:width], value[width:]))
    return (encode_dss_signature(r, s),) if r and s else ()


def check_cms(cms: bytes, prepared: PreparedPdf, subfilter: str, prepared_id: str) -> None:
    """Refused unless it is one detached signature in DER over exactly this prepared file, with the attributes of its form.

    Whose it is and whether its value is right the judging of the finished file says, which reads it with other eyes.
    """
    if len(cms) > prepared.capacity:
        raise Refused("PREPARED_CMS_TOO_LARGE", id=prepared_id, octets=str(len(cms)), capacity=str(prepared.capacity))
    try:
        digest_name, attributes = _read(cms)
        kind = attributes.get(_CONTENT_TYPE)
        held = der.Reader(attributes.get(_MESSAGE_DIGEST, b"")).take(der.OCTET_STRING)
    except ValueError as error:
        raise Refused("PREPARED_CMS_MALFORMED", id=prepared_id, problem=str(error)) from error
    if kind != _DATA:
        raise Refused("PREPARED_CMS_MALFORMED", id=prepared_id, problem="content-type")  # RFC 5652 11.1
    if held != document_digest(prepared, digest_name):
        raise Refused("PREPARED_SIGNS_ANOTHER", id=prepared_id)
    if subfilter == PADES and _SIGNING_TIME in attributes:
        raise Refused("PREPARED_CMS_SIGNING_TIME", id=prepared_id)  # EN 319 142-1 6.3
    if subfilter == PADES and _SIGNING_CERTIFICATE_V2 not in attributes:
        raise Refused("PREPARED_CMS_UNBOUND", id=prepared_id)  # EN 319 142-1 6.3: which certificate is meant is signed


def _read(cms: bytes) -> tuple[str, dict[bytes, bytes]]:
    """The digest's name and the signed attributes of the only signer: type to the one value, both whole. ValueError."""
    outer = der.Reader(cms)
    info = outer.enter()
    outer.end()
    if der.tlv(der.OID, info.take(der.OID)) != _SIGNED_DATA:
        raise ValueError("no signed data")
    signed_data = info.enter(0xA0).enter()
    signed_data.integer()
    signed_data.take(der.SET)
    content = signed_data.enter()
    if der.tlv(der.OID, content.take(der.OID)) != _DATA or not content.is_empty:
        raise ValueError("content inside")  # ISO 32000-2 12.8.3.3.1
    for optional in (0xA0, 0xA1):
        if signed_data.next_is(optional):
            signed_data.take(optional)
    signers = signed_data.enter(der.SET)
    signed_data.end()
    signer = signers.enter()
    signers.end()
    signer.integer()
    signer.take(0x80 if signer.next_is(0x80) else der.SEQUENCE)
    digest = _DIGESTS.get(der.tlv(der.OID, signer.enter().take(der.OID)))
    if digest is None:
        raise ValueError("digest algorithm")
    attributes: dict[bytes, bytes] = {}
    listed = signer.enter(0xA0)
    while not listed.is_empty:
        attribute = listed.enter()
        kind, values = der.tlv(der.OID, attribute.take(der.OID)), attribute.take(der.SET)
        attribute.end()
        if kind in attributes or not values or der.element(values, 0)[2] != len(values):
            raise ValueError("an attribute twice or of several values")
        attributes[kind] = values
    return digest, attributes
