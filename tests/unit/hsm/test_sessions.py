import dataclasses
import threading
import time

import pkcs11
import pytest

from hsm.errors import SessionUnavailable, StoreClosed, TokenFailed
from hsm.sessions import SessionPool


@pytest.fixture
def make_pool(softhsm_token):
    pools = []

    def make(max_sessions=2, wait_seconds=5.0):
        pool = SessionPool(
            softhsm_token.module_path,
            softhsm_token.label,
            softhsm_token.pin_file,
            max_sessions=max_sessions,
            wait_seconds=wait_seconds,
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


def test_a_pool_makes_do_with_the_sessions_a_scarce_token_gives(make_pool):
    pool, served = make_pool(max_sessions=8), []
    scarce = ScarceToken(pool.open_token().token, sessions=2)
    pool._open = dataclasses.replace(pool._open, token=scarce)

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
    pool = make_pool()
    opened = pool.open_token()
    pool._open = dataclasses.replace(opened, token=ScarceToken(opened.token, sessions=0))
    with pytest.raises(SessionUnavailable) as refusal, pool.lend():
        pass
    assert refusal.value.rv == "CKR_SESSION_COUNT"
    assert refusal.value.facts == {"limit": "2"}
    pool._open = opened
    with pool.lend() as work:
        assert work.session.handle


def test_a_pool_of_no_sessions_cannot_be_built(tmp_path):
    with pytest.raises(ValueError, match="at least one"):
        SessionPool(tmp_path, "t", tmp_path, max_sessions=0, wait_seconds=1)
