"""Breaker: whether a token process may be started now, later, or not before somebody mends the PIN.

It counts failures and waits; what is started and who is told is the keeper's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from enum import StrEnum

# The first replacement comes at once. The rest is drawn anew between nothing and these (full jitter), so that many
# processes at one token do not come back in step.
STEPS = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_WELL_SECONDS = 1.0


class BreakerState(StrEnum):
    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"
    PIN = "pin"


@dataclass
class Breaker:
    """Half-open from the beginning: the first token process has to show that it can sign, as any other."""

    now: float
    state: BreakerState = BreakerState.HALF_OPEN
    reason: str = ""
    failures: int = 0
    next_attempt: float = 0.0
    since: float = field(init=False)
    _jitter: random.Random = field(default_factory=random.Random, repr=False)

    def __post_init__(self) -> None:
        self.since = self.now

    def close(self, now: float) -> None:
        """The canary was signed: clients are served."""
        self._enter(BreakerState.CLOSED, now, "")

    def open(self, now: float, reason: str) -> float:
        """The token process has failed; returns the seconds until the next is tried."""
        well_for = now - self.since if self.state is BreakerState.CLOSED else 0.0
        if well_for >= max(_WELL_SECONDS, 2 * STEPS[self.failures]):
            self.failures = 0
        delay = self._jitter.uniform(0.0, STEPS[self.failures])
        self.failures = min(self.failures + 1, len(STEPS) - 1)
        self.next_attempt = now + delay
        self._enter(BreakerState.OPEN, now, reason)
        return delay

    def refuse_pin(self, now: float, reason: str) -> None:
        """The token refused the PIN: a real one locks itself after a few tries."""
        self._enter(BreakerState.PIN, now, reason)

    def try_again(self, now: float) -> None:
        """A token process is being started. The reason stays until it has shown that it is well."""
        self._enter(BreakerState.HALF_OPEN, now, self.reason)

    def hurry(self, now: float) -> None:
        """Try again at once, if it is open: there is reason to think that it helps."""
        self.next_attempt = min(self.next_attempt, now)

    def is_due(self, now: float) -> bool:
        return self.state is BreakerState.OPEN and now >= self.next_attempt

    def retry_after(self, now: float) -> int:
        """Whole seconds until asking again may help; at least one."""
        if self.state is BreakerState.PIN:
            return int(STEPS[-1])
        return max(1, round(self.next_attempt - now + 0.5)) if self.state is BreakerState.OPEN else 1

    def _enter(self, state: BreakerState, now: float, reason: str) -> None:
        self.state, self.reason, self.since = state, reason, now
