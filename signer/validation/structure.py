"""The structural gate: what the raw bytes around a signature must look like, judged without a PDF library.

Every check is linear in the size of the file, whatever the file holds. The gate says what it found; policy.py judges.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from signer.octets import Octets

_WHITESPACE = b"\x00\t\n\x0c\r "  # ISO 32000-2 7.2.3, table 1
_HEX = b"0123456789abcdefABCDEF"
_HEADER_WINDOW = 1024
# More than white space, number and keyword take, each as far as it is looked at.
_WINDOW = 64
_NUMBER_BEFORE_OBJ = re.compile(rb"(?<![0-9])([0-9]{1,10})[\x00\t\n\x0c\r ]{1,16}([0-9]{1,5})[\x00\t\n\x0c\r ]{0,16}\Z")
_OBJECT_HEADER = re.compile(rb"[0-9]{1,10}[\x00\t\n\x0c\r ]{1,16}[0-9]{1,5}[\x00\t\n\x0c\r ]{0,16}obj")
_NUMBER_AFTER = re.compile(rb"[\x00\t\n\x0c\r ]{0,16}([0-9]{1,12})")
_BYTE_RANGE_WORD = b"/ByteRange"
_LONGEST_RANGE = 320
_BYTE_RANGE = re.compile(
    rb"/ByteRange[\x00\t\n\x0c\r ]{0,16}\[[\x00\t\n\x0c\r ]{0,16}"
    rb"([0-9]{1,12})[\x00\t\n\x0c\r ]{1,16}([0-9]{1,12})[\x00\t\n\x0c\r ]{1,16}"
    rb"([0-9]{1,12})[\x00\t\n\x0c\r ]{1,16}([0-9]{1,12})[\x00\t\n\x0c\r ]{0,64}\]"
)


class Finding(StrEnum):
    """What can be wrong with the bytes around a signature."""

    BYTERANGE_MALFORMED = "BYTERANGE_MALFORMED"
    """Not four integers that are zero or more."""
    BYTERANGE_START = "BYTERANGE_START"
    """The first range does not begin at the first byte of the file."""
    BYTERANGE_ORDER = "BYTERANGE_ORDER"
    """The ranges overlap, are empty or pass the end of the file."""
    GAP_NOT_CONTENTS = "GAP_NOT_CONTENTS"
    """What the ranges leave out is not exactly the hexadecimal string of /Contents."""
    END_NOT_REVISION = "END_NOT_REVISION"
    """The second range does not end where a revision ends."""
    ENTRY_TWICE = "ENTRY_TWICE"
    """The signature dictionary names /Contents or /ByteRange more than once."""
    TAIL_UNPARSED = "TAIL_UNPARSED"
    """Bytes follow the signed revision that belong to no revision a reader would parse."""
    STARTXREF_ELSEWHERE = "STARTXREF_ELSEWHERE"
    """A revision after the signature ends with a startxref that leads elsewhere than to its own table."""
    OBJECT_TWICE = "OBJECT_TWICE"
    """A later revision defines one object twice: two readers may show two documents."""
    XREF_WRONG = "XREF_WRONG"
    """The table of a later revision names a place where no object begins."""
    OBJECT_UNLISTED = "OBJECT_UNLISTED"
    """A later revision holds an object that its cross-reference table does not list."""
    SIGNATURE_REMOVED = "SIGNATURE_REMOVED"
    """The signature stands in the file, but the document as it is now no longer shows it."""


@dataclass(frozen=True)
class Section:
    """One cross-reference section as the PDF library read it; oldest first."""

    declared: int
    start: int
    end: int
    offsets: frozenset[int]


@dataclass(frozen=True)
class RawSignature:
    """A /ByteRange that stands in the bytes, whether or not a form refers to it."""

    offset: int
    byte_range: tuple[int, int, int, int]

    @property
    def end(self) -> int:
        return self.byte_range[2] + self.byte_range[3]


def has_pdf_header(pdf: Octets) -> bool:
    """Whether %PDF- stands near the beginning (readers accept some bytes before it)."""
    return b"%PDF-" in pdf[:_HEADER_WINDOW]


def is_blank(data: Octets, start: int = 0) -> bool:
    """Whether only white space is there, from an offset on."""
    if isinstance(data, bytes):
        return not data[start:].strip(_WHITESPACE)
    return not any(piece.strip(_WHITESPACE) for piece in data.pieces(start, len(data)))


def find_raw_signatures(pdf: Octets) -> list[RawSignature]:
    """Every plausible /ByteRange in the file, in the order of the bytes; at most a thousand."""
    found: list[RawSignature] = []
    at = pdf.find(_BYTE_RANGE_WORD)
    while at >= 0 and len(found) < 1000:
        match = _BYTE_RANGE.match(pdf[at : at + _LONGEST_RANGE])
        if match is not None:
            first, second, third, fourth = (int(match.group(index)) for index in (1, 2, 3, 4))
            if first == 0 and second < third and third + fourth <= len(pdf):
                found.append(RawSignature(at, (first, second, third, fourth)))
        at = pdf.find(_BYTE_RANGE_WORD, at + 1)
    return found


def check_byte_range(pdf: Octets, byte_range: Sequence[object], contents: bytes) -> list[Finding]:
    """What is wrong with the ranges and the gap. `contents` is /Contents as the library decoded it.

    ISO 32000-2 12.8.1 and EN 319 142-1 5.2: the ranges are the whole revision except the value of /Contents.
    """
    numbers = [int(n) for n in byte_range if isinstance(n, int) and not isinstance(n, bool) and n >= 0]
    if len(numbers) != 4 or len(byte_range) != 4:
        return [Finding.BYTERANGE_MALFORMED]
    start, length, resume, rest = numbers
    if start != 0:
        return [Finding.BYTERANGE_START]
    if length == 0 or rest == 0 or length >= resume or resume + rest > len(pdf):
        return [Finding.BYTERANGE_ORDER]
    findings = []
    if not _is_contents(pdf, length, resume, contents):
        findings.append(Finding.GAP_NOT_CONTENTS)
    end = resume + rest
    # A signer may cover white space after its own %%EOF; anything else must belong to the revision.
    if not pdf[max(0, end - 64) : end].rstrip(_WHITESPACE).endswith(b"%%EOF") and end != len(pdf):
        findings.append(Finding.END_NOT_REVISION)
    if _is_entry_twice(pdf, length, resume):
        findings.append(Finding.ENTRY_TWICE)
    return findings


def _is_contents(pdf: Octets, gap_start: int, gap_end: int, contents: bytes) -> bool:
    gap = pdf[gap_start:gap_end]
    if len(gap) < 2 or not gap.startswith(b"<") or not gap.endswith(b">"):
        return False
    digits = gap[1:-1]
    if len(digits) % 2 or digits.translate(None, _HEX):
        return False
    if not pdf[max(0, gap_start - 64) : gap_start].rstrip(_WHITESPACE).endswith(b"/Contents"):
        return False
    return bytes.fromhex(digits.decode("ascii")) == contents


def _is_entry_twice(pdf: Octets, gap_start: int, gap_end: int) -> bool:
    """Readers disagree about which of two equal keys counts, so a signature dictionary may have none twice."""
    opening = pdf.rfind(b"obj", max(0, gap_start - 65536), gap_start)
    closing = pdf.find(b"endobj", gap_end, gap_end + 65536)
    if opening < 0:
        opening = max(0, gap_start - 4096)
    around = pdf[opening:gap_start] + pdf[gap_end : closing if closing >= 0 else gap_end + 4096]
    return any(around.count(key) > 1 for key in (b"/ByteRange", b"/Contents"))


def check_after(pdf: Octets, end: int, later: Sequence[Section]) -> list[Finding]:
    """What is wrong with the bytes from `end` of a signed revision on. `later` are the revisions read after it.

    Each later revision must be objects, their table, startxref to that table and %%EOF, and nothing may follow the last.
    This is what catches updates that some readers parse and others skip (incremental saving attacks, 2019).
    """
    if is_blank(pdf, end):
        return []
    if not later:
        return [Finding.TAIL_UNPARSED]
    markers = _positions(pdf, b"%%EOF", end, len(pdf))
    pointers = _positions(pdf, b"startxref", end, len(pdf))
    if len(markers) != len(later) or not is_blank(pdf, markers[-1] + 5):
        return [Finding.TAIL_UNPARSED]
    if len(pointers) != len(later):
        return [Finding.STARTXREF_ELSEWHERE]
    findings: list[Finding] = []
    begin = end
    for section, pointer, marker in zip(later, pointers, markers, strict=True):
        behind = pointer + len(b"startxref")
        number = _NUMBER_AFTER.match(pdf[behind : behind + _WINDOW])
        if number is None or int(number.group(1)) != section.declared or not begin <= section.start < pointer < marker:
            findings.append(Finding.STARTXREF_ELSEWHERE)
        findings += _check_objects(pdf, begin, marker, section)
        begin = marker + 5
    return list(dict.fromkeys(findings))


def _check_objects(pdf: Octets, begin: int, end: int, section: Section) -> list[Finding]:
    listed = {skip_blank(pdf, offset) for offset in section.offsets if begin <= offset < end}
    listed.add(skip_blank(pdf, section.start))  # a cross-reference stream need not list itself
    findings = []
    heads = (skip_blank(pdf, offset) for offset in section.offsets)
    if not all(_OBJECT_HEADER.match(pdf[head : head + _WINDOW]) for head in heads):
        findings.append(Finding.XREF_WRONG)
    seen: set[tuple[int, int]] = set()
    for position in _positions(pdf, b"obj", begin, end):
        window = pdf[max(begin, position - 48) : position]
        header = _NUMBER_BEFORE_OBJ.search(window)
        if header is None:
            continue
        name = (int(header.group(1)), int(header.group(2)))
        if name in seen:
            findings.append(Finding.OBJECT_TWICE)
        seen.add(name)
        if max(begin, position - 48) + header.start() not in listed:
            findings.append(Finding.OBJECT_UNLISTED)
    return findings


def skip_blank(pdf: Octets, offset: int) -> int:
    """The next octet that is not white space, a few dozen octets on at most."""
    window = pdf[offset : offset + _WINDOW]
    return offset + len(window) - len(window.lstrip(_WHITESPACE))


def _positions(pdf: Octets, word: bytes, start: int, end: int) -> list[int]:
    found = []
    at = pdf.find(word, start, end)
    while at >= 0:
        found.append(at)
        at = pdf.find(word, at + len(word), end)
    return found
