"""One signer of a CMS file (RFC 5652 5.3, 5.4; CAdES, EN 319 122-1): digest, attributes, value, certificate. Finds out, judges nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from asn1crypto import cms, core, x509
from cryptography.exceptions import UnsupportedAlgorithm
from pyhanko.sign.general import find_unique_cms_attribute, match_issuer_serial
from pyhanko.sign.validation.generic_cms import validate_algorithm_protection
from pyhanko.sign.validation.utils import extract_message_digest

from signer.validation.cms_check import (
    CmsFacts,
    digest_name,
    digest_of,
    encodings,
    ess_of,
    is_signed,
    signature_algorithm_of,
)

CONTENT_MISSING = "CONTENT_MISSING"
_SET = 0x31


class ContentMissingError(Exception):
    """The content is not there, or not its digest by this algorithm."""

    def __init__(self, algorithm: str) -> None:
        super().__init__(algorithm)
        self.algorithm = algorithm


@dataclass(frozen=True)
class Signed:
    """What signers of one file sign: its type, its digest by any algorithm (ContentMissingError), how it begins, its size."""

    kind: str
    digest: Callable[[str], bytes]
    head: bytes
    size: int


def check_signer(info: cms.SignerInfo, certificates: Sequence[x509.Certificate], signed: Signed) -> CmsFacts:
    """Everything about one signer but his path."""
    facts = CmsFacts()
    algorithm = _take_algorithms(info, facts)
    facts.signer = _find(info["sid"], certificates)
    if facts.signer is None:
        facts.problem = "NO_CERTIFICATE"
        return facts
    facts.others = tuple(each for each in certificates if each is not facts.signer)
    facts.ess = ess_of(info, facts.signer)
    try:
        content: bytes | None = signed.digest(algorithm)
    except ContentMissingError:
        content, facts.problem = None, CONTENT_MISSING
    attributes = info["signed_attrs"]
    if attributes is core.VOID or not attributes:
        _check_bare(info, facts, algorithm, content, signed)
        return facts
    _check_attributes(info, facts, algorithm, content, signed.kind)
    return facts


def check_countersigner(info: cms.SignerInfo, certificates: Sequence[x509.Certificate], signature: bytes) -> CmsFacts:
    """The same for one who signs another's signature value (RFC 5652 11.4): no content type may be named there."""
    signed = Signed("", lambda algorithm: _digest(algorithm, signature), b"", len(signature))
    return check_signer(info, certificates, signed)


def has_attribute(info: cms.SignerInfo, name: str) -> bool:
    """Whether a signed attribute of this type is there."""
    return any(each["type"].native == name for each in info["signed_attrs"] or ())


def countersigners(info: cms.SignerInfo) -> list[cms.SignerInfo]:
    """Those who signed this signature."""
    attributes = [each for each in info["unsigned_attrs"] or () if each["type"].native == "counter_signature"]
    return [value for attribute in attributes for value in attribute["values"]]


def digest_in_memory(content: bytes) -> Callable[[str], bytes]:
    """Digests of octets that are here."""
    return lambda algorithm: _digest(algorithm, content)


def _digest(algorithm: str, content: bytes) -> bytes:
    try:
        return digest_of(algorithm, content)
    except ValueError as error:
        raise UnsupportedAlgorithm("no digest that is known") from error


def _take_algorithms(info: cms.SignerInfo, facts: CmsFacts) -> str:
    algorithm = digest_name(info["digest_algorithm"]["algorithm"].native)
    facts.digest_algorithm = algorithm.replace("_", "-")
    facts.signature_algorithm, facts.pairing_ok = signature_algorithm_of(info, algorithm)
    return algorithm


def _find(sid: cms.SignerIdentifier, certificates: Sequence[x509.Certificate]) -> x509.Certificate | None:
    """The certificate that a signer is named by: issuer and serial, or key identifier (RFC 5652 5.3)."""
    if sid.name == "issuer_and_serial_number":
        number = sid.chosen["serial_number"]
        # The number first: comparing names by RFC 4518 takes a hundred times as long.
        same = (each for each in certificates if each["tbs_certificate"]["serial_number"] == number)
        return next((each for each in same if match_issuer_serial(sid.chosen, each)), None)
    wanted = sid.chosen.native
    return next((each for each in certificates if each.key_identifier == wanted), None)


def _check_bare(info: cms.SignerInfo, facts: CmsFacts, algorithm: str, content: bytes | None, signed: Signed) -> None:
    """Without signed attributes the signature is over the content itself, and only data may be signed so (RFC 5652 5.3)."""
    if signed.kind not in ("data", ""):
        facts.problem = "ATTRIBUTES_MISSING"
        return
    if _may_be_attributes(signed.head, signed.size):
        # Somebody's signed attributes, taken for content: the signature would fit, and he has never signed them (RFC 5652 5.4).
        facts.problem = "CONTENT_IS_ATTRIBUTES"
        return
    if content is None:
        return
    assert facts.signer is not None
    facts.signature_ok = is_signed(info, facts.signer, content, algorithm, prehashed=True)
    # The value is over the content: when it fits, so does the digest, and when not, nobody can say which of both is wrong.
    facts.digest_ok = True if facts.signature_ok else None


def _may_be_attributes(head: bytes, size: int) -> bool:
    """Whether the content is one SET in DER, as long as it says."""
    if len(head) < 2 or head[0] != _SET:
        return False
    length, start = head[1], 2
    if length & 0x80:
        count = length & 0x7F
        start += count
        length = int.from_bytes(head[2:start], "big")
    return start + length == size


def _check_attributes(
    info: cms.SignerInfo, facts: CmsFacts, algorithm: str, content: bytes | None, content_type: str
) -> None:
    attributes = info["signed_attrs"].untag()
    if not content_type and has_attribute(info, "content_type"):
        facts.problem = "ATTRIBUTES_content_type"  # RFC 5652 11.4
        return
    try:
        validate_algorithm_protection(attributes, info["digest_algorithm"], info["signature_algorithm"], None)
        kind = find_unique_cms_attribute(attributes, "content_type").native if content_type else ""
        named = extract_message_digest(info)
    except Exception as error:  # noqa: BLE001  attributes missing, doubled or contradicting each other
        facts.problem = f"ATTRIBUTES_{type(error).__name__}"
        return
    if kind != content_type:
        facts.problem = "ATTRIBUTES_content_type"  # RFC 5652 11.1
        return
    assert facts.signer is not None
    facts.signature_ok = any(is_signed(info, facts.signer, message, algorithm) for message in encodings(attributes))
    facts.digest_ok = None if content is None else named == content
