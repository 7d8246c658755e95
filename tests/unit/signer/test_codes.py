"""signer/codes.py: codes that people read aloud and type from paper."""

from __future__ import annotations

import random

from signer.codes import ALPHABET, LENGTH, grouped, is_mistyped, new_code, parse_code


def test_letters_that_look_alike_on_paper_are_not_used() -> None:
    assert len(set(ALPHABET)) == len(ALPHABET) == 32
    assert set("01OI").isdisjoint(ALPHABET)


def test_every_code_is_recognised_however_it_is_typed() -> None:
    for _ in range(200):
        code = new_code()
        assert len(code) == LENGTH == 20
        assert parse_code(code) == code
        assert parse_code(f" {grouped(code).lower()}\n") == code
        assert grouped(code).count("-") == 4


def test_every_single_wrong_letter_is_found() -> None:
    for _ in range(20):
        code = new_code()
        for at in range(LENGTH):
            for letter in set(ALPHABET) - {code[at]}:
                assert parse_code(code[:at] + letter + code[at + 1 :]) is None


def test_a_code_copied_wrongly_is_told_from_what_never_was_one() -> None:
    code = new_code()
    assert is_mistyped(grouped(code[:-1] + ("A" if code[-1] != "A" else "B")).lower())
    assert not any(is_mistyped(typed) for typed in (code, code[:-1], code + "2", code[:-1] + "O", "nothing"))


def test_nearly_every_swap_of_two_neighbours_is_found() -> None:
    """Luhn's sum misses one pair alone: the first and the last letter of the alphabet."""
    missed = set()
    chance = random.Random(7)
    for _ in range(300):
        code = "".join(chance.choice(ALPHABET) for _ in range(LENGTH - 1))
        code = next(code + letter for letter in ALPHABET if parse_code(code + letter))
        for at in range(LENGTH - 1):
            first, second = code[at], code[at + 1]
            swapped = code[:at] + second + first + code[at + 2 :]
            if first != second and parse_code(swapped):
                missed.add(frozenset((first, second)))
    assert missed <= {frozenset((ALPHABET[0], ALPHABET[-1]))}


def test_what_cannot_be_a_code_is_none() -> None:
    code = new_code()
    for typed in ("", code[:-1], code + "2", "0" * 20, "é" * 20, code[:-1] + "O", "１" * 20):
        assert parse_code(typed) is None


def test_codes_do_not_repeat() -> None:
    assert len({new_code() for _ in range(5000)}) == 5000
