"""What is drawn on a plain PDF as one digest: of two files with the same, every page looks the same.

All octets count but the document information, in which writers note the minute, and the offsets, which move with its length.
"""

from __future__ import annotations

import hashlib
import re

from signer.plain_pdf import NotPlain, PlainPdf, read_dictionary, reference

_MOST_OBJECTS = 4096
_ROW_OCTETS = 20
_ROWS = re.compile(rb"(\d{10}) (\d{5}) ([nf])..", re.DOTALL)
_HEAD = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+obj\s*")
_FOOT = re.compile(rb"\s*endobj\s*")
# ISO 32000-2 table 349. What has only these can be used as nothing that is drawn, wherever else the file names it.
_INFORMATION = {
    b"/Title", b"/Author", b"/Subject", b"/Keywords", b"/Creator", b"/Producer", b"/CreationDate", b"/ModDate", b"/Trapped",
}  # fmt: skip


def paper_digest(pdf: bytes, base: PlainPdf) -> bytes | None:
    """The digest; None for a file that is too large for it or has been appended to."""
    if b"/Prev" in base.trailer.entries:
        return None
    rows: dict[int, tuple[int, bytes]] = {}
    for first, count, at in base.objects.subsections:
        found = _ROWS.findall(pdf, at, at + count * _ROW_OCTETS)
        if len(found) != count or len(rows) + count > _MOST_OBJECTS:
            return None
        rows |= {first + place: (int(row[0]), row[1] + row[2]) for place, row in enumerate(found)}
    root = reference(base.trailer.entries.get(b"/Root"))
    begin, end, information = _information(pdf, base, rows)
    table = [
        (number, -1 if number == information else offset - (end - begin if offset >= end else 0), kind)
        for number, (offset, kind) in sorted(rows.items())
    ]
    digest = hashlib.sha256(b"%d %d %d %a" % (root, information, begin, table))
    digest.update(memoryview(pdf)[:begin])
    digest.update(memoryview(pdf)[end : base.start])
    return digest.digest()


def _information(pdf: bytes, base: PlainPdf, rows: dict[int, tuple[int, bytes]]) -> tuple[int, int, int]:
    """Where the document information stands, and its number; an empty place at the start where it is not what it should be."""
    nothing = 0, 0, -1
    try:
        number = reference(base.trailer.entries.get(b"/Info"))
        begin = rows[number][0]
        end = min((offset for offset, _ in rows.values() if offset > begin), default=base.start)
        head = _HEAD.match(pdf, begin, end)
        if head is None or int(head[1]) != number or not end <= base.start:
            return nothing
        found = read_dictionary(pdf, head.end())
    except (NotPlain, KeyError):
        return nothing
    foot = _FOOT.fullmatch(pdf, head.end() + len(found.text), end)
    # A reader that repairs files takes objects where it sees them, in strings too.
    is_alone = pdf.count(b"obj", begin, end) == 2
    texts = all(
        value.startswith((b"(", b"<", b"/")) and not value.startswith(b"<<") for value in found.entries.values()
    )
    return (begin, end, number) if foot and is_alone and texts and found.entries.keys() <= _INFORMATION else nothing
