"""Issuance: what is asked becomes a decided draft, and a certificate where nobody else has to agree. The order that survives a
death at any step is issuing_cycle.py's, many requests at once are issuance_batch.py's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from certs.catalogue import Catalogue
from certs.clock import Clock
from certs.csr import read_public_key
from certs.db import Database
from certs.errors import KeySpecRefused
from certs.inventory import CertificateRecord, State, rsa_keys_since
from certs.names import SubjectName, parse_subject
from certs.profile import Profile, check_common_name, check_key_spec, check_san, check_subject, decide_validity
from certs.shared_primes import KnownKey, KnownModuli
from hsm.ahead import SignedAhead
from hsm.spec import PrivateKey, PublicKey, spec_of
from pki.approval import Approval, Deed, demand
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.errors import ApprovalStale, IssuerMayNotIssue, IssuerNotGood, RegistrationMismatch, RegistrationNeeded
from pki.issuer import Issuer
from pki.issuing_cycle import Cycle, Draft, Order, TwinKeys, issue_orders, refuse_ended_issuer
from pki.registration_records import Confirmed, Wanted, check_confirmed, get_registration, rests_on_registration
from pki.roles import Permission, require
from pki.schemes import scheme_for, sign_ahead

# Whoever decides finds what a decision is made of here.
__all__ = [
    "Draft",
    "IssuanceRequest",
    "IssuingDeps",
    "TwinKeys",
    "check_issuer",
    "check_key",
    "decide",
    "decide_contents",
    "demand_issuance",
    "issue",
    "issue_draft",
    "issue_wanted",
    "key_name",
    "permission_to_issue",
]


@dataclass(frozen=True)
class IssuanceRequest:
    """What is to be certified. `days` shortens the profile's term; `san` holds e-mail or DNS names.

    `registration` is the number of the confirmed one by which it is issued. `made_here`: the key was made in the token for this.
    `replaces` is the serial of the certificate that this one follows (renewal.py).
    """

    profile: str
    subject: SubjectName
    public_key_der: bytes
    san: Sequence[str] = ()
    days: int | None = None
    registration: int | None = None
    made_here: bool = False
    replaces: str | None = None

    @property
    def wanted(self) -> Wanted:
        """What a registration has to say for this."""
        key = None if self.made_here else self.public_key_der
        return Wanted(self.profile, str(self.subject), tuple(self.san), self.days, key)


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
    # Profiles whose certificates are issued by a confirmed registration only.
    by_registration: frozenset[str] = field(default=frozenset(), kw_only=True)

    @cached_property
    def known_moduli(self) -> KnownModuli:
        """The RSA keys of the inventory, read at the first RSA key and kept."""
        return KnownModuli(self._rsa_keys, self.clock)

    def _rsa_keys(self, since: datetime | None) -> list[KnownKey]:
        with self.database.read() as session:
            return rsa_keys_since(session, since)


def issue(
    request: IssuanceRequest, actor: Actor, deps: IssuingDeps, approval: Approval | None = None
) -> CertificateRecord:
    """Issue one certificate. CertsError or IssuanceRefused come before the issuer's key is used; HSMError and
    SignedOtherBytes after the intent is stored, which then remains and can be revoked.

    ApprovalNeeded where the profile or the home asks for others. `approval`: what enrolment got for it before there was a key.
    """
    require(actor, permission_to_issue(deps.catalogue.get(request.profile)))
    # Whether the issuer is in force is asked in the transaction of the intent, which decides.
    draft = decide_contents(request, deps)
    if approval is None:
        approval = demand_issuance(request, key_name(request.public_key_der), actor, deps)
    elif not _covers(approval.deed, _deed(request, key_name(request.public_key_der), deps)):
        raise ApprovalStale(f"{approval.id} is about another certificate", id=str(approval.id))
    return issue_draft(draft, deps.issuer.key, actor, deps.database, deps.clock, deps.twins, approval)


def issue_wanted(wanted: Wanted, registration: int | None, actor: Actor, deps: IssuingDeps) -> CertificateRecord:
    """`issue` for a key outside the token, by what a registration says or would say; RegistrationMismatch where it has no key."""
    if wanted.public_key_der is None:
        number = str(registration or "")
        raise RegistrationMismatch(f"{number} is for a key in the token", id=number, field="key")
    subject = parse_subject(wanted.subject)
    request = IssuanceRequest(wanted.profile, subject, wanted.public_key_der, wanted.san, wanted.days, registration)
    return issue(request, actor, deps)


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
    if not needed:
        return None
    # Nobody is asked to approve what could not be issued.
    check_issuer(deps.issuer, deps.database, deps.clock)
    return demand(_deed(request, key, deps, **more), needed, actor, deps)


def _act(profile: Profile) -> Act:
    return Act.AUTHORITY_CREATE if profile.authority else Act.CERTIFICATE_ISSUE


def _deed(request: IssuanceRequest, key: str, deps: IssuingDeps, **more: str | None) -> Deed:
    """What others approve: everything that goes into the certificate."""
    profile = deps.catalogue.get(request.profile)
    asked: dict[str, Any] = {
        "profile": request.profile,
        "subject": str(request.subject),
        "san": list(request.san),
        "days": request.days,
        "authority": deps.issuer.name,
        "key": key,
    }
    rests_on: dict[str, Any] = {"issuer_serial": deps.issuer.serial, "profile": asdict(profile)}
    if request.registration is not None:
        # Who approves sees by which registration, and any change of it since is refused.
        asked["registration"] = request.registration
        with deps.database.read() as session:
            rests_on["registration_sha256"] = get_registration(session, request.registration).sha256
    if request.replaces is not None:
        more = more | {"replaces": request.replaces}
    return Deed(_act(profile), f"{request.profile}: {request.subject}", asked | more, rests_on)


def _covers(approved: Deed, wanted: Deed) -> bool:
    """The same certificate, but for the key, which was yet to be made, and what was asked besides."""
    names = wanted.asked.keys() - {"key"}
    asked = {name: approved.asked.get(name) for name in names}
    return approved.rests_on == wanted.rests_on and asked == {name: wanted.asked[name] for name in names}


def decide(request: IssuanceRequest, deps: IssuingDeps) -> Draft:
    """Step 1: profile, issuer, names, key, validity and registration. Nothing later may change them."""
    check_issuer(deps.issuer, deps.database, deps.clock)
    return decide_contents(request, deps)


def decide_contents(request: IssuanceRequest, deps: IssuingDeps) -> Draft:
    """`decide` without the question whether the issuer is in force, which is asked once for many, or with the intent."""
    profile, issuer, now = deps.catalogue.get(request.profile), deps.issuer, deps.clock.now()
    end = issuer.facts().not_after
    if end is not None and now > end:
        raise IssuerNotGood(f"{issuer.name} is expired", authority=issuer.name, state=State.EXPIRED.value)
    if issuer.profile not in profile.issued_by:
        raise IssuerMayNotIssue(
            f"{profile.name} is not issued by {issuer.name}",
            profile=profile.name,
            authority=issuer.name,
            issued_by=", ".join(profile.issued_by),
        )
    check_subject(profile, request.subject)
    check_san(profile, request.san)
    check_common_name(profile, request.subject, request.san)
    public_key, public_key_der = read_public_key(request.public_key_der)
    check_key(profile, public_key)
    deps.known_moduli.check(public_key)
    registration = None
    if request.registration is not None:
        registration = _registered(request, deps)
    elif profile.name in deps.by_registration and not _follows_registered(request, deps):
        raise RegistrationNeeded(f"{profile.name} needs a registration", profile=profile.name)
    return Draft(
        profile=profile,
        subject=request.subject,
        public_key_der=public_key_der,
        validity=decide_validity(profile, now, end, request.days),
        san=tuple(request.san),
        authority=issuer.name,
        issuer=issuer.facts(),
        issuer_certificate=issuer.certificate,
        registration=registration,
        replaces=request.replaces,
    )


def _registered(request: IssuanceRequest, deps: IssuingDeps) -> Confirmed:
    assert request.registration is not None
    with deps.database.read() as session:
        return check_confirmed(session, request.registration, request.wanted)


def _follows_registered(request: IssuanceRequest, deps: IssuingDeps) -> bool:
    """Whether this renews, names and all, what was once issued by a registration."""
    if request.replaces is None:
        return False
    with deps.database.read() as session:
        return rests_on_registration(session, request.replaces)


def check_issuer(issuer: Issuer, database: Database, clock: Clock) -> None:
    """Raise IssuerNotGood unless the authority is active and its own certificate is in force now."""
    with database.look() as connection:
        refuse_ended_issuer(connection, issuer.name, issuer.serial, clock)


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
    scheme = scheme_for(key.public_key())

    def sign(messages: Sequence[bytes]) -> list[SignedAhead]:
        return [sign_ahead(key, scheme, message) for message in messages]

    cycle = Cycle(database, clock, twins, key.public_key(), sign)
    result = issue_orders([Order(draft, approval)], actor, cycle)[0]
    if isinstance(result, Exception):
        raise result
    return result
