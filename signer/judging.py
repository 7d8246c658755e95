"""The judging desk: what an installation knows, put before the judge process; its answers, made usable for signing and verifying."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime

from certs.clock import Clock
from certs.db import Database
from certs.inventory import State, find_by_sha256, get_certificate
from pki.authorities import list_authorities
from signer.documents import find_by_revisions
from signer.errors import InputUnreadable, Refused, SignerError, Unavailable, UsageWrong
from signer.plan import Plan, Prepared
from signer.sandbox import Judge
from signer.signing import EarlierSignatures
from signer.validation.errors import SandboxFailure
from signer.validation.facts import Trust, TrustAnchor, ValidationInputs
from signer.validation.policy import OwnCertificate, Policy, load_policy
from signer.validation.verdict import DocumentStatus, Verdict
from signer.verification import FILE_LIMIT, Verifier, verify_file

# Refusals travel by name from the preparing process; nothing else it says becomes an exception.
_KINDS: dict[str, type[SignerError]] = {kind.__name__: kind for kind in (Refused, InputUnreadable, UsageWrong)}
_INTERNAL: Trust = "internal"
# A state that is not here is no answer, and no answer is never "good".
_STATES = {State.ACTIVE: "good", State.EXPIRED: "good", State.REVOKED: "revoked", State.SUSPENDED: "suspended"}


class JudgeDesk:
    """Knows our own anchors, the state of our certificates and our register; asks the judge about everything in a file."""

    def __init__(self, judge: Judge, database: Database, clock: Clock) -> None:
        self._judge = judge
        self._database = database
        self._clock = clock
        self._policy: Policy = load_policy()

    def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
        """Have a revision appended in the judge process; Refused or InputUnreadable as it decides, or when it gives up."""
        header, blobs = plan.to_message()
        try:
            answer, parts = self._judge.run("prepare", header, [pdf, *blobs])
        except SandboxFailure as failure:
            raise _gave_up(failure) from failure
        if "error" in answer:
            kind = _KINDS.get(str(answer["error"]), InputUnreadable)
            raise kind(str(answer["code"]), **{str(name): str(value) for name, value in answer["facts"].items()})
        return Prepared.from_message(answer, parts)

    def earlier_signatures(self, pdf: bytes) -> EarlierSignatures:
        """What a file's signatures are worth, for the next one; InputUnreadable when that cannot be found out."""
        verdict = verify_file(pdf, "", self.verifier())
        if verdict.reason == "UNREADABLE_ENCRYPTED":
            raise Refused("INPUT_ENCRYPTED")
        if verdict.conclusion == "unreadable":
            raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason=verdict.reason)
        judged = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
        certificates = [each.facts.signer.sha256 for each in judged if each.conclusion == "valid" and each.facts.signer]
        with self._database.read() as session:
            records = [find_by_sha256(session, sha256) for sha256 in certificates]
        ends = {each.facts.revision_end for each in judged if each.facts.revision_end}
        return EarlierSignatures(
            revisions=tuple(hashlib.sha256(memoryview(pdf)[:end]).hexdigest() for end in sorted(ends)),
            fields=tuple(each.facts.field for each in judged),
            broken=tuple(each.facts.field for each in judged if each.conclusion == "invalid"),
            signers=tuple(record.serial for record in records if record is not None),
        )

    def verify(
        self, pdf: bytes, name: str, *, at: datetime | None = None, extra: ValidationInputs | None = None
    ) -> Verdict:
        """The verdict on one file, by what this installation knows and what the caller trusts besides."""
        return verify_file(pdf, name, self.verifier(at, extra))

    def verifier(
        self, at: datetime | None = None, extra: ValidationInputs | None = None, *, file_limit: int = FILE_LIMIT
    ) -> Verifier:
        """Everything verifying needs, for any number of files."""
        inputs = own_inputs(self._database, at or self._clock.now())
        joined = _joined(inputs, extra)
        return Verifier(
            self._judge, joined, self._own_status, self._find_document, self._clock, self._policy, file_limit
        )

    def answers(self) -> bool:
        """Whether the judge process starts and does its work: it is asked about a file that is none."""
        return verify_file(b"%PDF-", "", self.verifier()).reason != "JUDGE_UNAVAILABLE"

    def _own_status(self, sha256: str) -> OwnCertificate | None:
        with self._database.read() as session:
            record = find_by_sha256(session, sha256)
        if record is None:
            return None
        state = _STATES.get(record.state, "unknown")
        return OwnCertificate(state, record.revoked_at, record.revocation_reason, record.suspect_since)

    def _find_document(self, sha256s: Sequence[str]) -> DocumentStatus | None:
        with self._database.read() as session:
            found = find_by_revisions(session, sha256s)
        return DocumentStatus(found[1], found[2]) if found else None


def stranger_verifier(judge: Judge, inputs: ValidationInputs, clock: Clock, file_limit: int) -> Verifier:
    """A Verifier without an installation: no certificates and no register of our own, only what the caller trusts."""
    return Verifier(judge, inputs, lambda _: None, lambda _: None, clock, load_policy(), file_limit)


def own_inputs(database: Database, at: datetime) -> ValidationInputs:
    """Our roots as anchors of the internal tree, our other authorities as certificates to build paths with."""
    anchors: list[TrustAnchor] = []
    intermediates: list[bytes] = []
    with database.read() as session:
        for authority in list_authorities(session):
            der = get_certificate(session, authority.serial).der if authority.serial else None
            if der is None:
                continue
            if authority.parent is None:
                anchors.append(TrustAnchor(der, _INTERNAL))
            else:
                intermediates.append(der)
    return ValidationInputs(at, tuple(anchors), tuple(intermediates))


def _joined(own: ValidationInputs, extra: ValidationInputs | None) -> ValidationInputs:
    if extra is None:
        return own
    return ValidationInputs(
        own.at, own.anchors + extra.anchors, own.intermediates + extra.intermediates, own.crls + extra.crls
    )


def _gave_up(failure: SandboxFailure) -> SignerError:
    """Why nothing was prepared: our process could not work, or the file asked too much of it."""
    if failure.facts.get("reason") == "start":
        return Unavailable("JUDGE_UNAVAILABLE")
    return InputUnreadable("INPUT_BEYOND_LIMITS", reason=failure.code)
