"""What an agency says about a document: the metadata of Nghị định 30/2020/NĐ-CP, Appendix VI, checked and normalised."""

from __future__ import annotations

import difflib
import re
import unicodedata
from datetime import date, datetime
from typing import Any

from signer.errors import UsageWrong

# Longest values by ND30 Appendix VI; nested names with a dot.
LENGTHS: dict[str, int] = {
    "FileCode": 60, "DocOrdinal": 3, "TypeName": 100, "CodeNumber": 11, "CodeNotation": 30, "IssuedDate": 10,
    "OrganName": 200, "Subject": 500, "Language": 30, "PageAmount": 3, "SignerInfo.Position": 100,
    "SignerInfo.FullName": 50, "To.OrganId": 13, "To.OrganName": 200, "Priority": 1, "IssuedAmount": 3, "DueDate": 10,
}  # fmt: skip
_DATES = ("IssuedDate", "DueDate")
# How a date may be typed; the first is how it is kept.
_DATE_FORMS = ("%Y-%m-%d", "%d/%m/%Y")
# Amounts and the degree of urgency are numbers in text.
_COUNTS = ("DocOrdinal", "PageAmount", "IssuedAmount", "Priority")
# An identifier of an agency, like 000.00.00.H37 or H37.DN.001.
_ORGAN_ID = re.compile(r"[A-Za-z0-9]+(\.[A-Za-z0-9]+)*", re.ASCII)
_GROUPS = {name.split(".")[0] for name in LENGTHS if "." in name}

# Characters that turn text around or hide in it (Unicode bidi controls, zero-width, interlinear marks).
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}
# How alike an unknown name must be to a known one to be taken for it, and how much of it is repeated in the answer.
_CLOSE = 0.75
_SHOWN = 60

Metadata = dict[str, Any]


def _clean(where: str, value: object) -> str:
    # A number too is text here: 012 and 12 are two numbers of documents, and JSON cannot write the first.
    if not isinstance(value, str):
        raise UsageWrong("METADATA_TYPE", name=where)
    text = unicodedata.normalize("NFC", value).strip()
    if any(unicodedata.category(character) in _FORBIDDEN for character in text):
        raise UsageWrong("METADATA_CHARACTER", name=where)
    if len(text) > LENGTHS[where]:
        raise UsageWrong("METADATA_TOO_LONG", name=where, limit=str(LENGTHS[where]))
    if where in _COUNTS and not (text.isascii() and text.isdecimal()):
        raise UsageWrong("METADATA_COUNT", name=where)
    if where == "To.OrganId" and not _ORGAN_ID.fullmatch(text):
        raise UsageWrong("METADATA_ORGAN_ID", name=where)
    return text


def parse_day(text: str) -> date | None:
    """A day of the calendar in one of the forms in which people write it; None for what is none."""
    for form in _DATE_FORMS:
        try:
            # Exactly ten characters: strptime would take 2026-1-5 as well.
            return datetime.strptime(text if len(text) == 10 else "", form).date()  # noqa: DTZ007  a day has no zone
        except ValueError:
            continue
    return None


def _date(where: str, text: str) -> str:
    """The day as yyyy-mm-dd."""
    day = parse_day(text)
    if day is None:
        raise UsageWrong("METADATA_DATE", name=where)
    return day.isoformat()


def _known(where: str) -> None:
    if where in LENGTHS or where in _GROUPS:
        return
    group, dot, inner = where.rpartition(".")
    # Within a group its own names are compared, or the group's name would make all of them alike.
    prefix = group + dot if group in _GROUPS else ""
    names = {name.removeprefix(prefix).lower(): name for name in (*LENGTHS, *_GROUPS) if name.startswith(prefix)}
    valid = ", ".join(LENGTHS)
    nearest = difflib.get_close_matches((inner if prefix else where).lower(), names, n=1, cutoff=_CLOSE)
    if nearest:
        raise UsageWrong("METADATA_MISSPELT", name=where[:_SHOWN], nearest=names[nearest[0]], valid=valid)
    raise UsageWrong("METADATA_UNKNOWN", name=where[:_SHOWN], valid=valid)


def _group(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageWrong("METADATA_TYPE", name=name)
    out = {}
    for inner, text in value.items():
        _known(f"{name}.{inner}")
        out[str(inner)] = _clean(f"{name}.{inner}", text)
    return out


def parse_metadata(raw: object) -> Metadata:
    """Check a decoded JSON object: known names, string values, lengths, dates, numbers; NFC. `To` may be one recipient or a list."""
    if not isinstance(raw, dict):
        raise UsageWrong("METADATA_NOT_OBJECT")
    out: Metadata = {}
    for name, value in raw.items():
        _known(str(name))
        if name == "To" and isinstance(value, list):
            out[name] = [_group("To", each) for each in value]
        elif name in _GROUPS:
            out[name] = _group(name, value)
        else:
            out[name] = _clean(name, value)
    for name in _DATES:
        if name in out:
            out[name] = _date(name, out[name])
    if all(name in out for name in _DATES) and out["DueDate"] < out["IssuedDate"]:
        raise UsageWrong("METADATA_DUE_BEFORE_ISSUE", due=out["DueDate"], issued=out["IssuedDate"])
    number = out.get("CodeNumber")
    if number is not None and not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise UsageWrong("METADATA_NUMBER", value=number)
    return out
