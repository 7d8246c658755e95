"""What is due: which CRL scopes of an authority want a new list, a new delta or both, and why. Signs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from pki.authorities import AuthorityRecord
from pki.crl_archive import StoredCrl, find_last_issue, find_latest
from pki.crl_entries import FULL, Changes, find_changes

LIFETIME = timedelta(days=7)
# The root's key is meant to be away most of the time; what it certifies changes once in years.
ROOT_LIFETIME = timedelta(days=90)


@dataclass(frozen=True)
class CrlPolicy:
    """How lists are made. `delta_lifetime` None: no deltas. Changes wait `delay` for others, urgent ones never."""

    lifetime: timedelta = LIFETIME
    root_lifetime: timedelta = ROOT_LIFETIME
    delta_lifetime: timedelta | None = timedelta(days=1)
    delay: timedelta = timedelta(seconds=2)
    keep_expired: bool = False

    def has_deltas(self, parent: str | None) -> bool:
        """Whether an authority of this parent issues deltas. A root does not: its key would be needed every day."""
        return self.delta_lifetime is not None and parent is not None


@dataclass(frozen=True)
class Due:
    """One scope that wants something new. A complete list brings a delta along where there are deltas."""

    authority: str
    shard: int
    complete: bool


def list_due(
    session: Session, authority: AuthorityRecord, policy: CrlPolicy, now: datetime, *, hurry: bool = False
) -> list[Due]:
    """The scopes of an authority that are due, the full list first. With `hurry` no change waits for others."""
    shards = range(authority.crl_partitions + 1)
    found = (_due(session, authority, shard, policy, now, hurry=hurry) for shard in shards)
    return [each for each in found if each is not None]


def _due(
    session: Session, authority: AuthorityRecord, shard: int, policy: CrlPolicy, now: datetime, *, hurry: bool
) -> Due | None:
    complete = Due(authority.name, shard, complete=True)
    latest = find_latest(session, authority.name, shard)
    if latest is None or _is_half_over(latest, now):
        return complete
    deltas = policy.has_deltas(authority.parent)
    last = find_last_issue(session, authority.name, shard) if deltas else (latest.epoch, latest.this_update)
    epoch = last[0] if last is not None else latest.epoch
    spread = shard == FULL and authority.crl_partitions > 0
    if epoch != authority.revocation_epoch:
        # The full list of a partitioned authority is complete for everybody, and long: only what has no other list makes it
        # due, or what is urgent and would reach nobody else; a delta says the rest.
        own = find_changes(session, authority.name, latest.epoch if spread else epoch, shard)
        if own is None and authority.crl_partitions == 0:
            return complete  # changed before changes were kept apart, by an earlier release
        if own is not None and (hurry or _is_ripe(own, policy, now)):
            return complete
        others = find_changes(session, authority.name, epoch) if spread else None
        if others is not None and (hurry or _is_ripe(others, policy, now)):
            if deltas:
                return Due(authority.name, shard, complete=False)
            if others.is_urgent:
                return complete
    if deltas:
        delta = find_latest(session, authority.name, shard, is_delta=True)
        if delta is None or _is_half_over(delta, now):
            return Due(authority.name, shard, complete=False)
    return None


def _is_half_over(crl: StoredCrl, now: datetime) -> bool:
    return now >= crl.this_update + (crl.next_update - crl.this_update) / 2


def _is_ripe(changes: Changes, policy: CrlPolicy, now: datetime) -> bool:
    """Whether it has waited long enough. A change of the future (the clock was set back) has."""
    return changes.is_urgent or not timedelta(0) <= now - changes.since < policy.delay
