"""The ceremony: makes an authority with its key and certificate. Run again with the same values, it finishes or does nothing."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

from certs.catalogue import Catalogue
from certs.clock import Clock
from certs.db import Database
from certs.inventory import State, find_by_key
from certs.names import SubjectName, build_name, parse_subject
from certs.profile import Profile, check_key_spec, check_subject, decide_validity
from certs.template import IssuerFacts, key_identifier
from hsm.spec import KeyRef, KeySpec, PublicKey, Purpose, spec_of, spki_der
from hsm.store import KeyStore
from pki import audit
from pki.approval import Deed, demand, use
from pki.approval_rules import Act, ApprovalRules
from pki.audit import Actor
from pki.authorities import (
    AuthorityRecord,
    AuthorityState,
    activate,
    add_pending,
    find_authority,
    get_authority,
    is_name,
    list_authorities,
)
from pki.errors import AuthorityExists, AuthorityNameRefused, IssuerMayNotIssue
from pki.issuance import Draft, TwinKeys, check_issuer, issue_draft
from pki.issuer import ca_url, crl_url, load_issuer
from pki.roles import Permission, require


@dataclass(frozen=True)
class CeremonyDeps:
    """What a ceremony needs."""

    database: Database
    clock: Clock
    keys: KeyStore
    catalogue: Catalogue
    public_url: str
    twins: TwinKeys = field(default_factory=TwinKeys)
    # Required, so that nobody makes an authority past a home's rules by leaving them out.
    approvals: ApprovalRules = field(kw_only=True)


def create_root(
    name: str, subject: SubjectName, actor: Actor, deps: CeremonyDeps, *, spec: KeySpec = KeySpec.P_384
) -> AuthorityRecord:
    """Make a root that signs itself. The same name with the same values again returns what is there."""
    return _create(name, None, "root", subject, spec, actor, deps)


def create_issuing(
    name: str,
    parent: str,
    subject: SubjectName,
    actor: Actor,
    deps: CeremonyDeps,
    *,
    spec: KeySpec = KeySpec.P_256,
    profile: str = "issuing",
) -> AuthorityRecord:
    """Make an authority under `parent`. The same name with the same values again returns what is there."""
    return _create(name, parent, profile, subject, spec, actor, deps)


def key_label(name: str) -> str:
    """What people see beside an authority's key on the token."""
    return f"ca-{name}"


def _create(
    name: str,
    parent: str | None,
    profile_name: str,
    subject: SubjectName,
    spec: KeySpec,
    actor: Actor,
    deps: CeremonyDeps,
) -> AuthorityRecord:
    require(actor, Permission.CREATE_AUTHORITY)
    # 1. Refuse everything that can be refused before a key exists: keys in a token are for ever.
    if not is_name(name):
        raise AuthorityNameRefused(f"{name!r} is no name", authority=name)
    profile = deps.catalogue.get(profile_name)
    check_subject(profile, subject)
    check_key_spec(profile, spec)
    authority = _find_same(name, parent, profile, subject, spec, deps)
    if authority is not None and authority.state is not AuthorityState.PENDING:
        return authority
    _check_parent(parent, profile, deps)
    # 2. The key, then the row that names it. A death in between leaves a key with this label, which the next run takes.
    #    Others approve before there is a key; the row spends their approval, and what it began is finished without another.
    if authority is None:
        deed = _deed(name, parent, profile, subject, spec)
        approval = demand(deed, deps.approvals.needed(deed.act, profile), actor, deps)
        ref = _find_or_make_key(name, spec, deps)
        with deps.database.write() as session:
            use(session, approval, deed, actor, deps.clock)
            add_pending(
                session,
                deps.clock.now(),
                name=name,
                parent=parent,
                profile=profile.name,
                subject=str(subject),
                public_key_der=ref.public_key_der,
            )
            audit.append(
                session,
                deps.clock,
                actor,
                "authority.create",
                "authority",
                name,
                key_id=ref.key_id.hex(),
                spec=spec.value,
                parent=parent or "",
            )
    else:
        ref = KeyRef(key_label(name), spec, authority.public_key_der)
    # 3. The certificate, unless an earlier run had come that far.
    with deps.database.read() as session:
        finished = [r for r in find_by_key(session, ref.public_key_der) if r.state is State.ACTIVE]
    serial = finished[0].serial if finished else _certify(name, parent, profile, ref.public_key(), actor, deps)
    # 4. From here on the authority signs.
    with deps.database.write() as session:
        record = activate(session, name, serial)
        audit.append(session, deps.clock, actor, "authority.activate", "authority", name, serial=serial)
    return record


