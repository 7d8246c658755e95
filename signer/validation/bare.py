"""Judging what is no signed document: a bare certificate, a bare time-stamp, a bundle of certificates. Runs in the parent."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from certs.training import is_training
from signer.validation.facts import CertificateFacts, FileFacts, PathFacts, SignatureFacts
from signer.validation.policy import TRAINING, JudgedFile, OwnStatus, Policy, judge_file
from signer.validation.reasons import REASONS
from signer.validation.standing import Evidence, Moment, algorithm_reason, standing_at


@dataclass(frozen=True)
class JudgedCertificate:
    """A certificate with its conclusion: whether it is in force at the time in question, and in which tree."""

    facts: CertificateFacts
    path: PathFacts | None
    conclusion: str
    reason: str
    sub_indication: str | None
    revocation: str
    trust: str
    evidence: tuple[Evidence, ...] = ()


def judge_any(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedFile:
    """The conclusion of a file, whatever its kind."""
    judge = judge_file if facts.bare is None or facts.unreadable else judge_bare
    return judge(facts, own_status, at, policy)


def judge_bare(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedFile:
    """The file's conclusion, in the same three states. It says in every case that nothing here is signed by anybody."""
    if facts.bare == "certificates":
        return JudgedFile("unsigned", "BARE_CERTIFICATES")
    if facts.bare == "certificate" and facts.certificate is not None:
        judged = judge_certificate(facts, own_status, at, policy)
        return JudgedFile(judged.conclusion, judged.reason)
    file = judge_file(facts, own_status, at, policy)
    if len(file.signatures) != 1:
        return file
    (stamp,) = file.signatures
    if stamp.conclusion == "valid" and stamp.trust == "training":
        stamp = replace(stamp, conclusion="indeterminate", reason=TRAINING, sub_indication="CHAIN_CONSTRAINTS_FAILURE")
    return JudgedFile(
        stamp.conclusion, "BARE_TIMESTAMP_GOOD" if stamp.conclusion == "valid" else stamp.reason, (stamp,)
    )


def judge_certificate(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> JudgedCertificate:
    """EN 319 102-1 5.2.6 for the time in question alone: nothing of a certificate asks what was true when something was signed."""
    certificate, path = facts.certificate, facts.certificate_path
    assert certificate is not None
    standing = standing_at(path, own_status, Moment(at, at), policy)
    reason, sub = _reason(certificate, path, standing.state, at, policy)
    row = REASONS[reason]
    assert row.conclusion is not None
    return JudgedCertificate(
        certificate,
        path,
        row.conclusion,
        reason,
        sub or row.sub_indications[0],
        standing.state,
        path.kind if path is not None and not path.problem else "unknown",
        standing.evidence,
    )


def _reason(
    certificate: CertificateFacts, path: PathFacts | None, standing: str, at: datetime, policy: Policy
) -> tuple[str, str | None]:
    # Its own term needs no path to be known.
    if at > certificate.not_after:
        return "BARE_CERTIFICATE_EXPIRED", None
    if at < certificate.not_before:
        return "BARE_CERTIFICATE_NOT_YET_VALID", None
    if _is_training(certificate, path):
        return TRAINING, "CHAIN_CONSTRAINTS_FAILURE" if path is not None else "NO_CERTIFICATE_CHAIN_FOUND"
    if path is None:
        return "UNKNOWN_ISSUER", None
    if path.problem or any(not each.not_before <= at <= each.not_after for each in path.certificates):
        return "UNKNOWN_CHAIN", None
    if standing == "revoked":
        return "BARE_CERTIFICATE_REVOKED", None
    weak = algorithm_reason(_as_signed(certificate, path, policy), policy, at)
    if weak is not None:
        return weak
    if standing == "suspended":
        return "BARE_CERTIFICATE_SUSPENDED", None
    return ("BARE_CERTIFICATE_GOOD" if standing == "good" else "UNKNOWN_REVOCATION"), None


def _is_training(certificate: CertificateFacts, path: PathFacts | None) -> bool:
    """Whether it only serves to practise: for nobody is it good, whoever is believed here."""
    named = (certificate, *(path.certificates if path is not None else ()))
    return (path is not None and path.kind == "training") or any(is_training(b64decode(each.der)) for each in named)


def _as_signed(certificate: CertificateFacts, path: PathFacts, policy: Policy) -> SignatureFacts:
    """What the algorithms of a path are judged by, with a signature of the best kind: there is none here."""
    return SignatureFacts(
        "", "signature", "", digest_algorithm=_lasting(policy.digests, policy.digest_end),
        signature_algorithm=_lasting(policy.signatures, policy.signature_end),
        signer=certificate, path=path,
    )  # fmt: skip


def _lasting(names: Iterable[str], end_of: Callable[[str], datetime | None]) -> str:
    """The algorithm that is good for the longest time."""
    return max(sorted(names), key=lambda name: end_of(name) or datetime.min.replace(tzinfo=UTC))
