"""Judging: facts, the state of our own certificates and a time make an indication and a reason (EN 319 102-1).

Runs in the parent and knows no PDF. The best signature time is what time-stamps prove (proofs.py), else the time in
question; whatever would need an earlier proof is indeterminate.
"""

from __future__ import annotations

import base64
from dataclasses import dataclass, replace
from datetime import datetime

from certs.training import is_training
from signer.validation.facts import FileFacts, SignatureFacts, TokenFacts
from signer.validation.proofs import NO_PROOF, Proof, Proofs, document_token
from signer.validation.reasons import REASONS
from signer.validation.rules import SKEW
from signer.validation.standing import (
    Answer,
    Evidence,
    Moment,
    OwnCertificate,
    OwnStatus,
    Policy,
    algorithm_reason,
    load_policy,
    standing_at,
)
from signer.validation.structure import Finding

# What a caller of the judging needs, from one place.
__all__ = [
    "Evidence",
    "JudgedFile",
    "JudgedSignature",
    "JudgedToken",
    "OwnCertificate",
    "OwnStatus",
    "Policy",
    "judge_file",
    "judge_signature",
    "load_policy",
]

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
TRAINING = "TRAINING"
_UNSUPPORTED = frozenset({"UNSUPPORTED_SUBFILTER", "AlgorithmNotSupported", "UnsupportedAlgorithm"})


@dataclass(frozen=True)
class Case:
    """What one judging goes by besides the facts."""

    own_status: OwnStatus
    at: datetime
    policy: Policy


@dataclass(frozen=True)
class JudgedToken:
    """A time-stamp on a signature value. `reason` is why it proves nothing, None when it holds."""

    facts: TokenFacts
    reason: str | None
    evidence: tuple[Evidence, ...] = ()


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
    # EN 319 102-1 5.1.4: the time that the signature was judged for, what was relied on for it, and the time-stamps on its value.
    best_time: datetime | None = None
    evidence: tuple[Evidence, ...] = ()
    tokens: tuple[JudgedToken, ...] = ()

    @property
    def is_sound(self) -> bool:
        """Whether one may go on from it: valid, or made for practice in this very home and good in all else."""
        return self.conclusion == "valid" or (self.reason == TRAINING and self.trust == "training")


@dataclass(frozen=True)
class JudgedFile:
    """The conclusion of a file with its signatures in the order of the file."""

    conclusion: str
    reason: str
    signatures: tuple[JudgedSignature, ...] = ()


