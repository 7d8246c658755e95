"""Appends an unseen signature field to a plain PDF, without the library: a tenth of the time for the commonest case.

Only for a file that has no form yet and a plan that draws nothing; the caller turns to preparing.py's way for the rest.
"""

from __future__ import annotations

import secrets

from signer.plain_pdf import NotPlain, PlainPdf, read_plain
from signer.plan import Plan, Prepared

_RANGE_WIDTH = 48
_HIDDEN_LOCKED = 132  # Print and Locked (ISO 32000-2 table 167), as for a field that shows nothing


def prepare_plain(pdf: bytes, plan: Plan, field: str) -> Prepared:
    """The appended revision for a plan without stamp and values; NotPlain when the file or the plan asks for more."""
    if (
        plan.placement != "none"
        or plan.values
        or plan.kind != "signature"
        or not field.isascii()
        or not field.isalnum()
    ):
        raise NotPlain("the plan draws or fills something")
    base = read_plain(pdf)
    if base.catalog.entries.keys() & {b"/AcroForm", b"/Perms"}:
        raise NotPlain("there is a form")
    annotations = _annotations(base, base.size)
    objects = {
        base.catalog_number: base.catalog.with_entry(b"/AcroForm", b"<< /Fields [%d 0 R] /SigFlags 3 >>" % base.size),
        base.page_number: base.page.with_entry(b"/Annots", annotations),
        base.size: (
            b"<< /Type /Annot /Subtype /Widget /FT /Sig /T (%b) /F %d /Rect [0 0 0 0] /P %d 0 R /V %d 0 R >>"
            % (field.encode("ascii"), _HIDDEN_LOCKED, base.page_number, base.size + 1)
        ),
    }
    return _write(pdf, plan, field, base, objects)


def _annotations(base: PlainPdf, number: int) -> bytes:
    """The page's annotations with one more. An array elsewhere in the file is left to the library."""
    present = base.page.entries.get(b"/Annots", b"[]")
    if not present.startswith(b"["):
        raise NotPlain("annotations of their own object")
    return b"%b %d 0 R]" % (present[:-1].rstrip(), number)


def _write(pdf: bytes, plan: Plan, field: str, base: PlainPdf, objects: dict[int, bytes]) -> Prepared:
    """Objects, signature dictionary, cross-reference section and trailer (ISO 32000-2 7.5.6), with the ranges filled in."""
    out = bytearray(b"" if pdf.endswith((b"\n", b"\r")) else b"\n")
    offsets: dict[int, int] = {}
    for number, text in objects.items():
        offsets[number] = len(pdf) + len(out)
        out += b"%d 0 obj\n%b\nendobj\n" % (number, text)
    signature = base.size + 1
    offsets[signature] = len(pdf) + len(out)
    out += b"%d 0 obj\n<< /Type /Sig /Filter /Adobe.PPKLite /SubFilter /ETSI.CAdES.detached /M (D:%b)\n/Contents " % (
        signature,
        plan.claimed_time.strftime("%Y%m%d%H%M%SZ").encode("ascii"),
    )
    start = len(pdf) + len(out)
    out += b"<%b>" % (b"0" * (2 * plan.contents_octets))
    end = len(pdf) + len(out)
    out += b"\n/ByteRange "
    range_at = len(out)
    out += b" " * _RANGE_WIDTH + b">>\nendobj\n"
    out += _cross_references(base, offsets, len(pdf) + len(out))
    ranges = b"[0 %d %d %d]" % (start, end, len(pdf) + len(out) - end)
    out[range_at : range_at + _RANGE_WIDTH] = ranges.ljust(_RANGE_WIDTH)
    return Prepared(bytes(out), (start, end), field, None, (), lenient=False)


def _cross_references(base: PlainPdf, offsets: dict[int, int], at: int) -> bytes:
    lines = [b"xref\n"]
    numbers = sorted(offsets)
    position = 0
    while position < len(numbers):
        run = 1
        while position + run < len(numbers) and numbers[position + run] == numbers[position] + run:
            run += 1
        lines.append(b"%d %d\n" % (numbers[position], run))
        lines += [b"%010d 00000 n \n" % offsets[number] for number in numbers[position : position + run]]
        position += run
    kept = b"".join(
        b" %b %b" % (key, base.trailer.entries[key]) for key in (b"/Root", b"/Info") if key in base.trailer.entries
    )
    lines.append(b"trailer\n<< /Size %d%b%b /Prev %d >>\n" % (max(numbers) + 1, kept, _file_id(base), base.start))
    lines.append(b"startxref\n%d\n%%%%EOF\n" % at)
    return b"".join(lines)


def _file_id(base: PlainPdf) -> bytes:
    """The first identifier stays, the second is new with every revision (ISO 32000-2 14.4)."""
    fresh = secrets.token_hex(16).upper().encode("ascii")
    present = base.trailer.entries.get(b"/ID", b"")
    first, _, _ = present.strip(b"[] \r\n\t").partition(b">")
    if not present.startswith(b"[") or not first.startswith(b"<"):
        return b" /ID [<%b> <%b>]" % (fresh, fresh)
    return b" /ID [%b> <%b>]" % (first, fresh)
