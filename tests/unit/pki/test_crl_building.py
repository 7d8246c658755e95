"""A list is built by one, when it is due, from what the inventory says, and nothing that goes wrong loses or doubles anything."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from cryptography import x509
from sqlalchemy import insert, text

from certs.tables import CertificateRow
from hsm.errors import TokenAway
from hsm.handles import sign_only_key
from pki.audit import list_acts
from pki.authorities import get_authority
from pki.crl import crl_due, partition_crl, publish_due, sign_crl
from pki.crl_archive import crl_octets, find_at, find_by_number
from pki.errors import CrlRefused
from tests.unit.pki.crls import current, has, parse, pkilint_findings, reloaded, said, stored, with_policy
from tests.world import ADMIN


def numbers(world) -> list[int]:
    with world.database.read() as session:
        return list(session.scalars(text("SELECT number FROM crls WHERE authority = 'issuing' ORDER BY id")))


def test_of_two_builders_at_once_one_builds_and_the_other_finds_nothing_due(world):
    world.revoke(world.seal().record.serial)
    issued, start = [], threading.Barrier(3)

    def build():
        start.wait()
        issued.append(publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True))

    threads = [threading.Thread(target=build) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(len(each) for each in issued) == [0, 0, 1]
    assert numbers(world) == [1]


def test_changes_wait_a_moment_for_each_other_and_a_compromised_key_does_not(world):
    deps = with_policy(world, delay=timedelta(seconds=10))
    publish_due(world.issuing, ADMIN, deps)
    first, second, third = (world.seal().record.serial for _ in range(3))
    world.revoke(first, "superseded")
    assert not crl_due("issuing", deps, hurry=False)
    assert crl_due("issuing", deps, hurry=True)
    world.clock.advance(seconds=6)
    world.revoke(second, "superseded")
    world.clock.advance(seconds=4)
    # Due by the older of the two, and both are on it.
    (issued,) = publish_due(world.issuing, ADMIN, deps)
    assert set(said(current(world))) == {first, second}
    world.revoke(third, "keyCompromise")
    (urgent,) = publish_due(world.issuing, ADMIN, deps)
    assert urgent.number == issued.number + 1


def test_while_the_token_is_away_the_old_list_stays_and_the_next_try_makes_the_new_one(world):
    first = sign_crl(world.issuing, ADMIN, world.crl_deps)
    serial = world.seal().record.serial
    world.revoke(serial)

    def away(*_args):
        raise TokenAway("away", reason="CKR_DEVICE_REMOVED")

    dead = replace(world.issuing, key=sign_only_key(world.issuing.certificate.public_key(), away))
    for _ in range(2):
        with pytest.raises(TokenAway):
            publish_due(dead, ADMIN, world.crl_deps, hurry=True)
    assert stored(world).number == first.number
    assert crl_due("issuing", world.crl_deps)
    (issued,) = publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)
    assert issued.number == 4
    assert set(said(current(world))) == {serial}


def test_a_clock_set_back_a_day_stops_no_revocation_and_dates_no_list_before_its_predecessor(world):
    first = sign_crl(world.issuing, ADMIN, world.crl_deps)
    serial = world.seal().record.serial
    world.clock.advance(days=-1)
    world.revoke(serial, "superseded")
    (issued,) = publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)
    second = stored(world)
    assert (issued.number, second.this_update) == (first.number + 1, first.this_update)
    assert set(said(current(world))) == {serial}
    assert not crl_due("issuing", world.crl_deps)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM crl_entries",
        "UPDATE crl_entries SET is_listed = false",
        "UPDATE crl_entries SET entry = (SELECT entry FROM crl_entries ORDER BY entry DESC LIMIT 1)",
    ],
)
def test_a_list_that_would_forget_or_mistake_somebody_is_not_signed_and_its_entries_are_made_anew(world, damage):
    serials = [world.seal().record.serial for _ in range(2)]
    world.revoke(serials[0])
    world.clock.advance(days=1)
    world.revoke(serials[1], "superseded")
    with world.database.write() as session:
        session.execute(text(damage))
    record = sign_crl(world.issuing, ADMIN, world.crl_deps)
    assert said(record.der) == {serials[0]: "keyCompromise", serials[1]: "superseded"}
    with world.database.read() as session:
        acts = [act.action for act in list_acts(session, subject_id="issuing")]
    assert acts[-2:] == ["crl.entries.restore", "crl.sign"]


def test_after_an_upgrade_the_first_list_says_what_the_old_release_revoked(world):
    serial = world.seal().record.serial
    old = sign_crl(world.issuing, ADMIN, with_policy(world, delta_lifetime=None))
    world.revoke(serial)
    with world.database.write() as session:
        # As the migration finds it: no entries, no epochs of certificates, lists without a size.
        session.execute(text("DELETE FROM crl_entries"))
        session.execute(text("UPDATE certificates SET crl_epoch = NULL"))
        session.execute(text("UPDATE crls SET size = NULL"))
    (issued,) = publish_due(world.issuing, ADMIN, world.crl_deps)
    assert said(current(world)) == {serial: "keyCompromise"}
    # What changed since the old list was not counted, so no delta builds on it.
    assert issued.delta is not None
    assert issued.delta.base == issued.number
    assert issued.number == old.number + 1


def test_a_list_that_a_linter_refuses_is_never_signed(world):
    seen = []

    def refuse(der):
        seen.append(parse(der))
        return ["pkix.something_is_wrong"]

    deps = replace(world.crl_deps, lint=refuse)
    with pytest.raises(CrlRefused) as refused:
        sign_crl(world.issuing, ADMIN, deps)
    assert refused.value.facts == {"authority": "issuing", "number": "1", "problem": "pkix.something_is_wrong"}
    # What it saw was a twin: the authority's key had no part in it.
    assert not seen[0].is_signature_valid(world.issuing.certificate.public_key())
    with pytest.raises(AssertionError):
        stored(world)


def test_the_twin_that_is_linted_has_the_first_hundred_entries(world):
    _revoke_in_bulk(world, [f"{0x40 << 152 | number:040x}" for number in range(150)])
    lengths = []
    deps = replace(world.crl_deps, lint=lambda der: lengths.append(len(parse(der))) or [])
    record = sign_crl(world.issuing, ADMIN, deps)
    assert lengths[-2:] == [100, 0]
    assert len(parse(record.der)) == 150


def kinds(world) -> dict[str, bytes]:
    """One list of every kind that we make."""
    partition_crl("issuing", 2, ADMIN, world.crl_deps)
    reloaded(world)
    found = {}
    publish_due(world.issuing, ADMIN, world.crl_deps)
    found["empty"], found["empty delta"] = current(world), current(world, is_delta=True)
    root, _ = world.crls()
    found["root"] = root.der
    records = [world.seal().record for _ in range(6)]
    world.clock.advance(days=1)
    for record, reason in zip(records, ("keyCompromise", "certificateHold", "unspecified", "superseded", "cACompromise", "certificateHold"), strict=True):  # fmt: skip
        world.revoke(record.serial, reason, hours=2)
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    found["full"], found["delta"] = current(world), current(world, is_delta=True)
    for shard in (1, 2):
        found[f"partition {shard}"] = current(world, shard)
        found[f"partition {shard} delta"] = current(world, shard, is_delta=True)
    world.clock.advance(days=4000)
    keeping = with_policy(world, keep_expired=True)
    world.clock.advance(days=-3998)
    publish_due(world.issuing, ADMIN, keeping, everything=True)
    found["expired kept"] = current(world)
    return found


def test_pkilint_finds_nothing_in_any_kind_of_list(world):
    found = {kind: pkilint_findings(der) for kind, der in kinds(world).items()}
    assert found == {key: [] for key in found}
    assert len(found) == 10


def test_expired_entries_stay_when_the_installation_keeps_them_and_the_list_says_since_when(world):
    serial = world.seal().record.serial
    world.revoke(serial)
    sign_crl(world.issuing, ADMIN, world.crl_deps)
    for _ in range(2):
        world.clock.advance(days=740)
        sign_crl(world.issuing, ADMIN, world.crl_deps)
    assert said(current(world)) == {}
    keeping = with_policy(world, keep_expired=True)
    record = sign_crl(world.issuing, ADMIN, keeping)
    assert set(said(record.der)) == {serial}
    (kept,) = [each for each in parse(record.der).extensions if each.oid.dotted_string == "2.5.29.60"]
    since = f"{world.issuing.certificate.not_valid_before_utc:%Y%m%d%H%M%SZ}"
    assert (kept.critical, kept.value.value) == (False, b"\x18\x0f" + since.encode())


def test_every_list_that_was_ever_current_can_be_asked_for_by_number_and_by_time(world):
    partition_crl("issuing", 2, ADMIN, world.crl_deps)
    reloaded(world)
    history = []
    for _ in range(3):
        record = world.seal().record
        world.revoke(record.serial)
        publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)
        shard = record.crl_shard
        history.append((world.clock.now(), shard, stored(world, shard), current(world, shard), current(world, shard, is_delta=True)))  # fmt: skip
        world.clock.advance(hours=1)
    with world.database.read() as session:
        for moment, shard, record, complete, delta in history:
            for query in (
                find_at(session, "issuing", moment + timedelta(minutes=59), shard),
                find_by_number(session, "issuing", record.number),
            ):
                assert query == record
                assert b"".join(crl_octets(session, query)) == complete
            found = find_by_number(session, "issuing", record.number, is_delta=True)
            assert b"".join(crl_octets(session, found)) == delta
        assert find_at(session, "issuing", history[0][0] - timedelta(days=1)) is None


def test_a_long_list_is_kept_in_pieces_and_comes_back_whole(world):
    # 25,000 entries are more than a mebibyte: revoked behind the product's back, which restores what it keeps of them.
    revoked = {f"{0x40 << 152 | number:040x}" for number in range(25_000)}
    _revoke_in_bulk(world, sorted(revoked))
    record = sign_crl(world.issuing, ADMIN, world.crl_deps)
    assert len(record.der) > 1 << 20
    assert {f"{entry.serial_number:040x}" for entry in parse(record.der)} == revoked
    assert parse(record.der).is_signature_valid(world.issuing.certificate.public_key())
    with world.database.read() as session:
        pieces = session.scalars(text("SELECT length(octets) FROM crl_pieces ORDER BY position")).all()
        assert sum(pieces) == stored(world).size == len(record.der)
        assert max(pieces) == 1 << 20
        assert session.scalar(text("SELECT der FROM crls WHERE number = 1")) is None


def _revoke_in_bulk(world, serials: list[str]) -> None:
    model = world.record(world.seal().record.serial)
    facts = {
        "profile": model.profile, "subject": "CN=A", "common_name": "A", "organization": "", "search_text": "a",
        "issuer": "issuing", "state": "revoked", "not_before": model.not_before, "not_after": model.not_after,
        "tbs": b"", "der": b"", "sha256": None, "public_key_der": b"", "key_id": "", "revoked_at": model.not_before,
        "revocation_reason": "superseded", "suspect_since": None, "created_at": model.created_at,
    }  # fmt: skip
    with world.database.write() as session:
        session.execute(insert(CertificateRow), [facts | {"serial": serial} for serial in serials])


def test_no_list_is_made_for_others_than_those_who_changed(world):
    publish_due(world.issuing, ADMIN, world.crl_deps)
    world.revoke(world.issuing.serial, "cACompromise")
    assert not crl_due("issuing", world.crl_deps)
    assert crl_due("root", world.crl_deps)
    with world.database.read() as session:
        assert get_authority(session, "root").revocation_epoch == 1
    assert not has(current(world), x509.DeltaCRLIndicator)
