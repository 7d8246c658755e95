"""Time-stamps of others: authorities outside the house, asked one after the other until one gives a token that holds.

What an answer must be like is pki/tsa/answer.py's, the exchange itself the `Fetcher`'s.
"""

from __future__ import annotations

import hashlib
import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.clock import Clock
from pki.tsa.answer import AnswerWrong, Asked, CheckedToken, check_answer, check_foreign_token
from pki.tsa.request import build_request
from signer.errors import OwnOutputBroken, SignerError, Unavailable
from signer.fetcher import Exchange, Fetcher
from signer.timestamps import DIGEST, StampedBy, Timestamper, renewal_of

_NONCE_BITS = 64
# Tokens of public authorities bring chains of RSA-4096 along.
OUTSIDE_ROOM = 16 * 1024
# One that has failed so often in a row is left alone for a while: whoever signs need not wait for its silence each time.
_PATIENCE = 3
_REST = timedelta(seconds=30)


@dataclass(frozen=True)
class OutsideServer:
    """One authority as the settings name it. `seconds` is for the whole exchange, waiting for one of `parallel` places too."""

    url: str
    anchors: tuple[x509.Certificate, ...]
    seconds: float = 10.0
    parallel: int = 4


# Told after each request: whose, and the code of what went wrong, empty when a token came.
Tell = Callable[[str, str], None]


class OutsideTimestamper:
    """One outside authority. Built once; safe for threads. Called between transactions only: it waits for somebody else's server."""

    room = OUTSIDE_ROOM

    def __init__(self, server: OutsideServer, fetcher: Fetcher, clock: Clock, tell: Tell) -> None:
        self._server = server
        self._fetcher = fetcher
        self._clock = clock
        self._tell = tell
        self._places = threading.BoundedSemaphore(server.parallel)
        self._lock = threading.Lock()
        self._failures = 0
        self._rests_until: datetime | None = None

    @property
    def url(self) -> str:
        return self._server.url

    def serial(self) -> str | None:
        return None

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:  # noqa: ARG002  whoever waits for the network waits for that alone
        return self.timestamp_digest(hashlib.new(DIGEST, signature).digest())

    def timestamp_digest(self, hashed: bytes) -> bytes:
        try:
            token = self._ask(hashed)
        except SignerError as error:
            self._note(error.code)
            raise
        self._note("")
        return token.der

    def check(self, token: bytes, signature: bytes) -> datetime:
        return self.check_digest(token, hashlib.new(DIGEST, signature).digest())

    def check_digest(self, token: bytes, hashed: bytes) -> datetime:
        try:
            return check_foreign_token(token, DIGEST, hashed, self._server.anchors).time
        except AnswerWrong as error:
            raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp") from error

    def stamped_by(self, token: bytes, hashed: bytes) -> StampedBy | None:
        try:
            path = check_foreign_token(token, DIGEST, hashed, self._server.anchors).path
        except AnswerWrong:
            return None
        until = renewal_of(path[0].not_valid_before_utc, path[0].not_valid_after_utc)
        return StampedBy(None, tuple(each.public_bytes(Encoding.DER) for each in path), until)

    def _ask(self, hashed: bytes) -> CheckedToken:
        server = self._server
        since = self._clock.now()
        with self._lock:
            if self._rests_until is not None and since < self._rests_until:
                raise Unavailable("TSA_RESTS", server=server.url)
        if not self._places.acquire(timeout=server.seconds):
            raise Unavailable("TSA_BUSY", server=server.url, parallel=str(server.parallel))
        try:
            # The nonce ties the answer to this request: an old answer over the same hash will not do (RFC 3161 2.4.1).
            nonce = secrets.randbits(_NONCE_BITS)
            answer = self._fetcher.fetch(
                Exchange(
                    server.url, OUTSIDE_ROOM, server.seconds, build_request(DIGEST, hashed, nonce=nonce),
                    "application/timestamp-query", "application/timestamp-reply", named_by_us=True,
                )
            )  # fmt: skip
        finally:
            self._places.release()
        try:
            return check_answer(answer, Asked(DIGEST, hashed, nonce, since, self._clock.now()), server.anchors)
        except AnswerWrong as error:
            raise Unavailable(f"TSA_{error.objection}", server=server.url, detail=error.detail) from error

    def _note(self, code: str) -> None:
        if code != "TSA_RESTS":
            with self._lock:
                self._failures = self._failures + 1 if code else 0
                rests = self._failures >= _PATIENCE
                self._rests_until = self._clock.now() + _REST if rests else None
        self._tell(self._server.url, code)


class TimestamperChain:
    """Time-stamping authorities in the order of the settings, ours among them or not: the next one is asked when one fails."""

    def __init__(self, servers: Sequence[Timestamper]) -> None:
        assert servers, "an empty list means our own"
        self._servers = tuple(servers)
        self.room = max(each.room for each in servers)

    def serial(self) -> str | None:
        try:
            return self._servers[0].serial()
        except Unavailable:
            return None  # the next one will stamp, and that is somebody else's

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        return self._first(lambda server: server.timestamp(signature, meanwhile))

    def timestamp_digest(self, hashed: bytes) -> bytes:
        return self._first(lambda server: server.timestamp_digest(hashed))

    def _first(self, ask: Callable[[Timestamper], bytes]) -> bytes:
        failures: list[SignerError] = []
        for server in self._servers:
            try:
                return ask(server)
            except Unavailable as error:
                failures.append(error)
        if len(failures) == 1:
            raise failures[0]
        raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=", ".join(each.code for each in failures))

    def check(self, token: bytes, signature: bytes) -> datetime:
        return self.check_digest(token, hashlib.new(DIGEST, signature).digest())

    def check_digest(self, token: bytes, hashed: bytes) -> datetime:
        """One of them must stand for it; which one gave it, nobody needs to remember."""
        for server in self._servers:
            try:
                return server.check_digest(token, hashed)
            except (OwnOutputBroken, Unavailable):
                continue
        raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp")

    def stamped_by(self, token: bytes, hashed: bytes) -> StampedBy | None:
        found = (server.stamped_by(token, hashed) for server in self._servers)
        return next((each for each in found if each is not None), None)
