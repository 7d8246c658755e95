"""Policies: the dated rules that facts are judged by, each a named and versioned TOML file (ETSI EN 319 102-1 5.1.4.2, TS 119 172-1).

Three ship with the package; one more may be given. Every verdict names the policy, its version and the SHA-256 of its file.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from functools import cached_property
from importlib.resources import files
from pathlib import Path

from certs.errors import TableError
from certs.strict import parse_toml, read_table
from signer.errors import UsageWrong
from signer.validation.facts import CrlFacts

DEFAULT_POLICY = "vn-2025"
SHIPPED = ("vn-2025", "eidas", "basic")
# A clock of others may be a little ahead of ours.
SKEW = timedelta(minutes=5)
NO_END = "no-end"
# An algorithm whose end nobody has named yet.
NEVER = datetime.max.replace(tzinfo=UTC)
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,31}")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")
_KEY_TYPES = ("rsa", "ec", "ed25519", "ed448")
_LARGEST_FILE = 256 * 1024
# What the standards call one kind of key by two names.
_SAME_TYPE = {"rsassa_pss": "rsa"}


@dataclass(frozen=True)
class KeyRule:
    """Keys of a type with so many bits or more are strong enough until a day has passed. Bits say nothing of Edwards curves."""

    type: str
    until: str
    bits: int = 0

    def __post_init__(self) -> None:
        if self.type not in _KEY_TYPES:
            raise ValueError(f"keys.type: one of {', '.join(_KEY_TYPES)}")
        if not 0 <= self.bits <= 65536:
            raise ValueError("keys.bits: between 0 and 65536")
        _end(self.until, "keys.until")


@dataclass(frozen=True)
class FreshnessRule:
    """How old an answer about a certificate may be for the time in question, in hours; 0: as old as it says itself (nextUpdate)."""

    max_age_hours: int = 0
    authority_max_age_hours: int = 0

    def __post_init__(self) -> None:
        if self.max_age_hours < 0 or self.authority_max_age_hours < 0:
            raise ValueError("revocation: hours from 0 on")


@dataclass(frozen=True)
class SignerRule:
    """A signer's certificate is for one of these usages. One that names no usage at all passes unless `usage_required`."""

    key_usages: tuple[str, ...] = ("digital_signature", "non_repudiation")
    usage_required: bool = False

    def __post_init__(self) -> None:
        if not self.key_usages or set(self.key_usages) - {"digital_signature", "non_repudiation"}:
            raise ValueError("signer.key_usages: digital_signature, non_repudiation or both")


@dataclass(frozen=True)
class TimeRule:
    """`proof_required`: a signature without a time-stamp that holds is not valid."""

    proof_required: bool = False


@dataclass(frozen=True)
class Policy:
    """By which rules a verdict is made. `digests` and `signatures` give the last day of each algorithm; what is not listed is not known.

    `sha256`: of the file that it was read from.
    """

    name: str
    version: str
    digests: dict[str, str]
    signatures: dict[str, str]
    keys: tuple[KeyRule, ...]
    revocation: FreshnessRule = field(default_factory=FreshnessRule)
    signer: SignerRule = field(default_factory=SignerRule)
    time: TimeRule = field(default_factory=TimeRule)
    sha256: str = field(default="", init=False)

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError("name: small letters, digits, dots and hyphens, at most 32")
        if not 1 <= len(self.version) <= 32 or not self.version.isprintable():
            raise ValueError("version: 1 to 32 characters")
        for what in ("digests", "signatures"):
            table: Mapping[str, str] = getattr(self, what)
            if not table:
                raise ValueError(f"{what}: at least one algorithm")
            for algorithm, until in table.items():
                _end(until, f"{what}.{algorithm}")
        if not self.keys:
            raise ValueError("keys: at least one")

    @cached_property
    def _ends(self) -> dict[str, datetime]:
        named = {f"digest {name}": until for name, until in self.digests.items()}
        named |= {f"signature {name}": until for name, until in self.signatures.items()}
        return {name: _end(until, name) for name, until in named.items()}

    def digest_end(self, name: str | None) -> datetime | None:
        """Until when a digest algorithm is good; None for one that is not listed."""
        return self._ends.get(f"digest {name}")

    def signature_end(self, name: str | None) -> datetime | None:
        """The same for a signature algorithm."""
        return self._ends.get(f"signature {name}")

    def key_end(self, key_type: str, bits: int) -> datetime | None:
        """Until when a key is strong enough: the latest day of the rules that it meets."""
        kind = _SAME_TYPE.get(key_type, key_type)
        return max((_end(r.until, "") for r in self.keys if r.type == kind and bits >= r.bits), default=None)

    def is_fresh(self, answer: CrlFacts, then: datetime, *, of_signer: bool) -> bool:
        """EN 319 102-1 5.2.5: whether an answer is young enough to speak for a time."""
        hours = self.revocation.max_age_hours if of_signer else self.revocation.authority_max_age_hours
        if hours and answer.this_update < then - timedelta(hours=hours):
            return False
        # An OCSP answer without nextUpdate is as old as it says: newer ones are to be had all the time (RFC 6960 4.2.2.1).
        last = answer.next_update or answer.this_update + (SKEW if answer.kind == "ocsp" else timedelta())
        return last >= then


