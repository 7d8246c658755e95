"""Partitions: a certificate's list is in its distribution point for ever, and all lists together say what the inventory says."""

from __future__ import annotations

import pytest
from cryptography import x509

from pki.audit import list_acts
from pki.crl import crl_due, partition_crl, publish_due
from pki.errors import PartitionsRefused
from tests.unit.pki.crls import current, extension_of, has, parse, reloaded, said
from tests.world import ADMIN, PUBLIC_URL


def partition(world, count: int) -> None:
    partition_crl("issuing", count, ADMIN, world.crl_deps)
    reloaded(world)


def publish(world):
    return publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)


def point_of(world, serial: str) -> str:
    points = world.record(serial).certificate().extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    return points[0].full_name[0].value


def test_a_certificate_of_before_keeps_to_the_full_list_and_later_ones_name_their_partition(world):
    before = world.seal().record
    partition(world, 3)
    after = world.seal().record
    assert (before.crl_shard, point_of(world, before.serial)) == (None, f"{PUBLIC_URL}/crl/issuing.crl")
    assert after.crl_shard == int(after.serial, 16) % 3 + 1
    assert point_of(world, after.serial) == f"{PUBLIC_URL}/crl/issuing/s/{after.crl_shard}.crl"


def test_each_partition_lists_its_own_and_the_full_list_everything(world):
    old = world.seal().record
    partition(world, 2)
    own = {1: set(), 2: set()}
    while not all(len(each) >= 2 for each in own.values()):
        record = world.seal().record
        own[record.crl_shard].add(record.serial)
    for serial in (old.serial, *own[1], *own[2]):
        world.revoke(serial)
    publish(world)
    assert [set(said(current(world, shard))) for shard in (1, 2)] == [own[1], own[2]]
    assert set(said(current(world))) == {old.serial, *own[1], *own[2]}


def test_a_partition_says_which_in_a_critical_extension_with_the_uri_of_its_certificates_and_the_full_list_does_not(
    world,
):
    partition(world, 2)
    serial = world.seal().record.serial
    shard = world.record(serial).crl_shard
    publish(world)
    for is_delta in (False, True):
        found = extension_of(current(world, shard, is_delta=is_delta), x509.IssuingDistributionPoint)
        assert found.critical
        assert [name.value for name in found.value.full_name] == [point_of(world, serial)]
        assert not has(current(world, is_delta=is_delta), x509.IssuingDistributionPoint)
    (point,) = extension_of(current(world, shard), x509.FreshestCRL).value
    assert point.full_name[0].value == f"{PUBLIC_URL}/crl/issuing/s/{shard}/delta.crl"


def test_more_partitions_move_no_certificate_that_exists(world):
    partition(world, 2)
    early = [world.seal().record for _ in range(4)]
    partition(world, 7)
    late = [world.seal().record for _ in range(4)]
    for record in (*early, *late):
        world.revoke(record.serial)
    publish(world)
    for record, count in (*((each, 2) for each in early), *((each, 7) for each in late)):
        assert record.crl_shard == int(record.serial, 16) % count + 1
        assert record.serial in said(current(world, record.crl_shard))
    listed = [serial for shard in range(1, 8) for serial in said(current(world, shard))]
    assert sorted(listed) == sorted(each.serial for each in (*early, *late))


def test_partitions_are_never_taken_away_and_raising_them_is_audited(world):
    partition(world, 4)
    for count in (3, 0, -1, 1025):
        with pytest.raises(PartitionsRefused) as refused:
            partition_crl("issuing", count, ADMIN, world.crl_deps)
        assert refused.value.facts == {"authority": "issuing", "count": str(count), "least": "4", "most": "1024"}
    assert partition_crl("issuing", 4, ADMIN, world.crl_deps) == 4
    with world.database.read() as session:
        acts = [act for act in list_acts(session, subject_id="issuing") if act.action == "crl.partition"]
    assert [act.details for act in acts] == [{"partitions": "4", "were": "0"}]


def test_new_partitions_are_due_at_once_and_a_revocation_touches_its_own_alone(world):
    publish(world)
    partition(world, 3)
    assert crl_due("issuing", world.crl_deps)
    assert [each.shard for each in publish(world)] == [1, 2, 3]
    assert not crl_due("issuing", world.crl_deps)
    record = world.seal().record
    world.revoke(record.serial)
    issued = publish(world)
    # Its partition anew, and the rest of the world by the delta of the full list, which is long.
    assert [(each.shard, each.complete is not None, each.delta is not None) for each in issued] == [
        (0, False, True),
        (record.crl_shard, True, True),
    ]
    assert record.serial in said(current(world, is_delta=True))


def test_numbers_are_given_once_and_grow_within_each_scope(world):
    partition(world, 2)
    numbers: dict[int, list[int]] = {}
    for _ in range(4):
        world.revoke(world.seal().record.serial)
        world.clock.advance(hours=1)
        for each in publish(world):
            numbers.setdefault(each.shard, []).append(each.number)
    assert all(scope == sorted(set(scope)) for scope in numbers.values())
    given = [number for scope in numbers.values() for number in scope]
    assert len(given) == len(set(given))
    for shard, scope in numbers.items():
        newest = extension_of(current(world, shard, is_delta=True), x509.CRLNumber).value.crl_number
        assert newest == scope[-1]


def test_every_list_is_signed_by_the_authority(world):
    partition(world, 2)
    publish(world)
    key = world.issuing.certificate.public_key()
    for shard in range(3):
        for is_delta in (False, True):
            assert parse(current(world, shard, is_delta=is_delta)).is_signature_valid(key)
