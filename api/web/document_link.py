"""A link from one document of the register to another: what that one is to this, and the advice that goes with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from signer.codes import grouped


@dataclass(frozen=True)
class DocumentLink:
    """A line that leads to another document of the register. `sentence` says what it is to this one."""

    sentence: str
    code: str
    grouped: str


def links(sentence: str, codes: Iterable[str]) -> tuple[DocumentLink, ...]:
    """A line for each of these documents."""
    return tuple(DocumentLink(sentence, code, grouped(code)) for code in codes)


def advice_with(advice: str, read_on: tuple[DocumentLink, ...]) -> str:
    """Whoever is led to the other document need not ask the agency for it."""
    return f"{advice}_HERE" if read_on and advice in ("REPLACED", "CORRECTED") else advice
