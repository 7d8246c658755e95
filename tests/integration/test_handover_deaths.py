"""A process killed at any step of preparing or finishing leaves a document that waits, or one that is signed, and never two."""

from __future__ import annotations

import itertools
import multiprocessing
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import URL

from pki.audit_survey import survey_all
from signer.credentials import CredentialDesk
from signer.given import Given
from signer.handing_over import HandoverDeps, clear_prepared, finish_document, prepare_document
from signer.plan import Plan, Prepared
from signer.prepared import LEASE, PreparedDocument, list_prepared
from signer.preparing import prepare as append_revision
from signer.sandbox import Judge
from signer.signing_parts import SigningDeps, SignRequest
from signer.storage import BlobStore
from tests.fakes.clock import FixedClock
from tests.integration.dying import DyingDatabase, Steps
from tests.unit.signer.elsewhere import finish, officers_value, prepare, record
from tests.unit.signer.office import PDF, Office, never, open_office
from tests.world import ADMIN, memory_store

_SERVER = multiprocessing.get_context("forkserver")
_SERVER.set_forkserver_preload([__name__])
_MOST_STEPS = 60


class DyingBlobs(BlobStore):
    """Blobs whose user may die before one is written and after."""

    def __init__(self, folder: Path, steps: Steps) -> None:
        super().__init__(folder)
        self._steps = steps

    def put(self, content: bytes) -> str:
        self._steps.reach()
        sha256 = super().put(content)
        self._steps.reach()
        return sha256

    def remove(self, sha256: str) -> None:
        self._steps.reach()
        super().remove(sha256)
        self._steps.reach()


class InProcess:
    """Prepares in this process: the file is the test's own, and a death need not leave a judge behind."""

    def prepare(self, pdf: bytes, plan: Plan) -> Prepared:
        return append_revision(pdf, plan)


@dataclass(frozen=True)
class Scene:
    """Where it happens."""

    url: URL
    blobs: Path
    clock: FixedClock


def _deps(scene: Scene, steps: Steps) -> HandoverDeps:
    database = DyingDatabase(scene.url, steps)
    signing = SigningDeps(
        database, scene.clock, CredentialDesk(database, memory_store(), scene.clock), InProcess(), never,
        DyingBlobs(scene.blobs, steps), never, never, 36.0, 1024 * 1024,
    )  # fmt: skip
    return HandoverDeps(signing, never, timedelta(days=3), "pss")


def _perform(scene: Scene, fatal: int, prepared_id: str, value: bytes) -> None:
    deps = _deps(scene, Steps(fatal))
    if prepared_id:
        finish_document(prepared_id, Given(value), ADMIN, deps)
    else:
        prepare_document(SignRequest(PDF, "a.pdf", "officer", placement="none"), ADMIN, deps)


def die(scene: Scene, fatal: int, prepared_id: str = "", value: bytes = b"") -> bool:
    """Do it in a process that dies at a step; False when it had fewer steps and came to its end."""
    process = _SERVER.Process(target=_perform, args=(scene, fatal, prepared_id, value))
    process.start()
    process.join(120)
    assert process.exitcode in (0, -signal.SIGKILL), process.exitcode
    return process.exitcode != 0


@pytest.fixture
def house(tmp_path: Path, judge: Judge) -> Iterator[Office]:
    office = open_office(tmp_path, judge)
    yield office
    office.world.close()


def scene_of(office: Office) -> Scene:
    return Scene(office.world.database.url, office.blobs, office.world.clock)


def check_whole(office: Office) -> None:
    """What must be true at any moment, whoever died."""
    with office.world.database.read() as session:
        assert survey_all(session).breaks == ()
    done = office.rows("SELECT document_id FROM signing_acts WHERE state = 'done'")
    assert len(done) == len(set(done))
    # A finished record, its act and the file of it are there together or not at all.
    finished = office.rows(
        "SELECT a.state, a.output_sha256 FROM prepared_documents p JOIN signing_acts a ON a.id = p.act_id WHERE p.state = 'finished'"
    )
    assert len(finished) == len(done)
    for state, sha256 in finished:
        assert state == "done"
        office.deps.blobs.get(sha256)


def go_on(office: Office, one: PreparedDocument, value: bytes) -> None:
    """The next one finds it waiting once the dead one's time is over, and signs it; or it is signed."""
    office.world.clock.advance(seconds=LEASE.total_seconds())
    clear_prepared(ADMIN, office.handover)
    if record(office, one).state != "finished":
        assert finish(office, one, signature=value).code == one.code
    assert not office.deps.blobs.path_of(one.blob_sha256).exists()
    assert office.rows("SELECT count(*) FROM signing_acts WHERE state = 'intent'") == [(0,)]
    check_whole(office)


@pytest.mark.slow
def test_a_death_at_any_step_of_finishing_leaves_it_waiting_or_signed(house: Office) -> None:
    seen = set()
    for fatal in itertools.count(1):
        assert fatal < _MOST_STEPS
        one = prepare(house)
        value = officers_value(house, one)
        died = die(scene_of(house), fatal, one.id, value)
        seen.add(record(house, one).state)
        check_whole(house)
        go_on(house, one, value)
        if not died:
            break
    assert fatal >= 10
    assert seen == {"waiting", "taken", "finished"}


@pytest.mark.slow
def test_a_death_at_any_step_of_preparing_leaves_one_that_can_be_finished_or_none(house: Office) -> None:
    counts = set()
    for fatal in itertools.count(1):
        assert fatal < _MOST_STEPS
        died = die(scene_of(house), fatal)
        check_whole(house)
        with house.world.database.read() as session:
            waiting = list_prepared(session, ("waiting",))
        counts.add(len(waiting))
        for one in waiting:
            go_on(house, one, officers_value(house, one))
        if not died:
            break
    assert fatal >= 5
    assert counts == {0, 1}
