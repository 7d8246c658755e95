"""A credential that is renewed signs with the new certificate; one that is re-keyed gets a successor under the next name."""

from __future__ import annotations

import pytest

from certs.inventory import State
from pki.renewal import RenewalRequest, renew
from pki.renewal_errors import AlreadyRenewed, RenewalTooEarly
from signer.credential_renewal import CredentialRenewal, rekey_credential, renew_credential
from signer.errors import Refused, UsageWrong
from tests.signing_world import CLERK, SigningWorld

LATE = 600


def test_a_renewed_credential_keeps_name_and_key_and_signs_with_the_new_certificate(bare: SigningWorld) -> None:
    old = bare.enrol("officer", "officer")
    assert bare.deps.desk.usable("officer").serial == old.serial
    bare.world.clock.advance(days=LATE)
    new = renew_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    usable = bare.deps.desk.usable("officer")
    assert (usable.serial, usable.public_key_der) == (new.serial, old.public_key_der)
    assert bare.rows("SELECT subject_id FROM audit WHERE action = 'credential.renew'") == [("officer",)]
    bare.world.revoke(old.serial, "superseded")
    assert bare.deps.desk.usable("officer").serial == new.serial


def test_it_can_be_renewed_again_when_its_time_comes(bare: SigningWorld) -> None:
    bare.enrol("officer", "officer")
    for _ in range(3):
        bare.world.clock.advance(days=LATE)
        new = renew_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
        with pytest.raises(RenewalTooEarly):
            renew_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    assert bare.deps.desk.usable("officer").serial == new.serial


def test_after_a_death_between_certificate_and_credential_the_certificate_is_taken_up(bare: SigningWorld) -> None:
    old = bare.enrol("officer", "officer")
    bare.world.clock.advance(days=LATE)
    left = renew(RenewalRequest(old.serial), CLERK, bare.world.issuing_deps)
    assert bare.deps.desk.usable("officer").serial == old.serial
    assert renew_credential(CredentialRenewal("officer"), CLERK, bare.enrolment).serial == left.serial
    assert bare.deps.desk.usable("officer").serial == left.serial


def test_a_re_keyed_credential_stays_and_gets_a_successor_with_its_picture(bare: SigningWorld) -> None:
    old = bare.enrol("seal", "agency-seal")
    new, name = rekey_credential(CredentialRenewal("seal"), CLERK, bare.enrolment)
    first, second = bare.deps.desk.usable("seal"), bare.deps.desk.usable(name)
    assert (name, second.serial, new.replaces) == ("seal-2", new.serial, old.serial)
    assert first.public_key_der != second.public_key_der
    assert (first.image_sha256, first.diameter_mm) == (second.image_sha256, second.diameter_mm)
    bare.world.revoke(old.serial, "superseded")
    with pytest.raises(Refused):
        bare.deps.desk.usable("seal")
    assert bare.deps.desk.usable(name).serial == new.serial


def test_the_successors_of_a_successor_are_counted_on(bare: SigningWorld) -> None:
    bare.enrol("officer", "officer")
    names = ["officer"]
    for _ in range(2):
        names.append(rekey_credential(CredentialRenewal(names[-1]), CLERK, bare.enrolment)[1])
    assert names == ["officer", "officer-2", "officer-3"]


def test_what_was_re_keyed_is_re_keyed_once_more_only_when_somebody_insists(bare: SigningWorld) -> None:
    bare.enrol("officer", "officer")
    rekey_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    with pytest.raises(AlreadyRenewed):
        rekey_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    assert rekey_credential(CredentialRenewal("officer", force=True), CLERK, bare.enrolment)[1] == "officer-3"


def test_after_a_death_before_the_new_credential_key_and_certificate_are_taken_up(bare: SigningWorld) -> None:
    bare.enrol("officer", "officer")
    left, name = rekey_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    with bare.world.database.write() as session:
        session.connection().exec_driver_sql("DELETE FROM credentials WHERE name = 'officer-2'")
    keys = len(bare.world.keys.list_keys())
    new, again = rekey_credential(CredentialRenewal("officer"), CLERK, bare.enrolment)
    assert (new.serial, again, len(bare.world.keys.list_keys())) == (left.serial, name, keys)


def test_a_suspended_credential_signs_again_when_it_was_reinstated_and_not_before(bare: SigningWorld) -> None:
    serial = bare.enrol("officer", "officer").serial
    bare.world.revoke(serial, "certificateHold")
    with pytest.raises(Refused, match="CREDENTIAL_SUSPENDED"):
        bare.deps.desk.usable("officer")
    assert bare.world.record(serial).state is State.SUSPENDED


def test_a_credential_that_nobody_has_is_unknown(bare: SigningWorld) -> None:
    for deed in (renew_credential, rekey_credential):
        with pytest.raises(UsageWrong) as refused:
            deed(CredentialRenewal("nobody"), CLERK, bare.enrolment)
        assert refused.value.code == "CREDENTIAL_UNKNOWN"
