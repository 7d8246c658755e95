"""signer/credentials.py: who may sign now, and who may not and why."""

from __future__ import annotations

from datetime import timedelta

import pytest

from certs.clock import rfc3339
from certs.errors import DatabaseUnavailable
from hsm.spec import KeySpec
from pki.schemes import Scheme
from signer.credentials import check_name, list_credentials
from signer.errors import Refused, UsageWrong
from tests.fakes.clock import START
from tests.postgres import sqlite_only
from tests.signing_world import SigningWorld


def refusal(signing: SigningWorld, name: str = "officer") -> Refused:
    with pytest.raises(Refused) as caught:
        signing.deps.desk.usable(name)
    return caught.value


def test_a_credential_in_force_comes_with_everything_a_signature_needs(signing: SigningWorld) -> None:
    credential = signing.deps.desk.usable("seal")
    assert (credential.name, credential.role, credential.diameter_mm) == ("seal", "seal", 36.0)
    assert credential.key().public_key() == credential.public_key
    assert credential.authorities == (signing.world.issuing.serial, signing.world.root.serial)
    assert signing.deps.desk.usable("seal") is credential


def test_the_scheme_follows_the_key_and_the_setting(bare: SigningWorld) -> None:
    bare.enrol("one", "officer", spec=KeySpec.P_384)
    bare.enrol("two", "officer", spec=KeySpec.RSA_2048)
    bare.rsa_padding = "pkcs1v15"
    bare.enrol("three", "officer", spec=KeySpec.RSA_2048)
    schemes = [bare.deps.desk.usable(name).template.scheme for name in ("one", "two", "three")]
    assert schemes == [Scheme.ECDSA_SHA384, Scheme.PSS_SHA256, Scheme.PKCS1_SHA256]


def test_an_unknown_credential_is_wrong_usage(signing: SigningWorld) -> None:
    with pytest.raises(UsageWrong) as caught:
        signing.deps.desk.usable("nobody")
    assert caught.value.code == "CREDENTIAL_UNKNOWN"


def test_a_revoked_credential_is_refused_at_once_though_it_was_handed_out_before(signing: SigningWorld) -> None:
    credential = signing.deps.desk.usable("officer")
    signing.world.revoke(credential.serial, "keyCompromise")
    error = refusal(signing)
    assert error.code == "CREDENTIAL_REVOKED"
    assert error.facts == {"name": "officer", "when": rfc3339(START), "reason": "keyCompromise"}


def test_a_suspended_credential_is_refused(signing: SigningWorld) -> None:
    signing.world.revoke(signing.deps.desk.usable("officer").serial, "certificateHold")
    assert refusal(signing).code == "CREDENTIAL_SUSPENDED"


def test_a_credential_is_refused_from_the_second_after_its_end(signing: SigningWorld) -> None:
    serial = signing.deps.desk.usable("officer").serial
    record = signing.world.record(serial)
    signing.world.clock.advance(seconds=(record.not_after - START).total_seconds())
    assert signing.deps.desk.usable("officer").serial == serial
    signing.world.clock.advance(seconds=1)
    error = refusal(signing)
    assert (error.code, error.facts["when"]) == ("CREDENTIAL_EXPIRED", rfc3339(record.not_after))


def test_a_credential_is_refused_before_its_beginning(signing: SigningWorld) -> None:
    record = signing.world.record(signing.deps.desk.usable("officer").serial)
    signing.world.clock.advance(seconds=-(START - record.not_before + timedelta(seconds=1)).total_seconds())
    assert refusal(signing).code == "CREDENTIAL_NOT_YET_VALID"


def test_a_revoked_issuing_authority_takes_its_credentials_with_it(signing: SigningWorld) -> None:
    signing.deps.desk.usable("officer")
    signing.world.revoke(signing.world.issuing.serial, "cACompromise")
    assert refusal(signing).code == "CREDENTIAL_REVOKED"
    assert refusal(signing, "seal").code == "CREDENTIAL_REVOKED"


@pytest.mark.parametrize("name", ["a", "officer-2", "9", "-", "x" * 32])
def test_names_by_the_rule_are_taken(name: str) -> None:
    check_name(name)


@pytest.mark.parametrize("name", ["", "Officer", "off icer", "x" * 33, "a/b", "ơ", "a\n", "..", "１"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(UsageWrong) as caught:
        check_name(name)
    assert caught.value.code == "CREDENTIAL_NAME_MALFORMED"


def test_credentials_are_listed_by_name(signing: SigningWorld) -> None:
    with signing.world.database.read() as session:
        listed = list_credentials(session)
    assert [(each.name, each.role, each.activation) for each in listed] == [
        ("officer", "officer", "standing"),
        ("seal", "seal", "standing"),
    ]


def test_whether_an_officer_is_among_signers_is_asked_of_the_inventory(signing: SigningWorld) -> None:
    officer, seal = (signing.deps.desk.usable(name).serial for name in ("officer", "seal"))
    assert signing.deps.desk.any_officer([seal, officer])
    assert not signing.deps.desk.any_officer([seal])
    assert not signing.deps.desk.any_officer([])


@sqlite_only
def test_a_database_that_is_away_is_said_to_be_so(signing: SigningWorld) -> None:
    file = signing.world.database.url.database
    assert file is not None
    signing.world.database.close()
    with open(file, "r+b") as stream:  # noqa: PTH123
        stream.write(b"x" * 4096)
    with pytest.raises(DatabaseUnavailable):
        signing.deps.desk.usable("officer")
