"""Reads just enough of a plain PDF to append to it: last cross-reference table, trailer, catalog, first page.

Plain means: classic cross-reference tables, no encryption, nothing odd. Whatever is not, raises NotPlain, and the library's
reader takes over; so this reader may be strict and small. Every step is linear and bounded.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

# Comments may follow the end (ISO 32000-2 7.2.4). The lines of one cannot be divided in two ways: this stays linear.
_START = re.compile(rb"startxref[ \t]*\r?\n?\s*(\d{1,12})\s*%%EOF\s*(?:%[^\r\n]*(?:[\r\n]\s*|\Z))*\Z")
_SECTION = re.compile(rb"xref[ \t]*\r?\n")
_SUBSECTION = re.compile(rb"\s*(\d{1,10}) (\d{1,10})[ \t]*(?:\r\n|\n|\r)")
_TRAILER = re.compile(rb"\s*trailer\s*(?=<<)")
_ROW = re.compile(rb"(\d{10}) (\d{5}) ([nf])(?: \n| \r|\r\n)")
_OBJECT = re.compile(rb"(\d{1,10})\s+(\d{1,5})\s+obj\b")
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
_FIRST_ARCHIVE = re.compile(rb"pdfaid:part(?:\s*=\s*[\"']|\s*>)\s*1")
_ROW_OCTETS = 20
_DEEPEST = 40
_MOST_SECTIONS = 64
_TAIL = 2048


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


@dataclass(frozen=True)
class PlainPdf:
    """What appending needs: numbers and dictionaries of catalog and first page, the trailer, where the last table begins."""

    start: int
    size: int
    trailer: RawDictionary
    catalog_number: int
    catalog: RawDictionary
    page_number: int
    page: RawDictionary


def read_plain(pdf: bytes) -> PlainPdf:
    """Read the end, the catalog and the first page; NotPlain for anything out of the ordinary."""
    found = _START.search(pdf, max(0, len(pdf) - _TAIL))
    # Which one counts when a comment holds another is for the library to say.
    if found is None or pdf.find(b"startxref", found.end(1)) != -1:
        raise NotPlain("no startxref at the end")
    sections = _Sections(pdf, int(found[1]))
    trailer = sections.trailer
    if trailer.entries.keys() & {b"/Encrypt", b"/XRefStm"}:
        raise NotPlain("encrypted or hybrid")
    catalog_number = _reference(trailer.entries.get(b"/Root"))
    catalog = sections.dictionary(catalog_number)
    if catalog.entries.get(b"/Type") != b"/Catalog":
        raise NotPlain("the root is no catalog")
    # In a PDF/A-1 file, whose metadata nothing compresses (ISO 19005-1 6.7.2), an unseen field needs more than we write here.
    if b"/Metadata" in catalog.entries and _FIRST_ARCHIVE.search(pdf):
        raise NotPlain("PDF/A-1")
    page_number, page = _first_page(sections, catalog)
    size = trailer.entries.get(b"/Size", b"")
    if not size.isdigit() or not 0 < int(size) < 10_000_000:
        raise NotPlain("no size")
    return PlainPdf(int(found[1]), int(size), trailer, catalog_number, catalog, page_number, page)


def _first_page(sections: _Sections, catalog: RawDictionary) -> tuple[int, RawDictionary]:
    number = _reference(catalog.entries.get(b"/Pages"))
    for _ in range(_DEEPEST):
        node = sections.dictionary(number)
        kind = node.entries.get(b"/Type")
        if kind == b"/Page":
            return number, node
        kids = node.entries.get(b"/Kids", b"")
        first = _REFERENCE.match(kids, _blank(kids, 1)) if kids.startswith(b"[") else None
        if kind != b"/Pages" or first is None:
            break
        number = _reference(first[0])
    raise NotPlain("no first page")


class _Sections:
    """The chain of classic cross-reference sections, newest first. Rows are read where they stand, one at a time."""

    def __init__(self, pdf: bytes, start: int) -> None:
        self._pdf = pdf
        self._subsections: list[tuple[int, int, int]] = []
        trailers = []
        seen: set[int] = set()
        at: int | None = start
        while at is not None:
            if at in seen or len(seen) >= _MOST_SECTIONS:
                raise NotPlain("the chain of sections does not end")
            seen.add(at)
            trailer = self._read_section(at)
            trailers.append(trailer)
            before = trailer.entries.get(b"/Prev")
            if before is not None and not before.isdigit():
                raise NotPlain("no plain /Prev")
            at = None if before is None else int(before)
        self.trailer = trailers[0]

    def _read_section(self, at: int) -> RawDictionary:
        head = _SECTION.match(self._pdf, at)
        if head is None:
            raise NotPlain("no classic section")
        at = head.end()
        while True:
            trailer = _TRAILER.match(self._pdf, at)
            if trailer is not None:
                return read_dictionary(self._pdf, trailer.end())
            line = _SUBSECTION.match(self._pdf, at)
            if line is None:
                raise NotPlain("a broken section")
            first, count = int(line[1]), int(line[2])
            self._subsections.append((first, count, line.end()))
            at = line.end() + count * _ROW_OCTETS

    def dictionary(self, number: int) -> RawDictionary:
        """The dictionary that an object number stands for."""
        for first, count, at in self._subsections:
            if first <= number < first + count:
                row = _ROW.fullmatch(
                    self._pdf, at + (number - first) * _ROW_OCTETS, at + (number - first + 1) * _ROW_OCTETS
                )
                if row is None or row[3] != b"n" or int(row[2]) != 0:
                    raise NotPlain("no plain row")
                head = _OBJECT.match(self._pdf, int(row[1]))
                if head is None or int(head[1]) != number or int(head[2]) != 0:
                    raise NotPlain("no object where the row points")
                return read_dictionary(self._pdf, _blank(self._pdf, head.end()))
        raise NotPlain("an object without a row")


def _reference(raw: bytes | None) -> int:
    found = _REFERENCE.fullmatch(raw or b"")
    if found is None or int(found[2]) != 0:
        raise NotPlain("no plain reference")
    return int(found[1])


def read_dictionary(data: bytes, at: int) -> RawDictionary:
    """The dictionary at an offset, its values raw (ISO 32000-2 7.3.7). A key that stands twice is not plain."""
    if data[at : at + 2] != b"<<":
        raise NotPlain("no dictionary")
    start, at = at, _blank(data, at + 2)
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
                at = _blank(data, at)
            continue
        key = _PLAIN_TOKEN.match(data, at)
        if key is None or not key[0].startswith(b"/") or b"#" in key[0] or key[0] in entries:
            raise NotPlain("no plain key")
        value = _blank(data, key.end())
        end = _skip(data, value, 0)
        entries[key[0]] = data[value:end]
        at = _blank(data, end)
    return RawDictionary(data[start : at + 2], entries)


def _blank(data: bytes, at: int) -> int:
    found = _BLANK.match(data, at)
    return found.end() if found else at


def _skip(data: bytes, at: int, depth: int) -> int:
    """The end of the value at an offset."""
    if depth > _DEEPEST:
        raise NotPlain("too deep")
    opening = data[at : at + 2]
    if opening == b"<<" or opening[:1] == b"[":
        closing = b">>" if opening == b"<<" else b"]"
        at = _blank(data, at + len(closing))
        while data[at : at + len(closing)] != closing:
            at = _blank(data, _skip(data, at, depth + 1))
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
