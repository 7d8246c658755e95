"""Text of strangers at the edge of a page: normalised, without hidden characters, and with personal numbers masked.

Facts are cleaned where they are found; this is done again where they are shown, because a page is what people believe.
Escaping for HTML is the templates' own deed.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass

LONGEST = 500
# A letter carries at most two marks in Vietnamese; three leaves room for others, and towers of marks fall.
_MOST_MARKS = 3
_VISIBLE = "\N{REPLACEMENT CHARACTER}"
# Thông tư 15/2025/TT-BKHCN's subject numbers of a person, and the semantics identifiers of EN 319 412-1 5.1.3.
# A tax code of twelve digits is a person's citizen ID (Thông tư 86/2024/TT-BTC).
# "HC" is a passport only before a colon: offices shorten hành chính so.
_PERSONAL = re.compile(
    r"(?i)\b((?:CCCD|CMND|CMT)(?:\s*[:=-]\s*|\s+)|HC\s*:\s*|MST\s*:\s*(?=[0-9]{12}\b)|(?:IDC|PNO|PAS|TIN)[A-Z]{2}-)"
    r"([A-Z]{0,3}[0-9][0-9A-Z]*)"
)
_SHOWN_OF_PERSONAL = 4
_ATTRIBUTE = re.compile(r"\s*([A-Za-z][A-Za-z0-9-]*|[0-9.]+)=")


@dataclass(frozen=True)
class Attribute:
    """One attribute of a subject as it was written: its short name and its value."""

    name: str
    value: str


def shown(text: str, longest: int = LONGEST) -> str:
    """Text fit for a page: NFC, one line, what is invisible or turns text around made visible, not endless."""
    cleaned: list[str] = []
    marks = 0
    for character in unicodedata.normalize("NFC", text[: longest * 4]):
        kind = unicodedata.category(character)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        if marks > _MOST_MARKS:
            continue
        if character in "\t\r\n" or kind in ("Zs", "Zl", "Zp"):
            cleaned.append(" ")
        else:
            cleaned.append(_VISIBLE if kind[0] == "C" else character)
    line = "".join(cleaned).strip()
    return line if len(line) <= longest else line[: longest - 1] + "…"


def masked(text: str) -> str:
    """The same text with all but the last four characters of a person's number as stars: `CCCD:********1234`."""
    return _PERSONAL.sub(_mask, text)


def _mask(found: re.Match[str]) -> str:
    number = found.group(2)
    # A number as short as what stays readable would be shown whole.
    kept = number[-_SHOWN_OF_PERSONAL:] if len(number) > _SHOWN_OF_PERSONAL else ""
    return f"{found.group(1)}{'*' * (len(number) - len(kept))}{kept}"


def subject_attributes(subject: str) -> tuple[Attribute, ...]:
    """A subject in the text of RFC 4514 taken apart, cleaned and masked; what cannot be taken apart is one nameless attribute."""
    attributes = []
    for part in _split(subject):
        match = _ATTRIBUTE.match(part)
        if match is None:
            return (Attribute("", masked(shown(subject))),)
        attributes.append(Attribute(match.group(1), masked(shown(_unescaped(part[match.end() :])))))
    return tuple(attributes)


def short_name(subject: str) -> str:
    """The name and organisation of a subject: `Root CA (Agency)`; the whole of it when it has no common name."""
    values = {each.name: each.value for each in reversed(subject_attributes(subject))}
    name, organization = values.get("CN", ""), values.get("O", "")
    if not name:
        return organization or masked(shown(subject))
    return f"{name} ({organization})" if organization and organization != name else name


def _split(subject: str) -> list[str]:
    """Cut at commas and plus signs that no backslash protects (RFC 4514 2.2, 2.4)."""
    parts, start, position = [], 0, 0
    while position < len(subject):
        if subject[position] == "\\":
            position += 2
            continue
        if subject[position] in ",+":
            parts.append(subject[start:position])
            start = position + 1
        position += 1
    return [*parts, subject[start:]]


def _unescaped(value: str) -> str:
    octets = bytearray()
    position = 0
    while position < len(value):
        if value[position] == "\\" and re.fullmatch(r"[0-9A-Fa-f]{2}", value[position + 1 : position + 3]):
            octets += bytes.fromhex(value[position + 1 : position + 3])
            position += 3
            continue
        if value[position] == "\\":
            position += 1
        octets += value[position : position + 1].encode("utf-8", "replace")
        position += 1
    return octets.decode("utf-8", "replace")


def in_groups(text: str, size: int = 4) -> str:
    """A long row of digits for people to compare: groups with spaces between."""
    return " ".join(text[at : at + size] for at in range(0, len(text), size))
