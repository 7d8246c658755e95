"""A process killed at any step of a revocation, a list or an issuance loses nothing and doubles nothing, and the next one mends it.

SIGKILL, at each step in turn, on the database that the tests run on; each death is judged, and then the deed is done to its end.
"""

from __future__ import annotations

import itertools
from collections import Counter

import pytest
from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from sqlalchemy import text

from certs.inventory import State
from hsm.purposes import Content, recognise
from pki.audit_survey import survey_all
from pki.crl import crl_due, partition_crl, publish_due
from tests.integration.dying import Scene, die_in, make_scene
from tests.unit.pki.crls import current, parse, reloaded, said
from tests.world import ADMIN, World, build_world

# So that a deed that has no end does not make a test without one.
_MOST_STEPS = 80


@pytest.fixture
def world(tmp_path):
    made = build_world(tmp_path)
    partition_crl("issuing", 2, ADMIN, made.crl_deps)
    reloaded(made)
    publish_due(made.issuing, ADMIN, made.crl_deps)
    yield made
    made.close()


def rows(world: World, query: str) -> list[tuple]:
    with world.database.read() as session:
        return [tuple(row) for row in session.execute(text(query))]


def check_whole(world: World, scene: Scene) -> None:
    """What must be true at any moment, whoever died."""
    with world.database.read() as session:
        assert survey_all(session).breaks == ()
    states = dict(rows(world, "SELECT serial, state FROM certificates"))
    listed = {serial for serial, state in states.items() if state in ("revoked", "suspended")}
    # A state, its entry, and its act are there together or not at all.
    assert {serial for (serial,) in rows(world, "SELECT serial FROM crl_entries WHERE is_listed")} == listed
    acts = Counter(rows(world, "SELECT subject_id, action FROM audit"))
    assert {serial for serial, state in states.items() if state == "revoked"} == {
        serial for serial, action in acts if action == "certificate.revoke"
    }
    assert not [
        act for act, count in acts.items() if act[1] in ("certificate.revoke", "certificate.issue") and count > 1
    ]
    # Every number of a list that was ever signed was signed for one scope, and once complete and once as a delta at the most.
    signed = Counter(kind_of(message) for message in scene.messages())
    assert not {kind: count for kind, count in signed.items() if count > 1}
    # What is kept as finished is what was signed, under the number that it says.
    for number, octets in rows(
        world, "SELECT number, der FROM crls WHERE sha256 IS NOT NULL AND authority = 'issuing'"
    ):
        assert kind_of(asn1_crl.CertificateList.load(octets)["tbs_cert_list"].dump()) == ("complete", number)


def kind_of(message: bytes) -> tuple[str, int]:
    """What was signed: a certificate of a serial, a list or a delta of a number."""
    if recognise(message) is Content.CERTIFICATE:
        return "certificate", asn1_x509.TbsCertificate.load(message)["serial_number"].native
    extensions = asn1_crl.TbsCertList.load(message, strict=True)["crl_extensions"].native
    found = {each["extn_id"]: each["extn_value"] for each in extensions}
    return ("delta" if "delta_crl_indicator" in found else "complete"), found["crl_number"]


def check_mended(world: World) -> None:
    """After one more run everybody who is revoked is on the lists, and nothing is due."""
    publish_due(world.issuing, ADMIN, world.crl_deps, hurry=True)
    assert not crl_due("issuing", world.crl_deps)
    states = {serial: (state, shard) for serial, state, shard in rows(world, "SELECT serial, state, crl_shard FROM certificates WHERE issuer = 'issuing'")}  # fmt: skip
    listed = {serial for serial, (state, _) in states.items() if state in ("revoked", "suspended")}
    on_partitions = set(said(current(world, 1))) | set(said(current(world, 2)))
    assert on_partitions == {serial for serial in listed if states[serial][1] is not None}
    # The full list and its delta together.
    delta = said(current(world, is_delta=True))
    removed = {serial for serial, reason in delta.items() if reason == "removeFromCRL"}
    assert (set(said(current(world))) | set(delta)) - removed == listed
    for shard in (0, 1, 2):
        assert parse(current(world, shard)).is_signature_valid(world.issuing.certificate.public_key())


