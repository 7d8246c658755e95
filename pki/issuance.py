"""Issuance: one certificate from a decided request to the inventory, in the order that survives a death at any step."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy.orm import Session

from certs.catalogue import Catalogue
from certs.clock import Clock
from certs.csr import parse_public_key
from certs.db import Database
from certs.errors import KeyInUse, KeySpecRefused
from certs.inventory import (
    CertificateRecord,
    NewCertificate,
    Standing,
    State,
    add_intent,
    complete,
    get_standings,
    rsa_keys_since,
)
from certs.key_reuse import check_reuse
from certs.lint.judge import check_certificate
from certs.lint.second_opinion import SecondOpinion
from certs.lint.twin import Twin
from certs.names import SubjectName
from certs.profile import (
    Profile,
    Validity,
    check_common_name,
    check_key_spec,
    check_san,
    check_subject,
    decide_validity,
)
from certs.serial import random_serial, serial_hex
from certs.shared_primes import KnownKey, KnownModuli
from certs.template import IssuerFacts, build_certificate
from hsm.spec import KeySpec, PrivateKey, PublicKey, curve_of, rsa_bits, spec_of, spki_der
from pki import audit
from pki.approval import Approval, Deed, demand, use
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.authorities import AuthorityState, find_by_public_key, state_of_authority
from pki.errors import ApprovalStale, IssuerMayNotIssue, IssuerNotGood, SignedOtherBytes
from pki.issuer import Issuer, sign_certificate
from pki.roles import Permission, require


@dataclass(frozen=True)
class IssuanceRequest:
    """What a registration officer confirmed. `days` shortens the profile's term; `san` holds e-mail or DNS names."""

    profile: str
    subject: SubjectName
    public_key_der: bytes
    san: Sequence[str] = ()
    days: int | None = None


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
class IssuingDeps:
    """What issuing needs: built once, used by many threads."""

    database: Database
    clock: Clock
    issuer: Issuer
    catalogue: Catalogue
    twins: TwinKeys = field(default_factory=TwinKeys)
    # Required, so that nobody issues past a home's rules by leaving them out.
    approvals: ApprovalRules = field(kw_only=True)

    @cached_property
    def known_moduli(self) -> KnownModuli:
        """The RSA keys of the inventory, read at the first RSA key and kept."""
        return KnownModuli(self._rsa_keys, self.clock)

    def _rsa_keys(self, since: datetime | None) -> list[KnownKey]:
        with self.database.read() as session:
            return rsa_keys_since(session, since)


@dataclass(frozen=True)
class Draft:
    """A certificate with everything decided. `issuer_certificate` is None for one that signs itself."""

    profile: Profile
    subject: SubjectName
    public_key: PublicKey
    validity: Validity
    san: Sequence[str]
    authority: str
    issuer: IssuerFacts
    issuer_certificate: x509.Certificate | None


def issue(
    request: IssuanceRequest, actor: Actor, deps: IssuingDeps, approval: Approval | None = None
) -> CertificateRecord:
    """Issue one certificate. CertsError or IssuanceRefused come before the issuer's key is used; HSMError and
    SignedOtherBytes after the intent is stored, which then remains and can be revoked.

    ApprovalNeeded where the profile or the home asks for others. `approval`: what enrolment got for it before there was a key.
    """
    require(actor, permission_to_issue(deps.catalogue.get(request.profile)))
    draft = decide(request, deps)
    if approval is None:
        approval = demand_issuance(request, key_name(request.public_key_der), actor, deps)
    elif not _covers(approval.deed, _deed(request, key_name(request.public_key_der), deps)):
        raise ApprovalStale(f"{approval.id} is about another certificate", id=str(approval.id))
    return issue_draft(draft, deps.issuer.key, actor, deps.database, deps.clock, deps.twins, approval)


def key_name(public_key_der: bytes) -> str:
    """What those who approve see of a key that exists: the SHA-256 of its SubjectPublicKeyInfo."""
    return f"sha256:{hashlib.sha256(public_key_der).hexdigest()}"


def permission_to_issue(profile: Profile) -> Permission:
    """A certificate that makes an authority is another matter than one that ends the chain."""
    return Permission.CREATE_AUTHORITY if profile.authority else Permission.ISSUE


