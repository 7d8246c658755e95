"""Weakness: what lets anybody find a private key though its public key looks strong. Kinds and sizes are csr.py's matter.

Lists of the keys that Debian made in 2006 to 2008 cannot be had here and are not looked for. Primes that two keys share:
shared_primes.py.
"""

from __future__ import annotations

import hashlib
import math

# Public keys whose private keys are printed in standards, by the SHA-256 of the SubjectPublicKeyInfo.
_PUBLISHED = {
    "5a7a78cca4a0f420d9bc62bb669c3c2759e39f723d3ae10dcbe0f0815a07ecd4": "RFC 6979 A.2.5, P-256",
    "2f95601fa82060b909bfc6b979dbd303d34d34e0afb27ea496beac362f242a4b": "RFC 6979 A.2.6, P-384",
    "b2b04340cfaee616ec9c2c62d261b208e54bb197498df52e8cadede23ac0ba5e": "RFC 9500 2.3, testECCP256",
    "c4c10105a0be0ed4dd3354428dc38a9bfee64da141ce16e75c94eda272f9dd3a": "RFC 9500 2.3, testECCP384",
    "8fb6bad671cfe698393c453357da61b56d757ab8c0f3fb9c87f2849e63131878": "RFC 9500 2.1, testRSA2048",
}
_PUBLISHED_DIGESTS = frozenset(map(bytes.fromhex, _PUBLISHED))

_SMALL_LIMIT = 10_000
# H. Böck, "Fermat Factorization in the Wild" (2023): keys of broken generators fell within twenty steps.
_FERMAT_STEPS = 100
_SQUARES_MODULO_256 = frozenset(number * number % 256 for number in range(256))
# M. Nemec, M. Sys, P. Svenda, D. Klinec, V. Matyas, "The Return of Coppersmith's Attack" (ACM CCS 2017), 3.1: primes of the
# faulty library are k·M + (65537^a mod M), M the product of the first n primes, n at least 39 for every size of key.
_ROCA_GENERATOR = 65537
_ROCA_PRIMES = 39


def is_published(public_key_der: bytes) -> bool:
    """Whether the private key stands in a standard for everybody to read."""
    return hashlib.sha256(public_key_der).digest() in _PUBLISHED_DIGESTS


def modulus_problem(modulus: int) -> str:
    """What is wrong with an RSA modulus, in a word, or an empty string. A few thousandths of a second at most."""
    if math.gcd(modulus, _PRIMORIAL) != 1:
        return "small-factor"
    if _is_roca(modulus):
        return "roca"
    if _has_close_primes(modulus):
        return "close-primes"
    return ""


def _is_roca(modulus: int) -> bool:
    """Whether the modulus is a power of 65537 modulo M (section 3.1 of the paper).

    The exponent is found modulo each small prime from a table; the parts must then agree wherever their periods have a
    common divisor. Of honest moduli one in 2^154 passes.
    """
    exponent, period = 0, 1
    for prime, table in _LOGARITHMS:
        part = table.get(modulus % prime)
        if part is None:
            return False
        common = math.gcd(period, len(table))
        if (part - exponent) % common:
            return False
        # The Chinese remainder theorem for periods that are not coprime.
        step = len(table) // common
        exponent += period * ((part - exponent) // common * pow(period // common, -1, step) % step)
        period *= step
    return True


def _has_close_primes(modulus: int) -> bool:
    """Fermat's method: n = a² - b² with a just above the square root of n, as far as a bounded number of steps."""
    root = math.isqrt(modulus)
    if root * root == modulus:
        return True
    for larger in range(root + 1, root + 1 + _FERMAT_STEPS):
        rest = larger * larger - modulus
        if rest % 256 in _SQUARES_MODULO_256 and math.isqrt(rest) ** 2 == rest:
            return True
    return False


def _primes_below(limit: int) -> list[int]:
    sieve = bytearray([1]) * limit
    sieve[:2] = b"\0\0"
    for number in range(2, math.isqrt(limit) + 1):
        if sieve[number]:
            sieve[number * number :: number] = bytes(len(range(number * number, limit, number)))
    return [number for number in range(limit) if sieve[number]]


def _powers(prime: int) -> dict[int, int]:
    """Each power of the generator modulo a prime, to its exponent."""
    table: dict[int, int] = {}
    value = 1
    while value not in table:
        table[value] = len(table)
        value = value * _ROCA_GENERATOR % prime
    return table


_SMALL_PRIMES = _primes_below(_SMALL_LIMIT)
_PRIMORIAL = math.prod(_SMALL_PRIMES)
_LOGARITHMS = tuple((prime, _powers(prime)) for prime in _SMALL_PRIMES[:_ROCA_PRIMES])
