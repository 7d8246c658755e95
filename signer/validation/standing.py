"""Whether algorithms are strong enough and certificates were in force at a moment: what signatures and time-stamps are both judged by.

Runs in the parent and knows no PDF (EN 319 102-1 5.2.5, 5.2.6, 5.2.8).
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from signer.validation.facts import CertificateFacts, CrlFacts, PathFacts, SignatureFacts, TokenFacts

# A reason of the closed table with its sub-indication (None: the usual one), or None when nothing speaks against.
Answer = tuple[str, str | None] | None


@dataclass(frozen=True)
class Policy:
    """Which algorithms are good enough; named and versioned, because every verdict says by which rules it was made."""

    name: str
    version: str
    digests: frozenset[str]
    signatures: frozenset[str]
    rsa_bits: int
    ec_bits: int


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
class Standing:
    """good, revoked, suspended or unknown at a moment; since when and why, where it is known. `link` counts from the signer."""

    state: str
    since: datetime | None = None
    reason: str | None = None
    link: int = 0


def load_policy(name: str = "vn-2025") -> Policy:
    """A policy that ships with the package."""
    values = tomllib.loads((Path(__file__).parent / "policies" / f"{name}.toml").read_text(encoding="utf-8"))
    return Policy(
        name=values["name"],
        version=values["version"],
        digests=frozenset(values["digests"]),
        signatures=frozenset(values["signatures"]),
        rsa_bits=values["rsa_bits"],
        ec_bits=values["ec_bits"],
    )


def algorithm_reason(facts: SignatureFacts | TokenFacts, policy: Policy) -> Answer:
    """5.2.8: algorithms must be good at the time in question, along the whole path, the anchor's own signature aside."""
    weak = ("UNKNOWN_ALGORITHM", None)
    if facts.digest_algorithm not in policy.digests or facts.signature_algorithm not in policy.signatures:
        return weak
    if not facts.pairing_ok:
        return weak
    signer = (facts.signer,) if facts.signer is not None else ()
    if any(not _is_key_strong(certificate, policy) for certificate in signer):
        return weak
    for certificate in facts.path.certificates if facts.path is not None else ():
        digest = certificate.signature_hash
        if not _is_key_strong(certificate, policy) or (digest is not None and digest not in policy.digests):
            return weak
    return None


def _is_key_strong(certificate: CertificateFacts, policy: Policy) -> bool:
    if certificate.key_type in ("rsa", "rsassa_pss"):
        return certificate.key_bits >= policy.rsa_bits
    if certificate.key_type == "ec":
        return certificate.key_bits >= policy.ec_bits
    return certificate.key_type in ("ed25519", "ed448")


def standing_at(path: PathFacts | None, own_status: OwnStatus, moment: Moment) -> Standing:
    """The worst standing along the path at a moment, and whose it is: the first certificate that is in it."""
    if path is None:
        return Standing("unknown")
    standings = [_standing(certificate, own_status, moment, n) for n, certificate in enumerate(path.certificates)]
    for worst in ("revoked", "suspended", "unknown"):
        for standing in standings:
            if standing.state == worst:
                return standing
    return Standing("good")


def _standing(certificate: CertificateFacts, own_status: OwnStatus, moment: Moment, link: int) -> Standing:
    own = own_status(certificate.sha256)
    if own is not None:
        return _own_standing(own, moment.then, link)
    latest = _latest_crl(certificate, moment)
    if latest is None:
        return Standing("unknown", link=link)
    if latest.revoked_at is None or latest.revoked_at > moment.then or latest.reason == "removeFromCRL":
        return Standing("good", link=link)
    state = "suspended" if latest.reason == "certificateHold" else "revoked"
    return Standing(state, latest.revoked_at, latest.reason, link)


def _latest_crl(certificate: CertificateFacts, moment: Moment) -> CrlFacts | None:
    """5.2.5: a list is fresh for a moment when it covers it or is younger; the latest of them speaks.

    A list younger than the certificate's end may have left it out already (RFC 5280 3.3), so it says nothing about a past moment.
    """
    fresh = [
        crl
        for crl in certificate.crls
        if crl.this_update <= moment.now
        and (crl.next_update or crl.this_update) >= moment.then
        and (moment.then == moment.now or crl.this_update <= certificate.not_after)
    ]
    return max(fresh, key=lambda crl: crl.this_update, default=None)


def _own_standing(own: OwnCertificate, then: datetime, link: int) -> Standing:
    if own.state == "good":
        return Standing("good", link=link)
    if own.state not in ("revoked", "suspended"):
        return Standing("unknown", link=link)
    moments = [moment for moment in (own.revoked_at, own.since) if moment is not None]
    since = min(moments, default=None)
    if since is not None and then < since:
        return Standing("good", link=link)
    return Standing(own.state, since, own.reason, link)