def demand_issuance(
    request: IssuanceRequest, key: str, actor: Actor, deps: IssuingDeps, **more: str | None
) -> Approval | None:
    """The approval of a certificate, or None where neither its profile nor the home asks for one.

    `key` is its `key_name`, or the kind of one that is yet to be made; `more` is what goes with the certificate outside of it.
    """
    profile = deps.catalogue.get(request.profile)
    require(actor, permission_to_issue(profile))
    needed = deps.approvals.needed(_act(profile), profile)
    # Most certificates wait for nobody, and putting a deed together takes a tenth of a millisecond.
    return demand(_deed(request, key, deps, **more), needed, actor, deps) if needed else None


def _act(profile: Profile) -> Act:
    return Act.AUTHORITY_CREATE if profile.authority else Act.CERTIFICATE_ISSUE


def _deed(request: IssuanceRequest, key: str, deps: IssuingDeps, **more: str | None) -> Deed:
    """What others approve: everything that goes into the certificate."""
    profile = deps.catalogue.get(request.profile)
    asked = {
        "profile": request.profile,
        "subject": str(request.subject),
        "san": list(request.san),
        "days": request.days,
        "authority": deps.issuer.name,
        "key": key,
    }
    rests_on = {"issuer_serial": deps.issuer.serial, "profile": asdict(profile)}
    return Deed(_act(profile), f"{request.profile}: {request.subject}", asked | more, rests_on)


def _covers(approved: Deed, wanted: Deed) -> bool:
    """The same certificate, but for the key, which was yet to be made, and what was asked besides."""
    names = wanted.asked.keys() - {"key"}
    asked = {name: approved.asked.get(name) for name in names}
    return approved.rests_on == wanted.rests_on and asked == {name: wanted.asked[name] for name in names}


def decide(request: IssuanceRequest, deps: IssuingDeps) -> Draft:
    """Step 1: profile, issuer, names, key and validity. Nothing later may change them."""
    profile, issuer, now = deps.catalogue.get(request.profile), deps.issuer, deps.clock.now()
    if issuer.profile not in profile.issued_by:
        raise IssuerMayNotIssue(
            f"{profile.name} is not issued by {issuer.name}",
            profile=profile.name,
            authority=issuer.name,
            issued_by=", ".join(profile.issued_by),
        )
    check_issuer(issuer, deps.database, deps.clock)
    check_subject(profile, request.subject)
    check_san(profile, request.san)
    check_common_name(profile, request.subject, request.san)
    public_key = parse_public_key(request.public_key_der)
    check_key(profile, public_key)
    deps.known_moduli.check(public_key)
    return Draft(
        profile=profile,
        subject=request.subject,
        public_key=public_key,
        validity=decide_validity(profile, now, issuer.certificate.not_valid_after_utc, request.days),
        san=tuple(request.san),
        authority=issuer.name,
        issuer=issuer.facts(),
        issuer_certificate=issuer.certificate,
    )


def check_issuer(issuer: Issuer, database: Database, clock: Clock) -> None:
    """Raise IssuerNotGood unless the authority is active and its own certificate is in force now."""
    with database.glance() as connection:
        authority = state_of_authority(connection, issuer.name)
        own = _state_at(get_standings(connection, [issuer.serial])[0], clock)
    for state, good in ((authority.value, AuthorityState.ACTIVE.value), (own.value, State.ACTIVE.value)):
        if state != good:
            raise IssuerNotGood(f"{issuer.name} is {state}", authority=issuer.name, state=state)


def _state_at(standing: Standing, clock: Clock) -> State:
    return State.EXPIRED if clock.now() > standing.not_after else standing.state


def check_key(profile: Profile, public_key: PublicKey) -> None:
    """Raise KeySpecRefused unless the profile allows this key."""
    try:
        check_key_spec(profile, spec_of(public_key))
    except ValueError as error:
        # A size that we do not make, from somebody's own request.
        allowed = ", ".join(profile.keys)
        spec = f"rsa-{public_key.key_size}"
        raise KeySpecRefused(str(error), profile=profile.name, spec=spec, allowed=allowed) from error


