"""What a signature forbids those who come after it: certification (ISO 32000-2 12.8.2.2), locked fields (12.8.2.4). Quick to import."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from signer.errors import Refused, UsageWrong
from signer.levels import B_LTA

Scope = Literal["all", "only", "all-but"]
CERTIFICATIONS = (1, 2, 3)
_MOST_NAMES = 200
_ALL, _ALL_BUT = "all", "all-but"


@dataclass(frozen=True)
class FieldLock:
    """Which form fields nobody may fill or change any more."""

    scope: Scope
    names: tuple[str, ...] = ()


@dataclass(frozen=True)
class Protection:
    """What was asked for: `certify` is the permission P that is left to others, None for a signature that certifies nothing."""

    certify: int | None = None
    lock: FieldLock | None = None

    def __bool__(self) -> bool:
        return self.certify is not None or self.lock is not None

    def to_json(self) -> dict[str, Any]:
        lock = None if self.lock is None else [self.lock.scope, list(self.lock.names)]
        return {"certify": self.certify, "lock": lock}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Protection:
        lock = data["lock"]
        return cls(data["certify"], None if lock is None else FieldLock(lock[0], tuple(lock[1])))


NO_PROTECTION = Protection()


def parse_protection(certify: str | None, lock: str | None) -> Protection:
    """`1`, `2` or `3`, and `FIELD,…`, `all` or `all-but FIELD,…`, as people write them; UsageWrong otherwise."""
    if certify not in (None, *map(str, CERTIFICATIONS)):
        raise UsageWrong("CERTIFY_MALFORMED", typed=str(certify)[:40])
    return Protection(None if certify is None else int(certify), None if lock is None else _lock(lock))


def refuse_protection(wanted: Protection, level: str, *, seals: bool) -> None:
    """What would shut out those who must come after: the seal behind the officer (ND30 Đ.32.2.d), time-stamps behind both."""
    if wanted.certify == 1 and not seals:
        raise Refused("CERTIFY_CLOSES")
    # A document time-stamp is a new field, and a lock of all but some locks those that come later.
    if wanted.lock is not None and wanted.lock.scope != "only" and level == B_LTA:
        raise Refused("LOCK_FORBIDS_ARCHIVE", level=level)


def _lock(typed: str) -> FieldLock:
    text = typed.strip()
    if text == _ALL:
        return FieldLock("all")
    scope: Scope = "only"
    if text.startswith((f"{_ALL_BUT} ", f"{_ALL_BUT}:")):
        scope, text = "all-but", text[len(_ALL_BUT) + 1 :]
    names = tuple(dict.fromkeys(name for each in text.split(",") if (name := each.strip())))
    if not names or len(names) > _MOST_NAMES or text == _ALL_BUT:
        raise UsageWrong("LOCK_MALFORMED", typed=typed[:80])
    return FieldLock(scope, names)
