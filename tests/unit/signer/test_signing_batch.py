"""signer/signing_batch.py: many documents share their commits and nothing else; what fails of one is left as a single one leaves it."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pytest
from cryptography.hazmat.primitives import hashes
from sqlalchemy import Connection, text

from certs.db import Database
from certs.errors import DatabaseUnavailable
from hsm.errors import TokenMissing
from hsm.handles import Scheme
from hsm.spec import PrivateKey
from hsm.store import KeyStore
from pki.audit import Actor
from pki.audit_survey import survey_all
from pki.errors import RoleMissing
from signer.documents import open_intents
from signer.errors import Refused, Unavailable
from signer.octets import Octets
from signer.plan import Plan, Prepared
from signer.recall import recall_document
from signer.signing import SignedDocument, SigningDeps, SignRequest
from signer.signing_batch import Result, finish_chunk, prepare_chunk, sign_documents
from signer.storage import BlobStore
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.office import Office
from tests.unit.signer.test_signing import TOMORROW, Died, state_of

PAPERS = [plain_paper(f"Paper {number}") for number in range(5)]


def requests(*papers: bytes, credential: str = "officer", **wishes: object) -> list[SignRequest]:
    return [
        SignRequest(paper, f"{number}.pdf", credential, **{"placement": "none"} | wishes)
        for number, paper in enumerate(papers)
    ]


def sign_all(signing: SigningWorld, *papers: bytes, credential: str = "officer", **changes: object) -> list[Result]:
    deps = dataclasses.replace(signing.deps, **changes)
    return sign_documents(requests(*papers, credential=credential), CLERK, deps)


def codes(results: Sequence[Result]) -> list[str | None]:
    """What came of each: nothing to say of a document, else why it is none."""
    return [
        None if isinstance(each, SignedDocument) else getattr(each, "code", type(each).__name__) for each in results
    ]


class CountingDatabase(Database):
    """Counts what is committed; the test may let one of its transactions fail at its end."""

    def __init__(self, signing: SigningWorld, broken: int = 0) -> None:
        super().__init__(signing.world.database.url)
        self.commits = 0
        self._broken = broken

    @contextmanager
    def write_rows(self) -> Iterator[Connection]:
        with super().write_rows() as connection:
            yield connection
            self.commits += 1
            if self.commits == self._broken:
                raise DatabaseUnavailable("away", reason="away")


class OtherKeys:
    """A key store that signs many as the test says."""

    def __init__(self, store: KeyStore, change: Callable[[list[bytes]], list[bytes]]) -> None:
        self._store = store
        self._change = change

    def get(self, public_key_der: bytes) -> PrivateKey:
        return self._store.get(public_key_der)

    def sign_many(
        self, public_key_der: bytes, messages: Sequence[bytes], scheme: Scheme, digest: hashes.HashAlgorithm
    ) -> list[bytes]:
        return self._change(self._store.sign_many(public_key_der, messages, scheme, digest))


class FullStore(BlobStore):
    """A disk that takes all but one file."""

    def __init__(self, signing: SigningWorld, refused: bytes) -> None:
        super().__init__(signing.deps.blobs.path_of("00").parents[1])
        self._refused = refused

    def put(self, content: bytes) -> str:
        if content.startswith(self._refused):
            raise Unavailable("DISK_FULL", path="/")
        return super().put(content)


def test_a_chunk_has_two_commits_and_each_document_all_that_is_its_own(signing: SigningWorld) -> None:
    database = CountingDatabase(signing)
    before = len(signing.actions())
    results = sign_all(signing, *PAPERS, database=database)
    database.close()
    assert database.commits == 2
    assert codes(results) == [None] * 5
    assert len({each.code for each in results}) == 5
    for number, (paper, signed) in enumerate(zip(PAPERS, results, strict=True)):
        assert signed.content.startswith(paper)
        verdict = signing.verdict(signed.content)
        assert (verdict.conclusion, verdict.document.code) == ("valid", signed.code)
        document = signing.document(signed.code)
        assert (document.name, [act.state for act in document.acts]) == (f"{number}.pdf", ["done"])
    assert signing.actions()[before:] == ["document.sign.intent"] * 5 + ["document.sign"] * 5
    assert state_of(signing)["blobs"] == sorted(each.sha256 for each in results)
    with signing.world.database.read() as session:
        assert survey_all(session).breaks == ()


def test_refused_files_stop_none_of_the_others(signing: SigningWorld) -> None:
    results = sign_all(signing, PAPERS[0], b"no PDF", PAPERS[1], b"", b"%PDF-1.7 damaged", PAPERS[2])
    assert codes(results) == [None, "INPUT_NOT_PDF", None, "INPUT_EMPTY", "INPUT_DAMAGED", None]
    assert state_of(signing)["acts"] == [("done", None)] * 3


class _Meeting:
    """The preparer, to which something happens when it meets one file."""

    def __init__(self, signing: SigningWorld, pdf: bytes, happens: Callable[[], object]) -> None:
        self._preparer = signing.deps.preparer
        self._pdf = pdf
        self._happens = happens

    def prepare(self, pdf: Octets, plan: Plan) -> Prepared:
        if pdf == self._pdf:
            self._happens()
        return self._preparer.prepare(pdf, plan)


def _defect() -> None:
    raise ZeroDivisionError


def test_a_defect_that_one_document_meets_is_no_strangers_matter(signing: SigningWorld) -> None:
    deps = dataclasses.replace(signing.deps, preparer=_Meeting(signing, PAPERS[1], _defect))
    first, failed, third = sign_documents(requests(*PAPERS[:3]), CLERK, deps, is_each_alone=True)
    assert isinstance(failed, ZeroDivisionError)
    assert codes([first, third]) == [None, None]
    # Those of one caller are broken off: somebody has to look at it.
    with pytest.raises(ZeroDivisionError):
        sign_documents(requests(*PAPERS[:3]), CLERK, deps)
    assert state_of(signing)["acts"] == [("done", None)] * 2


def test_behind_one_that_takes_long_nothing_more_is_begun(signing: SigningWorld) -> None:
    # The first look at the judge process starts it.
    signing.sign(PAPERS[4])
    deps = dataclasses.replace(signing.deps, preparer=_Meeting(signing, PAPERS[0], lambda: time.sleep(0.3)))
    results = sign_documents(requests(*PAPERS[:3]), CLERK, deps, seconds=0.2)
    assert [isinstance(each, SignedDocument) for each in results] == [True, False, False]
    assert results[1:] == [None, None]
    assert state_of(signing)["acts"] == [("done", None)] * 2
    # However short the time, one is done each time.
    assert isinstance(sign_documents(requests(*PAPERS[1:3]), CLERK, deps, seconds=0.0)[0], SignedDocument)


def test_nobody_without_the_right_signs_and_an_empty_chunk_is_nothing(signing: SigningWorld) -> None:
    with pytest.raises(RoleMissing):
        sign_documents(requests(PAPERS[0]), Actor("nobody"), signing.deps)
    before = signing.actions()
    assert sign_all(signing) == []
    assert signing.actions() == before


def test_each_request_has_its_own_credential(signing: SigningWorld) -> None:
    signing.enrol("other", "officer")
    approved = signing.sign(PAPERS[0]).content
    wanted = [
        *requests(PAPERS[1], credential="other"),
        *requests(PAPERS[2], credential="nobody"),
        *requests(approved, credential="seal"),
        *requests(PAPERS[3]),
    ]
    results = sign_documents(wanted, CLERK, signing.deps)
    assert codes(results) == [None, "CREDENTIAL_UNKNOWN", None, None]
    assert [
        signing.document(each.code).acts[-1].credential for each in results if isinstance(each, SignedDocument)
    ] == [
        "other",
        "seal",
        "officer",
    ]


def test_seals_take_their_numbers_in_order_and_a_refused_one_leaves_a_gap_with_its_reason(
    signing: SigningWorld,
) -> None:
    approved = [each.content for each in sign_all(signing, *PAPERS[:3])]
    wanted = requests(*approved, credential="seal")
    wanted[1] = dataclasses.replace(wanted[1], field="Signature1")
    wanted.append(dataclasses.replace(wanted[0], pdf=PAPERS[4]))
    wanted.append(dataclasses.replace(wanted[0], metadata={"CodeNumber": "3"}))
    results = sign_documents(wanted, CLERK, signing.deps)
    # The last one asks for a number that the third has just taken.
    assert codes(results) == [None, "FIELD_EXISTS", None, "ISSUE_WITHOUT_OFFICER", "NUMBER_TAKEN"]
    assert [results[0].number, results[2].number] == [1, 3]
    assert state_of(signing)["numbers"] == [(1, "used", None), (2, "void", "FIELD_EXISTS"), (3, "used", None)]
    assert signing.document(results[2].code).number == 3


def test_one_document_twice_in_a_chunk_is_issued_once(signing: SigningWorld) -> None:
    approved = signing.sign(PAPERS[0]).content
    results = sign_all(signing, approved, approved, credential="seal")
    assert sorted(codes(results), key=str) == ["ALREADY_ISSUED", None]
    state = state_of(signing)
    assert sorted(state["acts"][1:]) == [("done", None), ("failed", "ALREADY_ISSUED")]
    assert sorted(each[1] for each in state["numbers"]) == ["used", "void"]


def test_a_credential_that_is_revoked_between_preparing_and_intent_signs_nothing(signing: SigningWorld) -> None:
    chunk = prepare_chunk(requests(*PAPERS[:2]), CLERK, signing.deps)
    signing.world.revoke(signing.deps.desk.usable("officer").serial)
    assert codes(finish_chunk(chunk)) == ["CREDENTIAL_REVOKED"] * 2
    assert state_of(signing)["acts"] == []


def test_a_document_that_is_recalled_meanwhile_fails_alone(signing: SigningWorld) -> None:
    approved = [each.content for each in sign_all(signing, *PAPERS[:2])]
    code = signing.verdict(approved[0]).document.code
    chunk = prepare_chunk(requests(*approved, credential="seal"), CLERK, signing.deps)
    recall_document(code, "Sai", CLERK, signing.world.database, signing.world.clock)
    assert codes(finish_chunk(chunk)) == ["DOCUMENT_NOT_IN_FORCE", None]
    assert state_of(signing)["numbers"] == [(1, "void", "DOCUMENT_NOT_IN_FORCE"), (2, "used", None)]


def test_a_token_that_fails_leaves_failed_acts_and_void_numbers(signing: SigningWorld) -> None:
    def away(_signatures: list[bytes]) -> list[bytes]:
        raise TokenMissing("unplugged", token="antin")

    approved = [each.content for each in sign_all(signing, *PAPERS[:2])]
    broken = signing.with_keys(OtherKeys(signing.world.keys, away))
    assert codes(sign_all(broken, *approved, credential="seal")) == [TokenMissing.code] * 2
    state = state_of(signing)
    assert state["acts"][2:] == [("failed", TokenMissing.code)] * 2
    assert state["numbers"] == [(1, "void", TokenMissing.code), (2, "void", TokenMissing.code)]


def test_an_output_that_does_not_verify_never_leaves(signing: SigningWorld) -> None:
    broken = signing.with_keys(OtherKeys(signing.world.keys, lambda made: [made[1], *made[1:]]))
    assert codes(sign_all(broken, *PAPERS[:3])) == ["SELF_CHECK_FAILED", None, None]
    assert state_of(signing)["acts"] == [("failed", "SELF_CHECK_FAILED"), ("done", None), ("done", None)]


def test_a_file_that_cannot_be_stored_is_no_document(signing: SigningWorld) -> None:
    results = sign_all(signing, *PAPERS[:3], blobs=FullStore(signing, PAPERS[1]))
    assert codes(results) == [None, "DISK_FULL", None]
    assert state_of(signing)["acts"] == [("done", None), ("failed", "DISK_FULL"), ("done", None)]


@pytest.mark.parametrize(("broken", "states"), [(1, []), (2, ["failed"] * 2)])
def test_a_commit_that_fails_is_the_result_of_all(signing: SigningWorld, broken: int, states: list[str]) -> None:
    database = CountingDatabase(signing, broken)
    results = sign_all(signing, *PAPERS[:2], database=database)
    database.close()
    assert [type(each) for each in results] == [DatabaseUnavailable] * 2
    assert [state for state, _ in state_of(signing)["acts"]] == states


def test_whoever_dies_between_the_commits_leaves_intents(signing: SigningWorld) -> None:
    class Deadly(BlobStore):
        def put_all(self, contents: Sequence[bytes]) -> list[str | Unavailable]:
            raise Died

    with pytest.raises(Died):
        sign_all(signing, *PAPERS[:2], blobs=Deadly(signing.deps.blobs.path_of("00").parents[1]))
    with signing.world.database.read() as session:
        assert len(open_intents(session, TOMORROW)) == 2


def test_whoever_breaks_it_off_leaves_failed_acts(signing: SigningWorld) -> None:
    class Interrupted(BlobStore):
        def put_all(self, contents: Sequence[bytes]) -> list[str | Unavailable]:
            raise KeyboardInterrupt

    approved = [each.content for each in sign_all(signing, *PAPERS[:2])]
    with pytest.raises(KeyboardInterrupt):
        sign_all(signing, *approved, credential="seal", blobs=Interrupted(signing.deps.blobs.path_of("00").parents[1]))
    state = state_of(signing)
    assert state["acts"][2:] == [("failed", "KeyboardInterrupt")] * 2
    assert [each[1:] for each in state["numbers"]] == [("void", "KeyboardInterrupt")] * 2


def test_what_is_not_begun_when_it_stops_has_no_result(signing: SigningWorld) -> None:
    asked: list[None] = []

    def stopped() -> bool:
        asked.append(None)
        return len(asked) > 3

    results = finish_chunk(prepare_chunk(requests(*PAPERS), CLERK, signing.deps, stopped))
    assert results == [None] * 5
    assert state_of(signing)["acts"] == []


def test_a_document_that_has_its_number_goes_on_when_it_stops(signing: SigningWorld) -> None:
    approved = [each.content for each in sign_all(signing, *PAPERS[:3])]
    asked: list[None] = []

    def stopped() -> bool:
        asked.append(None)
        return len(asked) > 2

    results = finish_chunk(prepare_chunk(requests(*approved, credential="seal"), CLERK, signing.deps, stopped))
    assert codes(results) == [None, None, "NoneType"]
    assert state_of(signing)["numbers"] == [(1, "used", None), (2, "used", None)]


class Notes:
    """A ledger with a table of its own."""

    def __init__(self, deps: SigningDeps, *, broken: bool = False) -> None:
        self.broken = broken
        with deps.database.write() as session:
            session.execute(text("CREATE TABLE notes (place INTEGER, what VARCHAR(40))"))

    def note_begun(self, connection: Connection, acts: Sequence[tuple[int, int]]) -> None:
        self._write(connection, [(place, f"act {act}") for place, act in acts])

    def note_ended(self, connection: Connection, results: Sequence[tuple[int, SignedDocument | Exception]]) -> None:
        self._write(connection, [(place, str(getattr(each, "code", each))) for place, each in results])
        if self.broken:
            raise DatabaseUnavailable("away", reason="away")

    def _write(self, connection: Connection, rows: list[tuple[int, str]]) -> None:
        for place, what in rows:
            connection.execute(text("INSERT INTO notes VALUES (:place, :what)"), {"place": place, "what": what})


def test_the_callers_rows_are_committed_with_those_of_the_cycle(signing: SigningWorld) -> None:
    notes = Notes(signing.deps)
    deps = dataclasses.replace(signing.deps, blobs=FullStore(signing, PAPERS[2]))
    results = sign_documents(requests(PAPERS[0], b"no PDF", PAPERS[2]), CLERK, deps, notes)
    kept = signing.rows("SELECT place, what FROM notes")
    assert kept[:2] == [(0, "act 1"), (2, "act 2")]
    assert kept[2:] == [(0, results[0].code), (2, "DISK_FULL")]
    notes.broken = True
    (failed,) = sign_documents(requests(PAPERS[3]), CLERK, signing.deps, notes)
    assert isinstance(failed, DatabaseUnavailable)
    assert signing.rows("SELECT place, what FROM notes")[4:] == [(0, "act 3")]
    assert state_of(signing)["acts"][2][0] == "failed"


def test_levels_are_reached_by_each(office: Office) -> None:
    wanted = [
        SignRequest(plain_paper(level), "a.pdf", "officer", level=level, placement="none")
        for level in ("B-B", "B-T", "B-LT", "B-LTA")
    ]
    results = sign_documents(wanted, CLERK, office.deps)
    assert [each.level for each in results] == ["B-B", "B-T", "B-LT", "B-LTA"]
    assert [each.pending for each in results] == [None] * 4
    assert [office.judged(each.content).conclusion for each in results] == ["valid"] * 4


def test_a_time_stamp_that_cannot_be_had_costs_no_signature(office: Office) -> None:
    office.revoke_tsa("keyCompromise")
    wanted = [SignRequest(paper, "a.pdf", "officer", level="B-T", placement="none") for paper in PAPERS[:2]]
    results = sign_documents(wanted, CLERK, office.deps)
    assert [(each.level, each.pending) for each in results] == [("B-B", "B-T")] * 2
    assert office.rows("SELECT level, state FROM level_requests") == [("B-T", "waiting")] * 2


def test_several_at_a_time_are_prepared_side_by_side(signing: SigningWorld) -> None:
    results = sign_all(signing, *PAPERS, b"no PDF", prepared_at_once=3)
    assert codes(results) == [None] * 5 + ["INPUT_NOT_PDF"]
    assert [each.content.startswith(paper) for each, paper in zip(results, PAPERS, strict=False)] == [True] * 5


def test_what_is_refused_is_an_error_and_not_raised(signing: SigningWorld) -> None:
    (result,) = sign_all(signing, PAPERS[0], credential="seal")
    assert isinstance(result, Refused)
