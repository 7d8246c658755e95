"""The canonical octets of an audit row and the link made of them. Writing rows is for audit.py, walking a chain for audit_chain.py.

A link is the SHA-256, in lower-case hex, over eleven netstrings (`LENGTH:OCTETS,`; the length in octets, decimal) in this order:

1. `antin audit row 1`: what is hashed, and in which version of this form
2. the link of the row before in the same chain; 64 zeros before the first
3. the chain, 4. the position in it, 5. the row's number (`seq`), all in decimal
6. the time, in UTC with microseconds: `2026-11-21T03:15:30.000000Z` (RFC 3339)
7. the actor, 8. the action, 9. the kind of the subject, in UTF-8
10. the details: JSON with sorted keys, without spaces, all but ASCII escaped
11. the subject's identifier, in UTF-8. It comes last because a statement may make it itself (`audit.appended_by`).

A netstring says how long it is, and there are always eleven of them: two different rows never have the same octets.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

FORM = "antin audit row 1"
# What stands before the first row of every chain.
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Entry:
    """One row as it stands somewhere, in octets: whatever somebody has made of it, reading it does not fail."""

    chain: int
    position: int
    seq: int
    link: bytes
    time: bytes
    actor: bytes
    action: bytes
    subject_kind: bytes
    subject_id: bytes
    details: bytes

    def follows(self, previous: bytes) -> bytes:
        """The link that this row has after that one; empty when its details are no JSON object, which no row of ours has."""
        try:
            details = canonical_json(json.loads(self.details, object_pairs_hook=_without_doubles))
        except (ValueError, RecursionError):
            return b""
        head = (FORM.encode(), previous, b"%d" % self.chain, b"%d" % self.position, b"%d" % self.seq)
        facts = (self.time, self.actor, self.action, self.subject_kind, details.encode(), self.subject_id)
        return hashlib.sha256(b"".join(b"%d:%b," % (len(part), part) for part in head + facts)).hexdigest().encode()


def link_of(chain: int, position: int, seq: int, previous: str, facts: str, subject_id: str) -> str:
    """The link of a new row. `facts` is what `written_facts` gives."""
    octets = netstrings(FORM, previous, str(chain), str(position), str(seq)) + facts + netstrings(subject_id)
    return hashlib.sha256(octets.encode()).hexdigest()


def written_facts(time: datetime, actor: str, action: str, subject_kind: str, details: dict[str, str]) -> str:
    """The part of the canonical form that is known before the row has a place in a chain."""
    return netstrings(written_time(time), actor, action, subject_kind, canonical_json(details))


def netstrings(*texts: str) -> str:
    """Texts one after the other, each with its length in octets of UTF-8."""
    return "".join([f"{len(text.encode())}:{text}," for text in texts])


def written_time(moment: datetime) -> str:
    """RFC 3339 in UTC with microseconds, always six digits of them."""
    return moment.astimezone(UTC).isoformat("T", "microseconds")[: -len("+00:00")] + "Z"


def canonical_json(value: Any) -> str:
    """JSON with sorted keys, without spaces, all but ASCII escaped."""
    return _CANONICAL.encode(value)


# Made once: `json.dumps` with options makes one for each call.
_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A name that stands twice would mean one thing to us and another to somebody else's reader."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a name stands twice")
    return found
