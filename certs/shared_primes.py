"""Shared primes: finds whether an RSA key has a prime in common with one that the inventory knows.

Generators with too little chance in them gave thousands of devices moduli that share a prime; the greatest common divisor of
two such moduli is that prime (N. Heninger and others, "Mining Your Ps and Qs", USENIX Security 2012). One key is asked about
at a time here, so no product tree is needed: the product of all known moduli is formed modulo the new one, 10 µs each for
2048 bits (a tenth of a second for ten thousand keys), and one greatest common divisor shows a factor shared with any of them.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.hazmat.primitives.asymmetric import rsa

from certs.clock import Clock
from certs.errors import KeySharesPrime
from hsm.spec import PublicKey, key_id_of, load_public_key, spki_der

# What other processes have issued is looked for again after this; what this process asks about it remembers at once.
_KEPT = timedelta(minutes=1)
# Rows are found by their time. A clock that was set back by a day must hide none.
_OVERLAP = timedelta(days=2)


@dataclass(frozen=True)
class KnownKey:
    """A certified RSA key."""

    key_id: str
    public_key_der: bytes
    created_at: datetime


class KnownModuli:
    """The moduli of the inventory. `read` gives the RSA keys certified since a time, or all of them. For threads."""

    def __init__(self, read: Callable[[datetime | None], Iterable[KnownKey]], clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._lock = threading.Lock()
        self._moduli: dict[int, str] = {}
        self._recent: dict[str, datetime] = {}
        self._read_at: datetime | None = None

    def check(self, public_key: PublicKey) -> None:
        """Raise KeySharesPrime when another key of the inventory has a factor in common with this one."""
        if not isinstance(public_key, rsa.RSAPublicKey):
            return
        modulus = public_key.public_numbers().n
        with self._lock:
            self._learn()
            rest = 1
            for known in self._moduli:
                if known != modulus:
                    rest = rest * known % modulus
            if math.gcd(rest, modulus) == 1:
                self._moduli.setdefault(modulus, key_id_of(spki_der(public_key)).hex())
                return
            other = next(known for known in self._moduli if known != modulus and math.gcd(known, modulus) != 1)
            key_id = self._moduli[other]
        raise KeySharesPrime(
            f"a prime in common with {key_id}",
            kind=f"RSA-{public_key.key_size}", problem="shared-prime", key_id=key_id,
        )  # fmt: skip

    def _learn(self) -> None:
        now = self._clock.now()
        if self._read_at is not None and self._read_at <= now < self._read_at + _KEPT:
            return
        newest = max(self._recent.values(), default=None)
        since = None if newest is None else newest - _OVERLAP
        for known in self._read(since):
            if known.key_id not in self._recent:
                self._moduli[_modulus(known)] = known.key_id
            self._recent[known.key_id] = known.created_at
        if self._recent:
            oldest = max(self._recent.values()) - _OVERLAP
            self._recent = {key_id: at for key_id, at in self._recent.items() if at >= oldest}
        self._read_at = now


def _modulus(known: KnownKey) -> int:
    key = load_public_key(known.public_key_der)
    assert isinstance(key, rsa.RSAPublicKey)
    return key.public_numbers().n
