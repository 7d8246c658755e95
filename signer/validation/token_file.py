"""A file that is a time-stamp: a token, or the reply that brought it (RFC 3161 2.4.2). Gathers, judges nothing; in the judge process."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from asn1crypto import cms, tsp

from signer.validation.certificates import certificate_facts, utc
from signer.validation.cms_check import SUBFILTER_TIMESTAMP, check_cms, facts_by_name
from signer.validation.cms_file import digest_beside
from signer.validation.cms_signer import CONTENT_MISSING, ContentMissingError
from signer.validation.facts import FileFacts, SignatureFacts, ValidationInputs
from signer.validation.paths import PathFinder
from signer.validation.store import store_of_cms

_GRANTED = ("granted", "granted_with_mods")


def gather_reply(der: bytes, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    """The token of a reply; a refusal brings none."""
    reply = tsp.TimeStampResp.load(der, strict=True)
    if reply["status"]["status"].native not in _GRANTED:
        return replace(unread, format="RFC3161", unreadable="UNREADABLE_STAMP_REFUSED")
    return gather_token(reply["time_stamp_token"], unread, inputs)


def gather_token(token: cms.ContentInfo, unread: FileFacts, inputs: ValidationInputs) -> FileFacts:
    """One entry of type timestamp. Its imprint is held against the content given."""
    found: dict[str, Any] = {
        "field": "timestamp", "type": "timestamp", "subfilter": SUBFILTER_TIMESTAMP, "level": "RFC3161",
        "coverage": "whole-file", "changes_after": "none",
    }  # fmt: skip
    wanted: set[str] = set()
    try:
        _take(found, token, inputs, wanted)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  asn1crypto raises many kinds on hostile files
        found["problem"] = found.get("problem") or type(error).__name__
    return replace(
        unread, format="RFC3161", bare="timestamp", signatures=(SignatureFacts(**found),), wanted_digests=tuple(sorted(wanted))
    )  # fmt: skip


def _take(found: dict[str, Any], token: cms.ContentInfo, inputs: ValidationInputs, wanted: set[str]) -> None:
    signed_data = token["content"]
    stamped = signed_data["encap_content_info"]["content"].parsed
    imprint: bytes = stamped["message_imprint"]["hashed_message"].native
    is_missing = False

    def digest(algorithm: str) -> bytes:
        nonlocal is_missing
        try:
            return digest_beside(inputs.content, wanted, algorithm)
        except ContentMissingError:
            is_missing = True  # its signature can be checked all the same
            return imprint

    facts = check_cms(signed_data, SUBFILTER_TIMESTAMP, digest)
    found.update(facts_by_name(facts))
    if is_missing and not facts.problem:
        found["coverage"] = "partial"
        # Attributes that do not fit the token itself are wrong whatever it was made for.
        if facts.digest_ok:
            found["problem"], found["digest_ok"] = CONTENT_MISSING, None
    found["claimed_time"] = utc(stamped["gen_time"].native)
    if facts.signer is not None:
        found["signer"] = certificate_facts(facts.signer)
        found["path"] = (
            PathFinder(inputs).with_store(store_of_cms(signed_data)).find(facts.signer, facts.others, stamps=True)
        )
