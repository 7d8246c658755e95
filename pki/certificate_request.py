"""A certification request for a key of our own, signed by it: what an authority elsewhere is asked to certify (RFC 2986)."""

from __future__ import annotations

from certs.names import SubjectName
from hsm import der
from hsm.spec import PrivateKey, load_public_key
from pki.schemes import check_signature, scheme_for, sign_message

_ATTRIBUTES = 0xA0


def sign_request(key: PrivateKey, public_key_der: bytes, subject: SubjectName) -> bytes:
    """The request in DER. With an RSA key by PKCS #1 v1.5, which every authority reads; its own signature is checked."""
    public_key = load_public_key(public_key_der)
    scheme = scheme_for(public_key, rsa_padding="pkcs1v15")
    # version, subject, subjectPKInfo, attributes [0], which must be there though empty (4.1)
    info = der.sequence(der.integer(0), subject.der, public_key_der, der.tlv(_ATTRIBUTES, b""))
    signature = sign_message(key, scheme, info)
    check_signature(public_key, scheme, signature, info)
    return der.sequence(info, scheme.algorithm_identifier(), der.tlv(der.BIT_STRING, b"\0" + signature))
