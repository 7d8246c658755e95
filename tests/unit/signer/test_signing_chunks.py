"""signer/signing_chunks.py: a row of any length, in its order, stopped between two documents."""

from __future__ import annotations

import threading
from collections.abc import Iterator

from signer.signing import SignedDocument, SignRequest
from signer.signing_batch import sign_documents
from signer.signing_chunks import sign_in_chunks
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.test_signing import state_of

PAPER = plain_paper("A paper")


def papers(count: int, taken: list[int], odd: int | None = None) -> Iterator[SignRequest]:
    for number in range(count):
        taken.append(number)
        yield SignRequest(b"no PDF" if number == odd else PAPER, f"{number}.pdf", "officer", placement="none")


def test_every_document_of_a_row_has_its_result_in_its_place(signing: SigningWorld) -> None:
    chunks = list(sign_in_chunks(papers(37, [], odd=3), CLERK, signing.deps))
    assert len(chunks) > 1
    results = [each for chunk in chunks for each in chunk]
    assert len(results) == 37
    assert [place for place, each in enumerate(results) if not isinstance(each, SignedDocument)] == [3]
    assert [name for (name,) in signing.rows("SELECT name FROM documents ORDER BY id")] == [
        f"{number}.pdf" for number in range(37) if number != 3
    ]
    assert list(sign_in_chunks([], CLERK, signing.deps)) == []


def test_when_it_is_stopped_nothing_more_is_begun(signing: SigningWorld) -> None:
    taken: list[int] = []
    stop = threading.Event()
    results = []
    for chunk in sign_in_chunks(papers(1000, taken), CLERK, signing.deps, stop.is_set):
        results += chunk
        stop.set()
    signed = [each for each in results if isinstance(each, SignedDocument)]
    assert len(signed) == len(state_of(signing)["acts"]) < 1000
    assert all(state == "done" for state, _ in state_of(signing)["acts"])
    assert len(taken) < 300


def test_whoever_goes_away_leaves_no_number_open(signing: SigningWorld) -> None:
    approved = sign_documents(list(papers(30, [])), CLERK, signing.deps)
    files = [SignRequest(each.content, "a.pdf", "seal", placement="none") for each in approved]
    row = sign_in_chunks(files, CLERK, signing.deps)
    assert len(next(row)) == 10
    row.close()
    states = {(state, reason) for _, state, reason in state_of(signing)["numbers"]}
    assert states == {("used", None), ("void", "STOPPED")}
    assert not [state for state, _ in state_of(signing)["acts"] if state == "intent"]
