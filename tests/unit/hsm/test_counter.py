"""Counter: how many threads answer at once, and that no client holds up another."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import pytest

from hsm.channel import receive, send
from hsm.errors import MessageRefused
from hsm.keyd.counter import Counter
from hsm.wire import VERSION, Op, done

MOST = 8
FEW = os.cpu_count() or 1
SIGN = [bytes((VERSION, Op.SIGN))]
LIST = [bytes((VERSION, Op.LIST))]


class Answering:
    """Answers, and knows how many did so at once."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self._lock = threading.Lock()
        self._now = 0
        self.at_once = 0

    def __call__(self, _message: bytes) -> Sequence[bytes]:
        with self._lock:
            self._now += 1
            self.at_once = max(self.at_once, self._now)
        self._work()
        with self._lock:
            self._now -= 1
        return done()


def _each(
    answer: Callable[[bytes], Sequence[bytes]], messages: Sequence[bytes]
) -> list[Sequence[bytes] | MessageRefused]:
    return [answer(message) for message in messages]


@contextmanager
def clients(
    answer: Callable[[bytes], Sequence[bytes]],
    count: int,
    few: int = FEW,
    together: Callable[[Sequence[bytes]], list[Sequence[bytes] | MessageRefused]] | None = None,
) -> Iterator[list[socket.socket]]:
    gone: list[socket.socket] = []
    counter = Counter(
        lambda message, _: answer(message), together or partial(_each, answer), gone.append, lambda *_: None, few, MOST
    )
    counter.open()
    pairs = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in range(count)]
    for _, theirs in pairs:
        counter.admit(theirs)
    yield [ours for ours, _ in pairs]
    for ours, _ in pairs:
        ours.close()
    deadline = time.monotonic() + 10
    while len(gone) < count and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(gone) == count


def ask(connections: list[socket.socket], times: int) -> None:
    def one(connection: socket.socket) -> None:
        for _ in range(times):
            send(connection, SIGN)
            assert receive(connection) == b"".join(done())

    threads = [threading.Thread(target=one, args=(connection,)) for connection in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def compute(seconds: float = 0.0002) -> None:
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


@pytest.mark.parametrize("few", sorted({1, FEW}))
@pytest.mark.skipif(FEW >= MOST, reason="as many processors as threads")
def test_where_signatures_are_computed_here_few_threads_work(few):
    answer = Answering(compute)
    with clients(answer, MOST, few) as connections:
        ask(connections, 30)
    assert answer.at_once <= few


@pytest.mark.parametrize("few", sorted({1, FEW}))
def test_where_signatures_are_waited_for_every_thread_works(few):
    answer = Answering(lambda: time.sleep(0.01))
    with clients(answer, MOST, few) as connections:
        ask(connections, 40)
    assert answer.at_once == MOST


def test_a_thread_that_works_alone_takes_what_has_come_meanwhile_together():
    batches: list[int] = []
    busy, release = threading.Event(), threading.Event()
    release.set()

    def answer(_message: bytes) -> Sequence[bytes]:
        busy.set()
        assert release.wait(10)
        return done()

    def together(messages: Sequence[bytes]) -> list[Sequence[bytes] | MessageRefused]:
        batches.append(len(messages))
        return [MessageRefused("odd", reason="odd"), *([done()] * (len(messages) - 1))]

    with clients(answer, 5, 1, together) as connections:
        ask(connections[:1], 64)  # by then it knows that they take no time
        busy.clear()
        release.clear()
        send(connections[0], SIGN)
        assert busy.wait(10)
        for connection in connections[1:]:
            send(connection, SIGN)
        release.set()
        answers = [receive(connection) for connection in connections]
        assert batches == [4]
        # One was refused, and its connection closed; the others are served on.
        assert answers.count(b"".join(done())) == 4
        assert [receive(connection) for connection, told in zip(connections, answers, strict=True) if told[1]] == [b""]


def test_signatures_that_take_long_are_answered_one_by_one():
    def together(_messages: Sequence[bytes]) -> list[Sequence[bytes] | MessageRefused]:
        raise AssertionError("the first would wait for the last")

    with clients(Answering(lambda: compute(0.003)), 5, 1, together) as connections:
        ask(connections, 20)


def test_what_may_take_long_holds_up_no_signature():
    release = threading.Event()

    def answer(message: bytes) -> Sequence[bytes]:
        if message[1] == Op.LIST:
            assert release.wait(10)
        return done()

    with clients(answer, FEW + 1) as connections:
        for slow in connections[:-1]:
            send(slow, LIST)
        ask(connections[-1:], 3)
        release.set()
        for slow in connections[:-1]:
            assert receive(slow) == b"".join(done())


def test_a_client_that_never_reads_holds_up_nobody():
    with clients(lambda _: [b"x" * 60_000], FEW + 2) as connections:
        silent = connections[:-1]
        for connection in silent:
            connection.setblocking(False)
            for _ in range(50):
                try:
                    send(connection, SIGN)
                except BlockingIOError:
                    break
        send(connections[-1], SIGN)
        connections[-1].settimeout(5)
        assert len(connections[-1].recv(70_000)) == 60_000


@pytest.mark.parametrize(("asked", "working"), [(LIST, 1), (SIGN, MOST)])
def test_only_a_signature_that_takes_long_lets_every_thread_work(asked, working):
    """Making a key takes long as well, and says nothing of how long a signature waits."""
    busy, release = threading.Event(), threading.Event()

    def answer(_message: bytes) -> Sequence[bytes]:
        busy.set()
        assert release.wait(10)
        return done()

    counter = Counter(
        lambda message, _: answer(message), partial(_each, answer), lambda _: None, lambda *_: None, 1, MOST
    )
    counter.open()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    counter.admit(theirs)
    with ours:
        send(ours, asked)
        assert busy.wait(10)
        time.sleep(0.02)
        counter.allow_all_if_slow(0.01)
        assert counter._allowed == working
        release.set()
        assert receive(ours) == b"".join(done())
