"""The judging desk: what an installation knows, put before the judge process; its answers, made usable for signing and verifying."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.inventory import RevocationState, State, find_by_sha256, get_certificate, revocation_states
from certs.outside import find_outside
from certs.training import is_training
from pki.authorities import list_authorities
from pki.history import Past, life_of, standing_at
from signer.appearance.fonts import EmbeddedFont
from signer.appearance.image_rules import ImageRule, Purpose
from signer.documents import find_by_revisions
from signer.errors import InputUnreadable, Refused, SignerError, Unavailable, UsageWrong
from signer.extension import Appended, ExtensionPlan
from signer.fetcher import Fetcher
from signer.findings import SafetyFinding, read_findings
from signer.image_registry import Checked
from signer.lineage import document_status, past_status
from signer.octets import Octets, sha256_of
from signer.outside_credentials import enrolled_in_force
from signer.password import NO_PASSWORD, Password
from signer.plan import Message, Plan, Prepared
from signer.preview import Drawn, PreviewWish
from signer.rendition_strip import Strip
from signer.revocation_cache import MemoryCache, RevocationCache
from signer.revocation_sources import FetchLimits, Lists, RevocationSources, is_now
from signer.sandbox import Judge
from signer.sandbox_walls import Walls
from signer.signing import EarlierSignatures
from signer.trust_lists import TrustLists, list_lists
from signer.trust_store import anchors_of, list_trusted, refuse_training
from signer.validation.errors import SandboxFailure
from signer.validation.facts import CrlFacts, Trust, TrustAnchor, ValidationInputs
from signer.validation.policy import TRAINING, OwnCertificate, Policy
from signer.validation.rules import PolicyShelf, shelf_of
from signer.validation.verdict import Verdict
from signer.verification import FILE_LIMIT, LOCKED, Known, Verifier, verify_file

# Refusals travel by name from the preparing process; nothing else it says becomes an exception.
_KINDS: dict[str, type[SignerError]] = {kind.__name__: kind for kind in (Refused, InputUnreadable, UsageWrong)}
_INTERNAL: Trust = "internal"
_TRAINING: Trust = "training"
# What may be open about a stranger's certificate that was enrolled here: it was looked at then, and is known by its fingerprint.
_PINNED = frozenset({"UNKNOWN_ISSUER", "UNKNOWN_REVOCATION"})
_MOST_SERIALS = 10_000
# A state that is not here is no answer, and no answer is never "good".
_PAST_STATES = {Past.ACTIVE: "good", Past.EXPIRED: "good", Past.REVOKED: "revoked", Past.SUSPENDED: "suspended"}
_STATES = {State.ACTIVE: "good", State.EXPIRED: "good", State.REVOKED: "revoked", State.SUSPENDED: "suspended"}


@dataclass(frozen=True)
class Leaning:
    """What judging goes by besides the file and the register: the policies, and whom strangers' states may be asked of."""

    policies: PolicyShelf = field(default_factory=shelf_of)
    cache: RevocationCache = field(default_factory=MemoryCache)
    # None: nobody is asked.
    fetcher: Fetcher | None = None
    limits: FetchLimits = field(default_factory=FetchLimits)


