"""Enrolment: makes a credential out of a key in the token, a certificate for it and, where there is one, a picture."""

from __future__ import annotations

from dataclasses import dataclass

from certs.errors import KeyCompromised, KeyInUse
from certs.inventory import CertificateRecord, State, find_by_key
from certs.key_reuse import check_reuse
from certs.names import SubjectName
from hsm.spec import KeyRef, KeySpec, Purpose, spki_der
from hsm.store import KeyStore
from pki.approval import Approval, use
from pki.audit import Actor, append
from pki.errors import RegistrationNotOpen
from pki.issuance import IssuanceRequest, IssuingDeps, decide, demand_issuance, issue
from pki.registration_records import registration_of_certificate
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
    """A signer of ours: `image_sha256` names a registered picture; `diameter_mm` is a seal's.

    `name` None: the next free one of its role, chosen when the credential is made and not when it is asked for, so that two
    requests that wait for approval do not want the same.
    """

    name: str | None
    profile: str
    subject: SubjectName
    spec: KeySpec
    image_sha256: str | None = None
    diameter_mm: float | None = None
    san: tuple[str, ...] = ()
    days: int | None = None
    registration: int | None = None
    # The serial of the certificate that the new one follows (credential_renewal.py).
    replaces: str | None = None

    def certificate(self, public_key_der: bytes) -> IssuanceRequest:
        """What is asked of the issuer for the key of this signer."""
        return IssuanceRequest(
            self.profile, self.subject, public_key_der, self.san, self.days, self.registration,
            made_here=True, replaces=self.replaces,
        )  # fmt: skip


@dataclass(frozen=True)
class EnrolmentDeps:
    """What enrolment needs besides issuing."""

    keys: KeyStore
    issuing: IssuingDeps
    rsa_padding: str


def enrol(request: EnrolmentRequest, actor: Actor, deps: EnrolmentDeps) -> CertificateRecord:
    """Make key, certificate and credential; run again after a death, it takes up the key and certificate it finds."""
    require(actor, Permission.MANAGE_CREDENTIALS)
    require(actor, Permission.ISSUE)
    if request.name is not None:
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
    if request.name is not None:
        with database.read() as session:
            if credential_exists(session, request.name):
                raise UsageWrong("CREDENTIAL_EXISTS", name=request.name)
    used = _refuse_early(request, deps)
    # 2. The key; then what it must never lose. Where others have to approve, they do before there is one.
    name, ref = _place(request, role, deps)
    record = _finished_certificate(request, ref, deps) if ref is not None else None
    if used is not None and (record is None or not _made_by(request, record, deps)):
        raise used
    approval = _demand(request, actor, deps)
    ref = ref or deps.keys.generate(request.spec, key_label(name), Purpose.DOCUMENT)
    deps.keys.check_protected(ref.public_key_der)
    # 3. The certificate, unless an earlier run had come that far.
    unspent = approval if record is not None else None
    record = record or issue(request.certificate(ref.public_key_der), actor, deps.issuing, approval)
    # 4. From here on the credential may sign.
    credential = NewCredential(
        name=name,
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
        append(session, clock, actor, "credential.create", "credential", name, serial=record.serial, role=role)
    return record


def key_label(name: str) -> str:
    """What people see beside a credential's key on the token."""
    return f"credential-{name}"


def _refuse_early(request: EnrolmentRequest, deps: EnrolmentDeps) -> RegistrationNotOpen | None:
    """Everything that issuing would refuse, asked with a key of the same kind that is thrown away.

    A registration that was used is told, not raised: an earlier run may have used it and died before the credential.
    """
    probe = deps.issuing.twins.get(request.spec).public_key()
    try:
        decide(request.certificate(spki_der(probe)), deps.issuing)
    except RegistrationNotOpen as used:
        return used
    return None


def _made_by(request: EnrolmentRequest, record: CertificateRecord, deps: EnrolmentDeps) -> bool:
    with deps.issuing.database.read() as session:
        registration = registration_of_certificate(session, record.serial)
    return registration is not None and registration.id == request.registration


def _demand(request: EnrolmentRequest, actor: Actor, deps: EnrolmentDeps) -> Approval | None:
    """What others approve names the credential too, and its picture: that is what will stand on paper."""
    more = {
        # None: whichever name is free when it is done.
        "credential": request.name,
        "picture": request.image_sha256,
        "diameter_mm": None if request.diameter_mm is None else f"{request.diameter_mm:g}",
    }
    return demand_issuance(request.certificate(b""), f"new {request.spec.value}", actor, deps.issuing, **more)


def _place(request: EnrolmentRequest, role: str, deps: EnrolmentDeps) -> tuple[str, KeyRef | None]:
    """The name of the credential, and the key that an earlier run has made for it, if there is one."""
    if request.name is not None:
        return request.name, _find_key(request.name, request.spec, deps)
    number = 0
    while True:
        number += 1
        name = role if number == 1 else f"{role}-{number}"
        with deps.issuing.database.read() as session:
            if credential_exists(session, name):
                continue
        ref = _find_key(name, request.spec, deps)
        # What a run that died has certified for somebody else is left to whoever asks for that again.
        if ref is None or not _is_anothers(request, ref, deps):
            return name, ref


def _is_anothers(request: EnrolmentRequest, ref: KeyRef, deps: EnrolmentDeps) -> bool:
    with deps.issuing.database.read() as session:
        try:
            check_reuse(session, ref.key_id.hex(), profile=request.profile, subject=str(request.subject))
        except (KeyInUse, KeyCompromised):
            return True
    return False


def _find_key(name: str, spec: KeySpec, deps: EnrolmentDeps) -> KeyRef | None:
    with deps.issuing.database.read() as session:
        taken = {credential.public_key_der for credential in list_credentials(session)}
    for ref in deps.keys.list_keys():
        if ref.label == key_label(name) and ref.spec is spec and ref.public_key_der not in taken:
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
