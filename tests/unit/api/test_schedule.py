"""A job that fails is tried again later and stops no other; what the jobs do can be read by the rest of the service."""

from __future__ import annotations

import io
import json
import threading
import time
from datetime import timedelta

import pytest

from api.jobs import Job
from api.logs import set_up_logs
from api.schedule import Schedule
from api.worker_state import read_worker_state
from hsm.errors import TokenAway
from tests.fakes.clock import FixedClock
from tests.postgres import discard
from tests.world import new_database


class Chore:
    """A job of a test: has work for `times`, and fails while `failing`."""

    seconds = 0.01

    def __init__(self, name: str, times: int = 1, failing: Exception | None = None) -> None:
        self.name = name
        self.left = times
        self.failing = failing
        self.runs = 0
        self.inside = 0

    def is_due(self) -> bool:
        return self.left > 0

    def run(self) -> None:
        if self.failing is not None:
            raise self.failing
        self.inside += 1
        assert self.inside == 1
        time.sleep(0.02)
        self.inside -= 1
        self.left -= 1
        self.runs += 1


@pytest.fixture
def database(tmp_path):
    database = new_database(tmp_path)
    yield database
    discard(database)


@pytest.fixture
def start(tmp_path, database):
    running = []
    log = io.StringIO()

    def begin(*jobs: Job) -> io.StringIO:
        schedule = Schedule(jobs, database, FixedClock(), tmp_path, set_up_logs(log))
        running.append(schedule)
        schedule.start()
        return log

    yield begin
    for schedule in running:
        schedule.stop()
        schedule.join(5)


def wait_for(condition) -> None:
    until = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_job_runs_as_often_as_it_has_work(start):
    chore = Chore("chore", times=3)
    start(chore)
    wait_for(lambda: chore.left == 0)
    time.sleep(0.1)
    assert chore.runs == 3


def test_a_job_that_fails_stops_no_other_and_is_logged_once_until_it_is_well(start, tmp_path):
    broken, fine = Chore("broken", failing=TokenAway("away")), Chore("fine", times=5)
    log = start(broken, fine)
    wait_for(lambda: fine.left == 0)
    wait_for(lambda: read_worker_state(tmp_path, FixedClock().now()).jobs["broken"].failures >= 1)
    told = read_worker_state(tmp_path, FixedClock().now())
    assert (told.jobs["broken"].state, told.jobs["broken"].code) == ("failing", "HSM_TOKEN_AWAY")
    assert told.jobs["fine"].state == "ok"
    assert not told.is_well
    time.sleep(1.3)  # the second try has come and gone
    broken.failing = None
    wait_for(lambda: broken.runs == 1)
    wait_for(lambda: read_worker_state(tmp_path, FixedClock().now()).is_well)
    events = [json.loads(line) for line in log.getvalue().splitlines()]
    assert [each["event"] for each in events if each.get("job") == "broken"] == ["job failing", "job well again"]


def test_a_defect_of_one_job_is_logged_without_its_words_and_the_rest_goes_on(start):
    broken, fine = Chore("broken", failing=ZeroDivisionError("secret words")), Chore("fine", times=2)
    log = start(broken, fine)
    wait_for(lambda: fine.left == 0)
    wait_for(lambda: "INTERNAL_ERROR" in log.getvalue())
    assert "secret words" not in log.getvalue()


def test_two_services_on_one_database_do_a_job_one_after_the_other(start):
    chore = Chore("chore", times=6)
    for _ in range(3):
        start(chore)
    wait_for(lambda: chore.left <= 0)
    assert chore.runs == 6


def test_a_worker_that_has_been_silent_is_away_and_so_is_what_is_no_state(tmp_path, start):
    now = FixedClock().now()
    assert read_worker_state(tmp_path, now) is None
    start(Chore("chore", times=0))
    assert read_worker_state(tmp_path, now) is not None
    assert read_worker_state(tmp_path, now + timedelta(seconds=21)) is None
    (tmp_path / "worker.json").write_text('{"pid": "x"}')
    assert read_worker_state(tmp_path, now) is None


def test_a_stop_does_not_wait_for_a_pause(tmp_path, database):
    chore = Chore("chore", times=0)
    chore.seconds = 60.0
    schedule = Schedule([chore], database, FixedClock(), tmp_path, set_up_logs(io.StringIO()))
    schedule.start()
    threading.Timer(0.1, schedule.stop).start()
    begun = time.monotonic()
    schedule.wait()
    schedule.join(5)
    assert time.monotonic() - begun < 2
