"""The time-stamp tokens on a signature value: found and examined, each by itself. Runs in the judge process; judges nothing."""

from __future__ import annotations

from typing import Any

from asn1crypto import cms

from signer.validation.certificates import certificate_facts, utc
from signer.validation.cms_check import SUBFILTER_TIMESTAMP, check_cms, digest_of, facts_by_name
from signer.validation.facts import TokenFacts
from signer.validation.paths import PathFinder
from signer.validation.store import store_of_cms

# A signature has one, seldom two; each costs a path.
_MOST_TOKENS = 5


def signature_timestamps(info: cms.SignerInfo) -> list[cms.ContentInfo]:
    """The tokens among the unsigned attributes (RFC 3161 appendix A, EN 319 122-1 5.3)."""
    attributes = info["unsigned_attrs"]
    values = [
        value
        for attribute in attributes or ()
        if attribute["type"].native == "signature_time_stamp_token"
        for value in attribute["values"]
    ]
    return values[:_MOST_TOKENS]


def examine_token(token: cms.ContentInfo, signature: bytes, paths: PathFinder) -> TokenFacts:
    """Facts of one token over a signature value. Every failure but running out of memory is itself a fact."""
    found: dict[str, Any] = {}
    try:
        _take(found, token, signature, paths)
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  a broken token only takes its proof away
        found["problem"] = type(error).__name__
    return TokenFacts(**found)


def _take(found: dict[str, Any], token: cms.ContentInfo, signature: bytes, paths: PathFinder) -> None:
    signed_data = token["content"]
    # The same checks as for a document time-stamp; what is stamped is the signature value instead of the ranges.
    facts = check_cms(signed_data, SUBFILTER_TIMESTAMP, lambda algorithm: digest_of(algorithm, signature))
    found.update(
        **facts_by_name(facts),
        time=utc(signed_data["encap_content_info"]["content"].parsed["gen_time"].native),
    )
    if facts.signer is not None:
        found["signer"] = certificate_facts(facts.signer)
        found["path"] = paths.with_store(store_of_cms(signed_data)).find(facts.signer, facts.others, stamps=True)
