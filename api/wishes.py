"""What somebody wishes for one verdict besides what holds without a word: another policy, another time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from api.cli.context import parse_time
from api.errors import UsageError
from certs.clock import rfc3339


@dataclass(frozen=True)
class VerdictWish:
    """By which policy, and for which time, where somebody wants another than what holds without a word."""

    policy: str | None = None
    at: datetime | None = None


PLAIN_WISH = VerdictWish()


def parse_wish(policy: str | None, at: str | None, now: datetime) -> VerdictWish:
    """A wish as people type it; UsageError TIME_MALFORMED or TIME_AHEAD: what will be true, nobody knows."""
    moment = parse_time(at) if at else None
    if moment is not None and moment > now:
        raise UsageError("TIME_AHEAD", at=rfc3339(moment))
    return VerdictWish(policy or None, moment)
