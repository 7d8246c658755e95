"""What the signer asks of the network: one bounded exchange over HTTP, as a promise. How it is kept is api/fetching.py's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class Exchange:
    """One request and how much its answer may cost: octets, and seconds for all of it, the name's look-up too.

    `body` None is a GET. `answer_type` None takes any media type. `named_by_us`: the address stands in our settings and not in what
    a stranger wrote, so it may lead to a private network.
    """

    url: str
    limit: int
    seconds: float
    body: bytes | None = None
    body_type: str = ""
    answer_type: str | None = None
    named_by_us: bool = False


class Fetcher(Protocol):
    """Carries out exchanges. Safe for threads."""

    def fetch(self, wanted: Exchange) -> bytes:
        """The body of a 200 answer; Unavailable with a FETCH_… code for everything else. Redirects are not followed."""
        ...
