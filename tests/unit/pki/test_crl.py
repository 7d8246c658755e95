"""A CRL says what the inventory says, with a number that only grows, and is due as soon as it no longer does."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509

from hsm.errors import SigningFailed
from hsm.handles import sign_only_key
from pki.audit import list_acts
from pki.crl import CrlPolicy, crl_due, find_latest_crl, get_crl, sign_crl
from pki.errors import CrlMismatch, CrlNotFound
from pki.revocation import reinstate
from tests.world import ADMIN


def fresh(world) -> x509.CertificateRevocationList:
    return x509.load_der_x509_crl(sign_crl(world.issuing, ADMIN, world.crl_deps).der)


def listed(crl: x509.CertificateRevocationList) -> set[str]:
    return {f"{entry.serial_number:x}" for entry in crl}


def test_an_empty_crl_is_signed_with_number_and_key_identifier(world):
    crl = fresh(world)
    assert len(crl) == 0
    assert crl.is_signature_valid(world.issuing.certificate.public_key())
    assert crl.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number == 1
    ski = world.issuing.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    assert crl.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier == ski


def test_numbers_only_grow_and_are_counted_for_each_authority(world):
    numbers = [sign_crl(world.issuing, ADMIN, world.crl_deps).number for _ in range(3)]
    assert numbers == [1, 2, 3]
    assert sign_crl(world.root, ADMIN, world.crl_deps).number == 1


def test_entries_have_reason_and_date_of_suspicion(world):
    first, second = world.seal().record.serial, world.officer().record.serial
    world.clock.advance(days=10)
    world.revoke(first, "keyCompromise", days=4)
    world.revoke(second, "unspecified")
    crl = fresh(world)
    entry = crl.get_revoked_certificate_by_serial_number(int(first, 16))
    assert entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value == "keyCompromise"
    since = entry.extensions.get_extension_for_class(x509.InvalidityDate).value.invalidity_date_utc
    assert since == world.clock.now() - timedelta(days=4)
    # RFC 5280 5.3.1: unspecified is said by saying nothing.
    assert len(crl.get_revoked_certificate_by_serial_number(int(second, 16)).extensions) == 0


def test_each_authority_lists_its_own_and_nothing_else(world):
    leaf = world.seal().record.serial
    world.revoke(leaf)
    world.revoke(world.issuing.serial, "cACompromise")
    root_crl, issuing_crl = world.crls()
    assert listed(x509.load_der_x509_crl(issuing_crl.der)) == {leaf}
    assert listed(x509.load_der_x509_crl(root_crl.der)) == {world.issuing.serial}


def test_a_suspended_certificate_is_listed_until_reinstated(world):
    serial = world.seal().record.serial
    world.revoke(serial, "certificateHold")
    assert listed(fresh(world)) == {serial}
    reinstate(serial, ADMIN, world.revocation_deps)
    assert listed(fresh(world)) == set()


def test_an_expired_certificate_stands_on_one_crl_past_its_end_and_then_goes(world):
    serial = world.seal().record.serial
    world.revoke(serial)
    fresh(world)
    world.clock.advance(days=732)
    assert listed(fresh(world)) == {serial}
    world.clock.advance(days=1)
    assert listed(fresh(world)) == set()


def test_a_crl_is_due_when_there_is_none_when_half_over_and_after_any_change(world):
    deps = replace(world.crl_deps, policy=CrlPolicy(delta_lifetime=None))
    assert crl_due("issuing", deps)
    sign_crl(world.issuing, ADMIN, deps)
    assert not crl_due("issuing", deps)
    serial = world.seal().record.serial
    assert not crl_due("issuing", deps)
    world.revoke(serial, "certificateHold")
    assert crl_due("issuing", deps)
    sign_crl(world.issuing, ADMIN, deps)
    assert not crl_due("issuing", deps)
    reinstate(serial, ADMIN, world.revocation_deps)
    assert crl_due("issuing", deps)
    sign_crl(world.issuing, ADMIN, deps)
    world.clock.advance(days=3.4)
    assert not crl_due("issuing", deps)
    world.clock.advance(days=0.2)
    assert crl_due("issuing", deps)


def test_a_change_in_the_second_of_the_crl_is_not_missed(world):
    serial = world.seal().record.serial
    fresh(world)
    world.revoke(serial)
    assert crl_due("issuing", world.crl_deps)


def test_the_crl_lasts_a_week_and_the_roots_a_quarter(world):
    root, issuing = world.crls()
    assert issuing.next_update - issuing.this_update == timedelta(days=7)
    assert root.next_update - root.this_update == timedelta(days=90)


def test_a_finished_crl_can_be_asked_for_by_number(world):
    first = sign_crl(world.issuing, ADMIN, world.crl_deps)
    second = sign_crl(world.issuing, ADMIN, world.crl_deps)
    with world.database.read() as session:
        assert get_crl(session, "issuing", 1) == first
        assert find_latest_crl(session, "issuing") == second
        with pytest.raises(CrlNotFound):
            get_crl(session, "issuing", 3)
        assert find_latest_crl(session, "root") is None


def test_a_death_while_signing_costs_a_number_and_nothing_else(world):
    def die(*_args):
        raise SigningFailed("the token is gone")

    dead = replace(world.issuing, key=sign_only_key(world.issuing.certificate.public_key(), die))
    with pytest.raises(SigningFailed):
        sign_crl(dead, ADMIN, world.crl_deps)
    with world.database.read() as session:
        with pytest.raises(CrlNotFound):
            get_crl(session, "issuing", 1)
        assert find_latest_crl(session, "issuing") is None
    assert sign_crl(world.issuing, ADMIN, world.crl_deps).number == 2


def test_a_crl_signed_by_the_wrong_key_is_never_stored(world):
    with pytest.raises(CrlMismatch) as refused:
        sign_crl(replace(world.issuing, key=world.root.key), ADMIN, world.crl_deps)
    assert refused.value.facts == {"authority": "issuing", "number": "1", "problem": "signature"}
    with world.database.read() as session:
        assert find_latest_crl(session, "issuing") is None


def test_two_builders_at_once_get_numbers_of_their_own(world):
    numbers = []

    def work():
        numbers.extend(sign_crl(world.issuing, ADMIN, world.crl_deps).number for _ in range(5))

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 11))


def test_a_signed_crl_is_audited(world):
    record = sign_crl(world.issuing, ADMIN, world.crl_deps)
    with world.database.read() as session:
        act = list_acts(session, subject_id="issuing")[-1]
    assert act.action == "crl.sign"
    assert (act.details["number"], act.details["entries"], act.details["sha256"]) == ("1", "0", record.sha256)
    assert (act.details["delta_base"], act.details["delta_entries"]) == ("1", "0")
