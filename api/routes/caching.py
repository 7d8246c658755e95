"""Caching headers of what is signed and dated (RFC 5019 6, RFC 9111)."""

from __future__ import annotations

from datetime import datetime, timedelta
from email.utils import format_datetime

from starlette.requests import Request

# However long a list is good: who revokes wants it known within this time wherever copies are kept.
LONGEST = timedelta(hours=1)


def caching_headers(
    sha256: str, modified: datetime, ends: datetime | None, now: datetime, longest: timedelta = LONGEST
) -> dict[str, str]:
    """ETag, Last-Modified, Expires and Cache-Control: kept until it ends, and no longer than `longest`."""
    fresh = max(timedelta(0), min(longest, ends - now) if ends is not None else longest)
    return {
        "ETag": f'"{sha256}"',
        "Last-Modified": format_datetime(modified.replace(microsecond=0), usegmt=True),
        "Expires": format_datetime((now + fresh).replace(microsecond=0), usegmt=True),
        "Cache-Control": f"max-age={int(fresh.total_seconds())}, public, no-transform, must-revalidate",
    }


def is_known(request: Request, sha256: str) -> bool:
    """Whether the caller has these octets already (RFC 9110 13.1.2)."""
    tags = (tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(","))
    return any(tag in ("*", f'"{sha256}"') for tag in tags)