@dataclass(frozen=True)
class PolicyShelf:
    """The policies that one installation knows: those of the package, and perhaps one of its own."""

    policies: Mapping[str, Policy]
    default: str

    def get(self, name: str | None = None) -> Policy:
        """A policy, or the one that holds without a word; UsageWrong POLICY_UNKNOWN."""
        wanted = self.default if name is None else name
        if wanted not in self.policies:
            raise UsageWrong("POLICY_UNKNOWN", name=wanted[:64], valid=", ".join(sorted(self.policies)))
        return self.policies[wanted]


def load_policy(name: str = DEFAULT_POLICY) -> Policy:
    """A policy that ships with the package."""
    if name not in SHIPPED:
        raise UsageWrong("POLICY_UNKNOWN", name=name[:64], valid=", ".join(sorted(SHIPPED)))
    return parse_policy(files("signer.validation").joinpath("policies", f"{name}.toml").read_bytes(), f"{name}.toml")


def read_policy(path: Path, shown: str) -> Policy:
    """A policy out of somebody's file; UsageWrong POLICY_FILE_UNREADABLE or POLICY_FILE_WRONG."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise UsageWrong("POLICY_FILE_UNREADABLE", path=shown, reason=error.strerror or "") from error
    if len(data) > _LARGEST_FILE:
        raise UsageWrong("POLICY_FILE_WRONG", path=shown, problem=f"more than {_LARGEST_FILE} octets")
    return parse_policy(data, shown)


def parse_policy(data: bytes, shown: str) -> Policy:
    """A policy from its TOML; UsageWrong POLICY_FILE_WRONG names what does not fit."""
    try:
        policy = read_table(Policy, parse_toml(data.decode("utf-8"), shown), shown)
    except (TableError, UnicodeDecodeError) as error:
        raise UsageWrong(
            "POLICY_FILE_WRONG", path=shown, problem=str(error).removeprefix(f"{shown}: ")[:300]
        ) from error
    object.__setattr__(policy, "sha256", hashlib.sha256(data).hexdigest())
    return policy


def shelf_of(own: Iterable[Policy] = (), default: str = DEFAULT_POLICY) -> PolicyShelf:
    """The shelf with a policy of one's own, which may not take the name of one that ships; UsageWrong."""
    policies = {name: load_policy(name) for name in SHIPPED}
    for policy in own:
        if policy.name in policies:
            raise UsageWrong("POLICY_NAME_TAKEN", name=policy.name)
        policies[policy.name] = policy
    shelf = PolicyShelf(policies, default)
    shelf.get()
    return shelf


def _end(until: str, where: str) -> datetime:
    """The last moment of a day."""
    if until == NO_END:
        return NEVER
    try:
        last = date.fromisoformat(until if _DAY.fullmatch(until) else "")
    except ValueError:
        raise ValueError(f'{where}: a day like 2013-12-31, or "{NO_END}"') from None
    return datetime(last.year, last.month, last.day, 23, 59, 59, 999999, tzinfo=UTC)
