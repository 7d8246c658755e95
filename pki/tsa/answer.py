"""The answer of any time-stamping authority, read and checked by what was asked and whom we trust (RFC 3161 2.4.2, 2.2, RFC 5816).

Our own tokens are checked octet by octet in token.py; those of others come in every form that the standard allows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from asn1crypto import cms, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hsm import der
from pki.tsa.trust import find_path, may_stamp

# How far a time may lie from the moments between which it was asked for. A clock that is further off is wrong, theirs or ours.
CLOCK_TOLERANCE = timedelta(minutes=5)
_GRANTED = frozenset({"granted", "granted_with_mods"})
_HASHES: dict[str, hashes.HashAlgorithm] = {
    "sha256": hashes.SHA256(), "sha384": hashes.SHA384(), "sha512": hashes.SHA512(),
}  # fmt: skip
_LEAST_RSA_BITS = 2048
# A signer, some authorities above it, seldom a cross-certificate.
_MOST_CERTIFICATES = 20


class Objection(StrEnum):
    """What is wrong with an answer."""

    UNREADABLE = "UNREADABLE"
    REFUSES = "REFUSES"
    IMPRINT_WRONG = "IMPRINT_WRONG"
    NONCE_WRONG = "NONCE_WRONG"
    SIGNATURE_WRONG = "SIGNATURE_WRONG"
    ALGORITHM_WEAK = "ALGORITHM_WEAK"
    SIGNER_WRONG = "SIGNER_WRONG"
    EXPIRED = "EXPIRED"
    PATH_UNKNOWN = "PATH_UNKNOWN"
    TIME_WRONG = "TIME_WRONG"


class AnswerWrong(Exception):
    """An answer that will not do. Ends where answers are asked for: another authority is asked, or nobody."""

    def __init__(self, objection: Objection, detail: str = "") -> None:
        super().__init__(f"{objection} {detail}".rstrip())
        self.objection = objection
        self.detail = detail


@dataclass(frozen=True)
class CheckedToken:
    """A token that holds: its octets, its time, and the path of its signer, the anchor last."""

    der: bytes
    time: datetime
    path: tuple[x509.Certificate, ...]


@dataclass(frozen=True)
class Asked:
    """What was asked for: an imprint, under a nonce that nobody could know before, between two moments of our clock."""

    digest: str
    hashed: bytes
    nonce: int
    since: datetime
    until: datetime


def check_answer(answer: bytes, asked: Asked, anchors: Sequence[x509.Certificate]) -> CheckedToken:
    """The token of a TimeStampResp; AnswerWrong unless it grants exactly what was asked."""
    try:
        response = tsp.TimeStampResp.load(answer, strict=True)
        status = response["status"]["status"].native
        token = b"" if status not in _GRANTED else response["time_stamp_token"].dump()
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise AnswerWrong(Objection.UNREADABLE, type(error).__name__) from error
    if not token:
        raise AnswerWrong(Objection.REFUSES, str(status))
    nonce, checked = _check(token, asked.digest, asked.hashed, anchors)
    if nonce != asked.nonce:
        raise AnswerWrong(Objection.NONCE_WRONG)
    if not asked.since - CLOCK_TOLERANCE <= checked.time <= asked.until + CLOCK_TOLERANCE:
        raise AnswerWrong(Objection.TIME_WRONG, checked.time.isoformat())
    # RFC 3161 2.4.2 leaves the time to the authority; a certificate that has ended by our clock is not stamped by either.
    if not all(each.not_valid_before_utc <= asked.until <= each.not_valid_after_utc for each in checked.path[:-1]):
        raise AnswerWrong(Objection.EXPIRED)
    return checked


def check_foreign_token(token: bytes, digest: str, hashed: bytes, anchors: Sequence[x509.Certificate]) -> CheckedToken:
    """A token over this hash by somebody who leads to one of the anchors; AnswerWrong otherwise."""
    return _check(token, digest, hashed, anchors)[1]


def _check(
    token: bytes, digest: str, hashed: bytes, anchors: Sequence[x509.Certificate]
) -> tuple[int | None, CheckedToken]:
    try:
        nonce, moment, signer, held, octets = _read(token, digest, hashed)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError) as error:
        raise AnswerWrong(Objection.UNREADABLE, type(error).__name__) from error
    if not may_stamp(signer):
        raise AnswerWrong(Objection.SIGNER_WRONG)
    if not signer.not_valid_before_utc <= moment <= signer.not_valid_after_utc:
        raise AnswerWrong(Objection.EXPIRED)
    path = find_path(signer, held, anchors, moment)
    if path is None:
        raise AnswerWrong(Objection.PATH_UNKNOWN)
    return nonce, CheckedToken(octets, moment, path)


def _read(
    token: bytes, digest: str, hashed: bytes
) -> tuple[int | None, datetime, x509.Certificate, list[x509.Certificate], bytes]:
    """Nonce, time, signer, certificates held and the token's octets, once imprint, attributes and signature were found right."""
    content_info = cms.ContentInfo.load(token, strict=True)
    if content_info["content_type"].native != "signed_data":
        raise AnswerWrong(Objection.UNREADABLE, "content type")
    signed_data = content_info["content"]
    encapsulated = signed_data["encap_content_info"]
    if encapsulated["content_type"].native != "tst_info" or len(signed_data["signer_infos"]) != 1:
        raise AnswerWrong(Objection.UNREADABLE, "no token")
    content = bytes(encapsulated["content"])
    info = tsp.TSTInfo.load(content, strict=True)
    imprint = info["message_imprint"]
    same = imprint["hash_algorithm"]["algorithm"].native == digest and imprint["hashed_message"].native == hashed
    if info["version"].native != "v1" or not same:
        raise AnswerWrong(Objection.IMPRINT_WRONG)
    (signer_info,) = signed_data["signer_infos"]
    certificates = [
        each.chosen for each in list(signed_data["certificates"])[:_MOST_CERTIFICATES] if each.name == "certificate"
    ]
    signer = _signer(signer_info["sid"], certificates)
    _check_attributes(signer_info, signer, content)
    _check_signature(signer_info, x509.load_der_x509_certificate(signer.dump()))
    held = [x509.load_der_x509_certificate(each.dump()) for each in certificates]
    moment = info["gen_time"].native.astimezone(UTC)
    return info["nonce"].native, moment, held[certificates.index(signer)], held, content_info.dump()


