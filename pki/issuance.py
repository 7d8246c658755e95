"""Issuance: one certificate from a decided request to the inventory, in the order that survives a death at any step."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from sqlalchemy.orm import Session

from certs.catalogue import Catalogue
from certs.clock import Clock
from certs.csr import parse_public_key
from certs.db import Database
from certs.errors import KeySpecRefused
from certs.inventory import (
    CertificateRecord,
    NewCertificate,
    State,
    add_intent,
    complete,
    get_certificate,
    get_standings,
)
from certs.lint.judge import check_certificate
from certs.lint.twin import Twin
from certs.names import SubjectName
from certs.profile import Profile, Validity, check_key_spec, check_san, check_subject, decide_validity
from certs.serial import random_serial, serial_hex
from certs.template import IssuerFacts, build_certificate
from hsm.spec import KeySpec, PrivateKey, PublicKey, curve_of, rsa_bits, spec_of, spki_der
from pki import audit
from pki.audit import Actor
from pki.authorities import AuthorityState, get_authority
from pki.errors import IssuerMayNotIssue, IssuerNotGood, SignedOtherBytes
from pki.issuer import Issuer, sign_certificate


@dataclass(frozen=True)
class IssuanceRequest:
    """What a registration officer confirmed. `days` shortens the profile's term; `san` holds e-mail or DNS names."""

    profile: str
    subject: SubjectName
    public_key_der: bytes
    san: Sequence[str] = ()
    days: int | None = None


class TwinKeys:
    """Throwaway keys, one of each kind: they sign twins that nobody ever sees."""

    def __init__(self) -> None:
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


def issue(request: IssuanceRequest, actor: Actor, deps: IssuingDeps) -> CertificateRecord:
    """Issue one certificate. CertsError or IssuanceRefused come before the issuer's key is used; HSMError and
    SignedOtherBytes after the intent is stored, which then remains and can be revoked.
    """
    draft = decide(request, deps)
    return issue_draft(draft, deps.issuer.key, actor, deps.database, deps.clock, deps.twins)


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
    public_key = parse_public_key(request.public_key_der)
    check_key(profile, public_key)
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
    with database.read() as session:
        authority = get_authority(session, issuer.name)
        own = get_certificate(session, issuer.serial).state_at(clock.now())
    for state, good in ((authority.state.value, AuthorityState.ACTIVE.value), (own.value, State.ACTIVE.value)):
        if state != good:
            raise IssuerNotGood(f"{issuer.name} is {state}", authority=issuer.name, state=state)


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
    draft: Draft, key: PrivateKey, actor: Actor, database: Database, clock: Clock, twins: TwinKeys
) -> CertificateRecord:
    """Steps 2 to 6, for leaves and for authorities alike. `key` is the issuer's."""
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
    check_certificate(Twin(twin, draft.profile, draft.issuer_certificate))
    tbs = twin.tbs_certificate_bytes
    # 3. Commit what we are about to sign. The serial is ours from here on (RFC 5280 4.1.2.2). The audit row names it too,
    #    so that a restored backup can learn from the audit log which serials were given since.
    new = _new_certificate(draft, serial_hex(serial), tbs, clock)
    with database.write() as session:
        # Revoked since step 1? This commit decides.
        _refuse_ended_issuer(session, draft, clock)
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
    state = State.EXPIRED if clock.now() > own.not_after else own.state
    if state is not State.ACTIVE:
        raise IssuerNotGood(f"{draft.authority} is {state}", authority=draft.authority, state=state.value)


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
