"""A clock that stands still until a test moves it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 21, 3, 15, 30, tzinfo=UTC)


class FixedClock:
    """Tells one time; `advance` is the only way on."""

    def __init__(self, start: datetime = START) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, **step: float) -> None:
        """Move on by timedelta's words: `advance(days=3)`. A negative step sets the clock back."""
        self._now += timedelta(**step)