def issue_draft(
    draft: Draft,
    key: PrivateKey,
    actor: Actor,
    database: Database,
    clock: Clock,
    twins: TwinKeys,
    approval: Approval | None,
) -> CertificateRecord:
    """Steps 2 to 6, for leaves and for authorities alike. `key` is the issuer's; `approval` is spent with the intent."""
    require(actor, permission_to_issue(draft.profile))
    serial = random_serial()
    builder = build_certificate(
        draft.profile,
        draft.subject,
        draft.public_key,
        draft.issuer,
        serial=serial,
        validity=draft.validity,
        san=draft.san,
    )
    # 2. Lint a twin signed by a throwaway key of the same kind: a bad certificate must not exist even briefly.
    twin = sign_certificate(builder, twins.get(spec_of(key.public_key())))
    judged = Twin(twin, draft.profile, draft.issuer_certificate)
    check_certificate(judged)
    objections = twins.second_opinion.check_certificate(judged)
    tbs = twin.tbs_certificate_bytes
    # 3. Commit what we are about to sign. The serial is ours from here on (RFC 5280 4.1.2.2). The audit row names it too,
    #    so that a restored backup can learn from the audit log which serials were given since.
    new = _new_certificate(draft, serial_hex(serial), tbs, clock)
    with database.write() as session:
        # Revoked since step 1? This commit decides.
        _refuse_ended_issuer(session, draft, clock)
        _refuse_taken_key(session, new)
        if approval is not None:
            use(session, approval, approval.deed, actor, clock)
        add_intent(session, new)
        audit.append(
            session,
            clock,
            actor,
            "certificate.intend",
            "certificate",
            new.serial,
            profile=new.profile,
            issuer=new.issuer,
            subject=new.subject,
            # What EN 319 412 would object to; docs/lint.md has the reasons.
            **({"etsi": " ".join(objections)} if objections else {}),
        )
    # 4. The only line in this module that uses the issuer's key. A death or an error here leaves the intent, which can
    #    be revoked: whether a signature came into being nobody knows.
    certificate = sign_certificate(builder, key)
    # 5. What was signed must be what was linted and stored, by the key that the issuer's certificate names.
    _check_signed(certificate, tbs, key.public_key(), new.serial)
    # 6. Inventory and audit move together or not at all.
    with database.write() as session:
        record = complete(session, new.serial, certificate.public_bytes(serialization.Encoding.DER))
        audit.append(session, clock, actor, "certificate.issue", "certificate", new.serial, sha256=record.sha256 or "")
    return record


def _refuse_ended_issuer(session: Session, draft: Draft, clock: Clock) -> None:
    """IssuerNotGood unless the issuer's certificate is in force; it stays so until the caller's transaction ends."""
    if draft.issuer_certificate is None:
        return
    own = get_standings(session, [serial_hex(draft.issuer_certificate.serial_number)], keep=True)[0]
    state = _state_at(own, clock)
    if state is not State.ACTIVE:
        raise IssuerNotGood(f"{draft.authority} is {state}", authority=draft.authority, state=state.value)


def _refuse_taken_key(session: Session, new: NewCertificate) -> None:
    """KeyInUse or KeyCompromised unless the key is free or its holder's own; it stays so until the transaction ends."""
    check_reuse(session, new.public_key_der, profile=new.profile, subject=new.subject)
    # An authority may wait for its certificate from elsewhere, and its key is known from its request.
    owner = find_by_public_key(session, new.public_key_der)
    if owner is not None and (owner.profile, owner.subject) != (new.profile, new.subject):
        raise KeyInUse(f"the key of {owner.name}", serial=owner.serial or "–", profile=owner.profile)


def _new_certificate(draft: Draft, serial: str, tbs: bytes, clock: Clock) -> NewCertificate:
    return NewCertificate(
        serial=serial,
        profile=draft.profile.name,
        subject=str(draft.subject),
        common_name=draft.subject.common_name,
        organization=draft.subject.organization,
        issuer=draft.authority,
        not_before=draft.validity.not_before,
        not_after=draft.validity.not_after,
        tbs=tbs,
        public_key_der=spki_der(draft.public_key),
        created_at=clock.now(),
        identifiers=tuple(
            value for name in ("UID", "serialNumber", "organizationIdentifier") for value in draft.subject.values(name)
        ),
        crl_shard=draft.issuer.shard_of(int(serial, 16)) if draft.profile.cdp else None,
    )


def _check_signed(certificate: x509.Certificate, tbs: bytes, issuer_key: PublicKey, serial: str) -> None:
    if certificate.tbs_certificate_bytes != tbs:
        raise SignedOtherBytes(f"{serial}: other to-be-signed bytes", serial=serial)
    parameters, digest = certificate.signature_algorithm_parameters, certificate.signature_hash_algorithm
    assert digest is not None
    try:
        if isinstance(issuer_key, rsa.RSAPublicKey):
            assert not isinstance(parameters, ec.ECDSA)
            assert parameters is not None
            issuer_key.verify(certificate.signature, tbs, parameters, digest)
        else:
            issuer_key.verify(certificate.signature, tbs, ec.ECDSA(digest))
    except InvalidSignature as error:
        raise SignedOtherBytes(f"{serial}: the signature is not the issuer's", serial=serial) from error
