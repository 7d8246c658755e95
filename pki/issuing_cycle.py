"""The issuing cycle: from decided drafts to certificates in the inventory, one or many, in the order that survives a death.

What is decided, and whether others have to agree, stands in issuance.py; many requests at once in issuance_batch.py.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database, unit_of_work
from certs.errors import CertsError, DatabaseUnavailable, KeyInUse, LintUnavailable
from certs.inventory import (
    CertificateRecord,
    NewCertificate,
    State,
    add_intents,
    complete_all,
)
from certs.key_reuse import check_reuse, hold_keys
from certs.lint.judge import check_certificate
from certs.lint.second_opinion import Opinion, SecondOpinion
from certs.lint.twin import Twin
from certs.names import SubjectName
from certs.profile import Profile, Validity
from certs.serial import random_serial, serial_hex
from certs.template import IssuerFacts, build_tbs
from hsm import der
from hsm.spec import KeySpec, PrivateKey, PublicKey, curve_of, rsa_bits, spec_of
from pki import audit
from pki.approval import Approval, use
from pki.audit import Actor
from pki.authorities import AuthorityState, find_key_owner, get_issuer_standing
from pki.errors import IssuerNotGood, PkiError, SignedOtherBytes
from pki.finishing import Sign, assemble, sign_in_pieces
from pki.registration_records import Confirmed, bind, claim, note_issued
from pki.schemes import scheme_for, sign_message

# What speaks against one certificate and not against the others of a batch. What is away, is away for all.
_ITEM_ERRORS = (CertsError, PkiError)
_OF_THE_INSTALLATION = (DatabaseUnavailable, LintUnavailable, IssuerNotGood)


class TwinKeys:
    """Throwaway keys, one of each kind: they sign twins that nobody ever sees but the rules and the second opinion."""

    def __init__(self, second_opinion: SecondOpinion | None = None) -> None:
        self.second_opinion = second_opinion or SecondOpinion()
        self._lock = threading.Lock()
        self._keys: dict[KeySpec, PrivateKey] = {}

    def get(self, spec: KeySpec) -> PrivateKey:
        """The throwaway key of this kind, made at its first use (an RSA key takes a third of a second)."""
        with self._lock:
            if spec not in self._keys:
                self._keys[spec] = (
                    rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits(spec))
                    if spec.is_rsa
                    else ec.generate_private_key(curve_of(spec))
                )
            return self._keys[spec]


@dataclass(frozen=True)
class Draft:
    """A certificate with everything decided. `issuer_certificate` is None for one that signs itself."""

    profile: Profile
    subject: SubjectName
    public_key_der: bytes
    validity: Validity
    san: Sequence[str]
    authority: str
    issuer: IssuerFacts
    issuer_certificate: x509.Certificate | None
    registration: Confirmed | None = None
    replaces: str | None = None


@dataclass(frozen=True)
class Order:
    """A draft and the approval that is spent with its intent."""

    draft: Draft
    approval: Approval | None = None


@dataclass(frozen=True)
class Cycle:
    """What the cycle needs besides drafts. `issuer_key` is the public half of the key behind `sign`."""

    database: Database
    clock: Clock
    twins: TwinKeys
    issuer_key: PublicKey
    sign: Sign


@dataclass(frozen=True)
class _Linted:
    """A draft whose twin has passed: what will be signed, and what the second opinion objects to."""

    place: int
    order: Order
    new: NewCertificate
    objections: tuple[str, ...]

    @property
    def serial(self) -> str:
        return self.new.serial


Result = CertificateRecord | Exception


def issue_orders(orders: Sequence[Order], actor: Actor, cycle: Cycle) -> list[Result]:
    """Steps 2 to 6 for all drafts of one authority: a record or an error for each. What stops all of them is raised.

    Two commits, whatever their number. An error after the first leaves intents, which can be revoked.
    """
    results: dict[int, Result] = {}
    # 2. Lint a twin signed by a throwaway key of the same kind: a bad certificate must not exist even briefly.
    linted = _lint(orders, results, cycle)
    # 3. Commit what we are about to sign. The serials are ours from here on (RFC 5280 4.1.2.2).
    intended = _intend(linted, results, actor, cycle) if linted else []
    if intended:
        # 4. The only line that uses the issuer's key. A death or an error here leaves the intents, which can be revoked:
        #    whether signatures came into being nobody knows.
        signatures = sign_in_pieces(cycle.sign, [each.new.tbs for each in intended])
        # 5. What was signed must be what was linted and stored, by the key that the issuer's certificate names.
        finished: dict[str, bytes] = {}
        scheme = scheme_for(cycle.issuer_key)
        for each, signed in zip(intended, signatures, strict=True):
            try:
                with signed:
                    octets = assemble(each.serial, each.new.tbs, scheme, signed.signature, cycle.issuer_key)
                    signed.confirm()
            except SignedOtherBytes as error:
                results[each.place] = error
            else:
                finished[each.serial] = octets
        # 6. Inventory and audit move together or not at all.
        _complete(intended, finished, results, actor, cycle)
    return [results[place] for place in range(len(orders))]


def _keep(results: dict[int, Result], place: int, error: Exception) -> None:
    """An error of one draft is its result; one of the installation ends the whole."""
    if isinstance(error, _OF_THE_INSTALLATION):
        raise error
    results[place] = error


def _lint(orders: Sequence[Order], results: dict[int, Result], cycle: Cycle) -> list[_Linted]:
    """One stage for all after the other: a processor that does the same a hundred times takes two thirds of the time."""
    # The certificates will be signed and written like their twins (finishing.py).
    scheme, key = scheme_for(cycle.issuer_key), cycle.twins.get(spec_of(cycle.issuer_key))
    algorithm = scheme.algorithm_identifier()
    written = [_write(order.draft, algorithm, cycle.clock) for order in orders]
    signatures = [sign_message(key, scheme, new.tbs) for new in written]
    opinion = cycle.twins.second_opinion
    # While the linting process has its say about a sample, this one goes on with the own rules.
    aside = ThreadPoolExecutor(1, "opinion") if len(orders) > 1 else None
    try:
        passed = []
        for place, (order, new, signature) in enumerate(zip(orders, written, signatures, strict=True)):
            octets = der.sequence(new.tbs, algorithm, der.bits(signature))
            twin = Twin.load(octets, order.draft.profile, order.draft.issuer_certificate)
            try:
                check_certificate(twin)
                passed.append(_Passed(place, order, new, twin, opinion.check_one_of_many(twin, aside)))
            except _ITEM_ERRORS as error:
                _keep(results, place, error)
        return _hear(passed, results, opinion)
    finally:
        if aside is not None:
            aside.shutdown(cancel_futures=True)


class _Passed(NamedTuple):
    place: int
    order: Order
    new: NewCertificate
    twin: Twin
    answer: Opinion


def _hear(passed: Sequence[_Passed], results: dict[int, Result], opinion: SecondOpinion) -> list[_Linted]:
    """What passes the second opinion too, with its objections."""
    linted = []
    is_doubted = False
    for place, order, new, twin, answer in passed:
        try:
            objections = answer.result() if isinstance(answer, Future) else answer
            if is_doubted and objections is answer:
                objections = opinion.check_certificate(twin)
        except _ITEM_ERRORS as error:
            _keep(results, place, error)
            is_doubted = True  # what comes after a sample that failed is passed by it no more
        else:
            linted.append(_Linted(place, order, new, objections))
    return linted


def _intend(linted: Sequence[_Linted], results: dict[int, Result], actor: Actor, cycle: Cycle) -> list[_Linted]:
    """One commit for the intents of all that nothing speaks against."""
    refused: dict[int, Result] = {}
    with cycle.database.write_rows() as connection, _registers(connection, linted) as session:
        first = linted[0].order.draft
        if first.issuer_certificate is not None:
            serial = serial_hex(first.issuer_certificate.serial_number)
            refuse_ended_issuer(connection, first.authority, serial, cycle.clock, keep=True)
        hold_keys(connection, {each.new.key_id for each in linted})
        accepted: list[_Linted] = []
        holders: dict[bytes, tuple[str, str]] = {}
        used: set[int] = set()
        # In the order of their registrations: two batches that want the same ones do not wait for each other for ever.
        for each in sorted(linted, key=_registration_number):
            try:
                _refuse_taken_key(connection, each.new, holders)
                if session is not None:
                    _claim(session, each, used, actor, cycle)
            except _ITEM_ERRORS as error:
                _keep(refused, each.place, error)
            else:
                holders[each.new.public_key_der] = (each.new.profile, each.new.subject)
                accepted.append(each)
        accepted.sort(key=lambda each: each.place)
        if accepted:
            add_intents(connection, [each.new for each in accepted])
            for each in accepted:
                if each.order.draft.registration is not None:
                    assert session is not None
                    bind(session, each.order.draft.registration, each.serial)
            # The audit rows name the serials too, so that a restored backup can learn from them which were given since.
            audit.append_all(session or connection, cycle.clock, actor, [_intended(each) for each in accepted])
    results |= refused
    return accepted


def _registers(connection: Connection, linted: Sequence[_Linted]) -> AbstractContextManager[Session | None]:
    """A unit of work for registrations and approvals, where one of these certificates rests on either."""
    for each in linted:
        if each.order.approval is not None or each.order.draft.registration is not None:
            return unit_of_work(connection)
    return nullcontext()


def _registration_number(linted: _Linted) -> int:
    return linted.order.draft.registration.id if linted.order.draft.registration is not None else 0


def _claim(session: Session, each: _Linted, used: set[int], actor: Actor, cycle: Cycle) -> None:
    """Raise unless registration and approval are this certificate's to take; what is spent, is spent last."""
    draft, approval = each.order.draft, each.order.approval
    if draft.registration is not None:
        claim(session, draft.registration, used)
    if approval is not None:
        use(session, approval, approval.deed, actor, cycle.clock)
    if draft.registration is not None:
        used.add(draft.registration.id)


