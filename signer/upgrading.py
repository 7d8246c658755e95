"""Raising any signed file, ours or not, to a higher level: what its signatures are worth, which proofs they lack, what is appended.

Appending is extending.py's. What cannot be proved is refused: a file is never called by a level that it does not have.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from certs.clock import Clock
from certs.db import Database
from signer.errors import InputUnreadable, Refused, Unavailable
from signer.extending import Extended, Extender
from signer.extension import ExtensionPlan, ValidationData, join
from signer.levels import B_B, B_LT, B_LTA, LEVELS, reaches
from signer.octets import Octets, sha256_of, whole
from signer.timestamps import renewal_of
from signer.validation.facts import CertificateFacts, PathFacts
from signer.validation.policy import JudgedSignature
from signer.validation.reasons import OTHER_KINDS
from signer.verification import LOCKED, Verifier, verify_file

# No proof that is made now says what was true before these came to pass (EN 319 102-1 5.5.4).
_TOO_LATE = frozenset(
    {"INVALID_REVOKED", "INVALID_EXPIRED", "UNKNOWN_REVOKED_NO_TIME", "UNKNOWN_EXPIRED_NO_TIME", "UNKNOWN_SUSPENDED"}
)
# What is only not known hinders a time-stamp as little as it hindered the signature.
_OPEN_QUESTIONS = frozenset({"UNKNOWN_REVOCATION", "UNKNOWN_ISSUER"})
_UNREADABLE = {"UNREADABLE_EMPTY": "INPUT_EMPTY", **dict.fromkeys(OTHER_KINDS, "INPUT_NOT_PDF")}


class AlreadyReached(Refused):
    """The file has the level. `renew_at`: when it is to be raised to the same level once more."""

    code = "LEVEL_ALREADY_REACHED"

    def __init__(self, *, level: str, renew_at: datetime | None) -> None:
        super().__init__(type(self).code, level=level)
        self.renew_at = renew_at


@dataclass(frozen=True)
class UpgradeDeps:
    """What raising works with; built once in api/wiring.py.

    `verifier` is made anew for each look, at the time of the look. `serial_of` knows our own certificates by their fingerprint.
    """

    database: Database
    clock: Clock
    extender: Extender
    verifier: Callable[[], Verifier]
    serial_of: Callable[[str], str | None]


@dataclass(frozen=True)
class Upgraded:
    """The raised file, and the lowest level among its signatures before. `renew_at`: when a file of B-LTA is to be raised again."""

    file: Octets
    sha256: str
    level: str
    before: str
    renew_at: datetime | None = None

    @property
    def content(self) -> bytes:
        """The file in memory."""
        return whole(self.file)


def raise_file(pdf: Octets, wanted: str, deps: UpgradeDeps) -> Upgraded:
    """Raise every signature of a file to a level; Refused, InputUnreadable or Unavailable when it cannot be. Nothing is recorded."""
    if wanted == B_B or wanted not in LEVELS:
        raise Refused("LEVEL_UNAVAILABLE", level=wanted)
    verifier = deps.verifier()
    judged = _judged(pdf, verifier)
    signatures = [each for each in judged if each.facts.type == "signature"]
    if not signatures:
        raise Refused("UPGRADE_UNSIGNED")
    _refuse_lost(signatures)
    before = min((each.facts.reached for each in signatures), key=LEVELS.index)
    if reaches(before, wanted):
        renew_at = _renewal(judged)
        if wanted != B_LTA or renew_at is None or verifier.inputs.at < renew_at:
            raise AlreadyReached(level=before, renew_at=renew_at)
    extended = Extended(pdf)
    if before == B_B:
        # A token in the CMS would change octets that a later signature may cover: the proof of time goes behind all of them.
        extended = deps.extender.append(pdf, ExtensionPlan(password=verifier.inputs.password), stamped=True)
        verifier = deps.verifier()
        judged = _judged(extended.content, verifier)
    if reaches(wanted, B_LT):
        plan = _plan(judged, verifier, deps, archive=wanted == B_LTA)
        extended = deps.extender.append(extended.content, plan, stamped=wanted == B_LTA)
    content = extended.content
    _check(content, wanted, deps)
    renew_at = extended.renew_at if wanted == B_LTA else None
    return Upgraded(content, sha256_of(content), wanted, before, renew_at)


def _judged(pdf: Octets, verifier: Verifier) -> tuple[JudgedSignature, ...]:
    verdict = verify_file(pdf, "", verifier)
    if verdict.reason in LOCKED:
        raise Refused(LOCKED[verdict.reason])
    if verdict.reason == "JUDGE_UNAVAILABLE":
        raise Unavailable("JUDGE_UNAVAILABLE")
    if verdict.conclusion == "unreadable":
        code = _UNREADABLE.get(verdict.reason)
        raise InputUnreadable(code) if code else InputUnreadable("INPUT_DAMAGED", kind=verdict.reason)
    if verdict.format != "PDF":
        raise InputUnreadable("INPUT_NOT_PDF")
    return verdict.judged.signatures


def _refuse_lost(signatures: Iterable[JudgedSignature]) -> None:
    for each in signatures:
        if each.reason in _TOO_LATE:
            raise Refused("UPGRADE_TOO_LATE", field=each.facts.field, reason=each.reason)
        if not each.is_sound and each.reason not in _OPEN_QUESTIONS:
            raise Refused("UPGRADE_NOT_SOUND", field=each.facts.field, reason=each.reason)


def _renewal(judged: Iterable[JudgedSignature]) -> datetime | None:
    """When the newest time-stamp is to be covered by another one."""
    stamps = [each.facts for each in judged if each.facts.type == "timestamp" and each.facts.signer is not None]
    if not stamps:
        return None
    newest = max(stamps, key=lambda each: each.revision_end or 0).signer
    assert newest is not None
    return renewal_of(newest.not_before, newest.not_after)


def _plan(judged: Sequence[JudgedSignature], verifier: Verifier, deps: UpgradeDeps, *, archive: bool) -> ExtensionPlan:
    """What the store is to hold besides what it holds: proofs for every path that has not all of them.

    The newest time-stamp needs younger ones: what the store said of it when it was made does not say that its key was still good
    when the next one took over (EN 319 102-1 5.6.2.4).
    """
    parts: list[ValidationData] = []
    names: list[str] = []
    newest = max((each.facts.revision_end or 0 for each in judged if each.facts.type == "timestamp"), default=0)
    for each in judged:
        facts = each.facts
        takes_over = archive and facts.type == "timestamp" and facts.revision_end == newest
        paths = [facts.path, *(token.path for token in facts.timestamps)]
        lacking = [
            path
            for path in paths
            if path is None or not path.is_proved or (takes_over and not _is_proved_at(path, verifier.inputs.at))
        ]
        if any(path is None for path in lacking):
            issuer = facts.signer.issuer if facts.signer is not None else ""
            raise Refused("UPGRADE_ISSUER_UNKNOWN", field=facts.field, issuer=issuer)
        parts += [_evidence(path, verifier, deps) for path in lacking if path is not None]
        if lacking and facts.type == "signature" and facts.contents_sha1 is not None:
            names.append(facts.contents_sha1.upper())
    stamper = deps.extender.timestamper.serial() if archive else None
    if stamper is not None:
        parts.append(deps.extender.evidence.collect(stamper, fresh=False))
    return ExtensionPlan(join(parts), tuple(names), password=verifier.inputs.password)


def _is_proved_at(path: PathFacts, at: datetime) -> bool:
    """Whether the file's own store speaks of every certificate at this time."""
    return all(
        any(each.embedded and _covers(each.this_update, each.next_update, at) for each in one.crls)
        for one in path.certificates
    )


