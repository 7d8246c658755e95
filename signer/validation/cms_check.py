"""One CMS signature against the bytes it signs: digest, signature value, signer's certificate. Finds out, judges nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from asn1crypto import cms, core, x509
from cryptography.exceptions import InvalidSignature
from pyhanko.sign.general import (
    CMSExtractionError,
    check_ess_certid,
    extract_certificate_info,
    find_unique_cms_attribute,
    match_issuer_serial,
)
from pyhanko.sign.validation.errors import SignatureValidationError
from pyhanko.sign.validation.generic_cms import get_signing_cert_attr, validate_algorithm_protection
from pyhanko.sign.validation.utils import extract_message_digest

from signer.octets import Octets, digest_of_ranges, pieces_of
from signer.validation.signature_check import check_value, scheme_of

Digest = Callable[[str], bytes]

SUBFILTERS_DETACHED = ("/adbe.pkcs7.detached", "/ETSI.CAdES.detached", "/PBAD.PAdES")
SUBFILTER_SHA1 = "/adbe.pkcs7.sha1"
SUBFILTER_TIMESTAMP = "/ETSI.RFC3161"

# RFC 8419 3.1, RFC 8702 and RFC 9882 bind these algorithms to a digest of their own.
_BOUND_DIGEST = {"ed25519": ("sha512",), "ed448": ("shake256", "shake256_len")}


_DIGEST_MEANT = {
    "1.2.840.113549.1.1.5": "sha1",
    "1.2.840.113549.1.1.11": "sha256",
    "1.2.840.113549.1.1.12": "sha384",
    "1.2.840.113549.1.1.13": "sha512",
}


@dataclass
class CmsFacts:
    """What was found out about one CMS structure. `problem` names why nothing more could be."""

    problem: str = ""
    digest_ok: bool | None = None
    signature_ok: bool | None = None
    ess: str = "absent"
    digest_algorithm: str | None = None
    signature_algorithm: str | None = None
    pairing_ok: bool = True
    signer: x509.Certificate | None = None
    others: tuple[x509.Certificate, ...] = ()


def facts_by_name(facts: CmsFacts) -> dict[str, Any]:
    """What both kinds of facts call the same."""
    return {
        "problem": facts.problem,
        "digest_ok": facts.digest_ok,
        "signature_ok": facts.signature_ok,
        "ess": facts.ess,
        "digest_algorithm": facts.digest_algorithm,
        "signature_algorithm": facts.signature_algorithm,
        "pairing_ok": facts.pairing_ok,
    }


def check_cms(signed_data: cms.SignedData, subfilter: str, digest: Digest) -> CmsFacts:
    """Check one signature of a PDF. `digest` gives the digest of the signed ranges by algorithm name."""
    facts = CmsFacts()
    infos = signed_data["signer_infos"]
    if len(infos) != 1:
        facts.problem = "SIGNER_COUNT"  # ISO 32000-2 12.8.3.3.1: exactly one
        return facts
    info = infos[0]
    algorithm = digest_name(info["digest_algorithm"]["algorithm"].native)
    facts.digest_algorithm = algorithm.replace("_", "-")
    facts.signature_algorithm, facts.pairing_ok = signature_algorithm_of(info, algorithm)
    try:
        facts.signer, facts.others = _certificates(signed_data, info)
    except CMSExtractionError:
        facts.problem = "NO_CERTIFICATE"
        return facts
    facts.ess = ess_of(info, facts.signer)
    content = _content_digest(signed_data, subfilter, digest, algorithm, facts)
    if content is None:
        return facts
    _check_signer_info(info, facts, algorithm, content, signed_data["encap_content_info"]["content_type"].native)
    return facts


def _certificates(
    signed_data: cms.SignedData, info: cms.SignerInfo
) -> tuple[x509.Certificate, tuple[x509.Certificate, ...]]:
    """The signer's certificate and the others beside it; CMSExtractionError when it is not there."""
    sid = info["sid"]
    if sid.name != "issuer_and_serial_number":
        found = extract_certificate_info(signed_data)
        return found.signer_cert, tuple(found.other_certs)
    signer, others = None, []
    for choice in signed_data["certificates"]:
        certificate = choice.chosen.untag()
        if choice.name != "certificate":
            continue
        # The number first: comparing names by RFC 4518 takes a hundred times as long, and seldom is it the same name.
        same = sid.chosen["serial_number"] == certificate["tbs_certificate"]["serial_number"]
        if same and match_issuer_serial(sid.chosen, certificate):
            signer = certificate
        else:
            others.append(certificate)
    if signer is None:
        raise CMSExtractionError("no certificate of the signer")
    return signer, tuple(others)


def digest_name(name: str) -> str:
    """Some signers name a signature algorithm where its digest belongs; what is meant is plain."""
    return _DIGEST_MEANT.get(name, name)


def signature_algorithm_of(info: cms.SignerInfo, digest_algorithm: str) -> tuple[str, bool]:
    scheme = scheme_of(info["signature_algorithm"])
    if scheme.name in _BOUND_DIGEST:
        return scheme.name.replace("_", "-"), digest_algorithm in _BOUND_DIGEST[scheme.name]
    # Plain rsaEncryption leaves the digest to digestAlgorithm (RFC 3370 3.2).
    return scheme.name.replace("_", "-"), scheme.digest in (None, digest_algorithm)