def _deed(name: str, parent: str | None, profile: Profile, subject: SubjectName, spec: KeySpec) -> Deed:
    asked = {"name": name, "parent": parent, "profile": profile.name, "subject": str(subject), "key": spec.value}
    return Deed(Act.AUTHORITY_CREATE, f"{name}: {subject}", asked, {"profile": asdict(profile)})


def _find_same(
    name: str, parent: str | None, profile: Profile, subject: SubjectName, spec: KeySpec, deps: CeremonyDeps
) -> AuthorityRecord | None:
    with deps.database.read() as session:
        found = find_authority(session, name)
    if found is None:
        return None
    present = KeyRef(key_label(name), spec, found.public_key_der).public_key()
    wanted = (parent, profile.name, str(subject), spec)
    if (found.parent, found.profile, found.subject, spec_of(present)) != wanted:
        raise AuthorityExists(f"{name} is another authority", authority=name, subject=found.subject)
    return found


def _check_parent(parent: str | None, profile: Profile, deps: CeremonyDeps) -> None:
    parent_profile = "self"
    if parent is not None:
        with deps.database.read() as session:
            parent_profile = get_authority(session, parent).profile
    if parent_profile not in profile.issued_by:
        raise IssuerMayNotIssue(
            f"{profile.name} is not issued by {parent or 'itself'}",
            profile=profile.name,
            authority=parent or "self",
            issued_by=", ".join(profile.issued_by),
        )


def _find_or_make_key(name: str, spec: KeySpec, deps: CeremonyDeps) -> KeyRef:
    with deps.database.read() as session:
        taken = {authority.public_key_der for authority in list_authorities(session)}
    for ref in deps.keys.list_keys():
        if ref.label == key_label(name) and ref.spec is spec and ref.public_key_der not in taken:
            if ref.purpose is None:
                deps.keys.assign_purpose(ref.public_key_der, Purpose.AUTHORITY)
            if ref.purpose in {None, Purpose.AUTHORITY}:
                return ref
    return deps.keys.generate(spec, key_label(name), Purpose.AUTHORITY)


def _certify(
    name: str, parent: str | None, profile: Profile, public_key: PublicKey, actor: Actor, deps: CeremonyDeps
) -> str:
    with deps.database.read() as session:
        authority = get_authority(session, name)
    subject = parse_subject(authority.subject)
    if parent is None:
        key = deps.keys.get(authority.public_key_der)
        facts = IssuerFacts(
            name=build_name(subject),
            key_identifier=key_identifier(authority.public_key_der),
            not_after=None,
            crl_url=crl_url(deps.public_url, name),
            ca_url=ca_url(deps.public_url, name),
        )
        issuer_certificate = None
    else:
        issuer = load_issuer(deps.database, deps.keys, parent, deps.public_url)
        check_issuer(issuer, deps.database, deps.clock)
        key, facts, issuer_certificate = issuer.key, issuer.facts(), issuer.certificate
    draft = Draft(
        profile=profile,
        subject=subject,
        public_key_der=spki_der(public_key),
        validity=decide_validity(profile, deps.clock.now(), facts.not_after),
        san=(),
        authority=parent or name,
        issuer=facts,
        issuer_certificate=issuer_certificate,
    )
    return issue_draft(draft, key, actor, deps.database, deps.clock, deps.twins, None).serial
