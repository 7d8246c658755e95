import contextlib
import dataclasses
import threading
import time

import pkcs11
import pytest

from hsm.errors import SessionUnavailable, StoreClosed, TokenFailed
from hsm.ladder import Ladder
from hsm.sessions import SessionPool


class Pool(SessionPool):
    """A pool whose loans end with a block, as the ladder's do."""

    def lend(self):
        return Ladder(self).session("test")


@pytest.fixture
def make_pool(softhsm_token):
    pools = []

    def make(max_sessions=2, wait_seconds=5.0, **more):
        pool = Pool(
            softhsm_token.module_path,
            softhsm_token.label,
            softhsm_token.pin_file,
            max_sessions=max_sessions,
            wait_seconds=wait_seconds,
            **more,
        )
        pools.append(pool)
        return pool

    yield make
    for pool in pools:
        pool.close()


def wait_until(claim):
    deadline = time.monotonic() + 5
    while not claim():
        assert time.monotonic() < deadline
        time.sleep(0.002)


def test_the_first_in_the_queue_is_served_first(make_pool):
    pool, served = make_pool(max_sessions=1), []

    def borrow(number):
        with pool.lend():
            served.append(number)

    threads = [threading.Thread(target=borrow, args=(number,)) for number in range(6)]
    with pool.lend():
        for number, thread in enumerate(threads):
            thread.start()
            wait_until(lambda expected=number + 1: len(pool._queue) == expected)
    for thread in threads:
        thread.join()
    assert served == list(range(6))


def test_a_session_that_failed_is_replaced_and_its_place_given_to_the_next(make_pool):
    pool = make_pool(max_sessions=1)
    with pool.lend() as work:
        broken = work.session.handle
    with pytest.raises(TokenFailed), pool.lend():
        raise TokenFailed("the token spoke", rv="CKR_DEVICE_ERROR")
    with pool.lend() as work:
        assert work.session.handle != broken
    assert pool.sessions_open == 2


def test_a_refusal_of_ours_keeps_the_session(make_pool):
    pool = make_pool(max_sessions=1)
    with pool.lend() as work:
        handle = work.session.handle
    with pytest.raises(SessionUnavailable), pool.lend():
        raise SessionUnavailable("ours", limit="1")
    with pool.lend() as work:
        assert work.session.handle == handle


def test_whoever_gave_up_waiting_gets_no_session_later(make_pool):
    pool = make_pool(max_sessions=1, wait_seconds=0.02)
    with pool.lend():
        for _ in range(3):
            with pytest.raises(SessionUnavailable), pool.lend():
                pass
    with pool.lend() as work:
        assert work.session.handle
    assert pool.sessions_open == 2


def test_raising_the_epoch_empties_every_handle_cache(make_pool):
    pool = make_pool(max_sessions=2)
    with pool.lend() as one, pool.lend() as two:
        one.keys[b"1"] = two.keys[b"2"] = object()
    with pool.lend() as work:
        assert work.keys
    pool.raise_epoch()
    with pool.lend() as one, pool.lend() as two:
        assert one.keys == two.keys == {}


def test_closing_wakes_those_who_wait_and_lets_the_one_at_work_finish(make_pool):
    pool, refused = make_pool(max_sessions=1), []

    def wait_for_it():
        try:
            with pool.lend():
                pass
        except StoreClosed as error:
            refused.append(error.code)

    waiting = [threading.Thread(target=wait_for_it) for _ in range(3)]
    closing = threading.Thread(target=pool.close)
    with pool.lend() as work:
        for thread in waiting:
            thread.start()
        wait_until(lambda: len(pool._queue) == 3)
        closing.start()
        for thread in waiting:
            thread.join()
        assert refused == ["HSM_STORE_CLOSED"] * 3
        assert len(work.session.generate_random(64)) == 8
        assert closing.is_alive()
    closing.join()
    assert pool.sessions_open == 0


class ScarceToken:
    """A token that gives fewer sessions than its slot promised, as small devices do."""

    def __init__(self, token, sessions):
        self.token, self.left, self.refused = token, sessions, 0
        self.label, self.serial = token.label, token.serial

    def open(self, **how):
        if not self.left:
            self.refused += 1
            raise pkcs11.SessionCount
        self.left -= 1
        return self.token.open(**how)


def make_scarce(pool, sessions):
    scarce = ScarceToken(pool.open_token().token, sessions)
    pool.login._open = dataclasses.replace(pool.login.opened, token=scarce)
    return scarce


