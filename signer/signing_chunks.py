"""A long row of documents signed in chunks: while one is signed, the next one is prepared. What a chunk does is signing_batch.py's."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from pki.audit import Actor
from signer.signing_batch import MOST, PreparedChunk, Result, abandon_chunk, finish_chunk, never, prepare_chunk
from signer.signing_parts import SigningDeps, SignRequest

# Two chunks are in memory at a time, each with its inputs and outputs.
_MOST_OCTETS = 32 * 1024 * 1024
# A chunk whose files are long to prepare is a short one: whoever waits sees that it goes on, and can stop it.
_FIRST, _LEAST = 10, 5
_SECONDS = 2.0


def sign_in_chunks(
    requests: Iterable[SignRequest], actor: Actor, deps: SigningDeps, stopped: Callable[[], bool] = never
) -> Iterator[list[Result]]:
    """What came of each document, chunk by chunk, in the order given. `requests` is read a chunk ahead of what is signed.

    When it is `stopped`, what has begun is finished and nothing more is begun: the rest has None, or no result at all.
    """
    row = _Row(requests, stopped)
    with ThreadPoolExecutor(1, "ahead") as ahead:
        coming: Future[PreparedChunk] | None = None
        try:
            while True:
                prepared = coming.result() if coming is not None else None
                taken = row.take()
                coming = ahead.submit(_prepare, taken, actor, deps, row) if taken else None
                if prepared is not None:
                    yield finish_chunk(prepared)
                if coming is None:
                    return
        except BaseException:
            # Broken off: the numbers that the next chunk has got must not be left without a word.
            if coming is not None:
                abandon_chunk(coming.result())
            raise


def _prepare(taken: list[SignRequest], actor: Actor, deps: SigningDeps, row: _Row) -> PreparedChunk:
    begun = time.monotonic()
    chunk = prepare_chunk(taken, actor, deps, row.stopped)
    row.learn(len(taken), time.monotonic() - begun)
    return chunk


class _Row:
    """What is still to come, and how much of it makes a chunk."""

    def __init__(self, requests: Iterable[SignRequest], stopped: Callable[[], bool]) -> None:
        self._requests = iter(requests)
        self._size = _FIRST
        self.stopped = stopped

    def take(self) -> list[SignRequest]:
        taken: list[SignRequest] = []
        octets = 0
        while len(taken) < self._size and octets < _MOST_OCTETS and not self.stopped():
            request = next(self._requests, None)
            if request is None:
                break
            taken.append(request)
            octets += len(request.pdf)
        return taken

    def learn(self, count: int, seconds: float) -> None:
        self._size = max(_LEAST, min(MOST, int(_SECONDS * count / max(seconds, 0.001))))
