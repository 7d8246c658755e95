"""Consent for what is signed later: prepared documents and batches. Bound to the same bytes, and used once, in the commit of the intent."""

from __future__ import annotations

import hashlib
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from pki.roles import Permission, system_part
from signer.batch_work import BatchDeps, work_off
from signer.batches import Batch, NewBatch, NewDocument, add_batch, batch_by_code
from signer.consent import ConsentDeps, enrol_factor
from signer.errors import Refused
from signer.factor_seal import FactorSeal
from signer.given import Given
from signer.handing_over import finish_document, prepare_document
from signer.prepared import PreparedDocument, get_prepared
from signer.signing import SignedDocument, SignRequest
from signer.uploads import UploadStore
from tests.unit.signer.office import PDF, Office
from tests.unit.signer.test_consent import OTHER, Person, person, refusal  # noqa: F401  fixtures by name
from tests.world import ADMIN

SYSTEM = system_part("worker", Permission.EXTEND_DOCUMENTS)


def prepare(someone: Person, activation: str | None = None, pdf: bytes = PDF) -> PreparedDocument:
    request = SignRequest(pdf, "a.pdf", "officer", placement="none", activation=activation)
    return prepare_document(request, ADMIN, someone.office.handover)


def finish(someone: Person, one: PreparedDocument, activation: str | None = None, **given: bytes) -> SignedDocument:
    return finish_document(one.id, Given(activation=activation, **given), ADMIN, someone.office.handover)


def state_of(someone: Person, one: PreparedDocument) -> str:
    with someone.office.world.database.read() as session:
        return get_prepared(session, one.id).state


def test_what_was_prepared_needs_a_consent_when_it_is_finished(person: Person) -> None:  # noqa: F811
    one = prepare(person)
    assert refusal(lambda: finish(person, one)) == "ACTIVATION_NEEDED"
    assert (state_of(person, one), person.office.rows("SELECT count(*) FROM signing_acts")) == ("waiting", [(0,)])
    assert refusal(lambda: finish(person, one, person.give(OTHER).id)) == "ACTIVATION_OTHER_DOCUMENT"
    given = person.give(PDF)
    assert finish(person, one, given.id).level == "B-B"
    assert (person.uses(), state_of(person, one)) == (1, "finished")
    # The consent was to the file as it was handed in, and is gone.
    assert refusal(lambda: finish(person, prepare(person), given.id)) == "ACTIVATION_USED"


def test_one_that_was_given_before_is_kept_and_another_may_take_its_place(person: Person) -> None:  # noqa: F811
    assert refusal(lambda: prepare(person, person.give(OTHER).id)) == "ACTIVATION_OTHER_DOCUMENT"
    assert refusal(lambda: prepare(person, "no activation " * 9)) == "ACTIVATION_UNKNOWN"
    kept = prepare(person, person.give(PDF).id)
    finish(person, kept)
    late = prepare(person, person.give(PDF).id)
    person.office.world.clock.advance(seconds=61)
    assert refusal(lambda: finish(person, late)) == "ACTIVATION_EXPIRED"
    finish(person, late, person.give(PDF).id)
    assert person.uses() == 2


def test_a_signature_made_elsewhere_uses_the_consent_once_and_a_wrong_one_does_not(person: Person) -> None:  # noqa: F811
    one = prepare(person, person.give(PDF).id)
    assert (
        refusal(lambda: finish(person, one, signature=b"\x30\x06\x02\x01\x01\x02\x01\x01"))
        == "PREPARED_SIGNATURE_WRONG"
    )
    assert person.uses() == 0
    public_key_der = person.office.deps.desk.usable("officer").public_key_der
    key = next(
        held.key for held in person.office.world.keys._held.values() if held.ref.public_key_der == public_key_der
    )
    assert isinstance(key, ec.EllipticCurvePrivateKey)
    finish(person, one, signature=key.sign(one.to_be_signed, ec.ECDSA(hashes.SHA256())))
    assert person.uses() == 1


def test_of_two_who_finish_with_one_consent_at_one_moment_one_does(person: Person) -> None:  # noqa: F811
    given = person.give(PDF)
    waiting = [prepare(person, given.id) for _ in range(3)]
    came: list[str] = []
    barrier = threading.Barrier(len(waiting))

    def attempt(one: PreparedDocument) -> None:
        barrier.wait()
        try:
            finish(person, one)
            came.append("signed")
        except Refused as error:
            came.append(error.code)

    threads = [threading.Thread(target=attempt, args=(one,)) for one in waiting]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(came) == ["ACTIVATION_USED", "ACTIVATION_USED", "signed"]
    assert person.uses() == 1


class Clerk:
    """Hands in batches for a person."""

    def __init__(self, someone: Person, folder: Path) -> None:
        self.world = someone.office.world
        self.uploads = UploadStore(folder / "uploads", folder / "uploads.key")
        self.deps = BatchDeps(someone.office.deps, self.uploads, lambda _token: ADMIN)

    def add(self, activation: str | None, *pdfs: bytes) -> Batch:
        documents = [
            NewDocument(f"{n}.pdf", pdf, hashlib.sha256(pdf).hexdigest(), "", "none") for n, pdf in enumerate(pdfs)
        ]
        wanted = NewBatch(7, "ab" * 32, "officer", None, "B-B", documents, activation=activation)
        return add_batch(wanted, ADMIN, self.world.database, self.uploads, self.world.clock)

    def work(self, batch: Batch) -> list[tuple[str, str | None]]:
        while work_off(self.deps, SYSTEM):
            pass
        with self.world.database.read() as session:
            return [(each.state, each.error) for each in batch_by_code(session, batch.code).documents]


@pytest.fixture
def clerk(person: Person, tmp_path: Path) -> Clerk:  # noqa: F811
    return Clerk(person, tmp_path)


def test_a_batch_is_taken_with_a_consent_to_each_of_its_files_alone(person: Person, clerk: Clerk) -> None:  # noqa: F811
    assert refusal(lambda: clerk.add(None, PDF)) == "ACTIVATION_NEEDED"
    assert refusal(lambda: clerk.add(person.give(PDF).id, PDF, OTHER)) == "ACTIVATION_OTHER_DOCUMENT"
    given = person.give(PDF, OTHER)
    batch = clerk.add(given.id, PDF, OTHER)
    assert clerk.work(batch) == [("done", None), ("done", None)]
    assert person.uses() == 2
    assert refusal(lambda: clerk.add(given.id, PDF)) == "ACTIVATION_USED"


def test_what_is_signed_or_ended_before_its_turn_is_a_result_of_each_file(person: Person, clerk: Clerk) -> None:  # noqa: F811
    given = person.give(PDF, OTHER)
    batch = clerk.add(given.id, PDF, OTHER)
    person.sign(given.id, OTHER)
    assert clerk.work(batch) == [("done", None), ("failed", "ACTIVATION_USED")]
    late = clerk.add(person.give(PDF, lasts=timedelta(minutes=1)).id, PDF)
    person.office.world.clock.advance(seconds=61)
    assert clerk.work(late) == [("failed", "ACTIVATION_EXPIRED")]


def test_a_credential_that_asks_from_now_on_signs_no_batch_of_before(office: Office, tmp_path: Path) -> None:
    someone = Person(office, None, None)  # type: ignore[arg-type]  # nobody consents
    clerk = Clerk(someone, tmp_path)
    batch = clerk.add(None, PDF)
    deps = ConsentDeps(office.world.database, office.world.clock, FactorSeal(tmp_path / "factors"))
    enrol_factor("officer", ADMIN, deps)
    assert clerk.work(batch) == [("failed", "ACTIVATION_NEEDED")]
