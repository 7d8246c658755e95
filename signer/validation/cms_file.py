"""A file that is a CMS structure: CAdES and plain CMS or PKCS #7, with its content inside or beside it. Gathers, judges nothing.

Runs in the judge process. Each signer is examined by himself; what is not DER but BER is read all the same (RFC 5652 5.1).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

from asn1crypto import cms, core, parser, x509
from pyhanko.sign.validation.generic_cms import extract_self_reported_ts

from signer.levels import B_B, B_LT, B_T
from signer.validation.certificates import certificate_facts, has_misencoded_key, utc
from signer.validation.cms_check import facts_by_name
from signer.validation.cms_signer import (
    CONTENT_MISSING,
    ContentMissingError,
    Signed,
    check_countersigner,
    check_signer,
    countersigners,
    digest_in_memory,
    has_attribute,
)
from signer.validation.content import Content
from signer.validation.facts import FileFacts, SignatureFacts, ValidationInputs
from signer.validation.paths import PathFinder
from signer.validation.store import store_of_cms
from signer.validation.tokens import examine_token, signature_timestamps

# More than a file of honest people brings; each costs a path.
_MOST_SIGNERS = 50
_MOST_COUNTERSIGNERS = 10
_MOST_CERTIFICATES = 1000
SUBFILTER = "CMS"
_TRAILING = "TRAILING_DATA"


@dataclass
class _File:
    """What the signers of one file share."""

    certificates: list[x509.Certificate]
    signed: Signed
    paths: PathFinder
    trailing: bool
    wanted: set[str]


def gather_signed_data(der: bytes, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    """Facts of every signer. Raises anything that asn1crypto raises on a structure that is none."""
    found = cms.ContentInfo.load(der)
    signed_data = found["content"]
    infos = signed_data["signer_infos"]
    if not len(infos):
        return replace(unread, format="CMS", bare="certificates")
    if len(infos) > _MOST_SIGNERS:
        return replace(unread, format="CMS", unreadable="UNREADABLE_LIMIT")
    wanted: set[str] = set()
    file = _File(
        certificates=_certificates(signed_data),
        signed=_signed(signed_data["encap_content_info"], inputs.content, wanted),
        paths=PathFinder(inputs).with_store(store_of_cms(signed_data)),
        trailing=bool(der[parser.peek(der) :].strip(b"\x00\r\n")),
        wanted=wanted,
    )
    signatures: list[SignatureFacts] = []
    for number, info in enumerate(infos, start=1):
        signatures += _examine(file, info, str(number))
    return replace(unread, format="CMS", signatures=tuple(signatures), wanted_digests=tuple(sorted(wanted)))


def digest_beside(content: Content | None, wanted: set[str], algorithm: str) -> bytes:
    """The digest of a content that stands beside; what is asked for and not there is noted."""
    if content is None:
        raise ContentMissingError(algorithm)
    digest = content.digest(algorithm)
    if digest is None:
        wanted.add(algorithm)
        raise ContentMissingError(algorithm)
    return digest


def _signed(encapsulated: Any, beside: Content | None, wanted: set[str]) -> Signed:
    """What the file says was signed. A content inside is what counts; one given besides has to be the same."""
    kind = str(encapsulated["content_type"].native)
    inside = encapsulated["content"]
    if inside is core.VOID or inside.native is None:
        head, size = (beside.head, beside.size) if beside is not None else (b"", 0)
        return Signed(kind, lambda algorithm: digest_beside(beside, wanted, algorithm), head, size)
    # RFC 5652 5.4: the octets of the content alone, without tag and length; PKCS #7 has types that are no OCTET STRING.
    octets = (
        bytes(inside) if isinstance(inside, core.OctetString | core.ParsableOctetString) else bytes(inside.contents)
    )
    of_inside = digest_in_memory(octets)
    if beside is not None and beside.digest("sha256") != of_inside("sha256"):
        # Nobody may show one content beside and have another one judged.
        return Signed(kind, lambda _: b"", octets[:16], len(octets))
    return Signed(kind, of_inside, octets[:16], len(octets))


def _certificates(signed_data: cms.SignedData) -> list[x509.Certificate]:
    return [
        choice.chosen.untag()
        for choice in islice(signed_data["certificates"] or (), _MOST_CERTIFICATES)
        if choice.name == "certificate"
    ]


def _examine(file: _File, info: cms.SignerInfo, name: str) -> list[SignatureFacts]:
    """Facts of one signer and of those who signed his signature. Every failure but running out of memory is itself a fact."""
    found: dict[str, Any] = _begun(f"signer {name}", "signature")
    others: list[SignatureFacts] = []
    try:
        _take(found, file, info)
        for number, each in enumerate(countersigners(info)[:_MOST_COUNTERSIGNERS], start=1):
            others.append(_examine_countersigner(file, each, info["signature"].native, f"signer {name}.{number}"))
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  asn1crypto raises many kinds on hostile files
        found["problem"] = found.get("problem") or type(error).__name__
    return [SignatureFacts(**found), *others]


def _begun(name: str, kind: str) -> dict[str, Any]:
    # Whatever a signature file says is signed as one: nothing of it is outside, and nothing can come later.
    return {
        "field": name,
        "type": kind,
        "subfilter": SUBFILTER,
        "coverage": "whole-file",
        "changes_after": "none",
        "level": "CMS",
    }


def _take(found: dict[str, Any], file: _File, info: cms.SignerInfo) -> None:
    facts = check_signer(info, file.certificates, file.signed)
    found.update(facts_by_name(facts))
    if facts.problem == CONTENT_MISSING:
        found["coverage"] = "partial"
    if file.trailing:
        found["changes_after"], found["problem"] = "unknown", found["problem"] or _TRAILING
    reported = extract_self_reported_ts(info)
    found["claimed_time"] = utc(reported) if reported is not None else None
    if facts.signer is not None:
        found["signer"] = certificate_facts(facts.signer)
        found["lenient"] = has_misencoded_key(facts.signer)
        found["path"] = file.paths.find(facts.signer, facts.others)
    tokens = signature_timestamps(info)
    found["timestamps"] = tuple(examine_token(token, info["signature"].native, file.paths) for token in tokens)
    found["reached"] = _reached(found)
    found["level"] = _level(found, info)


def _examine_countersigner(file: _File, info: cms.SignerInfo, signature: bytes, name: str) -> SignatureFacts:
    found = _begun(name, "countersignature")
    try:
        facts = check_countersigner(info, file.certificates, signature)
        found.update(facts_by_name(facts))
        reported = extract_self_reported_ts(info)
        found["claimed_time"] = utc(reported) if reported is not None else None
        if facts.signer is not None:
            found["signer"] = certificate_facts(facts.signer)
            found["path"] = file.paths.find(facts.signer, facts.others)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  the same as for a signer
        found["problem"] = found.get("problem") or type(error).__name__
    return SignatureFacts(**found)


def _reached(found: dict[str, Any]) -> str:
    """EN 319 122-1 6.1: a time-stamp makes B-T; proofs in the file of every certificate, the stampers' too, B-LT."""
    if not found["timestamps"]:
        return B_B
    paths = [found.get("path"), *(token.path for token in found["timestamps"])]
    return B_LT if all(path is not None and path.is_proved for path in paths) else B_T


def _level(found: dict[str, Any], info: cms.SignerInfo) -> str:
    """What the parts of the signature make it, whether or not they prove anything (EN 319 122-1 6.3)."""
    if found["ess"] != "ok":
        return "CMS"
    # Table 1 of 6.3 asks for the signing time; EN 319 122-2 5.1 knows a form without.
    return f"CAdES-{found['reached']}" if has_attribute(info, "signing_time") else "CAdES-E-BES"
