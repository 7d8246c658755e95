"""signer/batches.py, signer/batch_work.py: what was handed in is signed once, whatever dies or is away in between."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from hsm.errors import TokenAway
from pki.audit import Actor
from pki.errors import RoleMissing
from pki.roles import Permission, system_part
from signer.batch_work import BatchDeps, forget_orphans, has_waiting, work_off
from signer.batches import (
    Batch,
    NewBatch,
    NewDocument,
    add_batch,
    batch_by_code,
    cancel_batch,
    count_waiting,
    find_batch,
)
from signer.errors import Refused, UsageWrong
from signer.password import Password
from signer.protection import parse_protection
from signer.storage import BlobStore
from signer.subfilters import PKCS7
from signer.uploads import UploadStore
from signer.validation.facts import ValidationInputs
from tests.fakes.clock import START
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.test_encrypted import encrypt
from tests.unit.signer.test_preparing import form_pdf
from tests.unit.signer.test_signing import Died, state_of
from tests.unit.signer.test_signing_batch import OtherKeys

SYSTEM = system_part("worker", Permission.EXTEND_DOCUMENTS)
TEXT_FIELD = "<< /FT /Tx /T (Ten) /Type /Annot /Subtype /Widget /Rect [50 50 200 80] /P 3 0 R >>"
OPENS = "chỉ đội cứu hộ biết"
PAPERS = [plain_paper(f"Paper {number}") for number in range(3)]


class Desk:
    """The batches of one signing world."""

    def __init__(self, signing: SigningWorld, folder: Path) -> None:
        self.signing = signing
        self.folder = folder / "uploads"
        self.uploads = UploadStore(self.folder, folder / "secrets" / "uploads.key")
        self.deps = BatchDeps(signing.deps, self.uploads, lambda _token: CLERK)

    def add(self, *papers: bytes, actor: Actor = CLERK, **wishes: object) -> Batch:
        documents = [
            NewDocument(f"{number}.pdf", paper, hashlib.sha256(paper).hexdigest(), f"case-{number}", "none")
            for number, paper in enumerate(papers)
        ]
        wanted = NewBatch(7, "ab" * 32, "officer", None, "B-B", documents)
        world = self.signing.world
        return add_batch(dataclasses.replace(wanted, **wishes), actor, world.database, self.uploads, world.clock)

    def now(self, batch: Batch) -> Batch:
        with self.signing.world.database.read() as session:
            return batch_by_code(session, batch.code)

    def work(self, **changes: object) -> None:
        """Until nothing waits."""
        while work_off(dataclasses.replace(self.deps, **changes), SYSTEM):
            pass

    def with_signing(self, **changes: object) -> BatchDeps:
        return dataclasses.replace(self.deps, signing=dataclasses.replace(self.signing.deps, **changes))


@pytest.fixture
def desk(signing: SigningWorld, tmp_path: Path) -> Desk:
    return Desk(signing, tmp_path)


def states(batch: Batch) -> list[str]:
    return [each.state for each in batch.documents]


def test_a_batch_is_signed_and_says_what_became_of_each(desk: Desk) -> None:
    assert not has_waiting(desk.deps)
    batch = desk.add(PAPERS[0], b"no PDF", PAPERS[1])
    assert (batch.state, states(batch), batch.counts["waiting"]) == ("open", ["waiting"] * 3, 3)
    assert has_waiting(desk.deps)
    desk.work()
    ended = desk.now(batch)
    assert (ended.state, states(ended), ended.ended_at) == ("ended", ["done", "failed", "done"], START)
    assert [each.error for each in ended.documents] == [None, "INPUT_NOT_PDF", None]
    for place in (0, 2):
        outcome = ended.documents[place].outcome
        assert outcome is not None
        document = desk.signing.document(outcome["code"])
        assert (document.name, document.sha256) == (f"{place}.pdf", outcome["sha256"])
        assert desk.signing.deps.blobs.get(outcome["sha256"]).startswith(PAPERS[0 if place == 0 else 1])
    assert not has_waiting(desk.deps)
    assert list(desk.folder.iterdir()) == []
    assert desk.signing.actions()[-5:] == ["batch.add", *["document.sign.intent"] * 2, *["document.sign"] * 2]
    assert {actor for (actor,) in desk.signing.rows("SELECT actor FROM signing_acts")} == {CLERK.name}


def test_a_batch_has_the_form_of_signature_that_was_asked_for(desk: Desk) -> None:
    batch = desk.add(PAPERS[0], subfilter=PKCS7)
    desk.work()
    (outcome,) = (each.outcome for each in desk.now(batch).documents)
    assert outcome is not None
    (judged,) = desk.signing.verdict(desk.signing.deps.blobs.get(outcome["sha256"])).judged.signatures
    assert (judged.conclusion, judged.facts.level) == ("valid", "PDF-PKCS7")


def test_only_who_may_sign_hands_in_and_calls_off(desk: Desk) -> None:
    with pytest.raises(RoleMissing):
        desk.add(PAPERS[0], actor=Actor("nobody"))
    with pytest.raises(UsageWrong, match="CREDENTIAL_UNKNOWN"):
        desk.add(PAPERS[0], credential="nobody")
    batch = desk.add(PAPERS[0])
    world = desk.signing.world
    with pytest.raises(RoleMissing):
        cancel_batch(batch.code, Actor("nobody"), world.database, world.clock)
    assert len(list(desk.folder.iterdir())) == 1


def test_a_batch_is_found_by_its_code_and_by_its_request(desk: Desk) -> None:
    batch = desk.add(PAPERS[0], PAPERS[1])
    with desk.signing.world.database.read() as session:
        assert find_batch(session, 7, "ab" * 32, START) == batch
        assert find_batch(session, 8, "ab" * 32, START) is None
        assert find_batch(session, 7, "cd" * 32, START) is None
        assert (count_waiting(session, 7), count_waiting(session, 8)) == (2, 0)
        for code in ("0" * 32, "'; --", "é"):
            with pytest.raises(UsageWrong, match="BATCH_UNKNOWN"):
                batch_by_code(session, code)


def test_the_oldest_comes_first_and_one_turn_is_one_batch(desk: Desk) -> None:
    first, second = desk.add(PAPERS[0]), desk.add(PAPERS[1])
    assert work_off(desk.deps, SYSTEM)
    assert (desk.now(first).state, desk.now(second).state) == ("ended", "open")
    desk.work()
    assert desk.now(second).state == "ended"


def test_what_is_cancelled_is_not_signed(desk: Desk) -> None:
    batch = desk.add(*PAPERS)
    world = desk.signing.world
    for _ in range(2):
        cancel_batch(batch.code, CLERK, world.database, world.clock)
    desk.work()
    ended = desk.now(batch)
    assert (ended.state, states(ended), ended.cancelled_at) == ("ended", ["cancelled"] * 3, START)
    assert state_of(desk.signing)["acts"] == []
    assert list(desk.folder.iterdir()) == []
    assert desk.signing.actions().count("batch.cancel") == 1
    # What has ended already stays as it is.
    done = desk.add(PAPERS[0])
    desk.work()
    assert cancel_batch(done.code, CLERK, world.database, world.clock).cancelled_at is None


def test_what_is_away_delays_and_loses_nothing(desk: Desk) -> None:
    def away(_signatures: list[bytes]) -> list[bytes]:
        raise TokenAway("unplugged", retry_after="1", reason="away")

    batch = desk.add(PAPERS[0], b"no PDF", PAPERS[1])
    broken = desk.signing.with_keys(OtherKeys(desk.signing.world.keys, away))
    for _ in range(2):
        with pytest.raises(TokenAway):
            work_off(dataclasses.replace(desk.deps, signing=broken.deps), SYSTEM)
    waiting = desk.now(batch)
    assert states(waiting) == ["waiting", "failed", "waiting"]
    assert waiting.documents[0].error == TokenAway.code
    desk.work()
    ended = desk.now(batch)
    assert (ended.state, states(ended)) == ("ended", ["done", "failed", "done"])
    assert ended.documents[0].error is None
    assert [state for state, _ in state_of(desk.signing)["acts"]] == ["failed"] * 4 + ["done"] * 2


class Deadly(BlobStore):
    def put_all(self, contents: object) -> list:
        raise Died


def test_a_worker_that_dies_signs_no_document_twice_and_leaves_no_intent(desk: Desk) -> None:
    batch = desk.add(*PAPERS)
    deadly = desk.with_signing(blobs=Deadly(desk.signing.deps.blobs.path_of("00").parents[1]))
    with pytest.raises(Died):
        work_off(deadly, SYSTEM)
    assert [state for state, _ in state_of(desk.signing)["acts"]] == ["intent"] * 3
    desk.work()
    assert states(desk.now(batch)) == ["done"] * 3
    assert state_of(desk.signing)["acts"] == [("failed", "PROCESS_DIED")] * 3 + [("done", None)] * 3
    assert len(desk.signing.rows("SELECT seq FROM audit WHERE action = 'document.sign.fail'")) == 3


def test_what_a_dead_worker_had_begun_is_closed_also_when_it_was_called_off(desk: Desk) -> None:
    batch = desk.add(*PAPERS)
    with pytest.raises(Died):
        work_off(desk.with_signing(blobs=Deadly(desk.signing.deps.blobs.path_of("00").parents[1])), SYSTEM)
    cancel_batch(batch.code, CLERK, desk.signing.world.database, desk.signing.world.clock)
    desk.work()
    assert states(desk.now(batch)) == ["cancelled"] * 3
    assert state_of(desk.signing)["acts"] == [("failed", "PROCESS_DIED")] * 3


def test_a_worker_that_dies_after_its_commit_signs_nothing_again(desk: Desk) -> None:
    batch = desk.add(*PAPERS)

    class Forgetful(UploadStore):
        def forget(self, batch: str) -> None:
            raise Died

    with pytest.raises(Died):
        work_off(dataclasses.replace(desk.deps, uploads=Forgetful(desk.folder, desk.folder)), SYSTEM)
    desk.work()
    assert (desk.now(batch).state, states(desk.now(batch))) == ("ended", ["done"] * 3)
    assert len(state_of(desk.signing)["acts"]) == 3
    # What it did not remove is removed later.
    assert len(list(desk.folder.iterdir())) == 1
    os.utime(next(desk.folder.iterdir()), (1, 1))
    forget_orphans(desk.deps, 2.0)
    assert list(desk.folder.iterdir()) == []


def test_files_of_a_batch_that_waits_are_no_orphans(desk: Desk) -> None:
    batch = desk.add(PAPERS[0])
    os.utime(desk.folder / batch.code, (1, 1))
    forget_orphans(desk.deps, 2.0)
    desk.work()
    assert states(desk.now(batch)) == ["done"]


@pytest.mark.parametrize("harm", [lambda path: path.unlink(), lambda path: path.write_bytes(b"another")])
def test_an_upload_that_is_gone_or_changed_is_refused_and_the_others_signed(
    desk: Desk, harm: Callable[[Path], object]
) -> None:
    batch = desk.add(*PAPERS)
    harm(desk.folder / batch.code / "1")
    desk.work()
    ended = desk.now(batch)
    assert states(ended) == ["done", "failed", "done"]
    assert ended.documents[1].error == "UPLOAD_MISSING"


@pytest.mark.parametrize("actor", [None, Actor("former")])
def test_nobody_signs_by_a_right_that_he_has_no_more(desk: Desk, actor: Actor | None) -> None:
    def gone(_token: int) -> Actor:
        if actor is None:
            raise Refused("BATCH_ACTOR_GONE", name="kiosk")
        return actor

    batch = desk.add(*PAPERS)
    desk.work(actor_of=gone)
    ended = desk.now(batch)
    assert (ended.state, states(ended)) == ("ended", ["failed"] * 3)
    assert {each.error for each in ended.documents} == {"BATCH_ACTOR_GONE" if actor is None else RoleMissing.code}
    assert state_of(desk.signing)["acts"] == []


def test_a_batch_certifies_locks_and_opens_what_is_encrypted(desk: Desk, tmp_path: Path) -> None:
    locked = encrypt(form_pdf(TEXT_FIELD), tmp_path, "AES-256 R6", user=OPENS)
    batch = desk.add(locked, PAPERS[1], protection=parse_protection("2", None), password=Password(OPENS))
    # What waits on disk opens nothing by itself, and neither row nor trail has it.
    (waiting,) = desk.folder.glob("*/password")
    assert OPENS.encode() not in waiting.read_bytes()
    key = desk.folder.parent / "secrets" / "uploads.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert all(OPENS not in str(row) for row in desk.signing.rows("SELECT * FROM batches"))
    desk.work()
    ended = desk.now(batch)
    assert states(ended) == ["done", "done"]
    extra = ValidationInputs(START, password=Password(OPENS))
    for each in ended.documents:
        assert each.outcome is not None
        content = desk.signing.deps.blobs.get(each.outcome["sha256"])
        assert desk.signing.judging.verify(content, "", extra=extra).conclusion == "valid"
        assert b"/DocMDP" in content
    assert list(desk.folder.iterdir()) == []
    lock = desk.add(form_pdf(TEXT_FIELD), PAPERS[0], protection=parse_protection(None, "Ten"))
    desk.work()
    (first, second) = desk.now(lock).documents
    assert (first.state, second.error) == ("done", "LOCK_FIELD_UNKNOWN")


def test_a_batch_that_nobody_could_go_on_from_is_refused_at_once(desk: Desk) -> None:
    with pytest.raises(Refused, match="CERTIFY_CLOSES"):
        desk.add(PAPERS[0], protection=parse_protection("1", None))


def test_a_password_that_cannot_be_read_any_more_ends_its_batch_and_holds_up_no_other(desk: Desk) -> None:
    first = desk.add(PAPERS[0], password=Password(OPENS))
    (desk.folder.parent / "secrets" / "uploads.key").write_bytes(bytes(32))
    second = desk.add(PAPERS[1])
    desk.work()
    assert [each.error for each in desk.now(first).documents] == ["SEAL_BROKEN"]
    assert states(desk.now(second)) == ["done"]
