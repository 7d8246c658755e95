"""Numbers inside a subject: the UIDs of Vietnamese practice and the identifiers of EN 319 412-1, by form and against each other.

Which kinds a certificate may bear says its profile; whether a number belongs to the subject, the registration officer alone.
Refusals do not repeat a number: it may be a citizen's, and messages end up in logs.
"""

from __future__ import annotations

import re
from enum import StrEnum

from certs.errors import (
    IdentifierMalformed,
    IdentifiersDisagree,
    NameAttributeRepeated,
    TaxCodeWrong,
    UidMalformed,
    UidUnknown,
)
from certs.names import SubjectName
from certs.strict import nearest


class UidKind(StrEnum):
    """What stands before the colon of a UID: tax code, budget code, citizen ID, its older form, passport."""

    MST = "MST"
    MNS = "MNS"
    CCCD = "CCCD"
    CMND = "CMND"
    HC = "HC"


_KINDS = {kind.value: kind for kind in UidKind}
# What a person may write, shown with a refusal. The tax code is nobody's: no province has the code 00.
_FORMS = {
    UidKind.MST: "MST:0012345672, MST:0012345672-001",
    UidKind.MNS: "MNS:1234567",
    UidKind.CCCD: "CCCD:012345678901",
    UidKind.CMND: "CMND:123456789",
    UidKind.HC: "HC:B1234567",
}
_NUMBERS = {
    # Ten digits, a branch with three more; persons have the twelve of their citizen ID instead (Thông tư 86/2024/TT-BTC).
    UidKind.MST: re.compile(r"[0-9]{10}(?:-[0-9]{3})?|[0-9]{12}"),
    UidKind.MNS: re.compile(r"[0-9]{7}"),
    UidKind.CCCD: re.compile(r"[0-9]{12}"),
    UidKind.CMND: re.compile(r"[0-9]{9}|[0-9]{12}"),
    # ICAO Doc 9303-4: up to nine letters and digits.
    UidKind.HC: re.compile(r"(?=[A-Z]{0,3}[0-9])[A-Z0-9]{5,9}"),
}
_TAX_WEIGHTS = (31, 29, 23, 19, 17, 13, 7, 5, 3)

# EN 319 412-1 5.1.4: three letters for the kind of number, the country, a hyphen, the number.
_OF_ORGANIZATION = re.compile(r"(VAT|NTR|LEI)([A-Z]{2})-([A-Za-z0-9.+/-]+)")
_ORGANIZATION_FORM = "VATVN-0012345672"
# EN 319 412-1 5.1.3. A serialNumber of another form is a number of the agency's own, and nobody's business.
_OF_PERSON = re.compile(r"(IDC|PNO|PAS|TIN|TAX)([A-Z]{2})-(.*)")
# Which number of the UIDs is meant by an identifier of this country's.
_SAME = {
    "VAT": (UidKind.MST,),
    "TIN": (UidKind.MST,),
    "IDC": (UidKind.CCCD, UidKind.CMND),
    "PNO": (UidKind.CCCD,),
    "PAS": (UidKind.HC,),
}


def check_identifiers(subject: SubjectName) -> None:
    """Raise a NameRefused for a UID or identifier that is not well formed, or for two that name different numbers."""
    numbers = _uids(subject)
    for kind, number in numbers.items():
        if not _NUMBERS[kind].fullmatch(number):
            raise UidMalformed(f"not the form of {kind}", uid=kind.value, form=_FORMS[kind])
    for attribute, check in (("organizationIdentifier", _check_organization), ("serialNumber", _check_person)):
        value = subject.first(attribute)
        if not value:
            continue
        scheme, number = check(value)
        # The same number in two notations must be the same number: a reader takes whichever he knows.
        stated = {kind: numbers[kind] for kind in _SAME.get(scheme, ()) if kind in numbers}
        if stated and number not in stated.values():
            kind = next(iter(stated))
            raise IdentifiersDisagree(f"{attribute} is not the {kind}", first=f"UID={kind}", second=attribute)