def _intended(each: _Linted) -> audit.Act:
    new, registration = each.new, each.order.draft.registration
    details = {"profile": new.profile, "issuer": new.issuer, "subject": new.subject}
    if registration is not None:
        details["registration"] = str(registration.id)
    if new.replaces is not None:
        details["replaces"] = new.replaces
    if each.objections:
        # What EN 319 412 would object to; docs/lint.md has the reasons.
        details["etsi"] = " ".join(each.objections)
    return audit.Act("certificate.intend", "certificate", new.serial, details)


def _complete(
    intended: Sequence[_Linted], finished: dict[str, bytes], results: dict[int, Result], actor: Actor, cycle: Cycle
) -> None:
    done = [each for each in intended if each.serial in finished]
    if not done:
        return
    with cycle.database.write_rows() as connection:
        records = complete_all(connection, [(each.new, finished[each.serial]) for each in done])
        registrations = [each.order.draft.registration for each in done]
        if any(registrations):
            with unit_of_work(connection) as session:
                note_issued(session, [each for each in registrations if each is not None])
        issued = [
            audit.Act("certificate.issue", "certificate", record.serial, {"sha256": record.sha256 or ""})
            for record in records
        ]
        audit.append_all(connection, cycle.clock, actor, issued)
    by_serial = {record.serial: record for record in records}
    results.update({each.place: by_serial[each.serial] for each in done})