def _signer(sid: cms.SignerIdentifier, certificates: Sequence[asn1_x509.Certificate]) -> asn1_x509.Certificate:
    for each in certificates:
        if sid.name == "issuer_and_serial_number":
            named = sid.chosen
            if named["serial_number"].native == each.serial_number and named["issuer"] == each.issuer:
                return each
        elif each.key_identifier == sid.native:
            return each
    raise AnswerWrong(Objection.SIGNER_WRONG, "its certificate is not there")


def _check_attributes(info: cms.SignerInfo, signer: asn1_x509.Certificate, content: bytes) -> None:
    """What the signature must span besides the content (RFC 5652 5.3, RFC 3161 2.4.2: signing-certificate is a MUST)."""
    found: dict[str, Any] = {}
    for attribute in info["signed_attrs"]:
        name = attribute["type"].native
        if name in found or len(attribute["values"]) != 1:
            raise AnswerWrong(Objection.UNREADABLE, "attributes")
        found[name] = attribute["values"][0]
    digest = info["digest_algorithm"]["algorithm"].native
    if digest not in _HASHES:
        raise AnswerWrong(Objection.ALGORITHM_WEAK, str(digest))
    if found["content_type"].native != "tst_info":
        raise AnswerWrong(Objection.SIGNATURE_WRONG, "content type")
    if found["message_digest"].native != hashlib.new(digest, content).digest():
        raise AnswerWrong(Objection.SIGNATURE_WRONG, "digest")
    octets = signer.dump()
    if "signing_certificate_v2" in found:
        named = found["signing_certificate_v2"]["certs"][0]
        algorithm = named["hash_algorithm"]["algorithm"].native
        same = algorithm in _HASHES and named["cert_hash"].native == hashlib.new(algorithm, octets).digest()
    else:
        # RFC 2634 knows SHA-1 alone. It only names the certificate here, among those whose key has signed.
        named = found["signing_certificate"]["certs"][0]
        same = named["cert_hash"].native == hashlib.sha1(octets, usedforsecurity=False).digest()
    if not same:
        raise AnswerWrong(Objection.SIGNER_WRONG, "another certificate is named")


def _check_signature(info: cms.SignerInfo, signer: x509.Certificate) -> None:
    # RFC 5652 5.4: what was signed is the DER encoding, whose SET is sorted.
    message = der.set_of([each.dump() for each in info["signed_attrs"]])
    algorithm = info["signature_algorithm"]
    digest = info["digest_algorithm"]["algorithm"].native
    key, signature = signer.public_key(), info["signature"].native
    try:
        if isinstance(key, ec.EllipticCurvePublicKey) and algorithm.signature_algo == "ecdsa":
            key.verify(signature, message, ec.ECDSA(_HASHES[algorithm.hash_algo]))
        elif isinstance(key, rsa.RSAPublicKey):
            if key.key_size < _LEAST_RSA_BITS:
                raise AnswerWrong(Objection.ALGORITHM_WEAK, f"RSA-{key.key_size}")
            _check_rsa(key, signature, message, algorithm, digest)
        else:
            raise AnswerWrong(Objection.ALGORITHM_WEAK, str(algorithm["algorithm"].native))
    except InvalidSignature as error:
        raise AnswerWrong(Objection.SIGNATURE_WRONG) from error
    except (KeyError, UnsupportedAlgorithm) as error:
        raise AnswerWrong(Objection.ALGORITHM_WEAK, str(error)) from error


def _check_rsa(key: rsa.RSAPublicKey, signature: bytes, message: bytes, algorithm: Any, digest: str) -> None:
    if algorithm.signature_algo == "rsassa_pss":
        hashing, parameters = _HASHES[algorithm.hash_algo], algorithm["parameters"]
        mask = _HASHES[parameters["mask_gen_algorithm"]["parameters"]["algorithm"].native]
        salt = parameters["salt_length"].native
        key.verify(signature, message, padding.PSS(padding.MGF1(mask), salt), hashing)
        return
    # Plain rsaEncryption leaves the digest to digestAlgorithm (RFC 3370 3.2).
    plain = algorithm["algorithm"].native == "rsassa_pkcs1v15"
    key.verify(signature, message, padding.PKCS1v15(), _HASHES[digest if plain else algorithm.hash_algo])
