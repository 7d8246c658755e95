"""The syntax of a plain PDF as far as appending needs it: a dictionary, its values raw.

Whatever is out of the ordinary raises NotPlain, and the library's reader takes over; so this reader may be strict and small. What
stands where is plain_references.py's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_BLANK = re.compile(rb"(?:[\x00\t\n\x0c\r ]+|%[^\r\n]*)*")
_REFERENCE = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s+R\b")
_PLAIN_TOKEN = re.compile(rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*|[+\-.0-9A-Za-z]+")
_HEX = re.compile(rb"<[0-9A-Fa-f\x00\t\n\x0c\r ]*>")
_STRING_PIECE = re.compile(rb"[()\\]")
# A whole entry in one step, where its value holds neither comment nor parenthesis and lies at most two levels deep; nearly all do. It is
# what `skip_value` would pass over token by token, and nothing else. Possessive: no octet is looked at in two ways. Groups are atomic
# instead of repeated possessively: Python 3.11.2, which is Debian 12's, leaves half a group behind where such a repetition ends.
_WHITE = rb"[\x00\t\n\x0c\r ]"
_NAME = rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*+"
_WORDS = rb"(?:[+\-.0-9A-Za-z\x00\t\n\x0c\r ]++|" + _NAME + rb"|<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>)"
_INNER = rb"(?:" + _WORDS + rb"|\[(?>" + _WORDS + rb"*)\]|<<(?>" + _WORDS + rb"*)>>)"
_VALUE = (
    rb"\d{1,10}+" + _WHITE + rb"++\d{1,5}+" + _WHITE + rb"++R\b|[+\-.0-9A-Za-z]++|" + _NAME
    + rb"|<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>|\[(?>" + _INNER + rb"*)\]|<<(?>" + _INNER + rb"*)>>"
)  # fmt: skip
_GAP = rb"(?>(?:" + _WHITE + rb"++|%[^\r\n]*+)*)"
_ENTRY = re.compile(rb"(" + _NAME + rb")" + _GAP + rb"(" + _VALUE + rb")" + _GAP)
# All entries of a dictionary, where each is of that kind.
_ENTRIES = re.compile(rb"(?>(?:" + _NAME + _GAP + rb"(?:" + _VALUE + rb")" + _GAP + rb")*)(?=>>)")
_DEEPEST = 40


class NotPlain(Exception):
    """The file is not of the simple kind; says nothing about whether it is good."""


@dataclass(frozen=True)
class RawDictionary:
    """A dictionary as it stands in the file. `entries`: key (with slash) to the raw octets of its value."""

    text: bytes
    entries: dict[bytes, bytes]

    def with_entry(self, key: bytes, value: bytes) -> bytes:
        """The dictionary's text with one entry more, or with another value for it; the rest octet for octet."""
        if key in self.entries:
            kept = b"".join(b"%b %b\n" % (name, old) for name, old in self.entries.items() if name != key)
            return b"<<\n%b%b %b\n>>" % (kept, key, value)
        return b"%b\n%b %b\n>>" % (self.text[:-2].rstrip(), key, value)


def reference(raw: bytes | None) -> int:
    """The object number of a reference; NotPlain for anything else, and for objects of a later generation."""
    found = _REFERENCE.fullmatch(raw or b"")
    if found is None or int(found[2]) != 0:
        raise NotPlain("no plain reference")
    return int(found[1])


def first_reference(array: bytes) -> int:
    """The object number of the first reference in an array."""
    found = _REFERENCE.match(array, skip_blank(array, 1)) if array.startswith(b"[") else None
    if found is None:
        raise NotPlain("no reference in the array")
    return reference(found[0])


def references(raw: bytes) -> list[int]:
    """The object numbers of an array of references; NotPlain when anything else is in it."""
    at, found = skip_blank(raw, 1), []
    while raw.startswith(b"[") and raw[at : at + 1] != b"]":
        each = _REFERENCE.match(raw, at)
        if each is None:
            break
        found.append(reference(each[0]))
        at = skip_blank(raw, each.end())
    if raw[at:] != b"]":
        raise NotPlain("no array of references")
    return found


def read_dictionary(data: bytes, at: int) -> RawDictionary:
    """The dictionary at an offset, its values raw (ISO 32000-2 7.3.7). A key that stands twice is not plain."""
    if data[at : at + 2] != b"<<":
        raise NotPlain("no dictionary")
    start, at = at, skip_blank(data, at + 2)
    whole = _ENTRIES.match(data, at)
    if whole is not None:
        pairs = _ENTRY.findall(data, at, whole.end())
        entries = dict(pairs)
        text = data[start : whole.end() + 2]
        if len(entries) == len(pairs) and b"#" not in text:
            return RawDictionary(text, entries)
    return _read_by_entry(data, start, at)


def _read_by_entry(data: bytes, start: int, at: int) -> RawDictionary:
    """The same where something is odd, from the first entry on."""
    entries: dict[bytes, bytes] = {}
    while data[at : at + 2] != b">>":
        whole = _ENTRY.match(data, at)
        if whole is not None:
            name, value_octets = whole.groups()
            if b"#" in name or name in entries:
                raise NotPlain("no plain key")
            entries[name] = value_octets
            at = whole.end()
            continue
        key = _PLAIN_TOKEN.match(data, at)
        if key is None or not key[0].startswith(b"/") or b"#" in key[0] or key[0] in entries:
            raise NotPlain("no plain key")
        value = skip_blank(data, key.end())
        end = skip_value(data, value)
        entries[key[0]] = data[value:end]
        at = skip_blank(data, end)
    return RawDictionary(data[start : at + 2], entries)


def skip_blank(data: bytes, at: int) -> int:
    """Where the next thing stands after white space and comments."""
    found = _BLANK.match(data, at)
    return found.end() if found else at


def skip_value(data: bytes, at: int, depth: int = 0) -> int:
    """The end of the value at an offset."""
    if depth > _DEEPEST:
        raise NotPlain("too deep")
    opening = data[at : at + 2]
    if opening == b"<<" or opening[:1] == b"[":
        closing = b">>" if opening == b"<<" else b"]"
        at = skip_blank(data, at + len(closing))
        while data[at : at + len(closing)] != closing:
            at = skip_blank(data, skip_value(data, at, depth + 1))
        return at + len(closing)
    if opening[:1] == b"(":
        return _skip_string(data, at)
    found = _HEX.match(data, at) or _REFERENCE.match(data, at) or _PLAIN_TOKEN.match(data, at)
    if found is None:
        raise NotPlain("an unexpected character")
    return found.end()


def _skip_string(data: bytes, at: int) -> int:
    """The end of a literal string: parentheses pair, a backslash hides what follows (ISO 32000-2 7.3.4.2)."""
    depth = 0
    while True:
        piece = _STRING_PIECE.search(data, at)
        if piece is None:
            raise NotPlain("a string without end")
        if piece[0] == b"\\":
            at = piece.end() + 1
            continue
        at = piece.end()
        depth += 1 if piece[0] == b"(" else -1
        if depth == 0:
            return at
