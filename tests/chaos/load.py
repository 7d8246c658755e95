"""Load: threads that sign through keyd as fast as it lets them, and what became of each of their requests.

Every message is another one, and every signature is checked here with `cryptography` against its own message.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from hsm.errors import HSMError
from hsm.spec import load_public_key
from hsm.store import KeyStore

ECDSA = ec.ECDSA(hashes.SHA256())
# Signed attributes of id-data (RFC 5652 5.4, 11.1, 11.2) up to the digest: what a key for documents signs.
_ATTRIBUTES = bytes.fromhex(
    "314b301806092a864886f70d010903310b06092a864886f70d010701302f06092a864886f70d01090431220420"
)
# No signature for so long, of all the threads, is a standstill; well is what has gone well for so long.
STANDSTILL_SECONDS = 0.25
CALM_SECONDS = 0.5
# A client that was sent away tries again, but not in a circle without rest.
_REST_SECONDS = 0.02


def attributes(number: int) -> bytes:
    """The number-th message."""
    return _ATTRIBUTES + hashlib.sha256(number.to_bytes(8, "big")).digest()


@dataclass(frozen=True)
class Request:
    """One request: when (time.monotonic), by which thread, and its signature or the code and text of its error."""

    thread: int
    began: float
    ended: float
    signature: bytes = b""
    is_wrong: bool = False
    code: str = ""
    told: str = ""


@dataclass
class Record:
    """Every request of a run, in the order in which they ended."""

    requests: list[Request] = field(default_factory=list)

    @property
    def signed(self) -> list[Request]:
        return [request for request in self.requests if not request.code]

    @property
    def lost(self) -> Counter[str]:
        """Requests that ended in an error, by code."""
        return Counter(request.code for request in self.requests if request.code)

    @property
    def wrong(self) -> int:
        """Signatures that do not verify over the message they were handed out for: also an answer to another request."""
        return sum(request.is_wrong for request in self.signed)

    @property
    def doubled(self) -> int:
        """Signatures handed out before. ECDSA draws a number for each: two with the same r are no accident."""
        drawn = Counter(utils.decode_dss_signature(request.signature)[0] for request in self.signed)
        return sum(count - 1 for count in drawn.values())

    def by_thread(self) -> Counter[int]:
        return Counter(request.thread for request in self.signed)

    def first_after(self, moment: float) -> float | None:
        """Seconds from the moment to the first signature that was asked for and handed out after it."""
        return next((request.ended - moment for request in self.signed if request.began >= moment), None)

    def well_after(self, moment: float, now: float) -> float | None:
        """Seconds from the moment to the end of the last failure or standstill; None while all is not well for a while yet."""
        after = sorted((request for request in self.requests if request.ended >= moment), key=lambda each: each.ended)
        trouble, before = moment, moment
        for request in after:
            if request.code or request.ended - before > STANDSTILL_SECONDS:
                trouble = request.ended
            before = request.ended
        is_well = now - before <= STANDSTILL_SECONDS and now - trouble >= CALM_SECONDS
        return trouble - moment if is_well else None

    def slowest_after(self, moment: float) -> float:
        """The longest that a client waited for a signature that came after the moment."""
        return max((r.ended - r.began for r in self.signed if r.ended >= moment), default=0.0)


class Load:
    """Running threads. Read `record` while they run or afterwards; it only grows."""

    def __init__(self, store: KeyStore, public_key_der: bytes, threads: int) -> None:
        self.record = Record()
        self.public_key_der = public_key_der
        self._key = store.get(public_key_der)
        self._public_key = load_public_key(public_key_der)
        self._numbers = itertools.count(time.time_ns())
        self._stop = threading.Event()
        self._failed: list[BaseException] = []
        self.threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def stop(self) -> None:
        """Let every thread finish its request. One that does not come back is itself a failure."""
        self._stop.set()
        deadline = time.monotonic() + 30
        for thread in self.threads:
            thread.join(max(0.1, deadline - time.monotonic()))
            assert not thread.is_alive(), "a client never got its answer"
        if self._failed:
            raise self._failed[0]

    def wait_for_everybody(self, moment: float, seconds: float = 5.0) -> None:
        """Until each thread has an answer to a request that it made after the moment; at most so many seconds."""
        requests, at, served = self.record.requests, len(self.record.requests), set[int]()
        while len(served) < len(self.threads) and time.monotonic() < moment + seconds:
            time.sleep(0.01)
            fresh = requests[at:]
            at += len(fresh)
            served |= {request.thread for request in fresh if request.began >= moment}

    def _work(self, thread: int) -> None:
        try:
            while not self._stop.is_set():
                request = self._ask(thread)
                self.record.requests.append(request)
                if request.code:
                    self._stop.wait(_REST_SECONDS)
        except BaseException as error:  # noqa: BLE001 raised again by stop()
            self._failed.append(error)

    def _ask(self, thread: int) -> Request:
        message = attributes(next(self._numbers))
        began = time.monotonic()
        try:
            signature = self._key.sign(message, ECDSA)  # type: ignore[call-arg, arg-type]  # an elliptic-curve key
        except HSMError as error:
            told = f"{error} {error.rv} {error.facts} {error!r} {error.__cause__!r} {error.__context__!r}"
            return Request(thread, began, time.monotonic(), code=error.code, told=told)
        ended = time.monotonic()
        try:
            self._public_key.verify(signature, message, ECDSA)  # type: ignore[call-arg, arg-type]
        except InvalidSignature:
            return Request(thread, began, ended, signature, is_wrong=True)
        return Request(thread, began, ended, signature)


@contextmanager
def running_load(store: KeyStore, public_key_der: bytes, threads: int) -> Iterator[Load]:
    """Load that runs for the length of the block."""
    load = Load(store, public_key_der, threads)
    for thread in load.threads:
        thread.start()
    try:
        yield load
    finally:
        load.stop()