def test_a_pool_makes_do_with_the_sessions_a_scarce_token_gives(make_pool):
    pool, served = make_pool(max_sessions=8), []
    scarce = make_scarce(pool, sessions=2)

    def borrow():
        with pool.lend() as work:
            served.append(work.session.handle)

    threads = [threading.Thread(target=borrow) for _ in range(6)]
    with pool.lend() as one, pool.lend() as two:
        for thread in threads:
            thread.start()
        wait_until(lambda: len(pool._queue) == 6)
        assert pool._limit == 2
        assert served == []
    for thread in threads:
        thread.join()
    assert len(served) == 6
    assert set(served) <= {one.session.handle, two.session.handle}
    refused = scarce.refused
    for _ in range(10):
        borrow()
    assert scarce.refused == refused


def test_a_token_without_any_session_says_so(make_pool):
    pool = make_pool(wait_seconds=0.2)
    opened = pool.open_token()
    pool.login._open = dataclasses.replace(opened, token=ScarceToken(opened.token, sessions=0))
    with pytest.raises(SessionUnavailable) as refusal, pool.lend():
        pass
    assert refusal.value.rv == "CKR_SESSION_COUNT"
    assert refusal.value.facts == {"limit": "2"}
    pool.login._open = opened
    with pool.lend() as work:
        assert work.session.handle


def test_a_pool_of_no_sessions_cannot_be_built(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        SessionPool(tmp_path, "t", tmp_path, max_sessions=0, wait_seconds=1)


def borrow_all(pool, number):
    """Hold that many sessions at once, as far as the pool gives them; how many it gave."""
    with contextlib.ExitStack() as held:
        for given in range(number):
            try:
                held.enter_context(pool.lend())
            except SessionUnavailable:
                return given
        return number


def test_a_pool_that_was_made_smaller_grows_back_when_the_token_has_room_again(make_pool):
    events = []
    pool = make_pool(
        max_sessions=4, wait_seconds=0.1, grow_seconds=0.2, on_event=lambda name, facts: events.append((name, facts))
    )
    scarce = make_scarce(pool, sessions=2)
    assert borrow_all(pool, 3) == 2
    assert pool.limit == 2
    assert events == [("pool.shrunk", {"limit": "2", "rv": "CKR_SESSION_COUNT"})]
    refused = scarce.refused
    for _ in range(5):
        assert borrow_all(pool, 3) == 2  # before its time it does not even ask
        assert scarce.refused <= refused + 1
    scarce.left = 10
    wait_until(lambda: borrow_all(pool, 4) == 4)
    assert pool.limit == 4
    assert [facts["limit"] for name, facts in events if name == "pool.grown"] == ["3", "4"]


def test_an_attempt_to_grow_that_is_refused_is_no_news_and_the_next_comes_later(make_pool):
    events = []
    pool = make_pool(
        max_sessions=4, wait_seconds=0.02, grow_seconds=0.05, on_event=lambda name, facts: events.append(name)
    )
    scarce = make_scarce(pool, sessions=2)
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        assert borrow_all(pool, 3) == 2
    assert events == ["pool.shrunk"]
    assert 2 <= scarce.refused <= 6  # after 0.05, 0.1, 0.2, 0.4 seconds, not every time


def test_a_session_that_others_hold_is_waited_for_and_comes(make_pool):
    pool = make_pool(wait_seconds=5)
    scarce = make_scarce(pool, sessions=0)
    freed = threading.Timer(0.3, lambda: setattr(scarce, "left", 1))
    freed.start()
    with pool.lend() as work:
        assert work.session.handle
    assert scarce.refused <= 5  # it waited longer each time


def test_a_token_that_allows_fewer_sessions_than_the_setting_bounds_the_pool(make_pool):
    pool = make_pool(max_sessions=8, wait_seconds=0.1)
    opened = pool.login.open()
    pool.login._open = dataclasses.replace(opened, session_limit=3)
    assert borrow_all(pool, 8) == 2
    assert pool.limit == 2
    assert pool.sessions_open == 3


def test_keeping_alive_uses_each_idle_session_and_replaces_what_the_token_dropped(make_pool):
    events = []
    pool = make_pool(max_sessions=3, on_event=lambda name, facts: events.append(name))
    assert borrow_all(pool, 3) == 3
    pool.keep_alive()
    order = [work.session.handle for work in pool._idle]
    pool.keep_alive()
    assert [work.session.handle for work in pool._idle] == order
    assert events == []
    pool._idle[1].session.close()
    pool.keep_alive()
    assert events == ["session.dropped"]
    assert pool.sessions_open == 3
    assert order[1] not in [work.session.handle for work in pool._idle]
    assert borrow_all(pool, 3) == 3


def test_keeping_alive_before_the_first_use_and_after_closing_touches_nothing(make_pool):
    pool = make_pool()
    pool.keep_alive()
    assert pool.login.opened is None
    pool.close()
    pool.keep_alive()
