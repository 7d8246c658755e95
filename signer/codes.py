"""The lookup code of a document (mã tra cứu): random, readable aloud, with a check character."""

from __future__ import annotations

import secrets

# 32 letters without 0/O and 1/I, which people confuse on paper.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
_RANDOM_LETTERS = 19  # 95 bits: nobody finds a document by guessing
LENGTH = _RANDOM_LETTERS + 1


def _check_letter(body: str) -> str:
    """Luhn's sum in base 32: finds every single wrong letter and nearly every swap of two neighbours."""
    total = 0
    for place, letter in enumerate(reversed(body)):
        value = ALPHABET.index(letter)
        doubled = value * 2 if place % 2 == 0 else value
        total += doubled // 32 + doubled % 32
    return ALPHABET[-total % 32]


def new_code() -> str:
    """A fresh code of 20 letters, without separators."""
    return code_of(secrets.randbits(5 * _RANDOM_LETTERS))


def code_of(number: int) -> str:
    """The code that a number of 95 bits makes."""
    body = "".join(ALPHABET[number >> 5 * place & 31] for place in range(_RANDOM_LETTERS))
    return body + _check_letter(body)


def parse_code(typed: str) -> str | None:
    """The code a person typed (case, spaces and hyphens ignored), or None if it cannot be one."""
    code = _plain(typed)
    if not _has_form(code):
        return None
    return code if _check_letter(code[:-1]) == code[-1] else None


def is_mistyped(typed: str) -> bool:
    """Whether it has the form of a code, and only its check character does not fit: somebody copied one wrongly."""
    code = _plain(typed)
    return _has_form(code) and _check_letter(code[:-1]) != code[-1]


def _plain(typed: str) -> str:
    return "".join(typed.split()).replace("-", "").upper()


def _has_form(code: str) -> bool:
    return len(code) == LENGTH and all(letter in ALPHABET for letter in code)


def grouped(code: str) -> str:
    """For people: groups of four."""
    return "-".join(code[at : at + 4] for at in range(0, len(code), 4))
