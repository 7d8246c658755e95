"""What was true of a certificate, as JSON: one form for the command line and for HTTP. Sentences for people are made elsewhere."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from certs.clock import rfc3339
from certs.inventory import CertificateRecord
from pki.crl_listing import Listing
from pki.history import AnswerEvidence, CrlEvidence, Gap, History, IssuerPast, LifeEvent, Standing


def describe_past(history: History, certificate: dict[str, Any]) -> dict[str, Any]:
    """What was true of a certificate; `state` is that of then. `certificate` is what is said of it otherwise."""
    return {
        "serial": history.record.serial,
        "at": rfc3339(history.at),
        **_standing(history.then),
        "today": {"asked_at": rfc3339(history.asked_at), **_standing(history.today)},
        "later": [_event(event) for event in history.later],
        "lost_days": describe_gap(history.gap),
        "crls": [_crl(crl) for crl in history.crls],
        "ocsp": None if history.answer is None else _answer(history.answer, history.record, history.at),
        "issuers": [_issuer(issuer) for issuer in history.issuers],
        "certificate": certificate,
    }


def describe_gap(gap: Gap | None) -> dict[str, str] | None:
    """The days between a backup and the restore that took it; None where nothing was lost."""
    return None if gap is None else {"from": rfc3339(gap.begun), "to": rfc3339(gap.ended)}


def _standing(standing: Standing) -> dict[str, Any]:
    return {
        "state": standing.state.value,
        "revoked_at": _time(standing.revoked_at),
        "revocation_reason": standing.reason,
        "suspect_since": _time(standing.suspect_since),
    }


def _issuer(issuer: IssuerPast) -> dict[str, Any]:
    return {
        "authority": issuer.authority,
        "serial": issuer.record.serial,
        **_standing(issuer.then),
        "today": _standing(issuer.today),
        "crls": [_crl(crl) for crl in issuer.crls],
    }


def _event(event: LifeEvent) -> dict[str, Any]:
    return {
        "time": rfc3339(event.time),
        "act": event.act,
        "reason": event.reason,
        "suspect_since": _time(event.suspect_since),
    }


def _crl(evidence: CrlEvidence) -> dict[str, Any]:
    crl = evidence.crl
    return {
        "authority": crl.authority,
        "number": crl.number,
        "partition": crl.shard or None,
        "delta_base": crl.base,
        "this_update": rfc3339(crl.this_update),
        "next_update": rfc3339(crl.next_update),
        "in_force": evidence.is_in_force,
        "sha256": crl.sha256,
        "listed": None if evidence.listing is None else _listing(evidence.listing),
        "file": crl_file(evidence),
    }


def crl_file(evidence: CrlEvidence) -> str:
    """Where everybody may fetch this list, for ever."""
    crl = evidence.crl
    return f"/crl/{crl.authority}/{'delta/' if crl.is_delta else ''}{crl.number}.crl"


def _listing(listing: Listing) -> dict[str, Any]:
    return {
        "reason": listing.reason,
        "revoked_at": _time(listing.revoked_at),
        "suspect_since": _time(listing.suspect_since),
    }


def _answer(answer: AnswerEvidence, record: CertificateRecord, at: datetime) -> dict[str, Any]:
    return {
        "status": answer.status,
        "reason": answer.reason,
        "this_update": rfc3339(answer.this_update),
        "next_update": rfc3339(answer.next_update),
        "given_out": answer.was_given_out,
        "responder": answer.responder,
        "sha256": answer.sha256,
        "file": f"/api/v1/certificates/{record.serial}/ocsp?at={rfc3339(at)}",
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
