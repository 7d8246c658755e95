"""signer/number_book.py: numbers held by hand, given up with a reason, every gap listed; across midnight and between processes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from pki.audit import Actor
from pki.errors import RoleMissing
from signer.errors import Refused, SignerError, UsageWrong
from signer.number_book import (
    NumberEntry,
    NumberWish,
    agency_of_seal,
    give_up_number,
    hold_number,
    list_numbers,
)
from signer.signing import SignedDocument
from tests.signing_world import CLERK, SigningWorld, plain_paper
from tests.unit.signer.test_mandates import move


def refusal(call: Callable[[], object]) -> str:
    with pytest.raises((Refused, UsageWrong)) as caught:
        call()
    assert isinstance(caught.value, SignerError)
    return caught.value.code


class Book:
    """The book of one signing world's seal."""

    def __init__(self, signing: SigningWorld) -> None:
        self.signing = signing
        self.database, self.clock = signing.world.database, signing.world.clock
        with self.database.read() as session:
            self.agency = agency_of_seal(session, "seal")

    def hold(
        self, number: int | None = None, purpose: str = "Quyết định", actor: Actor = CLERK, **more: str
    ) -> NumberEntry:
        wish = NumberWish(self.agency, number=number, **more)  # type: ignore[arg-type]
        return hold_number(wish, purpose, actor, self.database, self.clock)

    def give_up(self, number: int, reason: str = "Không ban hành", actor: Actor = CLERK, **more: int) -> NumberEntry:
        wish = NumberWish(self.agency, number=number, **more)  # type: ignore[arg-type]
        return give_up_number(wish, reason, actor, self.database, self.clock)

    def listed(self, year: int = 2026) -> list[tuple[int, int, str, str | None]]:
        with self.database.read() as session:
            return [(each.first, each.last, each.state, each.reason) for each in list_numbers(session, year)]

    def issue(self, **metadata: str) -> SignedDocument:
        approved = self.signing.sign(plain_paper("x"), placement="none", metadata=metadata)
        return self.signing.sign(approved.content, "seal", placement="none")


@pytest.fixture
def book(signing: SigningWorld) -> Book:
    return Book(signing)


def test_a_number_that_is_held_goes_to_the_document_that_names_it_and_to_no_other(book: Book) -> None:
    assert (book.hold().first, book.hold(5, "Kế hoạch").first) == (1, 5)
    assert refusal(lambda: book.hold(5)) == "NUMBER_TAKEN"
    assert book.issue().number == 6
    named = book.issue(CodeNumber="5")
    assert named.number == 5
    assert refusal(lambda: book.issue(CodeNumber="5")) == "NUMBER_TAKEN"
    assert book.listed() == [
        (1, 1, "held", None), (2, 4, "skipped", "NUMBER_AHEAD"), (5, 5, "used", None), (6, 6, "used", None),
    ]  # fmt: skip
    with book.database.read() as session:
        entries = {each.first: each for each in list_numbers(session, 2026)}
    assert (entries[5].code, entries[5].purpose, entries[1].purpose) == (named.code, "Kế hoạch", "Quyết định")
    assert [each.is_gap for each in entries.values()] == [True, True, False, False]


def test_every_gap_has_its_reason(book: Book) -> None:
    book.hold()
    book.issue(CodeNumber="4")
    given = book.give_up(1, "Người ký đổi ý")
    assert (given.state, given.reason) == ("void", "Người ký đổi ý")
    book.give_up(3, "Ghi nhầm")
    assert book.listed() == [
        (1, 1, "void", "Người ký đổi ý"), (2, 2, "skipped", "NUMBER_AHEAD"), (3, 3, "void", "Ghi nhầm"), (4, 4, "used", None),
    ]  # fmt: skip
    assert refusal(lambda: book.give_up(1)) == "NUMBER_NOT_HELD"
    assert refusal(lambda: book.give_up(4)) == "NUMBER_NOT_HELD"
    assert refusal(lambda: book.give_up(5)) == "NUMBER_NOT_GIVEN"
    # Given up is given up: no document gets it any more.
    assert refusal(lambda: book.issue(CodeNumber="3")) == "NUMBER_TAKEN"
    assert [action for action in book.signing.actions() if action.startswith("number.")] == [
        "number.hold", "number.reserve", "number.void", "number.void",
    ]  # fmt: skip


def test_a_signature_that_fails_gives_a_held_number_back_to_the_clerk(book: Book) -> None:
    book.hold(7)
    signing = book.signing
    approved = signing.sign(plain_paper("x"), placement="none", metadata={"CodeNumber": "7"})
    assert refusal(lambda: signing.sign(approved.content, "seal", placement="99,10,10")) == "PLACEMENT_OFF_PAGE"
    assert book.listed()[-1] == (7, 7, "held", None)
    assert signing.sign(approved.content, "seal", placement="none").number == 7


def test_a_number_that_was_held_before_midnight_is_that_years(book: Book) -> None:
    move(book.signing, datetime(2026, 12, 31, 16, 59, 50, tzinfo=UTC))
    assert (book.hold().first, book.hold().first) == (1, 2)
    move(book.signing, datetime(2026, 12, 31, 17, 0, 0, tzinfo=UTC))  # midnight in Hanoi
    assert refusal(lambda: book.issue(CodeNumber="2")) == "NUMBER_OF_LAST_YEAR"
    assert book.listed(2027) == []
    first = book.issue()
    assert (first.number, book.listed(2027)) == (1, [(1, 1, "used", None)])
    assert book.give_up(1, "Hết năm", year=2026).state == "void"
    book.give_up(2, "Hết năm", year=2026)
    # What is given up holds nothing up any more.
    assert book.issue(CodeNumber="2").number == 2


def test_the_two_series_do_not_see_each_other(book: Book) -> None:
    assert (book.hold().first, book.hold(series="in").first) == (1, 1)
    arrived = book.signing.sign(plain_paper("y"), "seal", intent="income", placement="none")
    assert (arrived.number, book.listed()) == (2, [(1, 1, "held", None)])
    assert refusal(lambda: book.hold(series="both")) == "SERIES_UNKNOWN"


def test_who_holds_at_one_moment_holds_different_numbers(book: Book) -> None:
    found: list[int] = []
    threads = [threading.Thread(target=lambda: found.append(book.hold().first)) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert sorted(found) == list(range(1, 9))


def test_nonsense_is_refused(book: Book) -> None:
    assert refusal(lambda: book.hold(purpose=" ")) == "NUMBER_TEXT_WRONG"
    assert refusal(lambda: book.give_up(1, "x" * 201)) == "NUMBER_TEXT_WRONG"
    with pytest.raises(RoleMissing):
        book.hold(actor=Actor("nobody"))
    with pytest.raises(RoleMissing):
        book.give_up(1, actor=Actor("nobody"))
    for name in ("officer", "nobody", "x\0"):
        with book.database.read() as session, pytest.raises(UsageWrong, match="CREDENTIAL_UNKNOWN"):
            agency_of_seal(session, name)
