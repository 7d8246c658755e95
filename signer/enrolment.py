"""Enrolment: makes a credential out of a key in the token, a certificate for it and, where there is one, a picture."""

from __future__ import annotations

from dataclasses import dataclass

from certs.db import Database
from certs.inventory import CertificateRecord, State, find_by_key
from certs.names import SubjectName
from hsm.spec import KeyRef, KeySpec, Purpose, spki_der
from hsm.store import KeyStore
from pki.approval import Approval, use
from pki.audit import Actor, append
from pki.issuance import IssuanceRequest, IssuingDeps, decide, demand_issuance, issue
from pki.roles import Permission, require
from pki.schemes import scheme_for
from signer.credentials import (
    ROLE_OF_PROFILE,
    NewCredential,
    check_name,
    credential_exists,
    list_credentials,
    register_credential,
)
from signer.errors import UsageWrong


@dataclass(frozen=True)
class EnrolmentRequest:
    """A signer of ours: `image_sha256` names a registered picture; `diameter_mm` is a seal's."""

    name: str
    profile: str
    subject: SubjectName
    spec: KeySpec
    image_sha256: str | None = None
    diameter_mm: float | None = None
    san: tuple[str, ...] = ()


@dataclass(frozen=True)
class EnrolmentDeps:
    """What enrolment needs besides issuing."""

    keys: KeyStore
    issuing: IssuingDeps
    rsa_padding: str


def free_name(database: Database, profile: str) -> str:
    """The name for a new credential of a profile: its role, with the lowest free number behind it if it is taken."""
    stem = ROLE_OF_PROFILE[profile]
    with database.read() as session:
        number = 1
        while credential_exists(session, name := stem if number == 1 else f"{stem}-{number}"):
            number += 1
    return name


def enrol(request: EnrolmentRequest, actor: Actor, deps: EnrolmentDeps) -> CertificateRecord:
    """Make key, certificate and credential; run again after a death, it takes up the key and certificate it finds."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    require(actor, Permission.ISSUE)
    check_name(request.name)
    role = ROLE_OF_PROFILE.get(request.profile)
    if role is None:
        raise UsageWrong("PROFILE_SIGNS_NOTHING", profile=request.profile, valid=", ".join(ROLE_OF_PROFILE))
    # Two at once would each take up what the other has just made: one key for two certificates.
    with deps.issuing.database.alone("enrolment"):
        return _enrol(request, role, actor, deps)


def _enrol(request: EnrolmentRequest, role: str, actor: Actor, deps: EnrolmentDeps) -> CertificateRecord:
    database, clock = deps.issuing.database, deps.issuing.clock
    # 1. Refuse before a key exists: keys in a token are for ever.
    with database.read() as session:
        if credential_exists(session, request.name):
            raise UsageWrong("CREDENTIAL_EXISTS", name=request.name)
    _refuse_early(request, deps)
    # 2. The key; then what it must never lose. Where others have to approve, they do before there is one.
    ref = _find_key(request, deps)
    record = _finished_certificate(request, ref, deps) if ref is not None else None
    approval = _demand(request, actor, deps)
    ref = ref or deps.keys.generate(request.spec, key_label(request.name), Purpose.DOCUMENT)
    deps.keys.check_protected(ref.public_key_der)
    # 3. The certificate, unless an earlier run had come that far.
    unspent = approval if record is not None else None
    record = record or issue(
        IssuanceRequest(request.profile, request.subject, ref.public_key_der, request.san),
        actor,
        deps.issuing,
        approval,
    )
    # 4. From here on the credential may sign.
    credential = NewCredential(
        name=request.name,
        role=role,
        agency=request.subject.organization,
        public_key_der=ref.public_key_der,
        certificate_serial=record.serial,
        scheme=scheme_for(ref.public_key(), rsa_padding=deps.rsa_padding),
        image_sha256=request.image_sha256,
        diameter_mm=request.diameter_mm,
    )
    with database.write() as session:
        if unspent is not None:
            # The certificate was approved with another run; that this name and this picture go with it was not.
            use(session, unspent, unspent.deed, actor, clock)
        register_credential(session, credential, clock.now())
        append(session, clock, actor, "credential.create", "credential", request.name, serial=record.serial, role=role)
    return record


def key_label(name: str) -> str:
    """What people see beside a credential's key on the token."""
    return f"credential-{name}"


def _refuse_early(request: EnrolmentRequest, deps: EnrolmentDeps) -> None:
    """Everything that issuing would refuse, asked with a key of the same kind that is thrown away."""
    probe = deps.issuing.twins.get(request.spec).public_key()
    decide(IssuanceRequest(request.profile, request.subject, spki_der(probe), request.san), deps.issuing)


def _demand(request: EnrolmentRequest, actor: Actor, deps: EnrolmentDeps) -> Approval | None:
    """What others approve names the credential too, and its picture: that is what will stand on paper."""
    wanted = IssuanceRequest(request.profile, request.subject, b"", request.san)
    more = {
        "credential": request.name,
        "picture": request.image_sha256,
        "diameter_mm": None if request.diameter_mm is None else f"{request.diameter_mm:g}",
    }
    return demand_issuance(wanted, f"new {request.spec.value}", actor, deps.issuing, **more)


def _find_key(request: EnrolmentRequest, deps: EnrolmentDeps) -> KeyRef | None:
    """The key that an earlier run has made, if there is one."""
    with deps.issuing.database.read() as session:
        taken = {credential.public_key_der for credential in list_credentials(session)}
    for ref in deps.keys.list_keys():
        if ref.label == key_label(request.name) and ref.spec is request.spec and ref.public_key_der not in taken:
            if ref.purpose is None:
                deps.keys.assign_purpose(ref.public_key_der, Purpose.DOCUMENT)
            if ref.purpose in {None, Purpose.DOCUMENT}:
                return ref
    return None


def _finished_certificate(request: EnrolmentRequest, ref: KeyRef, deps: EnrolmentDeps) -> CertificateRecord | None:
    with deps.issuing.database.read() as session:
        for record in find_by_key(session, ref.public_key_der):
            wanted = (request.profile, str(request.subject), State.ACTIVE)
            if (record.profile, record.subject, record.state) == wanted:
                return record
    return None
