"""The verdict as people, scripts and pages get it: frozen values and their JSON, schema 1 (verdict.schema.json)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from certs.clock import rfc3339
from signer.validation.bare import JudgedCertificate
from signer.validation.dossier import DocumentStatus, Dossier, Judged
from signer.validation.policy import Evidence, JudgedFile, JudgedSignature, JudgedToken, Policy
from signer.validation.reasons import INDICATIONS, REASONS

__all__ = ["SCHEMA", "DocumentStatus", "Verdict", "software", "verdict_of"]

SCHEMA = 1
_OVERRIDING = {"recalled": "DOC_RECALLED", "replaced": "DOC_REPLACED"}


@dataclass(frozen=True)
class Verdict:
    """One file, judged. Whatever went wrong, there is a verdict."""

    file: str
    sha256: str | None
    format: str | None
    judged: JudgedFile
    document: DocumentStatus | None
    policy: Policy
    checked_at: datetime
    # The time that somebody asked for, None for the time of checking; and what it was judged by.
    at: datetime | None = None
    dossier: Dossier | None = None
    certificate: JudgedCertificate | None = None

    @property
    def conclusion(self) -> str:
        return self.judged.conclusion

    @property
    def reason(self) -> str:
        """The first thing to say: a document that is no longer in force comes before its signatures."""
        status = self.document.status if self.document is not None else ""
        return _OVERRIDING.get(status, self.judged.reason)

    @property
    def exit_code(self) -> int:
        return REASONS[self.reason].exit_code

    @property
    def _now(self) -> datetime | None:
        """The time of checking as the judging had it: what is of that time is said by `checked_at`, and null elsewhere."""
        return self.dossier.at if self.dossier is not None and not self.dossier.is_past else None

    def to_json(self) -> dict[str, Any]:
        """The object of the interface, with how each signature was read besides, and what a bare certificate is."""
        document = self.document
        bare = {} if self.certificate is None else {"certificate": _certificate_json(self.certificate, self._now)}
        return {
            "schema": SCHEMA,
            "file": self.file,
            "sha256": self.sha256,
            "conclusion": self.conclusion,
            "reason": self.reason,
            "format": self.format,
            "signatures": [_signature_json(signature, self._now) for signature in self.judged.signatures],
            "document": None if document is None else {"code": document.code, "status": document.status},
            "policy": {"name": self.policy.name, "version": self.policy.version, "sha256": self.policy.sha256},
            "at": _time(self.at),
            "checked_at": rfc3339(self.checked_at),
            "software": software(),
            **bare,
        }


def verdict_of(dossier: Dossier, policy: Policy, judged: Judged | None = None) -> Verdict:
    """The verdict on facts that were gathered before. `judged`: what they are worth by this policy, where that is known already."""
    facts = dossier.facts
    judged = judged or dossier.judge(policy)
    return Verdict(
        dossier.file,
        facts.sha256,
        facts.format,
        judged.file,
        dossier.document,
        policy,
        dossier.checked_at,
        dossier.at if dossier.is_past else None,
        dossier,
        judged.certificate,
    )


@cache
def software() -> str:
    """Name and version of this program, as verdicts state it."""
    try:
        return f"antin {version('antin')}"
    except PackageNotFoundError:
        return "antin 0"


def _signature_json(judged: JudgedSignature, now: datetime | None) -> dict[str, Any]:
    facts = judged.facts
    signer = facts.signer
    return {
        "field": facts.field,
        "type": facts.type,
        "conclusion": judged.conclusion,
        "indication": INDICATIONS[judged.conclusion],
        "sub_indication": judged.sub_indication,
        "reason": judged.reason,
        "level": facts.level or "PDF-UNKNOWN",
        "integrity": judged.integrity,
        "coverage": facts.coverage,
        "changes_after": facts.changes_after,
        "reading": "lenient" if facts.lenient else "strict",
        "changes": [{"kind": c.kind, "page": c.page, "text": c.text} for c in facts.changes],
        "signer": None
        if signer is None
        else {
            "subject": signer.subject,
            "common_name": signer.common_name,
            "organization": signer.organization,
            "serial": signer.serial,
            "issuer": signer.issuer,
        },
        "trust": judged.trust,
        "claimed_time": _time(facts.claimed_time),
        "proven_time": _time(judged.proven_time),
        "best_signature_time": _time(None if judged.best_time == now else judged.best_time),
        "revocation": judged.revocation,
        "path": [_evidence_json(each, now) for each in judged.evidence],
        "timestamps": [_token_json(each, now) for each in judged.tokens],
        "digest_algorithm": facts.digest_algorithm,
        "signature_algorithm": facts.signature_algorithm,
    }


def _evidence_json(relied: Evidence, now: datetime | None) -> dict[str, Any]:
    """One certificate of a path and what its state was taken from."""
    certificate = relied.certificate
    return {
        "subject": certificate.subject,
        "serial": certificate.serial,
        "sha256": certificate.sha256,
        "revocation": relied.status,
        "source": relied.source,
        "kind": relied.kind,
        "this_update": _time(None if relied.this_update == now else relied.this_update),
        "next_update": _time(relied.next_update),
    }


def _token_json(token: JudgedToken, now: datetime | None) -> dict[str, Any]:
    """A time-stamp on the signature value; `reason` is null while it holds."""
    signer = token.facts.signer
    return {
        "time": _time(token.facts.time),
        "holds": token.reason is None,
        "reason": token.reason,
        "signer": None if signer is None else signer.subject,
        "path": [_evidence_json(each, now) for each in token.evidence],
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)


def _certificate_json(judged: JudgedCertificate, now: datetime | None) -> dict[str, Any]:
    """A bare certificate, with what stands above it up to the anchor, which is left out."""
    facts = judged.facts
    above = judged.path.certificates[1:] if judged.path is not None else ()
    return {
        "conclusion": judged.conclusion,
        "indication": INDICATIONS[judged.conclusion],
        "sub_indication": judged.sub_indication,
        "reason": judged.reason,
        "subject": facts.subject,
        "common_name": facts.common_name,
        "organization": facts.organization,
        "serial": facts.serial,
        "issuer": facts.issuer,
        "not_before": rfc3339(facts.not_before),
        "not_after": rfc3339(facts.not_after),
        "sha256": facts.sha256,
        "trust": judged.trust,
        "anchor_sha256": None if judged.path is None else judged.path.anchor_sha256,
        "path": [
            {"subject": each.subject, "sha256": each.sha256, "not_after": rfc3339(each.not_after)} for each in above
        ],
        "revocation": judged.revocation,
        "evidence": [_evidence_json(each, now) for each in judged.evidence],
    }
