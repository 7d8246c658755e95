"""The judging desk: what an installation knows, put before the judge process; its answers, made usable for signing and verifying."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime

from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.inventory import RevocationState, State, find_by_sha256, get_certificate, revocation_states
from certs.outside import find_outside
from pki.authorities import list_authorities
from signer.documents import find_by_revisions
from signer.errors import InputUnreadable, Refused, SignerError, Unavailable, UsageWrong
from signer.extension import Appended, ExtensionPlan
from signer.findings import SafetyFinding, read_findings
from signer.lineage import document_status
from signer.octets import Octets, sha256_of
from signer.outside_credentials import enrolled_in_force
from signer.password import NO_PASSWORD, Password
from signer.plan import Message, Plan, Prepared
from signer.sandbox import Judge
from signer.signing import EarlierSignatures
from signer.trust_lists import TrustLists, list_lists
from signer.trust_store import anchors_of, list_trusted
from signer.validation.errors import SandboxFailure
from signer.validation.facts import FileFacts, Trust, TrustAnchor, ValidationInputs
from signer.validation.policy import OwnCertificate, Policy, load_policy
from signer.validation.verdict import Verdict
from signer.verification import FILE_LIMIT, LOCKED, Known, Verifier, verify_file

# Refusals travel by name from the preparing process; nothing else it says becomes an exception.
_KINDS: dict[str, type[SignerError]] = {kind.__name__: kind for kind in (Refused, InputUnreadable, UsageWrong)}
_INTERNAL: Trust = "internal"
# What may be open about a stranger's certificate that was enrolled here: it was looked at then, and is known by its fingerprint.
_PINNED = frozenset({"UNKNOWN_ISSUER", "UNKNOWN_REVOCATION"})
_MOST_SERIALS = 10_000
# A state that is not here is no answer, and no answer is never "good".
_STATES = {State.ACTIVE: "good", State.EXPIRED: "good", State.REVOKED: "revoked", State.SUSPENDED: "suspended"}


class JudgeDesk:
    """Knows our own anchors, the state of our certificates and our register; asks the judge about everything in a file."""

    def __init__(
        self, judge: Judge, database: Database, clock: Clock, stamp_anchors: Sequence[TrustAnchor] = ()
    ) -> None:
        """`stamp_anchors`: of the outside time-stamping authorities that the settings name."""
        self._judge = judge
        self._stamp_anchors = tuple(stamp_anchors)
        self._database = database
        self._clock = clock
        self._policy: Policy = load_policy()
        self._lists = TrustLists()
        self._ders: dict[str, bytes] = {}
        self._serials: dict[str, str] = {}

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        """Have a revision appended in the judge process; Refused or InputUnreadable as it decides, or when it gives up."""
        return Prepared.from_message(*self._have_done("prepare", pdf, plan.to_message()))

    def append(self, pdf: Octets, plan: ExtensionPlan) -> Appended:
        """Have validation data appended in the judge process; errors as for `prepare`."""
        return Appended.from_message(*self._have_done("extend", pdf, plan.to_message()))

    def inspect(self, pdf: Octets, password: Password = NO_PASSWORD) -> tuple[SafetyFinding, ...]:
        """What in a file lets it look or act other than it seems; errors as for `prepare`."""
        return inspect_file(self._judge, pdf, password)

    def _have_done(self, task: str, pdf: Octets, message: Message) -> Message:
        return _have_done(self._judge, task, pdf, message)

    def earlier_signatures(self, pdf: Octets, password: Password = NO_PASSWORD) -> EarlierSignatures:
        """What a file's signatures are worth, for the next one; InputUnreadable when that cannot be found out."""
        now = self._clock.now()
        verdict = verify_file(pdf, "", self.verifier(now, ValidationInputs(now, password=password)))
        if verdict.reason in LOCKED:
            raise Refused(LOCKED[verdict.reason])
        if verdict.conclusion == "unreadable":
            raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason=verdict.reason)
        judged = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
        certificates = [each.facts.signer.sha256 for each in judged if each.conclusion == "valid" and each.facts.signer]
        pinned = {each.facts.signer.sha256 for each in judged if each.reason in _PINNED and each.facts.signer}
        with self._database.read() as session:
            records = [find_by_sha256(session, sha256) for sha256 in certificates]
            enrolled = enrolled_in_force(session, pinned.union(certificates), now)
            others = [find_outside(session, sha256) for sha256 in certificates]
        ends = {each.facts.revision_end for each in judged if each.facts.revision_end}
        return EarlierSignatures(
            revisions=tuple(sha256_of(pdf, end) for end in sorted(ends)),
            fields=tuple(each.facts.field for each in judged),
            broken=tuple(each.facts.field for each in judged if each.conclusion == "invalid"),
            signers=tuple(record.serial for record in records if record is not None),
            enrolled=tuple(enrolled.values()),
            officials=tuple(other.sha256 for other in others if other is not None),
        )

    def verify(
        self, pdf: Octets, name: str, *, at: datetime | None = None, extra: ValidationInputs | None = None,
        content: Octets | None = None,
    ) -> Verdict:  # fmt: skip
        """The verdict on one file, by what this installation knows and what the caller trusts besides.

        `content`: what a signature or time-stamp in a file of its own belongs to.
        """
        return verify_file(pdf, name, self.verifier(at, extra), content)

    def verifier(
        self, at: datetime | None = None, extra: ValidationInputs | None = None, *, file_limit: int = FILE_LIMIT
    ) -> Verifier:
        """Everything verifying needs, for any number of files."""
        own, has_lists = self._own_inputs(at or self._clock.now())
        inputs = _joined(own, extra)
        anchors = [anchor.der for anchor in inputs.anchors]
        complete = functools.partial(self._with_lists, anchors) if has_lists else None
        return Verifier(self._judge, inputs, self._look_up, self._clock, self._policy, file_limit, complete)

    def _with_lists(self, anchors: Sequence[bytes], facts: FileFacts) -> FileFacts:
        """The facts with what the revocation lists say that were brought to this home."""
        with self._database.read() as session:
            return self._lists.put_into(session, facts, anchors)

    def serial_of(self, sha256: str) -> str | None:
        """The serial of the certificate of ours with this fingerprint, None for a stranger's."""
        with self._database.read() as session:
            return self._serial(session, sha256)

    def answers(self) -> bool:
        """Whether the judge process starts and does its work: it is asked about a file that is none."""
        return verify_file(b"%PDF-", "", self.verifier()).reason != "JUDGE_UNAVAILABLE"

    def _own_inputs(self, at: datetime) -> tuple[ValidationInputs, bool]:
        """Our roots as anchors of the internal tree, our other authorities as certificates to build paths with, and the trust store.

        Also whether there are any lists of others.
        """
        anchors: list[TrustAnchor] = []
        intermediates: list[bytes] = []
        with self._database.read() as session:
            for authority in list_authorities(session):
                der = self._certificate(session, authority.serial) if authority.serial else None
                if der is None:
                    continue
                if authority.parent is None:
                    anchors.append(TrustAnchor(der, _INTERNAL))
                else:
                    intermediates.append(der)
            trusted = list_trusted(session)
            has_lists = bool(trusted) and bool(list_lists(session))
        anchors += anchors_of(trusted)
        intermediates += [each.der for each in trusted if not each.is_anchor]
        return ValidationInputs(at, (*anchors, *self._stamp_anchors), tuple(intermediates)), has_lists

    def _certificate(self, session: Session, serial: str) -> bytes | None:
        """The octets of a certificate of ours, which never change once they are there."""
        der = self._ders.get(serial) or get_certificate(session, serial).der
        if der is not None:
            self._ders[serial] = der
        return der

    def _look_up(self, certificates: Sequence[str], revisions: Sequence[str]) -> Known:
        """The state of our certificates and the document's, as they are now, from one transaction."""
        with self._database.read() as session:
            own = self._own_states(session, certificates)
            found = find_by_revisions(session, revisions)
            document = None if found is None else document_status(session, found)
        return Known(own, document)

    def _own_states(self, session: Session, certificates: Sequence[str]) -> dict[str, OwnCertificate]:
        serials = {sha256: self._serial(session, sha256) for sha256 in certificates}
        wanted = [serial for serial in serials.values() if serial is not None]
        states = revocation_states(session, wanted) if wanted else {}
        return {sha256: _own(states[serial]) for sha256, serial in serials.items() if serial is not None}

    def _serial(self, session: Session, sha256: str) -> str | None:
        """The serial of the certificate of ours with this fingerprint; remembered, since only the state of one changes."""
        serial = self._serials.get(sha256)
        if serial is None:
            record = find_by_sha256(session, sha256)
            if record is None:
                return None
            if len(self._serials) >= _MOST_SERIALS:
                self._serials.clear()
            serial = self._serials[sha256] = record.serial
        return serial


