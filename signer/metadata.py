"""What an agency says about a document: the metadata of Nghị định 30/2020/NĐ-CP, Appendix VI, checked and normalised."""

from __future__ import annotations

import difflib
import unicodedata
from typing import Any

from signer.errors import UsageWrong

# Longest values by ND30 Appendix VI; nested names with a dot.
LENGTHS: dict[str, int] = {
    "FileCode": 60, "DocOrdinal": 3, "TypeName": 100, "CodeNumber": 11, "CodeNotation": 30, "IssuedDate": 10,
    "OrganName": 200, "Subject": 500, "Language": 30, "PageAmount": 3, "SignerInfo.Position": 100,
    "SignerInfo.FullName": 50, "To.OrganId": 13, "To.OrganName": 200, "Priority": 1, "IssuedAmount": 3, "DueDate": 10,
}  # fmt: skip
_GROUPS = {name.split(".")[0] for name in LENGTHS if "." in name}

# Characters that turn text around or hide in it (Unicode bidi controls, zero-width, interlinear marks).
_FORBIDDEN = {"Cc", "Cf", "Cs", "Co", "Cn"}

Metadata = dict[str, Any]


def _clean(where: str, value: object) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise UsageWrong("METADATA_TYPE", name=where)
    text = unicodedata.normalize("NFC", str(value)).strip()
    if any(unicodedata.category(character) in _FORBIDDEN for character in text):
        raise UsageWrong("METADATA_CHARACTER", name=where)
    if len(text) > LENGTHS[where]:
        raise UsageWrong("METADATA_TOO_LONG", name=where, limit=str(LENGTHS[where]))
    return text


def _known(where: str) -> None:
    names = sorted({*LENGTHS, *_GROUPS})
    if where not in names:
        nearest = difflib.get_close_matches(where, names, n=1, cutoff=0.0)
        raise UsageWrong("METADATA_UNKNOWN", name=where, nearest=nearest[0])


def _group(name: str, value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise UsageWrong("METADATA_TYPE", name=name)
    out = {}
    for inner, text in value.items():
        _known(f"{name}.{inner}")
        out[str(inner)] = _clean(f"{name}.{inner}", text)
    return out


def parse_metadata(raw: object) -> Metadata:
    """Check a decoded JSON object: known names, string values, lengths; NFC. `To` may be one recipient or a list."""
    if not isinstance(raw, dict):
        raise UsageWrong("METADATA_TYPE", name="metadata")
    out: Metadata = {}
    for name, value in raw.items():
        _known(str(name))
        if name == "To" and isinstance(value, list):
            out[name] = [_group("To", each) for each in value]
        elif name in _GROUPS:
            out[name] = _group(name, value)
        else:
            out[name] = _clean(name, value)
    number = out.get("CodeNumber")
    if number is not None and not (number.isascii() and number.isdecimal() and int(number) > 0):
        raise UsageWrong("METADATA_NUMBER", value=number)
    return out
