"""Whether algorithms are strong enough and certificates were in force at a moment: what signatures and time-stamps are both judged by.

Runs in the parent and knows no PDF (EN 319 102-1 5.2.5, 5.2.6, 5.2.8). What was relied on is named, certificate by certificate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from signer.validation.facts import CertificateFacts, CrlFacts, PathFacts, SignatureFacts, TokenFacts
from signer.validation.rules import SKEW, Policy, load_policy

__all__ = [
    "Answer", "Evidence", "Moment", "OwnCertificate", "OwnStatus", "Policy", "Standing", "algorithm_reason", "load_policy",
    "standing_at",
]  # fmt: skip

_NONE = timedelta()
# A reason of the closed table with its sub-indication (None: the usual one), or None when nothing speaks against.
Answer = tuple[str, str | None] | None


@dataclass(frozen=True)
class OwnCertificate:
    """What the inventory knows about a certificate of ours. `since` is when its key came under suspicion, if earlier."""

    state: str
    revoked_at: datetime | None = None
    reason: str | None = None
    since: datetime | None = None


OwnStatus = Callable[[str], OwnCertificate | None]


@dataclass(frozen=True)
class Moment:
    """`then` is when something is known to have existed, `now` the time in question; equal without a proof."""

    then: datetime
    now: datetime


@dataclass(frozen=True)
class Evidence:
    """What was relied on about one certificate: an answer with its source and time. `register`: our inventory, as of `this_update`.

    Where nothing could be relied on, `source` is None and the status unknown.
    """

    certificate: CertificateFacts
    status: str
    source: str | None = None
    kind: str | None = None
    this_update: datetime | None = None
    next_update: datetime | None = None


@dataclass(frozen=True)
class Standing:
    """good, revoked, suspended or unknown at a moment; since when and why, where it is known. `link` counts from the signer.

    `evidence`: about every certificate of the path, in its order.
    """

    state: str
    since: datetime | None = None
    reason: str | None = None
    link: int = 0
    evidence: tuple[Evidence, ...] = ()


def algorithm_reason(
    facts: SignatureFacts | TokenFacts, policy: Policy, then: datetime, made_after: datetime | None = None
) -> Answer:
    """5.2.8 and 5.5.4: algorithms must have been good when the signature is known to have existed, along the whole path, the
    anchor's own signature aside. `made_after`: when it is known not to have existed yet.
    """
    ends = list(_ends(facts, policy))
    if not facts.pairing_ok or any(end is None for end in ends):
        return "UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE"
    end = min(each for each in ends if each is not None)
    if then <= end:
        return None
    late = made_after is not None and made_after > end
    return "UNKNOWN_ALGORITHM", "CRYPTO_CONSTRAINTS_FAILURE" if late else "CRYPTO_CONSTRAINTS_FAILURE_NO_POE"


def _ends(facts: SignatureFacts | TokenFacts, policy: Policy) -> Iterator[datetime | None]:
    """Until when each algorithm and key is good; None for what the policy does not know."""
    yield policy.digest_end(facts.digest_algorithm)
    yield policy.signature_end(facts.signature_algorithm)
    if facts.signer is not None:
        yield policy.key_end(facts.signer.key_type, facts.signer.key_bits)
    for certificate in facts.path.certificates if facts.path is not None else ():
        yield policy.key_end(certificate.key_type, certificate.key_bits)
        if certificate.signature_hash is not None:
            yield policy.digest_end(certificate.signature_hash)


def standing_at(path: PathFacts | None, own_status: OwnStatus, moment: Moment, policy: Policy) -> Standing:
    """The worst standing along the path at a moment, and whose it is: the first certificate that is in it."""
    if path is None:
        return Standing("unknown")
    found = [_standing(each, own_status, moment, policy, n) for n, each in enumerate(path.certificates)]
    evidence = tuple(each for _, each in found)
    for worst in ("revoked", "suspended", "unknown"):
        for standing, _ in found:
            if standing.state == worst:
                return Standing(standing.state, standing.since, standing.reason, standing.link, evidence)
    return Standing("good", evidence=evidence)


def _standing(
    certificate: CertificateFacts, own_status: OwnStatus, moment: Moment, policy: Policy, link: int
) -> tuple[Standing, Evidence]:
    own = own_status(certificate.sha256)
    if own is not None:
        standing = _own_standing(own, moment, link)
        return standing, Evidence(certificate, standing.state, "register", "inventory", moment.now)
    latest = _latest(certificate, moment, policy, of_signer=link == 0)
    if latest is None:
        return Standing("unknown", link=link), Evidence(certificate, "unknown")
    standing = Standing("good", link=link)
    if latest.revoked_at is not None and latest.revoked_at <= moment.then and latest.reason != "removeFromCRL":
        state = "suspended" if latest.reason == "certificateHold" else "revoked"
        standing = Standing(state, latest.revoked_at, latest.reason, link)
    return standing, Evidence(
        certificate, standing.state, latest.source, latest.kind, latest.this_update, latest.next_update
    )


def _latest(certificate: CertificateFacts, moment: Moment, policy: Policy, *, of_signer: bool) -> CrlFacts | None:
    """5.2.5: an answer is fresh for a moment when it covers it or is younger; the latest of them speaks.

    One younger than the time in question is a proof from the future. A list younger than the certificate's end may have left it
    out already (RFC 5280 3.3), so it says nothing about a past moment.
    """
    fresh = [
        crl
        for crl in certificate.crls
        if crl.this_update <= moment.now + (SKEW if crl.source == "fetched" else _NONE)
        and policy.is_fresh(crl, moment.then, of_signer=of_signer)
        and (moment.then == moment.now or crl.this_update <= certificate.not_after)
        and _is_strong(crl, moment.then, policy)
    ]
    return max(fresh, key=lambda crl: crl.this_update, default=None)


def _is_strong(crl: CrlFacts, then: datetime, policy: Policy) -> bool:
    if crl.digest is None:
        return True
    end = policy.digest_end(crl.digest)
    return end is not None and then <= end


def _own_standing(own: OwnCertificate, moment: Moment, link: int) -> Standing:
    if own.state == "good":
        return Standing("good", link=link)
    if own.state not in ("revoked", "suspended"):
        return Standing("unknown", link=link)
    moments = [each for each in (own.revoked_at, own.since) if each is not None]
    since = min(moments, default=None)
    # What was found out later about an earlier day was not known at the time in question.
    unheard = own.revoked_at is not None and moment.now < own.revoked_at
    if unheard or (since is not None and moment.then < since):
        return Standing("good", link=link)
    return Standing(own.state, since, own.reason, link)