def refuse_ended_issuer(connection: Connection, name: str, serial: str, clock: Clock, *, keep: bool = False) -> None:
    """IssuerNotGood unless the authority is active and its certificate in force; with `keep` that stays so until the transaction ends."""
    standing = get_issuer_standing(connection, name, serial, keep=keep)
    if standing.state is not AuthorityState.ACTIVE:
        raise _not_good(name, standing.state)
    # As people see it: what nobody revoked has expired once its time is over.
    own = State.EXPIRED if clock.now() > standing.own_not_after else standing.own
    if own is not State.ACTIVE:
        raise _not_good(name, own)


def _not_good(name: str, state: AuthorityState | State) -> IssuerNotGood:
    return IssuerNotGood(f"{name} is {state}", authority=name, state=state.value)


def _refuse_taken_key(connection: Connection, new: NewCertificate, holders: Mapping[bytes, tuple[str, str]]) -> None:
    """KeyInUse or KeyCompromised unless the key is free or its holder's own; it stays so until the transaction ends.

    `holders`: those of the same batch, who are not in the inventory yet.
    """
    holder = (new.profile, new.subject)
    check_reuse(connection, new.key_id, profile=new.profile, subject=new.subject)
    # An authority may wait for its certificate from elsewhere, and its key is known from its request.
    owner = find_key_owner(connection, new.public_key_der)
    if owner is not None and (owner.profile, owner.subject) != holder:
        raise KeyInUse(f"the key of {owner.name}", serial=owner.serial or "–", profile=owner.profile)
    other = holders.get(new.public_key_der, holder)
    if other != holder:
        raise KeyInUse("the key of another line", serial="–", profile=other[0])


def _write(draft: Draft, algorithm: bytes, clock: Clock) -> NewCertificate:
    """The octets that will be signed, under a serial of their own, and what the inventory keeps of them."""
    serial, subject = random_serial(), draft.subject
    tbs = build_tbs(
        draft.profile,
        subject,
        draft.public_key_der,
        draft.issuer,
        serial=serial,
        validity=draft.validity,
        algorithm=algorithm,
        san=draft.san,
    )
    return NewCertificate(
        serial=serial_hex(serial),
        profile=draft.profile.name,
        subject=str(subject),
        common_name=subject.common_name,
        organization=subject.organization,
        issuer=draft.authority,
        not_before=draft.validity.not_before,
        not_after=draft.validity.not_after,
        tbs=tbs,
        public_key_der=draft.public_key_der,
        created_at=clock.now(),
        identifiers=(
            *subject.values("UID"),
            *subject.values("serialNumber"),
            *subject.values("organizationIdentifier"),
        ),
        crl_shard=draft.issuer.shard_of(serial) if draft.profile.cdp else None,
        replaces=draft.replaces,
    )
