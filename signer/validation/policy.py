"""Judging: facts, the state of our own certificates and a time make an indication and a reason (EN 319 102-1).

Runs in the parent and knows no PDF. Nothing is proved yet about when a signature was made, so the best signature time is
the time in question; whatever would need an earlier proof is indeterminate.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from signer.validation.facts import CertificateFacts, FileFacts, PathFacts, SignatureFacts
from signer.validation.reasons import REASONS
from signer.validation.structure import Finding

# These say that the signature does not span what it claims to span; the others, that something came after it.
_BROKEN_RANGES = frozenset(
    {
        Finding.BYTERANGE_MALFORMED,
        Finding.BYTERANGE_START,
        Finding.BYTERANGE_ORDER,
        Finding.GAP_NOT_CONTENTS,
        Finding.END_NOT_REVISION,
        Finding.ENTRY_TWICE,
    }
)
_UNSUPPORTED = frozenset({"UNSUPPORTED_SUBFILTER", "AlgorithmNotSupported", "UnsupportedAlgorithm"})


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
class JudgedSignature:
    """One signature with its conclusion."""

    facts: SignatureFacts
    conclusion: str
    reason: str
    sub_indication: str | None
    integrity: str
    revocation: str
    trust: str
    proven_time: datetime | None = None


@dataclass(frozen=True)
class JudgedFile:
    """The conclusion of a file with its signatures in the order of the file."""

    conclusion: str
    reason: str
    signatures: tuple[JudgedSignature, ...] = ()


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


def judge_file(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedFile:
    """The conclusion of a file is the worst of its signatures; timestamps do not count."""
    if facts.unreadable:
        # The code comes out of another process: only a code of the table is taken over.
        row = REASONS.get(facts.unreadable)
        known = row is not None and row.conclusion == "unreadable"
        return JudgedFile("unreadable", facts.unreadable if known else "UNREADABLE_DAMAGED")
    judged = tuple(judge_signature(signature, own_status, at, policy) for signature in facts.signatures)
    counted = [signature for signature in judged if signature.facts.type == "signature"]
    if not counted:
        return JudgedFile("unsigned", "NOT_SIGNED", judged)
    for conclusion in ("invalid", "indeterminate"):
        worst = next((signature for signature in counted if signature.conclusion == conclusion), None)
        if worst is not None:
            return JudgedFile(conclusion, worst.reason, judged)
    reasons = [signature.reason for signature in counted]
    reason = next((r for r in ("VALID_EXTENDED", "VALID_LATER_EXPIRED") if r in reasons), "VALID")
    return JudgedFile("valid", reason, judged)


def judge_signature(facts: SignatureFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedSignature:
    """Integrity before anything about people: a changed file is invalid whoever signed it."""
    path = facts.path
    revocation, revoked = _revocation(path, own_status, at)
    reason, sub = (
        _integrity_reason(facts)
        or _algorithm_reason(facts, policy)
        or _path_reason(facts)
        or _time_reason(facts, at, revocation, revoked)
        or ("VALID" if facts.changes_after == "none" else "VALID_EXTENDED", None)
    )
    row = REASONS[reason]
    assert row.conclusion is not None
    return JudgedSignature(
        facts=facts,
        conclusion=row.conclusion,
        reason=reason,
        sub_indication=sub or row.sub_indications[0],
        integrity=_integrity(facts),
        revocation=revocation,
        trust=path.kind if path is not None and not path.problem else "unknown",
    )


def _integrity(facts: SignatureFacts) -> str:
    if facts.digest_ok is False or facts.signature_ok is False or _BROKEN_RANGES & set(facts.findings):
        return "broken"
    return "intact" if facts.digest_ok and facts.signature_ok else "unknown"


_Answer = tuple[str, str | None] | None


def _integrity_reason(facts: SignatureFacts) -> _Answer:
    """EN 319 102-1 5.2.2 (format), 5.2.7 (cryptographic verification) and what came after the signature."""
    if facts.digest_ok is False:
        return "INVALID_MODIFIED", "HASH_FAILURE"
    if facts.signature_ok is False:
        return "INVALID_CRYPTO", None
    if _BROKEN_RANGES & set(facts.findings):
        return "INVALID_FORMAT", None
    if facts.changes_after == "forbidden" or facts.findings:
        return "INVALID_MODIFIED", "FORMAT_FAILURE"
    if facts.digest_ok is None or facts.signature_ok is None:
        if facts.problem in _UNSUPPORTED:
            return "UNKNOWN_ALGORITHM", None
        if facts.problem == "NO_CERTIFICATE":
            return "UNKNOWN_SIGNER", None  # EN 319 102-1 5.2.3.4
        return "INVALID_FORMAT", None
    if facts.changes_after not in ("none", "permitted") or facts.problem:
        return "UNKNOWN_CHANGES", None
    return None


def _algorithm_reason(facts: SignatureFacts, policy: Policy) -> _Answer:
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


def _path_reason(facts: SignatureFacts) -> _Answer:
    """5.2.3 (which certificate signed) and 5.2.6 (where its path leads)."""
    # EN 319 142-1 6.3: a PAdES signature names its certificate; without that another one of the same key could be put in.
    needs_name = facts.subfilter == "/ETSI.CAdES.detached"
    if facts.signer is None or facts.ess == "mismatch" or (needs_name and facts.ess != "ok"):
        return "UNKNOWN_SIGNER", None
    if facts.path is None:
        return "UNKNOWN_ISSUER", None
    if facts.path.problem:
        return "UNKNOWN_CHAIN", None
    usage = facts.signer.key_usage
    if usage is not None and not {"digital_signature", "non_repudiation"} & set(usage):
        return "UNKNOWN_KEY_USAGE", None
    return None


def _time_reason(facts: SignatureFacts, at: datetime, revocation: str, revoked: int | None) -> _Answer:
    """5.2.6 and 5.3 with the time in question as best signature time."""
    assert facts.path is not None
    assert facts.signer is not None
    if revocation == "revoked":
        return "UNKNOWN_REVOKED_NO_TIME", "REVOKED_NO_POE" if revoked == 0 else "REVOKED_CA_NO_POE"
    chain = facts.path.certificates or (facts.signer,)
    if at < chain[0].not_before:
        return "INVALID_NOT_YET_VALID", None
    if any(at < certificate.not_before for certificate in chain):
        return "UNKNOWN_CHAIN", None
    if any(at > certificate.not_after for certificate in chain):
        return "UNKNOWN_EXPIRED_NO_TIME", None
    if revocation == "suspended":
        return "UNKNOWN_SUSPENDED", None
    if revocation != "good":
        return "UNKNOWN_REVOCATION", None
    return None


def _revocation(path: PathFacts | None, own_status: OwnStatus, at: datetime) -> tuple[str, int | None]:
    """The worst state along the path at the time in question, and the first certificate that is in it."""
    if path is None:
        return "unknown", None
    states = [_state(certificate, own_status, at) for certificate in path.certificates]
    for worst in ("revoked", "suspended", "unknown"):
        if worst in states:
            return worst, states.index(worst)
    return "good", None


def _state(certificate: CertificateFacts, own_status: OwnStatus, at: datetime) -> str:
    own = own_status(certificate.sha256)
    if own is not None:
        return _own_state(own, at)
    # EN 319 102-1 5.2.5: only a list that covers the time in question is fresh; the latest of them speaks.
    fresh = [crl for crl in certificate.crls if crl.this_update <= at and (crl.next_update or crl.this_update) >= at]
    if not fresh:
        return "unknown"
    latest = max(fresh, key=lambda crl: crl.this_update)
    if latest.revoked_at is None or latest.revoked_at > at or latest.reason == "removeFromCRL":
        return "good"
    return "suspended" if latest.reason == "certificateHold" else "revoked"


def _own_state(own: OwnCertificate, at: datetime) -> str:
    if own.state == "good":
        return "good"
    if own.state not in ("revoked", "suspended"):
        return "unknown"
    moments = [moment for moment in (own.revoked_at, own.since) if moment is not None]
    return "good" if moments and at < min(moments) else own.state
