"""How many signatures a second the token makes, by algorithm and number of sessions, beside OpenSSL in this process's memory."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

from hsm.errors import MechanismUnavailable
from hsm.spec import KeySpec, TokenStatus, curve_of, rsa_bits
from pki.roles import Actor, Permission, require

# Every digest costs the same beside the signature over it.
_MESSAGE = b"Antin" * 20


class Bench(Protocol):
    """The part of a key store that measures its token, with keys that vanish."""

    def bench(self, spec: KeySpec, sessions: int, seconds: float) -> float: ...

    def status(self) -> TokenStatus: ...


@dataclass(frozen=True)
class Speed:
    """One line: `sessions` sign side by side in the token; OpenSSL signs in one thread. `ratio` is token to OpenSSL."""

    algorithm: str
    sessions: int
    per_second: float
    openssl_per_second: float
    ratio: float


def measure(keys: Bench, seconds: float, most_sessions: int, actor: Actor) -> list[Speed]:
    """Each kind of key with 1, 2, 4 … sessions up to what setting and token allow. A kind the token lacks is left out."""
    require(actor, Permission.MANAGE_KEYS)
    limit = keys.status().session_limit
    counts = _doublings(most_sessions if limit is None else min(most_sessions, limit))
    speeds: list[Speed] = []
    for spec in KeySpec:
        try:
            reached = [keys.bench(spec, count, seconds) for count in counts]
        except MechanismUnavailable:
            continue
        peer = _openssl(spec, seconds)
        speeds += [
            Speed(spec.value, count, round(rate, 1), round(peer, 1), round(rate / peer, 3))
            for count, rate in zip(counts, reached, strict=True)
        ]
    return speeds


def _doublings(most: int) -> list[int]:
    counts = [1]
    while counts[-1] * 2 <= most:
        counts.append(counts[-1] * 2)
    return counts if counts[-1] == most else [*counts, most]


def _openssl(spec: KeySpec, seconds: float) -> float:
    """Signatures a second with a throwaway key in memory, by the same schemes as the token is asked for."""
    made = 0
    if spec.is_rsa:
        rsa_key = rsa.generate_private_key(public_exponent=65537, key_size=rsa_bits(spec))
        begun = time.perf_counter()
        while (spent := time.perf_counter() - begun) < seconds or not made:
            rsa_key.sign(_MESSAGE, padding.PKCS1v15(), hashes.SHA256())
            made += 1
    else:
        key = ec.generate_private_key(curve_of(spec))
        begun = time.perf_counter()
        while (spent := time.perf_counter() - begun) < seconds or not made:
            key.sign(_MESSAGE, ec.ECDSA(hashes.SHA256()))
            made += 1
    return made / spent