def judge_file(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedFile:
    """The conclusion of a file is the worst of its signatures; timestamps do not count."""
    if facts.unreadable:
        # The code comes out of another process: only a code of the table is taken over.
        row = REASONS.get(facts.unreadable)
        known = row is not None and row.conclusion == "unreadable"
        return JudgedFile("unreadable", facts.unreadable if known else "UNREADABLE_DAMAGED")
    intact = [each for each in facts.signatures if each.type == "timestamp" and _integrity_reason(each) is None]
    proofs = Proofs(facts.signatures, intact, own_status, at, policy)
    case = Case(own_status, at, policy)
    judged = tuple(
        _judge_timestamp(each, proofs, case)
        if each.type == "timestamp"
        else replace(judge_signature(each, own_status, at, policy, proofs.of(each)), tokens=_judge_tokens(each, proofs))
        for each in facts.signatures
    )
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


def judge_signature(
    facts: SignatureFacts, own_status: OwnStatus, at: datetime, policy: Policy, proof: Proof = NO_PROOF
) -> JudgedSignature:
    """Integrity before anything about people: a changed file is invalid whoever signed it."""
    best = min(proof.existed or at, at)
    answer = (
        _integrity_reason(facts)
        or _strange_training(facts)
        or algorithm_reason(facts, policy, best, proof.made_after)
        or _path_reason(facts, policy)
        or _time_reason(facts, own_status, at, proof, policy)
        or _claim_reason(facts, at, proof)
        or ((TRAINING if _is_training(facts) else _valid_reason(facts, at)), None)
    )
    return _judged(facts, answer, Case(own_status, at, policy), proof.existed, best)


def _judge_timestamp(facts: SignatureFacts, proofs: Proofs, case: Case) -> JudgedSignature:
    """A document time-stamp: what a signature is judged by, for the one who stamps instead of the one who signs."""
    token = document_token(facts)
    failure = _integrity_reason(facts) or proofs.judge_token(token, facts.revision_end)
    answer = failure or (_valid_reason(facts, case.at), None)
    judged = _judged(facts, answer, case, facts.claimed_time if failure is None else None, None)
    return replace(judged, evidence=proofs.evidence(token, facts.revision_end))


def _judge_tokens(facts: SignatureFacts, proofs: Proofs) -> tuple[JudgedToken, ...]:
    judged = []
    for token in facts.timestamps:
        failure = proofs.judge_token(token, facts.revision_end)
        judged.append(JudgedToken(token, failure and failure[0], proofs.evidence(token, facts.revision_end)))
    return tuple(judged)


def _strange_training(facts: SignatureFacts) -> Answer:
    """Made for practice elsewhere: said before anything about its path, whoever is believed here."""
    strange = _is_training(facts) and (facts.path is None or facts.path.kind != "training")
    return (TRAINING, "NO_CERTIFICATE_CHAIN_FOUND") if strange else None


def _is_training(facts: SignatureFacts) -> bool:
    path = facts.path.certificates if facts.path is not None else ()
    named = (facts.signer, *path) if facts.signer is not None else path
    ours = facts.path is not None and facts.path.kind == "training"
    return ours or any(is_training(base64.b64decode(each.der)) for each in named)


def _valid_reason(facts: SignatureFacts, at: datetime) -> str:
    if facts.changes_after != "none":
        return "VALID_EXTENDED"
    path = facts.path.certificates if facts.path is not None else ()
    return "VALID_LATER_EXPIRED" if any(at > certificate.not_after for certificate in path) else "VALID"


def _judged(
    facts: SignatureFacts,
    answer: tuple[str, str | None],
    case: Case,
    proven_time: datetime | None,
    best: datetime | None,
) -> JudgedSignature:
    reason, sub = answer
    row = REASONS[reason]
    assert row.conclusion is not None
    path, at = facts.path, case.at
    relied = standing_at(path, case.own_status, Moment(best or at, at), case.policy)
    return JudgedSignature(
        facts=facts,
        conclusion=row.conclusion,
        reason=reason,
        sub_indication=sub or row.sub_indications[0],
        integrity=_integrity(facts),
        revocation=standing_at(path, case.own_status, Moment(at, at), case.policy).state,
        trust=path.kind if path is not None and not path.problem else "unknown",
        proven_time=proven_time,
        best_time=best,
        evidence=relied.evidence,
    )


def _integrity(facts: SignatureFacts) -> str:
    if facts.digest_ok is False or facts.signature_ok is False or _BROKEN_RANGES & set(facts.findings):
        return "broken"
    return "intact" if facts.digest_ok and facts.signature_ok else "unknown"


def _integrity_reason(facts: SignatureFacts) -> Answer:
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
        if facts.problem == "CONTENT_MISSING":
            return "UNKNOWN_NO_CONTENT", None  # EN 319 102-1 5.2.7.4
        if facts.problem in _UNSUPPORTED:
            return "UNKNOWN_ALGORITHM", None
        if facts.problem == "NO_CERTIFICATE":
            return "UNKNOWN_SIGNER", None  # EN 319 102-1 5.2.3.4
        return "INVALID_FORMAT", None
    if facts.changes_after not in ("none", "permitted") or facts.problem:
        return "UNKNOWN_CHANGES", None
    return None


def _path_reason(facts: SignatureFacts, policy: Policy) -> Answer:
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
    if policy.signer.usage_required if usage is None else not set(policy.signer.key_usages) & set(usage):
        return "UNKNOWN_KEY_USAGE", None
    return None


def _time_reason(facts: SignatureFacts, own_status: OwnStatus, at: datetime, proof: Proof, policy: Policy) -> Answer:
    """5.2.6, 5.3 and 5.5: whether the certificate was in force at the best signature time."""
    assert facts.path is not None
    assert facts.signer is not None
    best = min(proof.existed or at, at)
    standing = standing_at(facts.path, own_status, Moment(best, at), policy)
    if standing.state == "revoked":
        if standing.link == 0 and standing.since is not None and _is_made_after(facts, proof, standing.since):
            return "INVALID_REVOKED", None
        return "UNKNOWN_REVOKED_NO_TIME", "REVOKED_NO_POE" if standing.link == 0 else "REVOKED_CA_NO_POE"
    chain = facts.path.certificates or (facts.signer,)
    if best < chain[0].not_before:
        return "INVALID_NOT_YET_VALID", None
    if any(best < certificate.not_before for certificate in chain):
        return "UNKNOWN_CHAIN", None
    if any(best > certificate.not_after for certificate in chain):
        made_after = best > chain[0].not_after and _is_made_after(facts, proof, chain[0].not_after)
        return ("INVALID_EXPIRED" if made_after else "UNKNOWN_EXPIRED_NO_TIME"), None
    if standing.state == "suspended":
        return "UNKNOWN_SUSPENDED", None
    if standing.state != "good":
        return "UNKNOWN_REVOCATION", None
    if policy.time.proof_required and proof.existed is None:
        return "UNKNOWN_TIME", None
    return None


def _claim_reason(facts: SignatureFacts, at: datetime, proof: Proof) -> Answer:
    """5.2.7 (signature acceptance): who says himself that he signed later than the time in question has not signed by then, as far
    as anybody can tell. A proof that the signature was there already makes the claim a wrong clock.
    """
    is_later = facts.claimed_time is not None and facts.claimed_time > at + SKEW
    return ("UNKNOWN_CLAIMED_TIME", None) if is_later and proof.existed is None else None


def _is_made_after(facts: SignatureFacts, proof: Proof, end: datetime) -> bool:
    """Whether the signing itself, and not only its proof, came after the certificate's end.

    A time-stamp on a signature says that it was there by then, which it may have been long before (5.5.4 leaves it
    indeterminate). Signing came after when the signature covers a token of a later time; or when the signer's own claim
    and the time-stamp agree that it did: nobody gains by claiming that against himself.
    """
    if proof.made_after is not None and proof.made_after > end:
        return True
    if proof.existed is None or facts.claimed_time is None:
        return False
    return proof.existed > end and facts.claimed_time > end
