"""How a prepared document ends without a signature, what it holds meanwhile, and what a death leaves."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

import pytest
from sqlalchemy import text

from pki.audit import AuditRecord, list_acts
from signer.documents import open_intents, stored_revisions
from signer.errors import Refused
from signer.given import Given
from signer.handing_over import (
    HandoverDeps,
    cancel_document,
    clear_prepared,
    finish_document,
    has_ended_prepared,
    prepare_document,
)
from signer.numbering import open_reservations
from signer.prepared import LEASE, StoredClaim, get_prepared, list_prepared
from signer.recall import recall_document
from signer.replay import REPLAYED
from signer.signing_parts import SignRequest
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.elsewhere import cancel, finish, prepare, record
from tests.unit.signer.office import Office
from tests.world import ADMIN


@pytest.fixture
def seals(signing: SigningWorld) -> tuple[SigningWorld, HandoverDeps, bytes]:
    """A paper that the officer has approved and the seal is to issue."""
    deps = HandoverDeps(signing.deps, lambda _extra: pytest.fail("nothing is raised here"), timedelta(hours=1), "pss")
    return signing, deps, signing.sign(plain_paper()).content


def test_the_seals_number_waits_with_it_and_is_used_with_its_signature(
    seals: tuple[SigningWorld, HandoverDeps, bytes],
) -> None:
    signing, deps, approved = seals
    one = prepare_document(SignRequest(approved, "a.pdf", "seal"), CLERK, deps)
    assert one.number is not None
    assert (one.number.number, one.intent, one.code) == (1, "issue", signing.document(one.code).code)
    signing.world.clock.advance(minutes=30)
    with signing.world.database.read() as session:
        assert open_reservations(session, signing.world.clock.now()) == []
    done = finish_document(one.id, Given(), CLERK, deps)
    assert (done.code, done.number, done.issued) == (one.code, 1, True)
    assert signing.rows("SELECT number, state FROM numbers") == [(1, "used")]
    assert [each.conclusion for each in signing.verdict(done.content).judged.signatures] == ["valid", "valid"]


def test_a_document_that_was_issued_or_recalled_meanwhile_is_not_issued_again(
    seals: tuple[SigningWorld, HandoverDeps, bytes],
) -> None:
    signing, deps, approved = seals
    one, two, three = (prepare_document(SignRequest(approved, "a.pdf", "seal"), CLERK, deps) for _ in range(3))
    finish_document(two.id, Given(), CLERK, deps)
    with pytest.raises(Refused, match="ALREADY_ISSUED"):
        finish_document(one.id, Given(), CLERK, deps)
    recall_document(two.code, "nhầm", CLERK, signing.world.database, signing.world.clock)
    with pytest.raises(Refused, match="DOCUMENT_NOT_IN_FORCE"):
        finish_document(three.id, Given(), CLERK, deps)
    for each in (one, three):
        cancel_document(each.id, CLERK, deps)
    numbers = signing.rows("SELECT number, state, reason FROM numbers ORDER BY number")
    assert numbers == [(1, "void", "CANCELLED"), (2, "used", None), (3, "void", "CANCELLED")]


def test_the_next_one_gets_the_next_number_when_the_one_before_has_expired(
    seals: tuple[SigningWorld, HandoverDeps, bytes],
) -> None:
    signing, deps, approved = seals
    one = prepare_document(SignRequest(approved, "a.pdf", "seal"), CLERK, deps)
    assert not has_ended_prepared(deps)
    signing.world.clock.advance(hours=1)
    with pytest.raises(Refused, match="PREPARED_EXPIRED"):
        finish_document(one.id, Given(), CLERK, deps)
    assert has_ended_prepared(deps)
    assert clear_prepared(CLERK, deps) == [one.id]
    assert not has_ended_prepared(deps)
    assert signing.rows("SELECT state, reason FROM numbers") == [("void", "EXPIRED")]
    assert signing.actions()[-2:] == ["number.void", "document.prepare.expire"]
    assert not signing.deps.blobs.path_of(one.blob_sha256).exists()


def test_what_is_called_off_leaves_no_file_and_is_not_signed(office: Office) -> None:
    one = prepare(office)
    with office.world.database.read() as session:
        assert list(stored_revisions(session)) == [one.blob_sha256]
    assert cancel(office, one).state == "cancelled"
    assert not office.deps.blobs.path_of(one.blob_sha256).exists()
    with pytest.raises(Refused, match="PREPARED_CANCELLED"):
        finish(office, one)
    with office.world.database.read() as session:
        assert (list_prepared(session, ("waiting",)), list(stored_revisions(session))) == ([], [])


def test_what_a_death_left_in_the_middle_waits_again_and_its_act_has_failed(office: Office) -> None:
    one = prepare(office)
    finish(office, prepare(office))
    claim = StoredClaim(one.id, one.code, ADMIN, office.world.clock)
    with office.world.database.write() as session:
        claim.take(session)
        claim.begun(session, 1)
    office.world.clock.advance(minutes=2)
    assert clear_prepared(ADMIN, office.handover) == []
    assert record(office, one).state == "taken"
    office.world.clock.advance(seconds=LEASE.total_seconds())
    assert has_ended_prepared(office.handover)
    clear_prepared(ADMIN, office.handover)
    waiting = record(office, one)
    assert (waiting.state, waiting.failure) == ("waiting", "ABANDONED")
    assert finish(office, one).code == one.code


def test_an_act_that_somebody_is_at_work_on_is_none_that_was_forgotten(office: Office) -> None:
    one = prepare(office)
    finish(office, prepare(office))
    claim = StoredClaim(one.id, one.code, ADMIN, office.world.clock)
    office.world.clock.advance(hours=2)
    with office.world.database.write() as session:
        claim.take(session)
        claim.begun(session, 1)
        session.execute(text("UPDATE signing_acts SET state = 'intent'"))
    now = office.world.clock.now()
    with office.world.database.read() as session:
        assert open_intents(session, now - timedelta(minutes=5)) == []
        assert [act.id for act in open_intents(session, now + timedelta(minutes=1))] == [1]


@pytest.mark.parametrize("action", ["take", "cancel", "expire"])
def test_after_a_restore_nothing_is_finished_that_was_taken_up_or_ended_after_the_backup(
    office: Office, action: str
) -> None:
    one = prepare(office)
    act = AuditRecord(9, one.claimed_time, "an", f"document.prepare.{action}", "prepared", one.id, {"code": one.code})
    with office.world.database.write() as session:
        assert REPLAYED[act.action](session, act)
        assert REPLAYED[act.action](session, dataclasses.replace(act, subject_id="0" * 16))
    with pytest.raises(Refused, match="PREPARED_CANCELLED"):
        finish(office, one)
    assert record(office, one).failure == "RESTORED"


def test_every_step_has_its_row_in_the_audit_trail(office: Office) -> None:
    one = prepare(office)
    cancel(office, one)
    with office.world.database.read() as session:
        first, second = list_acts(session, subject_id=one.id)
        assert get_prepared(session, one.id).ended_at == office.world.clock.now()
    assert (first.action, first.details) == (
        "document.prepare",
        {"credential": "officer", "digest": one.digest, "code": one.code},
    )
    assert (second.action, second.details) == ("document.prepare.cancel", {"code": one.code})
