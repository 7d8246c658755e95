"""Everything that one judging goes by, as data that can be written down and judged again, by the same policy or another one.

A dossier says nothing about who gathered it: whoever has the file judges the file.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from signer.errors import UsageWrong
from signer.validation.bare import JudgedCertificate, judge_any, judge_certificate
from signer.validation.errors import FactsUnreadable
from signer.validation.facts import FileFacts, decode, encode
from signer.validation.policy import JudgedFile, OwnCertificate, OwnStatus, Policy

SCHEMA = "antin-facts-1"
LARGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class DocumentStatus:
    """What the register says about the document: status is in-force, recalled, replaced or corrected.

    `see`: the codes to read on with, which pages and the terminal show: the one that holds now, or the corrections.
    """

    code: str
    status: str
    see: tuple[str, ...] = ()


@dataclass(frozen=True)
class OwnRecord:
    """The state of one certificate of the installation that gathered the facts, by the certificate's SHA-256."""

    certificate: str
    state: Literal["good", "revoked", "suspended", "unknown"]
    revoked_at: datetime | None = None
    reason: str | None = None
    since: datetime | None = None


@dataclass(frozen=True)
class Judged:
    """The conclusion of a file; `certificate`: of one that is a bare certificate."""

    file: JudgedFile
    certificate: JudgedCertificate | None = None


@dataclass(frozen=True)
class Dossier:
    """The facts of one file, the state of own certificates, the document's status and the time in question; no judgement.

    `is_past`: somebody asked for that time; otherwise it was the time of checking.
    """

    file: str
    at: datetime
    checked_at: datetime
    policy: str
    facts: FileFacts
    own: tuple[OwnRecord, ...] = field(default_factory=tuple)
    document: DocumentStatus | None = None
    is_past: bool = False

    def own_status(self, sha256: str) -> OwnCertificate | None:
        """What the installation knew of a certificate of its own; None for a stranger's."""
        found = next((each for each in self.own if each.certificate == sha256), None)
        return None if found is None else OwnCertificate(found.state, found.revoked_at, found.reason, found.since)

    def judge(self, policy: Policy) -> Judged:
        """What the facts are worth by a policy."""
        return judge_whole(self.facts, self.own_status, self.at, policy)

    def to_json(self) -> dict[str, Any]:
        encoded: dict[str, Any] = encode(self)
        return {"schema": SCHEMA, **encoded}


def judge_whole(facts: FileFacts, own_status: OwnStatus, at: datetime, policy: Policy) -> Judged:
    """What the facts of a file are worth, whatever its kind."""
    is_certificate = facts.certificate is not None and not facts.unreadable
    certificate = judge_certificate(facts, own_status, at, policy) if is_certificate else None
    return Judged(judge_any(facts, own_status, at, policy), certificate)


def own_record(sha256: str, own: OwnCertificate) -> OwnRecord:
    """The state of a certificate as a dossier keeps it."""
    states: dict[str, Literal["good", "revoked", "suspended"]] = {
        "good": "good", "revoked": "revoked", "suspended": "suspended",
    }  # fmt: skip
    return OwnRecord(sha256, states.get(own.state, "unknown"), own.revoked_at, own.reason, own.since)


def parse_dossier(data: bytes, shown: str) -> Dossier:
    """A dossier from its JSON; UsageWrong FACTS_FILE_WRONG for anything that is not exactly one."""
    try:
        table = json.loads(data.decode("utf-8"))
        named = table.pop("schema", None) if isinstance(table, dict) else None
        dossier = decode(Dossier, table)
    except (ValueError, RecursionError, FactsUnreadable) as error:
        raise UsageWrong("FACTS_FILE_WRONG", path=shown) from error
    if named != SCHEMA:
        raise UsageWrong("FACTS_FILE_WRONG", path=shown)
    assert isinstance(dossier, Dossier)
    return dossier
