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
# A whole entry in one step, where its value holds neither comment nor parenthesis and lies at most two levels deep; nearly all do. What
# `_skip` would pass over token by token, and nothing else. Possessive: no octet is looked at in two ways.
_WHITE = rb"[\x00\t\n\x0c\r ]"
_NAME = rb"/[^\x00\t\n\x0c\r ()<>\[\]{}/%]*+"
_WORDS = rb"(?:[+\-.0-9A-Za-z\x00\t\n\x0c\r ]++|" + _NAME + rb"|<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>)"
_INNER = rb"(?:" + _WORDS + rb"|\[" + _WORDS + rb"*+\]|<<" + _WORDS + rb"*+>>)"
_ENTRY = re.compile(
    rb"(" + _NAME + rb")" + _WHITE + rb"*+"
    rb"(\d{1,10}+" + _WHITE + rb"++\d{1,5}+" + _WHITE + rb"++R\b|[+\-.0-9A-Za-z]++|" + _NAME + rb"|<[0-9A-Fa-f\x00\t\n\x0c\r ]*+>"
    rb"|\[" + _INNER + rb"*+\]|<<" + _INNER + rb"*+>>)" + _WHITE + rb"*+"
)  # fmt: skip
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


def read_dictionary(data: bytes, at: int) -> RawDictionary:
    """The dictionary at an offset, its values raw (ISO 32000-2 7.3.7). A key that stands twice is not plain."""
    if data[at : at + 2] != b"<<":
        raise NotPlain("no dictionary")
    start, at = at, skip_blank(data, at + 2)
    entries: dict[bytes, bytes] = {}
    while data[at : at + 2] != b">>":
        whole = _ENTRY.match(data, at)
        if whole is not None:
            name, value_octets = whole.groups()
            if b"#" in name or name in entries:
                raise NotPlain("no plain key")
            entries[name] = value_octets
            at = whole.end()
            if data[at : at + 1] == b"%":
                at = skip_blank(data, at)
            continue
        key = _PLAIN_TOKEN.match(data, at)
        if key is None or not key[0].startswith(b"/") or b"#" in key[0] or key[0] in entries:
            raise NotPlain("no plain key")
        value = skip_blank(data, key.end())
        end = _skip(data, value, 0)
        entries[key[0]] = data[value:end]
        at = skip_blank(data, end)
    return RawDictionary(data[start : at + 2], entries)


def skip_blank(data: bytes, at: int) -> int:
    """Where the next thing stands after white space and comments."""
    found = _BLANK.match(data, at)
    return found.end() if found else at


def _skip(data: bytes, at: int, depth: int) -> int:
    """The end of the value at an offset."""
    if depth > _DEEPEST:
        raise NotPlain("too deep")
    opening = data[at : at + 2]
    if opening == b"<<" or opening[:1] == b"[":
        closing = b">>" if opening == b"<<" else b"]"
        at = skip_blank(data, at + len(closing))
        while data[at : at + len(closing)] != closing:
            at = skip_blank(data, _skip(data, at, depth + 1))
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
