"""A key that anybody can break is refused whatever its size, and an honest one never is."""

from __future__ import annotations

import math
import random
import time

import pytest
from asn1crypto import keys as asn1_keys
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from certs.csr import parse_public_key
from certs.errors import KeyBroken, KeyWeak
from certs.weakness import modulus_problem
from hsm.spec import spki_der

RANDOM = random.Random(20261122)
FIRST_PRIMES = [p for p in range(2, 702) if all(p % q for q in range(2, math.isqrt(p) + 1))]
# RFC 9500 2.1: the primes of testRSA2048.
P_9500 = int(
    "dd105702382f232b3681f53791e22617c7bf4e9acb81ed48daf6d6995da3eab642839aff012d2ea628b90af279fd3e6f7c93cd80f072f01ff2443b3ee8f24ed4"
    "69a79613a41bd24020f92fd11059bd1d0f301b5ba7a9d3637ca8d65c1a9815417d8eab734b0b4f3a2c661d9a1a82f3ac734c40530669ab8e473045a58e65539d",
    16,
)
Q_9500 = int(
    "ccf1e5bb90c8e9781ea75bebf10bc252e11eb023a0260f1887552a56863f4a6421e8c600bf523d6cb1b0adbdd65bfee4a88a037e3d1a415e5bb95648da5a0ca2"
    "6b54f4a63948522c3d5f89b94a72efff95134d5940ce45758f308980908956588eef575b3e4bc4c368cfe813ee9c252c2b02e0df91f1aa01938d38685d60ba6f",
    16,
)


def rsa_der(modulus: int, exponent: int = 65537) -> bytes:
    key = asn1_keys.RSAPublicKey({"modulus": modulus, "public_exponent": exponent})
    return asn1_keys.PublicKeyInfo.wrap(key, "rsa").dump()


def is_prime(number: int) -> bool:
    if any(number % p == 0 for p in FIRST_PRIMES):
        return False
    return all(pow(base, number - 1, number) == 1 for base in (2, 3, 5, 7))


def next_prime(number: int) -> int:
    number |= 1
    while not is_prime(number):
        number += 2
    return number


def roca_prime(bits: int) -> int:
    """A prime as the faulty library made them: k·M + (65537^a mod M)."""
    # Nemec and others 2.1: 126 primes in M for keys of 1984 to 3936 bits.
    product = math.prod(FIRST_PRIMES[:126])
    while True:
        start = pow(65537, RANDOM.getrandbits(128), product)
        prime = (RANDOM.getrandbits(bits - product.bit_length()) | 1 << (bits - product.bit_length())) * product + start
        if prime.bit_length() == bits and is_prime(prime):
            return prime


def roca_modulus() -> int:
    while (modulus := roca_prime(1024) * roca_prime(1024)).bit_length() != 2048:
        pass
    return modulus


def refusal(der: bytes) -> KeyBroken:
    with pytest.raises(KeyBroken) as refused:
        parse_public_key(der)
    return refused.value


def test_a_key_of_the_roca_library_is_recognised():
    assert refusal(rsa_der(roca_modulus())).facts["problem"] == "roca"


def test_a_product_of_one_roca_prime_and_an_honest_one_is_not_taken_for_one():
    assert modulus_problem(roca_prime(1024) * next_prime(RANDOM.getrandbits(1024) | 1 << 1023)) == ""


@pytest.mark.parametrize("distance", [2, 2**100, 2**516])
def test_primes_that_lie_close_together_are_found(distance):
    first = next_prime(3 << 1022 | RANDOM.getrandbits(1000))
    assert refusal(rsa_der(first * next_prime(first + distance))).facts["problem"] == "close-primes"


def test_the_square_of_a_prime_is_found():
    assert modulus_problem(next_prime(3 << 1022 | RANDOM.getrandbits(1000)) ** 2) == "close-primes"


@pytest.mark.parametrize("factor", [3, 5, 101, 9973])
def test_a_small_factor_is_found(factor):
    assert refusal(rsa_der(factor * (RANDOM.getrandbits(2046) | 3 << 2046 | 1))).facts["problem"] == "small-factor"


def test_an_even_modulus_is_refused():
    with pytest.raises(KeyWeak):
        parse_public_key(rsa_der(1 << 2047))


@pytest.mark.parametrize("exponent", [1, 2, 3, 65536, 65539])
def test_another_exponent_than_the_usual_is_refused(exponent):
    honest = rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key().public_numbers().n
    with pytest.raises(KeyWeak):
        parse_public_key(rsa_der(honest, exponent))


@pytest.mark.parametrize("bits", [2048, 3072])
def test_honest_keys_pass(bits):
    for _ in range(4):
        key = rsa.generate_private_key(public_exponent=65537, key_size=bits).public_key()
        assert modulus_problem(key.public_numbers().n) == ""
        parse_public_key(spki_der(key))


@pytest.mark.parametrize(
    ("curve", "private"),
    [
        (ec.SECP256R1(), "C9AFA9D845BA75166B5C215767B1D6934E50C3DB36E89B127B8A622B120F6721"),
        (
            ec.SECP384R1(),
            "6B9D3DAD2E1B8C1C05B19875B6659F4DE23C3B667BF297BA9AA47740787137D896D5724E4C70A825F872C9EA60D2EDF5",
        ),
        (ec.SECP256R1(), "E6CB5BDD80AA45AE9C95E8C15476679FFEC953C16851E711E743939589C64FC1"),
        (
            ec.SECP384R1(),
            "E2563328DFABF68188606B91324281C1D58A4456431B09D510B35FECC9F307CA1822846FA2671371A9A81BAC0E35749D",
        ),
    ],
    ids=["RFC 6979 P-256", "RFC 6979 P-384", "RFC 9500 P-256", "RFC 9500 P-384"],
)
def test_keys_printed_in_standards_are_refused(curve, private):
    key = ec.derive_private_key(int(private, 16), curve).public_key()
    assert refusal(spki_der(key)).facts["problem"] == "published"


def test_the_rsa_key_printed_in_a_standard_is_refused():
    assert refusal(rsa_der(P_9500 * Q_9500)).facts["problem"] == "published"


def test_a_modulus_of_half_a_million_bits_is_refused_at_once():
    started = time.perf_counter()
    with pytest.raises(KeyWeak) as refused:
        parse_public_key(rsa_der(RANDOM.getrandbits(500_000) | 1 << 499_999 | 1))
    assert refused.value.facts["problem"] == "size"
    assert time.perf_counter() - started < 1
