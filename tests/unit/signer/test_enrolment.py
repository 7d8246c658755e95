"""signer/enrolment.py: a credential is made of a key, a certificate and a picture, also after a death half-way."""

from __future__ import annotations

from dataclasses import replace

import pytest

from certs.errors import CertsError, KeyCompromised
from certs.inventory import State
from certs.names import parse_subject
from hsm.errors import KeyNotProtected
from hsm.memory_store import MemoryStore
from hsm.spec import KeyRef, KeySpec, Purpose, TokenStatus
from pki.appointment import add_person
from pki.approval_records import get_approval
from pki.approval_rules import ApprovalRules
from pki.audit import Actor
from pki.errors import ApprovalNeeded, RoleMissing
from pki.persons import get_person
from pki.roles import Permission, Role
from pki.voting import approve
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol, free_name, key_label
from signer.errors import UsageWrong
from tests.signing_world import CLERK, SigningWorld
from tests.world import OFFICER_SUBJECT

REQUEST = EnrolmentRequest("officer", "officer", parse_subject(OFFICER_SUBJECT), KeySpec.P_256)


class Died(BaseException):
    """The process ends here; nobody catches it."""


class PartlyFailing:
    """A key store in front of another: one operation fails, the others pass."""

    def __init__(self, store: MemoryStore, operation: str, error: BaseException) -> None:
        self.store, self.operation, self.error = store, operation, error

    def _pass(self, operation: str) -> MemoryStore:
        if operation == self.operation:
            raise self.error
        return self.store

    def generate(self, spec: KeySpec, label: str, purpose: Purpose) -> KeyRef:
        return self._pass("generate").generate(spec, label, purpose)

    def get(self, public_key_der: bytes):
        return self._pass("get").get(public_key_der)

    def list_keys(self) -> list[KeyRef]:
        return self._pass("list_keys").list_keys()

    def check_protected(self, public_key_der: bytes) -> None:
        self._pass("check_protected").check_protected(public_key_der)

    def destroy(self, public_key_der: bytes) -> None:
        self._pass("destroy").destroy(public_key_der)

    def status(self) -> TokenStatus:
        return self.store.status()

    def close(self) -> None:
        self.store.close()


def keys_of(bare: SigningWorld, name: str = "officer") -> list[KeyRef]:
    return [key for key in bare.world.keys.list_keys() if key.label == key_label(name)]


def test_it_makes_key_certificate_credential_and_audit_rows(bare: SigningWorld) -> None:
    record = enrol(REQUEST, CLERK, bare.enrolment)
    (key,) = keys_of(bare)
    assert record.public_key_der == key.public_key_der
    assert bare.deps.desk.usable("officer").serial == record.serial
    assert bare.rows("SELECT actor, subject_id FROM audit WHERE action = 'credential.create'") == [
        (CLERK.name, "officer")
    ]


def test_after_a_death_between_key_and_certificate_the_key_is_taken_up(bare: SigningWorld) -> None:
    dying = PartlyFailing(bare.world.keys, "check_protected", Died())
    with pytest.raises(Died):
        enrol(REQUEST, CLERK, EnrolmentDeps(dying, bare.world.issuing_deps, "pss"))
    (key,) = keys_of(bare)
    enrol(REQUEST, CLERK, bare.enrolment)
    assert keys_of(bare) == [key]
    assert bare.deps.desk.usable("officer").public_key_der == key.public_key_der


def test_after_a_death_between_certificate_and_credential_both_are_taken_up(bare: SigningWorld) -> None:
    record = enrol(REQUEST, CLERK, bare.enrolment)
    with bare.world.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM credentials")
    again = enrol(REQUEST, CLERK, bare.enrolment)
    assert again.serial == record.serial
    assert len(keys_of(bare)) == 1


def test_a_certificate_that_was_revoked_in_between_is_not_taken_up(bare: SigningWorld) -> None:
    record = enrol(REQUEST, CLERK, bare.enrolment)
    with bare.world.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM credentials")
    bare.world.revoke(record.serial, "superseded")
    again = enrol(REQUEST, CLERK, bare.enrolment)
    assert (again.serial != record.serial, again.state) == (True, State.ACTIVE)


def test_a_key_that_was_compromised_in_between_is_never_certified_again(bare: SigningWorld) -> None:
    record = enrol(REQUEST, CLERK, bare.enrolment)
    with bare.world.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM credentials")
    bare.world.revoke(record.serial, "keyCompromise")
    with pytest.raises(KeyCompromised):
        enrol(REQUEST, CLERK, bare.enrolment)


