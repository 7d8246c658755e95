"""The oldest signatures, `adbe.x509.rsa_sha1`: RSA over the ranges, certificates beside it (ISO 32000-2 12.8.3.2). Judges nothing."""

from __future__ import annotations

from asn1crypto import algos, core, x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from signer.validation.cms_check import CmsFacts, Digest
from signer.validation.signature_value import SignatureValue

SUBFILTER_PKCS1 = "/adbe.x509.rsa_sha1"
_MOST_CERTIFICATES = 50
# ISO 32000-2 table 260: the name says SHA-1, these came later.
_DIGESTS = ("sha1", "sha256", "sha384", "sha512")


def check_pkcs1(value: SignatureValue, digest: Digest) -> CmsFacts:
    """Everything about the signature but its path. The first certificate of /Cert is the signer's."""
    facts = CmsFacts(signature_algorithm="rsassa-pkcs1v15")
    held = [x509.Certificate.load(der) for der in value.certificates[:_MOST_CERTIFICATES]]
    if not held:
        facts.problem = "NO_CERTIFICATE"
        return facts
    facts.signer, facts.others = held[0], tuple(held[1:])
    key = serialization.load_der_public_key(held[0].public_key.dump())
    if not isinstance(key, rsa.RSAPublicKey):
        facts.problem = "UnsupportedAlgorithm"
        return facts
    octets = core.OctetString.load(value.contents).native
    try:
        recovered = key.recover_data_from_signature(octets, padding.PKCS1v15(), None)
    except InvalidSignature:
        facts.signature_ok = False
        return facts
    named = algos.DigestInfo.load(recovered)["digest_algorithm"]["algorithm"].native
    if named not in _DIGESTS:
        facts.problem = "UnsupportedAlgorithm"
        return facts
    facts.digest_algorithm = named
    facts.signature_ok = True
    # Compared as a whole: what else could stand in the recovered octets would be somebody's forgery (RFC 8017 8.2.2).
    facts.digest_ok = recovered == _digest_info(named, digest(named))
    return facts


def _digest_info(algorithm: str, digest: bytes) -> bytes:
    encoded: bytes = algos.DigestInfo(
        {"digest_algorithm": {"algorithm": algorithm, "parameters": core.Null()}, "digest": digest}
    ).dump()
    return encoded