def ess_of(info: cms.SignerInfo, signer: x509.Certificate) -> str:
    """Whether the signing-certificate attribute (RFC 5035 5) is there and names this certificate."""
    if info["signed_attrs"] is core.VOID or not info["signed_attrs"]:
        return "absent"
    try:
        attribute = get_signing_cert_attr(info["signed_attrs"])
        if attribute is None:
            return "absent"
        return "ok" if check_ess_certid(signer, attribute["certs"][0]) else "mismatch"
    except (SignatureValidationError, ValueError, TypeError, IndexError, KeyError, AttributeError):
        return "mismatch"


def _content_digest(
    signed_data: cms.SignedData, subfilter: str, digest: Digest, algorithm: str, facts: CmsFacts
) -> bytes | None:
    """The digest that the signed attributes must name, with digest_ok set for kinds that carry content of their own."""
    encapsulated = signed_data["encap_content_info"]
    kind = encapsulated["content_type"].native
    content = encapsulated["content"]
    if subfilter in SUBFILTERS_DETACHED:
        if kind != "data" or content.native is not None:
            facts.problem = "ENCAPSULATED_CONTENT"  # ISO 32000-2 12.8.3.3.1: no data shall be encapsulated
            return None
        return digest(algorithm)
    if subfilter == SUBFILTER_SHA1:
        held = bytes(content)
        facts.digest_ok = held == digest("sha1")
        # The document is bound by SHA-1 whatever the signer used on top of it.
        facts.digest_algorithm = "sha1"
        return digest_of(algorithm, held)
    if kind != "tst_info":
        facts.problem = "NOT_A_TIMESTAMP"
        return None
    imprint = content.parsed["message_imprint"]
    held_algorithm = imprint["hash_algorithm"]["algorithm"].native
    facts.digest_ok = imprint["hashed_message"].native == digest(held_algorithm)
    if algorithm not in _WEAK_DIGESTS:
        # Imprint and attributes each have a digest; the weaker one is what the token rests on.
        facts.digest_algorithm = held_algorithm.replace("_", "-")
    return digest_of(algorithm, bytes(content))


def _check_signer_info(
    info: cms.SignerInfo, facts: CmsFacts, algorithm: str, content_digest: bytes, content_type: str
) -> None:
    assert facts.signer is not None
    attributes = info["signed_attrs"]
    prehashed = False
    if attributes is core.VOID or not attributes:
        # RFC 5652 5.4: without signed attributes the signature is over the content itself.
        messages, matches = [content_digest], True
        prehashed = True
    else:
        attributes = attributes.untag()
        try:
            validate_algorithm_protection(attributes, info["digest_algorithm"], info["signature_algorithm"], None)
            kind = find_unique_cms_attribute(attributes, "content_type").native
            matches = extract_message_digest(info) == content_digest
        except Exception as error:  # noqa: BLE001  attributes missing, doubled or contradicting each other
            facts.problem = f"ATTRIBUTES_{type(error).__name__}"
            return
        if kind != content_type:
            facts.problem = "ATTRIBUTES_content_type"  # RFC 5652 11.1
            return
        messages = encodings(attributes)
    facts.digest_ok = matches if facts.digest_ok is None else facts.digest_ok and matches
    facts.signature_ok = any(
        is_signed(info, facts.signer, message, algorithm, prehashed=prehashed) for message in messages
    )


def is_signed(
    info: cms.SignerInfo, signer: x509.Certificate, message: bytes, algorithm: str, *, prehashed: bool = False
) -> bool:
    """Whether the value is this signer's over the message; the digest is named by the signer's digestAlgorithm."""
    key, value = signer.public_key, info["signature"].native
    try:
        check_value(value, message, key, info["signature_algorithm"], algorithm, prehashed=prehashed)
    except InvalidSignature:
        return False
    return True


def encodings(attributes: cms.CMSAttributes) -> list[bytes]:
    """What may have been hashed: the DER encoding (RFC 5652 5.4), or the attributes in the order they stand.

    Signers exist that leave the SET OF unsorted, some hashing it sorted and some not. The order says nothing, so either is
    the same set of attributes under the same signature.
    """
    pieces = [attribute.dump() for attribute in attributes]
    ordered = sorted(pieces)
    if pieces == ordered:
        return [bytes(attributes.dump())]
    return [bytes(attributes.dump()), _set_of(b"".join(ordered))]


def _set_of(body: bytes) -> bytes:
    length = len(body)
    if length < 0x80:
        return bytes([0x31, length]) + body
    size = (length.bit_length() + 7) // 8
    return bytes([0x31, 0x80 | size]) + length.to_bytes(size, "big") + body


def digest_of_file(algorithm: str, pdf: Octets, ranges: Sequence[int]) -> bytes:
    """The digest of ranges of a file, as `digest_of`."""
    if algorithm in _DIGESTS:
        return digest_of_ranges(pdf, ranges, algorithm)
    places = zip(ranges[::2], ranges[1::2], strict=True)
    return digest_of(algorithm, *(piece for start, length in places for piece in pieces_of(pdf, start, start + length)))


def digest_of(algorithm: str, *pieces: bytes | memoryview) -> bytes:
    """The digest of pieces, by the names of asn1crypto; ValueError for a digest nobody may use."""
    if algorithm in ("shake256", "shake256_len"):
        # RFC 8419 2.3: SHAKE256 with 512 bits
        shake = hashlib.shake_256()
        for piece in pieces:
            shake.update(piece)
        return shake.digest(64)
    if algorithm not in _DIGESTS:
        raise ValueError("unknown digest")
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    for piece in pieces:
        hasher.update(piece)
    return hasher.digest()


_WEAK_DIGESTS = frozenset({"md5", "sha1"})
_DIGESTS = frozenset(
    {"md5", "sha1", "sha224", "sha256", "sha384", "sha512", "sha3_224", "sha3_256", "sha3_384", "sha3_512"}
)
