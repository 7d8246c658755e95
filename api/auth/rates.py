"""Rates: how many requests one client may make, in one process. Nothing about clients is kept longer than a minute."""

from __future__ import annotations

import time
from dataclasses import dataclass

from api.errors import RequestError

_MOST_CLIENTS = 10_000
_FORGET_SECONDS = 60.0


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A token bucket a client: a burst of two seconds' worth, then the steady rate. Used from one event loop only."""

    def __init__(self, per_second: float) -> None:
        self._rate = per_second
        self._burst = max(2.0, per_second * 2)
        self._buckets: dict[str, _Bucket] = {}

    def check(self, client: str) -> None:
        """Count one request; RequestError TOO_MANY_REQUESTS when it is one too many."""
        now = time.monotonic()
        bucket = self._buckets.get(client)
        if bucket is None:
            if len(self._buckets) >= _MOST_CLIENTS:
                self._forget(now)
            bucket = self._buckets[client] = _Bucket(self._burst, now)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        if bucket.tokens < 1:
            raise RequestError("TOO_MANY_REQUESTS")
        bucket.tokens -= 1

    def _forget(self, now: float) -> None:
        self._buckets = {name: each for name, each in self._buckets.items() if now - each.at < _FORGET_SECONDS}
        if len(self._buckets) >= _MOST_CLIENTS:
            # More clients than we can tell apart: everybody begins anew, which is kinder than shutting everybody out.
            self._buckets.clear()