class JudgeDesk:
    """Knows our own anchors, the state of our certificates and our register; asks the judge about everything in a file."""

    def __init__(
        self,
        judge: Judge,
        database: Database,
        clock: Clock,
        stamp_anchors: Sequence[TrustAnchor] = (),
        leaning: Leaning | None = None,
    ) -> None:
        """`stamp_anchors`: of the outside time-stamping authorities that the settings name."""
        self._judge = judge
        self._stamp_anchors = tuple(stamp_anchors)
        self._database = database
        self._clock = clock
        self._leaning = leaning or Leaning()
        self._lists = TrustLists()
        self._ders: dict[str, bytes] = {}
        self._serials: dict[str, str] = {}

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        """Have a revision appended in the judge process; Refused or InputUnreadable as it decides, or when it gives up."""
        return Prepared.from_message(*self._have_done("prepare", pdf, plan.to_message()))

    def preview(self, pdf: Octets, plan: Plan, wish: PreviewWish) -> Drawn:
        """The same with the picture of a page, for people to look at."""
        header, blobs = plan.to_message()
        wanted = {"plan": header, "page": wish.page, "dpi": wish.dpi}
        answer, (*tail, png) = self._have_done("preview", pdf, (wanted, blobs))
        prepared = Prepared.from_message(answer["prepared"], tail)
        return Drawn(prepared, png, int(answer["page"]), int(answer["pages"]))

    def append(self, pdf: Octets, plan: ExtensionPlan) -> Appended:
        """Have validation data appended in the judge process; errors as for `prepare`."""
        return Appended.from_message(*self._have_done("extend", pdf, plan.to_message()))

    def inspect(self, pdf: Octets, password: Password = NO_PASSWORD) -> tuple[SafetyFinding, ...]:
        """What in a file lets it look or act other than it seems; errors as for `prepare`."""
        return inspect_file(self._judge, pdf, password)

    def render(self, pdf: Octets, strip: Strip, fonts: Sequence[EmbeddedFont]) -> bytes:
        """The print rendition of a file; InputUnreadable when it cannot be drawn."""
        _, parts = self._have_done("render", pdf, (strip.to_json(), [font.packed for font in fonts]))
        return parts[0]

    def check_picture(self, png: bytes, purpose: Purpose, width_mm: float, rule: ImageRule, file: str) -> Checked:
        """The picture of a seal or a signature, in the form in which it is kept; errors as for `prepare`."""
        header = {"purpose": purpose, "width_mm": width_mm, "rule": asdict(rule), "file": file}
        answer, (kept,) = _picture_of(self._judge, header, png)
        return Checked(kept, int(answer["width_px"]), int(answer["height_px"]))

    def _have_done(self, task: str, pdf: Octets, message: Message) -> Message:
        return _have_done(self._judge, task, pdf, message)

    def earlier_signatures(self, pdf: Octets, password: Password = NO_PASSWORD) -> EarlierSignatures:
        """What a file's signatures are worth, for the next one; InputUnreadable when that cannot be found out."""
        now = self._clock.now()
        inputs = ValidationInputs(now, password=password)
        verdict = verify_file(pdf, "", self.verifier(None, inputs, offline=True))
        if verdict.reason in LOCKED:
            raise Refused(LOCKED[verdict.reason])
        if verdict.conclusion == "unreadable":
            raise InputUnreadable("INPUT_SIGNATURES_UNREADABLE", reason=verdict.reason)
        judged = [each for each in verdict.judged.signatures if each.facts.type == "signature"]
        certificates = [each.facts.signer.sha256 for each in judged if each.is_sound and each.facts.signer]
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
            practised=tuple(each.facts.field for each in judged if each.trust == _TRAINING),
            practised_elsewhere=tuple(
                each.facts.field for each in judged if each.reason == TRAINING and each.trust != _TRAINING
            ),
        )

    def verify(
        self,
        pdf: Octets,
        name: str,
        *,
        at: datetime | None = None,
        extra: ValidationInputs | None = None,
        policy: Policy | None = None,
        content: Octets | None = None,
    ) -> Verdict:
        """The verdict on one file, by what this installation knows and what the caller trusts besides.

        `content`: what a signature or time-stamp in a file of its own belongs to.
        """
        return verify_file(pdf, name, self.verifier(at, extra, policy=policy), content)

    def verifier(
        self,
        at: datetime | None = None,
        extra: ValidationInputs | None = None,
        *,
        file_limit: int = FILE_LIMIT,
        policy: Policy | None = None,
        offline: bool = False,
    ) -> Verifier:
        """Everything verifying needs, for any number of files. `at`: a time in question that is not now, for which nobody outside
        can be asked; nor is anybody when `offline`.
        """
        own, has_lists = self._own_inputs(at or self._clock.now())
        refuse_training(
            [anchor.der for anchor in extra.anchors] if extra else [], [anchor.der for anchor in own.anchors]
        )
        inputs = _joined(own, extra)
        lists = self._said_of if has_lists else None
        sources = _sources(self._judge, inputs, self._leaning, lists, is_asking=at is None and not offline)
        look_up = functools.partial(self._look_up, at)
        wanted = policy or self._leaning.policies.get()
        return Verifier(self._judge, inputs, look_up, self._clock, wanted, file_limit, sources.complete, at is not None)

    def _said_of(self, certificate: bytes, issuer: bytes) -> CrlFacts | None:
        """What the revocation lists say that were brought to this home."""
        with self._database.read() as session:
            return self._lists.said_of(session, certificate, issuer)

    def serial_of(self, sha256: str) -> str | None:
        """The serial of the certificate of ours with this fingerprint, None for a stranger's."""
        with self._database.read() as session:
            return self._serial(session, sha256)

    def answers(self) -> bool:
        """Whether the judge process starts and does its work: it is asked about a file that is none."""
        return verify_file(b"%PDF-", "", self.verifier()).reason != "JUDGE_UNAVAILABLE"

    def walls(self) -> Walls:
        """What stands around the judge process, as it says itself. Raises a SandboxFailure when it does not start."""
        return self._judge.walls()

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
                    anchors.append(TrustAnchor(der, _TRAINING if is_training(der) else _INTERNAL))
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

    def _look_up(self, past: datetime | None, certificates: Sequence[str], revisions: Sequence[str]) -> Known:
        """The state of our certificates and the document's, as they are now or were known at a past time, from one transaction."""
        with self._database.read() as session:
            found = find_by_revisions(session, revisions)
            if past is None:
                own = self._own_states(session, certificates)
                document = None if found is None else document_status(session, found)
            else:
                own = self._past_states(session, certificates, past)
                document = None if found is None else past_status(session, found, past)
        return Known(own, document)

    def _past_states(self, session: Session, certificates: Sequence[str], at: datetime) -> dict[str, OwnCertificate]:
        """What was known then: what became known since about an earlier day is left out."""
        states = {}
        for sha256 in certificates:
            record = find_by_sha256(session, sha256)
            if record is not None:
                then = standing_at(record, life_of(session, record), at)
                state = _PAST_STATES.get(then.state, "unknown")
                states[sha256] = OwnCertificate(state, then.revoked_at, then.reason, then.suspect_since)
        return states

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


