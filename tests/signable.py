"""To-be-signed octets of every kind, for tests that need something a key may sign: made by `cryptography` where it can."""

from __future__ import annotations

import datetime as dt
import hashlib

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509 import ocsp
from cryptography.x509.oid import NameOID

from hsm import der
from hsm.purposes import Content
from hsm.spec import PublicKey, Purpose

NOW = dt.datetime(2026, 11, 21, 12, tzinfo=dt.UTC)
NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ủy ban nhân dân")])
DATA, TST_INFO, TRUST_STORE_CONTENT = (
    "1.2.840.113549.1.7.1",
    "1.2.840.113549.1.9.16.1.4",
    "2.25.234730728928956898269319628527611044104",
)
_KEY = ec.generate_private_key(ec.SECP256R1())
SHA256 = hashes.SHA256()


def attributes(text: object = "", content_type: str = DATA, digest: str = "sha256") -> bytes:
    """Signed attributes (RFC 5652 5.3) of a content that says `text`: what seals, officers and TSAs sign."""
    content_digest = hashlib.new(digest, str(text).encode()).digest()
    return der.set_of([
        der.sequence(der.oid("1.2.840.113549.1.9.3"), der.set_of([der.oid(content_type)])),
        der.sequence(der.oid("1.2.840.113549.1.9.4"), der.set_of([der.octets(content_digest)])),
        der.sequence(
            der.oid("1.2.840.113549.1.9.16.2.47"),
            der.set_of([der.sequence(der.sequence(der.sequence(der.octets(bytes(32)))))]),
        ),
    ])  # fmt: skip


def certificate(serial: int = 0x1234) -> x509.Certificate:
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(_KEY.public_key())
        .serial_number(serial)
        .not_valid_before(NOW)
        .not_valid_after(NOW + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(_KEY, SHA256)
    )


def revocation_list(entries: int = 1) -> bytes:
    builder = x509.CertificateRevocationListBuilder().issuer_name(NAME).last_update(NOW)
    builder = builder.next_update(NOW + dt.timedelta(days=1)).add_extension(x509.CRLNumber(7), critical=False)
    for number in range(entries):
        revoked = x509.RevokedCertificateBuilder().serial_number(number + 1).revocation_date(NOW)
        builder = builder.add_revoked_certificate(revoked.build())
    return builder.sign(_KEY, SHA256).tbs_certlist_bytes


def response_data(*, by_name: bool = False, nonce: bool = True) -> bytes:
    issued = certificate()
    encoding = ocsp.OCSPResponderEncoding.NAME if by_name else ocsp.OCSPResponderEncoding.HASH
    builder = ocsp.OCSPResponseBuilder().add_response(
        issued, issued, SHA256, ocsp.OCSPCertStatus.GOOD, NOW, NOW + dt.timedelta(hours=1), None, None
    )
    builder = builder.responder_id(encoding, issued)
    if nonce:
        builder = builder.add_extension(x509.OCSPNonce(b"nonce"), critical=False)
    return builder.sign(_KEY, SHA256).tbs_response_bytes


def request(public_key: PublicKey | None = None) -> bytes:
    """A CertificationRequestInfo for a key; for a stranger's without one."""
    info = x509.CertificateSigningRequestBuilder().subject_name(NAME).sign(_KEY, SHA256).tbs_certrequest_bytes
    if public_key is None:
        return info
    encoding, form = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    theirs, ours = _KEY.public_key().public_bytes(encoding, form), public_key.public_bytes(encoding, form)
    _, start, stop = der.element(info, 0)
    return der.tlv(der.SEQUENCE, info[start:stop].replace(theirs, ours))


def content(kind: Content) -> bytes:
    """An example of each kind; the request is a stranger's."""
    return {
        Content.CERTIFICATE: lambda: certificate().tbs_certificate_bytes,
        Content.CRL: revocation_list,
        Content.OCSP: response_data,
        Content.REQUEST: request,
        Content.DATA_ATTRIBUTES: attributes,
        Content.TIMESTAMP_ATTRIBUTES: lambda: attributes(content_type=TST_INFO),
        Content.TRUST_STORE_ATTRIBUTES: lambda: attributes(content_type=TRUST_STORE_CONTENT),
        Content.UNKNOWN: lambda: b"a text",
    }[kind]()


ALLOWED = {
    (Purpose.AUTHORITY, Content.CERTIFICATE),
    (Purpose.AUTHORITY, Content.CRL),
    (Purpose.OCSP_RESPONDER, Content.OCSP),
    (Purpose.TSA, Content.TIMESTAMP_ATTRIBUTES),
    (Purpose.DOCUMENT, Content.DATA_ATTRIBUTES),
    (Purpose.RECEIPT, Content.DATA_ATTRIBUTES),
    (Purpose.TRUST_STORE, Content.TRUST_STORE_ATTRIBUTES),
}
