"""The lines of text that a signature shows beside the page's edge, as the office's policy has them (ND30 Phụ lục I)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from string import Formatter

from certs.clock import VIETNAM, for_people
from signer.numbering import GivenNumber, written
from signer.office_rules import main_document_line
from signer.signing_parts import Case


def block_lines(case: Case, number: GivenNumber | None) -> tuple[str, ...]:
    """The lines of this signature; what needs the register is asked only where a line shows it."""
    shown: Mapping[str, Callable[[], str]] = {
        "number": lambda: written(number.number) if number else "",
        "number_and_symbol": lambda: _number_and_symbol(case),
        "time": lambda: _time(case),
        "agency": lambda: case.signatory.agency,
        "form": lambda: case.rule.copy_text(case.request.particulars.form, case.request.particulars.source) or "",
        "comment": lambda: case.request.particulars.comment,
        "signer": lambda: case.signatory.common_name,
    }
    return tuple(_filled(line, shown) for line in case.rule.lines)


def _filled(line: str, shown: Mapping[str, Callable[[], str]]) -> str:
    """Put together piece by piece: what people typed is never read as a form to be filled."""
    return "".join(text + (shown[name]() if name is not None else "") for text, name, _, _ in Formatter().parse(line))


def _number_and_symbol(case: Case) -> str:
    number, symbol = main_document_line(case)
    return f"Số: {written(number)}/{symbol}" if symbol else f"Số: {written(number)}"


def _time(case: Case) -> str:
    """The claimed time, the same as in /M, in Vietnam's zone."""
    if case.policy.block.time == "iso":
        return case.now.astimezone(VIETNAM).isoformat(timespec="seconds")
    return for_people(case.now)