def stranger_verifier(
    judge: Judge,
    inputs: ValidationInputs,
    clock: Clock,
    file_limit: int,
    policy: Policy | None = None,
    leaning: Leaning | None = None,
) -> Verifier:
    """A Verifier without an installation: no certificates and no register of our own, only what the caller trusts."""
    refuse_training(anchor.der for anchor in inputs.anchors)
    leaning = leaning or Leaning()
    asking = is_now(inputs.at, clock.now())
    sources = _sources(judge, inputs, leaning, None, is_asking=asking)
    wanted = policy or leaning.policies.get()
    return Verifier(
        judge,
        inputs,
        lambda _certificates, _revisions: Known(),
        clock,
        wanted,
        file_limit,
        sources.complete,
        not asking,
    )


def _sources(
    judge: Judge, inputs: ValidationInputs, leaning: Leaning, lists: Lists | None, *, is_asking: bool
) -> RevocationSources:
    anchors = {hashlib.sha256(anchor.der).hexdigest(): anchor.der for anchor in inputs.anchors}
    fetcher = leaning.fetcher if is_asking else None
    return RevocationSources(judge, anchors, leaning.cache, lists, fetcher, leaning.limits)


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


def _picture_of(judge: Judge, header: dict[str, Any], png: bytes) -> Message:
    try:
        return _have_done(judge, "picture", png, (header, []))
    except InputUnreadable as error:
        if error.code == "INPUT_BEYOND_LIMITS":
            raise InputUnreadable("IMAGE_BEYOND_LIMITS", file=str(header["file"])) from error
        raise


def _gave_up(failure: SandboxFailure) -> SignerError:
    """Why nothing was prepared: our process could not work, or the file asked too much of it."""
    if failure.facts.get("reason") == "start":
        return Unavailable("JUDGE_UNAVAILABLE")
    return InputUnreadable("INPUT_BEYOND_LIMITS", reason=failure.code)
