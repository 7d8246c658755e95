"""Delta CRLs: what changed since lists that are still good, so that other people's software sees it without a new list."""

from __future__ import annotations

import shutil
from datetime import timedelta

import pytest
from cryptography import x509

from pki.crl import crl_due, partition_crl, publish_due, sign_crl
from pki.revocation import reinstate
from tests.unit.pki.crls import (
    current,
    extension_of,
    has,
    openssl_verify,
    parse,
    reloaded,
    said,
    stored,
    with_policy,
)
from tests.world import ADMIN, PUBLIC_URL

HOLD = "certificateHold"


def test_a_delta_names_its_base_in_a_critical_extension_and_shares_the_number_of_the_list_beside_it(world):
    first = sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.revoke(world.seal().record.serial)
    world.clock.advance(hours=1)
    second = sign_crl(world.issuing, ADMIN, world.crl_deps)
    delta = current(world, is_delta=True)
    indicator = extension_of(delta, x509.DeltaCRLIndicator)
    assert (indicator.critical, indicator.value.crl_number) == (True, first.number)
    # RFC 5280 5.2.4: issued at the same time, so the same number and the same information.
    assert extension_of(delta, x509.CRLNumber).value.crl_number == second.number
    assert parse(delta).last_update_utc == second.this_update
    assert said(delta) == said(second.der)


def test_complete_lists_say_where_the_delta_is_and_deltas_and_roots_do_not(world):
    world.crls()
    (point,) = extension_of(current(world), x509.FreshestCRL).value
    assert point.full_name[0].value == f"{PUBLIC_URL}/crl/issuing/delta.crl"
    assert not has(current(world, is_delta=True), x509.FreshestCRL)
    assert not has(current(world, authority="root"), x509.FreshestCRL)
    with pytest.raises(AssertionError):
        current(world, is_delta=True, authority="root")


def test_certificates_name_the_delta_when_the_installation_says_so(world):
    plain = world.seal().record.certificate()
    reloaded(world, names_deltas=True)
    named = world.seal().record.certificate()
    assert not any(isinstance(each.value, x509.FreshestCRL) for each in plain.extensions)
    found = named.extensions.get_extension_for_class(x509.FreshestCRL)
    assert not found.critical
    assert found.value[0].full_name[0].value == f"{PUBLIC_URL}/crl/issuing/delta.crl"


def test_what_was_reinstated_is_removed_in_the_delta_as_long_as_a_list_that_held_it_is_good(world):
    held, revoked = world.seal().record.serial, world.seal().record.serial
    world.revoke(held, HOLD)
    sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.clock.advance(hours=1)
    reinstate(held, ADMIN, world.revocation_deps)
    world.revoke(revoked)
    for _ in range(3):
        complete = sign_crl(world.issuing, ADMIN, world.crl_deps)
        assert said(complete.der) == {revoked: "keyCompromise"}
        assert said(current(world, is_delta=True)) == {held: "removeFromCRL", revoked: "keyCompromise"}
        world.clock.advance(days=2)
    world.clock.advance(days=2)
    # The list that held it has ended; those that are good never did.
    sign_crl(world.issuing, ADMIN, world.crl_deps)
    assert said(current(world, is_delta=True)) == {}


def test_a_hold_that_becomes_final_is_told_with_its_new_reason(world):
    serial = world.seal().record.serial
    world.revoke(serial, HOLD)
    sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.clock.advance(hours=1)
    world.revoke(serial, "keyCompromise")
    sign_crl(world.issuing, ADMIN, world.crl_deps)
    assert said(current(world, is_delta=True)) == {serial: "keyCompromise"}


def test_a_delta_is_renewed_at_half_of_its_life_while_the_complete_list_stays(world):
    number = sign_crl(world.issuing, ADMIN, world.crl_deps).number
    world.clock.advance(hours=11.9)
    assert not crl_due("issuing", world.crl_deps)
    world.clock.advance(hours=0.2)
    (issued,) = publish_due(world.issuing, ADMIN, world.crl_deps)
    assert issued.complete is None
    assert issued.delta is not None
    assert (issued.delta.base, issued.delta.next_update - issued.delta.this_update) == (number, timedelta(days=1))
    assert stored(world).number == number


def test_without_deltas_there_is_none_and_no_list_names_one(world):
    deps = with_policy(world, delta_lifetime=None)
    publish_due(world.issuing, ADMIN, deps)
    assert not has(current(world), x509.FreshestCRL)
    with pytest.raises(AssertionError):
        current(world, is_delta=True)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
@pytest.mark.parametrize("shards", [0, 2])
def test_openssl_with_an_old_base_and_the_new_delta_agrees_on_every_state(world, tmp_path, shards):
    if shards:
        partition_crl("issuing", shards, ADMIN, world.crl_deps)
        reloaded(world)
    names = ("good", "revoked", "suspended", "reinstated", "final")
    serials = {name: world.seal().record.serial for name in names}
    world.revoke(serials["reinstated"], HOLD)
    world.revoke(serials["final"], HOLD)
    root, _ = world.crls()
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    every = range(shards + 1)
    bases = {shard: current(world, shard) for shard in every}
    world.clock.advance(hours=2)
    world.revoke(serials["revoked"])
    world.revoke(serials["suspended"], HOLD)
    world.revoke(serials["final"], "superseded")
    reinstate(serials["reinstated"], ADMIN, world.revocation_deps)
    world.clock.advance(hours=2)
    publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)

    def judged(name: str, *, deltas: bool) -> str:
        shard = world.record(serials[name]).crl_shard or 0
        lists = [root.der, bases[shard], *([current(world, shard, is_delta=True)] if deltas else [])]
        return openssl_verify(world, tmp_path, serials[name], *lists, deltas=deltas).split("error ")[-1]

    refused = "certificate revoked"
    assert {name: refused in judged(name, deltas=True) for name in names} == {
        "good": False, "revoked": True, "suspended": True, "reinstated": False, "final": True,
    }  # fmt: skip
    assert judged("good", deltas=True) == judged("reinstated", deltas=True) == "OK"
    # The base alone knows nothing of it: it was the delta that told.
    assert judged("revoked", deltas=False) == "OK"
    assert refused in judged("reinstated", deltas=False)
    # And the complete list that came with the delta says the same.
    for name in names:
        shard = world.record(serials[name]).crl_shard or 0
        newest = openssl_verify(world, tmp_path, serials[name], root.der, current(world, shard), deltas=False)
        assert (refused in newest) is (name in ("revoked", "suspended", "final"))


@pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")
def test_openssl_says_that_an_expired_certificate_has_expired_whatever_the_lists_say(world, tmp_path):
    serial = world.seal().record.serial
    world.clock.advance(days=800)
    root, complete = world.crls()
    told = openssl_verify(world, tmp_path, serial, root.der, complete.der, current(world, is_delta=True))
    assert "certificate has expired" in told
