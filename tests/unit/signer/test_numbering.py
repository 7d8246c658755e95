"""signer/numbering.py: numbers of an agency's year, never twice, every gap with its reason."""

from __future__ import annotations

import subprocess
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import text

from certs.db import Database
from signer.documents import open_document
from signer.errors import Refused
from signer.numbering import (
    open_reservations,
    reserve_number,
    use_number,
    void_number,
    written,
    written_date,
    year_of,
)
from tests.fakes.clock import START
from tests.world import new_database

AGENCY = "Sở Thử nghiệm"


@pytest.fixture
def database(tmp_path: Path):
    database = new_database(tmp_path, busy_timeout=30)
    yield database
    database.close()


def reserve(database: Database, wanted: int | None = None, agency: str = AGENCY, moment: datetime = START) -> int:
    with database.write() as session:
        return reserve_number(session, agency, moment, wanted)


def test_a_series_begins_at_one_for_each_agency_and_each_year_of_vietnam(database: Database) -> None:
    assert [reserve(database) for _ in range(3)] == [1, 2, 3]
    assert reserve(database, agency="Another") == 1
    new_year_in_hanoi = datetime(2026, 12, 31, 17, 0, tzinfo=UTC)
    assert year_of(new_year_in_hanoi) == 2027
    assert reserve(database, moment=new_year_in_hanoi) == 1


def test_a_number_is_given_away_once(database: Database) -> None:
    assert reserve(database, 7) == 7
    assert reserve(database) == 8
    for wanted in (7, 8):
        with pytest.raises(Refused) as caught:
            reserve(database, wanted)
        assert caught.value.code == "NUMBER_TAKEN"
    assert reserve(database, 3) == 3
    assert reserve(database) == 9


def test_a_void_number_keeps_its_reason_and_is_not_given_away_again(database: Database) -> None:
    number = reserve(database)
    with database.write() as session:
        void_number(session, AGENCY, 2026, number, "INPUT_DAMAGED")
    with database.read() as session:
        assert session.execute(text("SELECT state, reason FROM numbers")).one() == ("void", "INPUT_DAMAGED")
        assert open_reservations(session, datetime(2100, 1, 1, tzinfo=UTC)) == []
    assert reserve(database) == number + 1


def test_a_used_number_cannot_be_voided(database: Database) -> None:
    number = reserve(database)
    with database.write() as session:
        document, _ = open_document(session, agency=AGENCY, name="a.pdf", details={}, now=START)
        use_number(session, AGENCY, 2026, number, document)
    with database.write() as session:
        void_number(session, AGENCY, 2026, number, "too late")
    with database.read() as session:
        assert session.execute(text("SELECT state, reason FROM numbers")).one() == ("used", None)


def test_a_reservation_that_nobody_ended_is_named(database: Database) -> None:
    reserve(database)
    with database.read() as session:
        assert open_reservations(session, START) == []
        assert [str(one) for one in open_reservations(session, datetime(2100, 1, 1, tzinfo=UTC))] == ["2026/01"]


def test_threads_that_reserve_at_once_get_no_doubles(database: Database) -> None:
    numbers: list[int] = []

    def work() -> None:
        for _ in range(10):
            numbers.append(reserve(database))  # noqa: PERF401  each is reserved while the others go on

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 41))


_WORK = """
import sys
from certs.db import Database
from signer.numbering import reserve_number
from tests.fakes.clock import START
database = Database(sys.argv[1], busy_timeout=30)
for _ in range(25):
    with database.write() as session:
        print(reserve_number(session, "Sở Thử nghiệm", START, None))
database.close()
"""


def test_processes_that_reserve_at_once_get_no_doubles(database: Database) -> None:
    url = database.url.render_as_string(hide_password=False)
    root = Path(__file__).parents[3]
    processes = [
        subprocess.Popen([sys.executable, "-c", _WORK, url], cwd=root, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    numbers = [int(line) for process in processes for line in process.communicate()[0].split()]
    assert [process.returncode for process in processes] == [0, 0]
    assert sorted(numbers) == list(range(1, 51))


@pytest.mark.parametrize(("number", "shown"), [(1, "01"), (9, "09"), (10, "10"), (1234, "1234")])
def test_numbers_below_ten_have_a_zero_before_them(number: int, shown: str) -> None:
    assert written(number) == shown


@pytest.mark.parametrize(
    ("moment", "shown"),
    [
        (datetime(2026, 2, 4, 16, 59, tzinfo=UTC), "ngày 04 tháng 02 năm 2026"),
        (datetime(2026, 2, 4, 17, 0, tzinfo=UTC), "ngày 05 tháng 02 năm 2026"),
        (datetime(2026, 3, 9, 5, 0, tzinfo=UTC), "ngày 09 tháng 3 năm 2026"),
        (datetime(2026, 12, 31, 17, 0, tzinfo=UTC), "ngày 01 tháng 01 năm 2027"),
    ],
)
def test_the_date_of_issue_is_written_as_the_decree_wants_it(moment: datetime, shown: str) -> None:
    assert written_date(moment) == shown