def stranger_verifier(judge: Judge, inputs: ValidationInputs, clock: Clock, file_limit: int) -> Verifier:
    """A Verifier without an installation: no certificates and no register of our own, only what the caller trusts."""
    return Verifier(judge, inputs, lambda _certificates, _revisions: Known(), clock, load_policy(), file_limit)


def inspect_file(judge: Judge, pdf: Octets, password: Password = NO_PASSWORD) -> tuple[SafetyFinding, ...]:
    """`JudgeDesk.inspect` without an installation."""
    answer, _ = _have_done(judge, "inspect", pdf, ({"password": password.text}, []))
    return read_findings(answer["findings"])


def _have_done(judge: Judge, task: str, pdf: Octets, message: Message) -> Message:
    header, blobs = message
    try:
        answer, parts = judge.run(task, header, [pdf, *blobs])
    except SandboxFailure as failure:
        raise _gave_up(failure) from failure
    if "error" in answer:
        kind = _KINDS.get(str(answer["error"]), InputUnreadable)
        raise kind(str(answer["code"]), **{str(name): str(value) for name, value in answer["facts"].items()})
    return answer, parts


def _own(known: RevocationState) -> OwnCertificate:
    state = _STATES.get(known.state, "unknown")
    return OwnCertificate(state, known.revoked_at, known.revocation_reason, known.suspect_since)


def _joined(own: ValidationInputs, extra: ValidationInputs | None) -> ValidationInputs:
    if extra is None:
        return own
    return ValidationInputs(
        own.at, own.anchors + extra.anchors, own.intermediates + extra.intermediates, own.crls + extra.crls,
        extra.password,
    )  # fmt: skip


def _gave_up(failure: SandboxFailure) -> SignerError:
    """Why nothing was prepared: our process could not work, or the file asked too much of it."""
    if failure.facts.get("reason") == "start":
        return Unavailable("JUDGE_UNAVAILABLE")
    return InputUnreadable("INPUT_BEYOND_LIMITS", reason=failure.code)