def walk(world: World, scene: Scene, deed: str, *words: str) -> int:
    """Die at every step of a deed until it comes to its end; how many steps it had."""
    for fatal in itertools.count(1):
        assert fatal < _MOST_STEPS
        died = die_in(deed, scene, fatal, *words)
        check_whole(world, scene)
        if not died:
            return fatal - 1
    raise AssertionError


@pytest.mark.slow
def test_a_death_at_any_step_of_a_revocation_is_a_revocation_or_none(world, tmp_path):
    scene = make_scene(world, tmp_path)
    seen = set()
    for fatal in itertools.count(1):
        record = world.officer().record
        died = die_in("revoke", scene, fatal, record.serial, "keyCompromise")
        state = world.record(record.serial).state
        seen.add(state)
        check_whole(world, scene)
        # Whoever asked and heard nothing asks again.
        if state is State.ACTIVE:
            assert died
            world.revoke(record.serial)
        check_mended(world)
        if not died:
            break
    assert fatal >= 5
    assert seen == {State.ACTIVE, State.REVOKED}


@pytest.mark.slow
def test_a_death_at_any_step_of_suspending_and_reinstating_is_the_one_state_or_the_other(world, tmp_path):
    scene = make_scene(world, tmp_path)
    for fatal in itertools.count(1):
        record = world.officer().record
        suspended = not die_in("revoke", scene, fatal, record.serial, "certificateHold")
        if world.record(record.serial).state is State.ACTIVE:
            world.revoke(record.serial, "certificateHold")
        check_mended(world)
        reinstated = not die_in("reinstate", scene, fatal, record.serial)
        assert world.record(record.serial).state in (State.SUSPENDED, State.ACTIVE)
        check_whole(world, scene)
        check_mended(world)
        if suspended and reinstated:
            assert world.record(record.serial).state is State.ACTIVE
            break
    assert fatal >= 5


@pytest.mark.slow
def test_a_death_at_any_step_of_making_lists_loses_no_revocation_and_gives_no_number_twice(world, tmp_path):
    scene = make_scene(world, tmp_path)
    for fatal in itertools.count(1):
        # A list of a partition with its delta, and the delta of the full list.
        revoked = world.officer().record.serial
        world.revoke(revoked, "superseded")
        world.clock.advance(seconds=7)
        died = die_in("publish", scene, fatal)
        check_whole(world, scene)
        check_mended(world)
        if not died:
            break
        assert fatal < _MOST_STEPS
    assert fatal > 20
    kinds = Counter(kind for kind, _ in map(kind_of, scene.messages()))
    assert kinds["delta"] > kinds["complete"] > 3
    # Numbers that were given to the dead stay intents, and are never given again.
    given = [number for (number,) in rows(world, "SELECT number FROM crls WHERE authority = 'issuing' ORDER BY number")]
    assert given == list(range(1, len(given) + 1))
    assert rows(world, "SELECT count(*) FROM crls WHERE sha256 IS NULL AND delta_sha256 IS NULL")[0][0] > 5


@pytest.mark.slow
def test_a_death_at_any_step_of_an_issuance_leaves_nothing_an_intent_or_a_certificate(world, tmp_path):
    scene = make_scene(world, tmp_path)
    steps = walk(world, scene, "issue")
    assert steps >= 8
    signed = {serial for kind, serial in map(kind_of, scene.messages()) if kind == "certificate"}
    known = {int(serial, 16): (serial, state) for serial, state in rows(world, "SELECT serial, state FROM certificates WHERE issuer = 'issuing'")}  # fmt: skip
    # Whatever was signed is in the inventory; where nobody kept the signature it is an intent, and can be revoked.
    assert signed <= set(known)
    intents = [serial for serial, state in known.values() if state == State.INTENT.value]
    assert len(intents) >= 3
    assert signed & {int(serial, 16) for serial in intents}
    for serial in intents:
        world.revoke(serial, "keyCompromise")
    check_whole(world, scene)
    check_mended(world)
    assert rows(world, "SELECT count(*) FROM certificates WHERE state = 'active' AND der IS NULL") == [(0,)]