def check_tax_codes(subject: SubjectName) -> None:
    """Raise TaxCodeWrong for a tax code whose check digit is wrong, in either notation. For registrations for real use:
    a demonstration may bear numbers that nobody has.
    """
    numbers = [number for kind, number in _uids(subject).items() if kind is UidKind.MST]
    for attribute, schemes in (("organizationIdentifier", "VATVN-"), ("serialNumber", "TINVN-")):
        numbers += [value.removeprefix(schemes) for value in subject.values(attribute) if value.startswith(schemes)]
    for number in numbers:
        digits = number.partition("-")[0]
        if len(digits) == 10 and digits[9] != _check_digit(digits):
            raise TaxCodeWrong("the check digit of the tax code is wrong", form=_FORMS[UidKind.MST])


def uid_kinds(subject: SubjectName) -> tuple[UidKind, ...]:
    """The kinds of the UIDs of a subject, as written; UidUnknown for one that nobody knows."""
    return tuple(_uids(subject))


def identifier_example(attribute: str, subject: SubjectName) -> str:
    """How a missing attribute could be written, with the number that a UID of the subject states already."""
    numbers = _uids(subject)
    if attribute == "organizationIdentifier":
        tax_code = numbers.get(UidKind.MST, "")
        return f"{attribute}=VATVN-{tax_code}" if tax_code else f"{attribute}={_ORGANIZATION_FORM}"
    if attribute == "serialNumber":
        citizen = numbers.get(UidKind.CCCD, "")
        return f"{attribute}=IDCVN-{citizen}" if citizen else f"{attribute}=IDCVN-012345678901"
    return f"{attribute}=MST:0012345672" if attribute == "UID" else f"{attribute}=…"


def _uids(subject: SubjectName) -> dict[UidKind, str]:
    found: dict[UidKind, str] = {}
    for value in subject.values("UID"):
        prefix, colon, number = value.partition(":")
        kind = _KINDS.get(prefix) if colon else None
        if kind is None:
            raise UidUnknown(
                f"UID begins with {prefix!r}",
                uid=prefix[:16] if colon else "",
                nearest=nearest(prefix, UidKind),
                valid=", ".join(f"{kind}:" for kind in UidKind),
            )
        if kind in found:
            raise NameAttributeRepeated(f"two {kind}", attribute=f"UID={kind}")
        found[kind] = number
    return found


def _check_digit(digits: str) -> str:
    """The tenth digit of a tax code: ten less the weighted sum of nine modulo eleven. Where that is ten, none is issued."""
    return str(10 - sum(weight * int(digit) for weight, digit in zip(_TAX_WEIGHTS, digits[:9], strict=True)) % 11)


def _check_organization(value: str) -> tuple[str, str]:
    match = _OF_ORGANIZATION.fullmatch(value)
    if match is None:
        raise _malformed("organizationIdentifier", _ORGANIZATION_FORM)
    scheme, country, number = match.groups()
    if scheme == "LEI":
        # EN 319 412-1 5.1.4: the country of a LEI is written XG; ISO 17442-1: two check digits, modulo 97.
        letters = re.fullmatch(r"[A-Z0-9]{18}[0-9]{2}", number)
        if country != "XG" or letters is None or int("".join(str(int(c, 36)) for c in number)) % 97 != 1:
            raise _malformed("organizationIdentifier", "LEIXG-…")
    if scheme == "VAT" and country == "VN" and not _NUMBERS[UidKind.MST].fullmatch(number):
        raise _malformed("organizationIdentifier", _ORGANIZATION_FORM)
    return _foreign_or(scheme, country), number


def _check_person(value: str) -> tuple[str, str]:
    match = _OF_PERSON.fullmatch(value)
    if match is None:
        return "", value
    scheme, country, number = match.groups()
    if scheme == "TAX":
        # EN 319 412-1 5.1.3: TIN has taken its place.
        raise _malformed("serialNumber", "TINVN-0012345672")
    if not number:
        raise _malformed("serialNumber", "IDCVN-012345678901")
    if country == "VN":
        fitting = _SAME[scheme]
        if not any(_NUMBERS[kind].fullmatch(number) for kind in fitting):
            raise _malformed("serialNumber", f"{scheme}VN-{_FORMS[fitting[0]].partition(':')[2].partition(',')[0]}")
    return _foreign_or(scheme, country), number


def _foreign_or(scheme: str, country: str) -> str:
    """Only a number of this country can be one of the UIDs."""
    return scheme if country == "VN" else ""


def _malformed(attribute: str, form: str) -> IdentifierMalformed:
    return IdentifierMalformed(f"{attribute} is not written like {form}", attribute=attribute, form=form)
