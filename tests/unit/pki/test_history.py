"""What was true of a certificate at any instant of its life, by the trail and the archives, is what happened."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pytest
from cryptography import x509
from cryptography.x509 import ocsp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from certs.clock import rfc3339
from certs.errors import CertificateNotFound
from certs.inventory import CertificateRecord, NewCertificate, add_intent, complete, get_certificate
from pki.audit import append
from pki.crl import partition_crl, publish_due, sign_crl
from pki.crl_archive import crl_octets
from pki.errors import HistoryTimeRefused, RevocationRefused
from pki.history import History, Past, history_of
from pki.ocsp import OcspResponder
from pki.ocsp_store import AnswerSigner
from pki.revocation import reinstate, revoke
from pki.service_keys import ServiceDesk, ServiceKind
from tests.unit.pki.crls import reloaded
from tests.unit.pki.services import make_service
from tests.world import ADMIN, OFFICER_SUBJECT, World

_SECOND = timedelta(seconds=1)


def look(world: World, serial: str, at: datetime, now: datetime | None = None) -> History:
    with world.database.read() as session:
        return history_of(session, serial, at, now or max(at, world.clock.now()))


def state(world: World, serial: str, at: datetime) -> Past:
    return look(world, serial, at).then.state


@dataclass
class Model:
    """A life as it was lived: what was so from which time on, and what each list said."""

    serial: str
    spans: list[tuple[datetime, CertificateRecord]] = field(default_factory=list)
    lists: list[tuple[datetime, bool]] = field(default_factory=list)

    def note(self, time: datetime, record: CertificateRecord) -> None:
        # After the clock was set back, what happens counts from when the last thing did.
        self.spans.append((max([time, *(each for each, _ in self.spans)]), record))

    def at(self, time: datetime) -> tuple[str, datetime | None, str | None]:
        past = [record for since, record in self.spans if since <= time]
        if not past:
            return "not-issued", None, None
        record = past[-1]
        told = record.state_at(time).value
        return (told, None, None) if told == "expired" else (told, record.revoked_at, record.revocation_reason)

    def is_listed(self, time: datetime) -> bool | None:
        past = [listed for since, listed in self.lists if since <= time]
        return past[-1] if past else None


STEP = st.one_of(
    st.tuples(st.just("wait"), st.sampled_from([1, 3600, 86_400, 40 * 86_400, 400 * 86_400])),
    st.tuples(st.just("back"), st.just(86_400)),
    st.tuples(st.just("suspend"), st.sampled_from([0, 60])),
    st.tuples(st.just("reinstate"), st.just(0)),
    st.tuples(st.just("revoke"), st.sampled_from([0, 60])),
    st.tuples(st.just("supersede"), st.just(0)),
    st.tuples(st.just("publish"), st.just(0)),
)


def live(world: World, model: Model, step: str, number: int) -> None:
    """One step; what the rules refuse changes nothing."""
    if step in ("wait", "back"):
        world.clock.advance(seconds=number if step == "wait" else -number)
        return
    if step == "publish":
        crl = sign_crl(world.issuing, ADMIN, world.crl_deps)
        model.lists.append((crl.this_update, model.serial in crl_serials(crl.der)))
        return
    since = world.clock.now() - timedelta(seconds=number) if number else None
    try:
        if step == "reinstate":
            record = reinstate(model.serial, ADMIN, world.revocation_deps)
        else:
            reason = {"suspend": "certificateHold", "supersede": "superseded"}.get(step, "keyCompromise")
            record = revoke(model.serial, reason, ADMIN, world.revocation_deps, since)
    except RevocationRefused:
        return
    model.note(world.clock.now(), record)


def crl_serials(der: bytes) -> list[str]:
    return [f"{entry.serial_number:x}" for entry in x509.load_der_x509_crl(der)]


@settings(
    max_examples=12,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(steps=st.lists(STEP, min_size=3, max_size=12), shares=st.lists(st.floats(0, 1), min_size=4, max_size=4))
def test_at_every_instant_of_a_life_history_is_what_happened(world, steps, shares):
    world.clock.advance(days=2)
    record = world.certify("officer", OFFICER_SUBJECT).record
    model = Model(record.serial)
    model.note(record.created_at, record)
    for step, number in [*steps, ("publish", 0)]:
        live(world, model, step, number)
    times = [time for time, _ in model.spans] + [time for time, _ in model.lists]
    first, last = min(times), max(times)
    instants = {first + (last - first) * share for share in shares} | {first - timedelta(days=1)}
    for time in times:
        instants |= {time - _SECOND, time, time + _SECOND}
    for at in sorted(instants):
        history = look(world, record.serial, at, last + timedelta(days=2))
        assert (history.then.state.value, history.then.revoked_at, history.then.reason) == model.at(at), at
        # Lists of earlier examples stand before the first of this one, and know nothing of this certificate.
        full = [each for each in history.crls if not each.crl.is_delta]
        listed = full[0].listing is not None if full else False
        assert listed is bool(model.is_listed(at)), at
        assert [event.time for event in history.later] == [time for time, _ in _changes(model) if time > at]


def _changes(model: Model) -> list[tuple[datetime, CertificateRecord]]:
    """Issuing is two rows of the trail: the intent and the certificate."""
    return [model.spans[0], *model.spans]


def test_before_it_was_issued_a_certificate_was_not(world):
    serial = world.officer().record.serial
    at = world.clock.now() - timedelta(days=1)
    history = look(world, serial, at)
    assert (history.then.state, history.today.state, history.crls, history.answer) == (
        Past.NOT_ISSUED,
        Past.NOT_ISSUED,
        (),
        None,
    )
    assert [event.act for event in history.later] == ["intend", "issue"]


def test_an_unknown_serial_has_no_past(world):
    with pytest.raises(CertificateNotFound):
        look(world, "ff", world.clock.now())


def test_nobody_is_told_the_future(world):
    serial = world.officer().record.serial
    now = world.clock.now()
    with pytest.raises(HistoryTimeRefused):
        look(world, serial, now + _SECOND, now)
    assert look(world, serial, now, now).then.state is Past.ACTIVE


def test_a_suspension_that_came_and_went_is_still_seen_and_was_not_undone_by_its_end(world):
    serial = world.officer().record.serial
    world.clock.advance(days=1)
    held_at = world.clock.now()
    world.revoke(serial, "certificateHold")
    world.clock.advance(days=1)
    reinstate(serial, ADMIN, world.revocation_deps)
    world.clock.advance(days=1)
    history = look(world, serial, held_at + timedelta(hours=1))
    assert (history.then.state, history.then.revoked_at, history.then.reason) == (
        Past.SUSPENDED,
        held_at,
        "certificateHold",
    )
    assert history.today == history.then
    assert [event.act for event in history.later] == ["reinstate"]
    assert state(world, serial, world.clock.now()) is Past.ACTIVE


def test_what_was_known_then_and_what_is_known_today_are_told_apart(world):
    serial = world.officer().record.serial
    world.clock.advance(days=10)
    record = world.revoke(serial, "keyCompromise", days=4)
    before, after = (look(world, serial, world.clock.now() - timedelta(days=days)) for days in (5, 3))
    assert (before.then.state, before.today.state) == (Past.ACTIVE, Past.ACTIVE)
    assert (after.then.state, after.today.state) == (Past.ACTIVE, Past.SUSPECT)
    assert (after.today.revoked_at, after.today.suspect_since) == (record.revoked_at, record.suspect_since)


def test_a_hold_that_became_final_is_known_today_as_a_revocation_from_its_date(world):
    serial = world.officer().record.serial
    world.clock.advance(days=1)
    held_at = world.clock.now()
    world.revoke(serial, "certificateHold")
    world.clock.advance(days=5)
    world.revoke(serial, "keyCompromise")
    history = look(world, serial, held_at + timedelta(days=1))
    assert history.then.state is Past.SUSPENDED
    assert (history.today.state, history.today.revoked_at, history.today.reason) == (
        Past.REVOKED,
        held_at,
        "keyCompromise",
    )


def test_a_reason_that_was_raised_later_leaves_what_was_said_before_as_it_was(world):
    serial = world.officer().record.serial
    world.clock.advance(days=10)
    revoked_at = world.revoke(serial, "superseded").revoked_at
    superseded = sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.clock.advance(days=2)
    raised = world.revoke(serial, "keyCompromise", days=5)
    compromised = sign_crl(world.issuing, ADMIN, world.crl_deps)
    world.clock.advance(days=1)
    before, between, after = (look(world, serial, revoked_at + timedelta(days=days)) for days in (-2, 1, 3))
    assert (before.then.state, before.today.state) == (Past.ACTIVE, Past.SUSPECT)
    said, known = between.then, between.today
    assert (said.state, said.revoked_at, said.reason, said.suspect_since) == (
        Past.REVOKED,
        revoked_at,
        "superseded",
        None,
    )
    assert (known.state, known.revoked_at, known.reason) == (Past.REVOKED, revoked_at, "keyCompromise")
    assert known.suspect_since == raised.suspect_since
    assert after.then == after.today == known
    assert [event.reason for event in between.later] == ["keyCompromise"]
    (complete, first_delta), lists = between.crls, after.crls
    assert (complete.crl.number, complete.listing.reason) == (superseded.number, "superseded")
    # The first list is the base of its own delta, which has nothing to add.
    assert (first_delta.crl.base, first_delta.listing) == (superseded.number, None)
    assert [(each.crl.number, each.listing.reason) for each in lists] == [(compromised.number, "keyCompromise")] * 2


def test_an_act_after_the_clock_was_set_back_counts_from_the_act_before_it(world):
    serial = world.officer().record.serial
    world.clock.advance(days=3)
    held_at = world.clock.now()
    world.revoke(serial, "certificateHold")
    world.clock.advance(days=-1)
    reinstate(serial, ADMIN, world.revocation_deps)
    world.clock.advance(days=3)
    assert state(world, serial, held_at - timedelta(hours=1)) is Past.ACTIVE
    assert [event.time for event in look(world, serial, held_at - _SECOND).later] == [held_at, held_at]


def test_each_authority_up_to_the_root_is_judged_at_the_same_time(world):
    serial = world.officer().record.serial
    world.clock.advance(days=1)
    whole = look(world, serial, world.clock.now())
    assert [(each.authority, each.record.serial, each.then.state) for each in whole.issuers] == [
        ("issuing", world.issuing.serial, Past.ACTIVE),
        ("root", world.root.serial, Past.ACTIVE),
    ]
    assert whole.fallen_issuer is None
    world.clock.advance(days=1)
    world.revoke(world.issuing.serial, "cessationOfOperation")
    world.clock.advance(days=1)
    fallen = look(world, serial, world.clock.now()).fallen_issuer
    assert fallen is not None
    assert (fallen.authority, fallen.today.state, fallen.today.reason) == (
        "issuing",
        Past.REVOKED,
        "cessationOfOperation",
    )
    assert look(world, serial, whole.at).fallen_issuer is None
    assert [each.authority for each in look(world, world.issuing.serial, whole.at).issuers] == ["root"]
    assert look(world, world.root.serial, whole.at).issuers == ()


def test_days_that_a_restored_home_has_lost_are_named(world):
    serial = world.officer().record.serial
    backed_up = world.clock.now()
    world.clock.advance(days=1)
    lost = world.clock.now()
    world.clock.advance(days=1, milliseconds=250)
    with world.database.write() as session:
        append(session, world.clock, ADMIN, "backup.restore", "home", "home", backup_time=rfc3339(backed_up))
    restored = world.clock.now()
    world.clock.advance(days=1)
    gap = look(world, serial, lost).gap
    assert gap is not None
    assert (gap.begun, gap.ended) == (backed_up.replace(microsecond=0), restored.replace(microsecond=0) + _SECOND)
    assert look(world, serial, backed_up.replace(microsecond=0)).gap is None
    assert look(world, serial, restored).gap is None


def test_an_intent_was_one_until_it_was_revoked(world):
    whole = world.officer().record
    with world.database.write() as session:
        new = {name: getattr(whole, name) for name in ("profile", "subject", "common_name", "organization", "issuer", "not_before", "not_after", "tbs", "public_key_der", "created_at")}  # fmt: skip
        add_intent(session, _intent("abcd", new))
    world.clock.advance(hours=1)
    world.revoke("abcd", "unspecified")
    assert state(world, "abcd", world.clock.now()) is Past.REVOKED


def _intent(serial, facts):
    return NewCertificate(serial=serial, **facts)


def test_a_certificate_whose_making_the_trail_does_not_tell_was_in_force_from_its_entry_on(world):
    record = world.officer().record
    with world.database.write() as session:
        row = get_certificate(session, record.serial)
        new = {name: getattr(row, name) for name in ("profile", "subject", "common_name", "organization", "issuer", "not_before", "not_after", "tbs", "public_key_der", "created_at")}  # fmt: skip
        add_intent(session, _intent("0f", new))
        complete(session, _intent("0f", new), b"as it came")
    assert state(world, "0f", record.created_at) is Past.ACTIVE
    assert state(world, "0f", record.created_at - _SECOND) is Past.NOT_ISSUED


def test_the_evidence_is_the_partition_and_the_full_list_with_their_octets(world):
    partition_crl("issuing", 3, ADMIN, world.crl_deps)
    reloaded(world)
    serial = world.officer().record.serial
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    first = world.clock.now()
    world.clock.advance(hours=1)
    revoked_at = world.revoke(serial, "keyCompromise").revoked_at
    publish_due(world.issuing, ADMIN, world.crl_deps, everything=True)
    world.clock.advance(hours=1)
    then, later = look(world, serial, first), look(world, serial, revoked_at + _SECOND)
    shard = world.record(serial).crl_shard
    for history in (then, later):
        assert {each.crl.shard for each in history.crls} == {0, shard}
        with world.database.read() as session:
            for each in history.crls:
                assert hashlib.sha256(b"".join(crl_octets(session, each.crl))).hexdigest() == each.crl.sha256
    assert {each.listing for each in then.crls} == {None}
    assert {(each.listing.reason, each.listing.revoked_at) for each in later.crls} == {("keyCompromise", revoked_at)}
    assert all(each.is_in_force for each in later.crls)
    ended = look(world, serial, first + timedelta(days=60), first + timedelta(days=60))
    assert not any(each.is_in_force for each in ended.crls)


def test_the_stored_answer_of_the_time_is_evidence_and_says_when_it_was_given_out_no_more(world):
    keys, clock = world.keys, world.clock
    make_service(world, ServiceKind.OCSP)
    signer = AnswerSigner(
        world.database, clock, keys, OcspResponder(world.database, clock, ServiceDesk(world.database, keys, clock))
    )
    serial = world.officer().record.serial
    signer.sign_due()
    good_at = clock.now()
    clock.advance(minutes=5)
    world.revoke(serial, "superseded")
    between = clock.now()
    clock.advance(minutes=5)
    signer.sign_due()
    good, old, bad = (look(world, serial, at).answer for at in (good_at, between, clock.now()))
    assert (good.status, good.was_given_out) == ("good", True)
    assert (old.status, old.was_given_out) == ("good", False)
    assert (bad.status, bad.reason, bad.was_given_out) == ("revoked", "superseded", True)
    clock.advance(minutes=5)
    world.revoke(serial, "keyCompromise")
    assert look(world, serial, clock.now()).answer.was_given_out is False
    signer.sign_due()
    worse = look(world, serial, clock.now()).answer
    assert (worse.status, worse.reason, worse.was_given_out) == ("revoked", "keyCompromise", True)
    assert ocsp.load_der_ocsp_response(bad.octets).serial_number == int(serial, 16)
    assert hashlib.sha256(bad.octets).hexdigest() == bad.sha256
    assert look(world, serial, good_at - _SECOND).answer is None
