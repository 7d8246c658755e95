"""Acts that wait for a session: each is done once, in the order of asking, and whoever asked hears what became of it."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from hsm.errors import KeyNotFound, SessionUnavailable, StoreClosed
from hsm.ladder import Ladder
from hsm.sessions import SessionPool
from hsm.waiting_line import WaitingLine

_SESSIONS = 2


class Place:
    """A pool and a line in front of it."""

    def __init__(self, token, wait_seconds, sessions):
        self.pool = SessionPool(
            token.module_path, token.label, token.pin_file, max_sessions=sessions, wait_seconds=wait_seconds
        )
        self.ladder = Ladder(self.pool)
        self.line = WaitingLine(self.pool, self.ladder, sessions)
        self.sessions = sessions

    def run(self, act):
        return self.line.run(act, "test")

    def all_lent(self):
        stack = ExitStack()
        for _ in range(self.sessions):
            stack.enter_context(self.ladder.session("test"))
        return stack

    def close(self):
        self.line.close()
        self.pool.close()


@pytest.fixture
def make_place(softhsm_token):
    places = []

    def make(wait_seconds=5.0, sessions=_SESSIONS):
        places.append(Place(softhsm_token, wait_seconds, sessions))
        return places[-1]

    yield make
    for place in places:
        place.close()


def line_threads():
    return [thread for thread in threading.enumerate() if thread.name.startswith("line-")]


def wait_until(claim):
    deadline = time.monotonic() + 10
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_many_askers_each_get_their_own_answer_and_no_session_serves_two_at_once(make_place):
    place, in_use, most = make_place(), set(), []

    def act(number):
        def look(work):
            assert id(work) not in in_use
            in_use.add(id(work))
            most.append(len(in_use))
            time.sleep(0.002)
            in_use.discard(id(work))
            return number

        return place.run(look)

    with ThreadPoolExecutor(16) as threads:
        assert list(threads.map(act, range(200))) == list(range(200))
    assert max(most) == _SESSIONS
    assert len(most) == 200


def test_who_waits_longest_is_served_first(make_place):
    place, served, asking = make_place(sessions=1), [], []

    def ask(number):
        place.run(lambda _work: served.append(number))

    with place.all_lent():
        for number in range(12):
            thread = threading.Thread(target=ask, args=(number,))
            thread.start()
            asking.append(thread)
            # The first is with the line's thread, which waits in the pool; the others wait in the line.
            wait_until(lambda expected=number + 1: len(place.pool._queue) + place.line._jobs.qsize() == expected)
    for thread in asking:
        thread.join()
    assert served == list(range(12))


def test_an_error_is_the_askers_alone(make_place):
    place = make_place()

    def act(number):
        def fail(_work):
            time.sleep(0.002)
            if number % 3 == 0:
                raise KeyNotFound("none", key_id=str(number))
            return number

        try:
            return place.run(fail)
        except KeyNotFound as error:
            return error.facts["key_id"]

    with ThreadPoolExecutor(8) as threads:
        told = list(threads.map(act, range(60)))
    assert told == [str(number) if number % 3 == 0 else number for number in range(60)]


def test_waiting_has_an_end_for_everybody_and_what_was_given_up_is_never_done(make_place):
    place, done = make_place(wait_seconds=0.3), []

    def ask(number):
        begun = time.monotonic()
        with pytest.raises(SessionUnavailable) as refusal:
            place.run(lambda _work: done.append(number))
        return time.monotonic() - begun, refusal.value.facts

    with place.all_lent(), ThreadPoolExecutor(6) as threads:
        told = list(threads.map(ask, range(6)))
    assert all(facts == {"limit": str(_SESSIONS)} for _, facts in told)
    # Also for those whom a thread of the line had taken up: its wait counts from when they asked.
    assert all(0.25 < waited < 5.0 for waited, _ in told)
    assert place.run(lambda _work: "well") == "well"
    assert done == []


def test_closing_ends_its_threads_and_whoever_asks_then_is_told(make_place):
    place = make_place()
    before = set(line_threads())
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda _: place.run(lambda _work: time.sleep(0.002) or True), range(40)))
    own = set(line_threads()) - before
    assert 0 < len(own) <= _SESSIONS
    place.close()
    wait_until(lambda: not own & set(line_threads()))
    with pytest.raises(StoreClosed):
        place.run(lambda _work: True)