def _evidence(path: PathFacts, verifier: Verifier, deps: UpgradeDeps) -> ValidationData:
    """Proofs along one path: ours from the house, a stranger's from the lists that the caller gave, else from the network."""
    parts = []
    for at, one in enumerate(path.certificates):
        serial = deps.serial_of(one.sha256)
        if serial is not None:
            # From here up all of it is ours, and comes with it.
            parts.append(deps.extender.evidence.collect(serial, fresh=True))
            break
        if any(
            _covers(each.this_update, each.next_update, verifier.inputs.at) for each in one.crls if not each.embedded
        ):
            parts.append(ValidationData((_octets(one),), (), verifier.inputs.crls))
            continue
        above = path.certificates[at + 1 : at + 2]
        issuer = _octets(above[0]) if above else _anchor(path, verifier)
        parts.append(deps.extender.stranger((_octets(one), issuer)))
    return join(parts)


def _anchor(path: PathFacts, verifier: Verifier) -> bytes:
    """The octets of the anchor that a path leads to: one of those that were put before the judge."""
    held = (anchor.der for anchor in verifier.inputs.anchors)
    found = next((der for der in held if hashlib.sha256(der).hexdigest() == path.anchor_sha256), None)
    assert found is not None, "a path leads to an anchor that was given"
    return found


def _covers(this_update: datetime, next_update: datetime | None, at: datetime) -> bool:
    return this_update <= at <= (next_update or this_update)


def _octets(certificate: CertificateFacts) -> bytes:
    """The octets that the judge process read; whoever trusts the store later checks them by their signature."""
    return base64.b64decode(certificate.der)


def _check(content: Octets, wanted: str, deps: UpgradeDeps) -> None:
    """Nothing is handed out that is not what was asked for, by the same eyes that people will judge it with."""
    for each in _judged(content, deps.verifier()):
        if each.facts.type != "signature":
            continue
        if each.reason in _TOO_LATE:
            # What was collected says so, though nobody knew before.
            raise Refused("UPGRADE_TOO_LATE", field=each.facts.field, reason=each.reason)
        if each.conclusion == "invalid":
            raise Refused("WOULD_BREAK_EARLIER", field=each.facts.field)
        if not reaches(each.facts.reached, wanted):
            raise Refused("UPGRADE_INCOMPLETE", field=each.facts.field, level=each.facts.reached)
