"""What is drawn on a plain PDF as one digest: of two files with the same, every page looks the same.

All octets count but the document information, in which writers note the minute, and the offsets, which move with its length.
"""

from __future__ import annotations

import hashlib
import re

from signer.octets import Octets, pieces_of
from signer.plain_base import PlainPdf
from signer.plain_pdf import NotPlain, read_dictionary, reference

_MOST_OBJECTS = 4096
# To look at a page takes longer than to hash as much.
_MOST_OCTETS = 64 * 1024 * 1024
_MOST_INFORMATION = 64 * 1024
_ROW_OCTETS = 20
_ROWS = re.compile(rb"(\d{10}) (\d{5}) ([nf])..", re.DOTALL)
_HEAD = re.compile(rb"(\d{1,10})\s+\d{1,5}\s+obj\s*")
_FOOT = re.compile(rb"\s*endobj\s*")
# ISO 32000-2 table 349. What has only these can be used as nothing that is drawn, wherever else the file names it.
_INFORMATION = {
    b"/Title", b"/Author", b"/Subject", b"/Keywords", b"/Creator", b"/Producer", b"/CreationDate", b"/ModDate", b"/Trapped",
}  # fmt: skip


def paper_digest(pdf: Octets, base: PlainPdf) -> bytes | None:
    """The digest; None for a file that is too large for it, has been appended to, or whose cross-references are streams."""
    subsections = base.objects.subsections
    if b"/Prev" in base.trailer.entries or subsections is None or base.start > _MOST_OCTETS:
        return None
    rows: dict[int, tuple[int, bytes]] = {}
    for first, count, at in subsections:
        if len(rows) + count > _MOST_OBJECTS:
            return None
        found = _ROWS.findall(pdf[at : at + count * _ROW_OCTETS])
        if len(found) != count:
            return None
        rows |= {first + place: (int(row[0]), row[1] + row[2]) for place, row in enumerate(found)}
    root = reference(base.trailer.entries.get(b"/Root"))
    begin, end, information = _information(pdf, base, rows)
    table = [
        (number, -1 if number == information else offset - (end - begin if offset >= end else 0), kind)
        for number, (offset, kind) in sorted(rows.items())
    ]
    digest = hashlib.sha256(b"%d %d %d %a" % (root, information, begin, table))
    for start, stop in ((0, begin), (end, base.start)):
        for piece in pieces_of(pdf, start, stop):
            digest.update(piece)
    return digest.digest()


def _information(pdf: Octets, base: PlainPdf, rows: dict[int, tuple[int, bytes]]) -> tuple[int, int, int]:
    """Where the document information stands, and its number; an empty place at the start where it is not what it should be."""
    nothing = 0, 0, -1
    try:
        number = reference(base.trailer.entries.get(b"/Info"))
        begin = rows[number][0]
        end = min((offset for offset, _ in rows.values() if offset > begin), default=base.start)
        if not end <= base.start or end - begin > _MOST_INFORMATION:
            return nothing
        octets = pdf[begin:end]
        head = _HEAD.match(octets)
        if head is None or int(head[1]) != number:
            return nothing
        found = read_dictionary(octets, head.end())
    except (NotPlain, KeyError):
        return nothing
    foot = _FOOT.fullmatch(octets, head.end() + len(found.text))
    # A reader that repairs files takes objects where it sees them, in strings too.
    is_alone = octets.count(b"obj") == 2
    texts = all(
        value.startswith((b"(", b"<", b"/")) and not value.startswith(b"<<") for value in found.entries.values()
    )
    return (begin, end, number) if foot and is_alone and texts and found.entries.keys() <= _INFORMATION else nothing