def test_a_key_that_could_leave_the_token_gets_no_certificate(bare: SigningWorld) -> None:
    weak = PartlyFailing(bare.world.keys, "check_protected", KeyNotProtected("extractable"))
    with pytest.raises(KeyNotProtected):
        enrol(REQUEST, CLERK, EnrolmentDeps(weak, bare.world.issuing_deps, "pss"))
    assert bare.rows("SELECT count(*) FROM certificates WHERE profile = 'officer'") == [(0,)]
    assert bare.rows("SELECT count(*) FROM credentials") == [(0,)]


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        (EnrolmentRequest("Not Good", "officer", REQUEST.subject, KeySpec.P_256), "CREDENTIAL_NAME_MALFORMED"),
        (EnrolmentRequest("x", "issuing", REQUEST.subject, KeySpec.P_256), "PROFILE_SIGNS_NOTHING"),
        (EnrolmentRequest("x", "nothing", REQUEST.subject, KeySpec.P_256), "PROFILE_SIGNS_NOTHING"),
    ],
)
def test_what_cannot_be_is_refused_before_a_key_exists(
    bare: SigningWorld, request_: EnrolmentRequest, code: str
) -> None:
    with pytest.raises(UsageWrong) as caught:
        enrol(request_, CLERK, bare.enrolment)
    assert caught.value.code == code
    assert keys_of(bare, request_.name) == []


def test_a_subject_that_the_profile_refuses_makes_no_key(bare: SigningWorld) -> None:
    request = EnrolmentRequest("officer", "officer", parse_subject("O=Sở Thử nghiệm,C=VN"), KeySpec.P_256)
    with pytest.raises(CertsError):
        enrol(request, CLERK, bare.enrolment)
    assert keys_of(bare) == []


def test_a_name_that_is_taken_is_refused_and_the_next_free_one_offered(bare: SigningWorld) -> None:
    assert free_name(bare.world.database, "officer") == "officer"
    enrol(REQUEST, CLERK, bare.enrolment)
    with pytest.raises(UsageWrong) as caught:
        enrol(REQUEST, CLERK, bare.enrolment)
    assert caught.value.code == "CREDENTIAL_EXISTS"
    assert free_name(bare.world.database, "officer") == "officer-2"
    assert free_name(bare.world.database, "agency-seal") == "seal"
    assert len(keys_of(bare)) == 1


def _waits(bare: SigningWorld, request: EnrolmentRequest) -> int:
    with pytest.raises(ApprovalNeeded) as caught:
        enrol(request, CLERK, bare.enrolment)
    return int(caught.value.facts["id"])


def _agree(bare: SigningWorld, number: int) -> None:
    with bare.world.database.read() as session:
        actor, sha256 = get_person(session, "binh").actor, get_approval(session, number).sha256
    approve(number, sha256, actor, bare.world.person_deps)


@pytest.fixture
def strict(bare: SigningWorld) -> SigningWorld:
    """A world where officers' certificates wait for Bình."""
    add_person("binh", "Bình", [Role.REGISTRATION_OFFICER], CLERK, bare.world.person_deps)
    bare.world.approvals = ApprovalRules(frozenset({"officer"}))
    return bare


def test_where_others_have_to_approve_they_do_before_there_is_a_key(strict: SigningWorld) -> None:
    number = _waits(strict, REQUEST)
    assert keys_of(strict) == []
    _agree(strict, number)
    enrol(REQUEST, CLERK, strict.enrolment)
    assert strict.rows("SELECT state FROM approvals") == [("done",)]
    assert strict.deps.desk.usable("officer").name == "officer"


def test_another_name_or_picture_or_kind_of_key_is_another_approval(strict: SigningWorld) -> None:
    first = _waits(strict, REQUEST)
    _agree(strict, first)
    others = [
        replace(REQUEST, name="deputy"), replace(REQUEST, image_sha256="0" * 64), replace(REQUEST, spec=KeySpec.P_384)
    ]  # fmt: skip
    assert first not in {_waits(strict, other) for other in others}
    assert keys_of(strict) == []


def test_an_approval_outlives_a_death_before_the_intent_and_none_after_it(strict: SigningWorld) -> None:
    _agree(strict, _waits(strict, REQUEST))
    dying = PartlyFailing(strict.world.keys, "check_protected", Died())
    with pytest.raises(Died):
        enrol(REQUEST, CLERK, EnrolmentDeps(dying, strict.world.issuing_deps, "pss"))
    record = enrol(REQUEST, CLERK, strict.enrolment)
    # A death between certificate and credential: the same certificate, and Bình sees once more for whom and with which picture.
    with strict.world.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM credentials")
    _agree(strict, _waits(strict, REQUEST))
    assert enrol(REQUEST, CLERK, strict.enrolment).serial == record.serial
    assert strict.rows("SELECT state FROM approvals") == [("done",), ("done",)]


def test_who_may_issue_and_keep_no_credentials_makes_no_key(bare: SigningWorld) -> None:
    actor = Actor("an", frozenset({Role.ADMIN}), frozenset({Permission.ISSUE}))
    with pytest.raises(RoleMissing):
        enrol(REQUEST, actor, bare.enrolment)
    assert keys_of(bare) == []
