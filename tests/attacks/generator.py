"""The attack generator: takes honest signed documents and breaks each in a way that has a name.

Every attack is a function of a signed document; families.py lists them. None may ever be called valid. Here are the forgeries of 2019.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator

from asn1crypto import cms

from tests.attacks import documents
from tests.attacks.attack import Attack
from tests.attacks.pki import Party, Pki

BYTE_RANGE = re.compile(rb"/ByteRange\s*\[[^\]]*\]\s*")


def ranges(pdf: bytes) -> tuple[int, int, int, int]:
    """The last /ByteRange of the file."""
    numbers = [int(n) for n in re.findall(rb"\d+", BYTE_RANGE.findall(pdf)[-1])]
    return numbers[0], numbers[1], numbers[2], numbers[3]


def _set_byte_range(pdf: bytes, text: bytes) -> bytes:
    match = list(BYTE_RANGE.finditer(pdf))[-1]
    room = match.end() - match.start()
    return pdf[: match.start()] + text.ljust(room)[:room] + pdf[match.end() :]


def replace_contents(pdf: bytes, message: bytes) -> bytes:
    """Another CMS in the same hole."""
    _, start, end, _ = ranges(pdf)
    room = end - start - 2
    digits = message.hex().encode()
    return pdf[: start + 1] + digits.ljust(room, b"0") + pdf[end - 1 :]


def contents(pdf: bytes) -> cms.ContentInfo:
    _, start, end, _ = ranges(pdf)
    return cms.ContentInfo.load(bytes.fromhex(pdf[start + 1 : end - 1].decode()))


def resigned(pdf: bytes, party: Party, byte_range: tuple[int, ...], *, digest: str = "sha256") -> bytes:
    """A signature that is right over ranges that are wrong: only the structural gate can tell."""
    text = b"/ByteRange [" + b" ".join(str(n).encode() for n in byte_range) + b"]"
    start, end = ranges(pdf)[1:3]
    pdf = _set_byte_range(pdf, text)
    hasher = hashlib.new(digest)
    for offset, length in zip(byte_range[::2], byte_range[1::2], strict=True):
        hasher.update(pdf[offset : offset + length])
    message = documents.sign_digest(party, hasher.digest(), digest)
    digits = message.hex().encode().ljust(end - start - 2, b"0")
    return pdf[: start + 1] + digits + pdf[end - 1 :]


def universal_forgeries(signed: bytes) -> Iterator[Attack]:
    """USF 2019: /Contents or /ByteRange missing or of no sense."""
    _, start, end, _ = ranges(signed)
    room = end - start
    for name, value in {
        "contents_null": b"null",
        "contents_empty": b"<>",
        "contents_zero": b"<00>",
        "contents_number": b"0",
        "contents_literal_string": b"(x)",
        "contents_not_hex": b"<zz>",
        "contents_array": b"[]",
    }.items():
        yield Attack(f"usf_{name}", signed[:start] + value.ljust(room) + signed[end:])
    key = signed.rindex(b"/Contents", 0, start)
    yield Attack("usf_contents_missing", signed[:key] + b"/Kontents" + signed[key + 9 :])
    for name, value in {
        "missing": b"",
        "null": b"/ByteRange null",
        "empty": b"/ByteRange []",
        "zero": b"/ByteRange [0 0 0 0]",
        "negative": b"/ByteRange [0 -1 10 10]",
        "two": b"/ByteRange [0 100]",
        "six": b"/ByteRange [0 1 2 3 4 5]",
        "names": b"/ByteRange [/A /B /C /D]",
        "reals": b"/ByteRange [0.0 10.5 20 30]",
        "huge": b"/ByteRange [0 10 9999999999 10]",
        "number": b"/ByteRange 0",
    }.items():
        yield Attack(f"usf_byterange_{name}", _set_byte_range(signed, value))


def incremental_savings(signed: bytes) -> Iterator[Attack]:
    """ISA 2019: an update that some readers show and others skip."""
    size = len(signed)
    pointer = re.findall(rb"startxref\s+(\d+)", signed)[-1]
    root = re.findall(rb"/Root\s+(\d+ \d+ R)", signed)[-1]
    body = b"\n4 0 obj\n<< /Length 8 >>\nstream\nBT  ET  \nendstream\nendobj\n"
    table = b"xref\n4 1\n%010d 00000 n \n" % (size + 1)
    trailer = b"trailer\n<< /Size 60 /Root %s /Prev %s >>\n" % (root, pointer)
    start = b"startxref\n%d\n" % (size + len(body))
    end = b"%%EOF\n"
    yield Attack("isa_complete", signed + body + table + trailer + start + end)
    yield Attack("isa_without_xref", signed + body + trailer + start + end)
    yield Attack("isa_without_trailer", signed + body + table + start + end)
    yield Attack("isa_without_eof", signed + body + table + trailer + start)
    yield Attack("isa_without_startxref", signed + body + table + trailer + end)
    yield Attack("isa_without_startxref_and_eof", signed + body + table + trailer)
    yield Attack("isa_body_only", signed + body)
    yield Attack("isa_body_and_old_startxref", signed + body + b"startxref\n%s\n" % pointer + end)
    yield Attack("isa_table_and_old_startxref", signed + body + table + trailer + b"startxref\n%s\n" % pointer + end)
    yield Attack("isa_trailing_word", signed + b"x")
    yield Attack("isa_trailing_comment", signed + b"% looks harmless\n")
    yield Attack("isa_eof_only", signed + b"\n%%EOF\n")
    yield Attack("isa_eof_then_body", signed + b"\n%%EOF\n" + body)
    copied = re.findall(rb"\d+ 0 obj\s*<<(?:(?!endobj).)*?/ByteRange.*?endobj", signed, re.DOTALL)[-1]
    number = int(copied.split(b" ", 1)[0])
    table = b"xref\n%d 1\n%010d 00000 n \n" % (number, size + 1)
    body = b"\n" + copied + b"\n"
    start = b"startxref\n%d\n" % (size + len(body))
    yield Attack("isa_copied_signature", signed + body + table + trailer + start + end)
    yield Attack("isa_copied_signature_without_eof", signed + body + table + trailer + start)
    two = documents.filled(signed, "20")
    inside = two.rfind(b"startxref")
    yield Attack(
        "isa_hidden_object_in_honest_update", two[:inside] + b"9 0 obj\n<< /Type /Page >>\nendobj\n" + two[inside:]
    )
    yield Attack("isa_honest_update_then_tail", two + b"\n4 0 obj\nnull\nendobj\n")


def signature_wrappings(signed: bytes, party: Party) -> Iterator[Attack]:
    """SWA 2019, and other ranges that leave out more than the signature. The signatures are right over their ranges."""
    _, length, resume, rest = ranges(signed)
    yield Attack("swa_gap_begins_early", resigned(signed, party, (0, length - 12, resume, rest)))
    yield Attack("swa_gap_ends_late", resigned(signed, party, (0, length, resume + 3, rest - 3)))
    yield Attack("swa_start_not_zero", resigned(signed, party, (1, length - 1, resume, rest)))
    yield Attack("swa_end_left_out", resigned(signed, party, (0, length, resume, rest - 20)))
    yield Attack("swa_first_part_only", resigned(signed, party, (0, length)))
    yield Attack("swa_overlap", resigned(signed, party, (0, length, length - 10, 10)))
    yield Attack("swa_second_range_empty", resigned(signed, party, (0, length, resume, 0)))
    yield Attack("swa_three_ranges", resigned(signed, party, (0, 5, 5, length - 5, resume, rest)))
    padding = b"\n8 0 obj\nnull\nendobj\n"
    moved = signed[:resume] + padding + signed[resume:]
    yield Attack(
        "swa_second_range_moved",
        _set_byte_range(moved, b"/ByteRange [0 %d %d %d]" % (length, resume + len(padding), rest)),
    )
    yield Attack("swa_inserted_after_gap", moved)


def later_changes(signed: bytes, certified_1: bytes, certified_2: bytes) -> Iterator[Attack]:
    """Clean incremental updates that change what was signed, or what a certification forbids."""
    yield Attack("later_text_replaced", documents.with_other_text(signed))
    yield Attack("later_annotation", documents.with_annotation(signed))
    yield Attack("later_page_added", documents.with_other_page(signed))
    yield Attack("later_page_removed", documents.with_other_page(signed, remove=True))
    yield Attack("certified_p1_filled", documents.filled(certified_1))
    yield Attack("certified_p2_annotation", documents.with_annotation(certified_2))
    yield Attack("certified_p2_text_replaced", documents.with_other_text(certified_2))


def several_signatures(page: bytes, pki: Pki) -> Iterator[Attack]:
    """One of two signatures is broken."""
    first = documents.sign(page, pki.officer, "Sig1")
    broken = flipped_signature(first)
    yield Attack("two_first_value_broken", documents.sign(broken, pki.seal, "Sig2"))
    both = documents.sign(first, pki.seal, "Sig2")
    yield Attack("two_second_value_broken", flipped_signature(both))
    yield Attack("two_text_replaced_between", documents.sign(documents.with_other_text(first), pki.seal, "Sig2"))
    yield Attack("two_second_without_contents", without_contents(both))
    inside = both.index(b"trang 1") if b"trang 1" in both else 200
    yield Attack("two_first_byte_flipped", both[:inside] + bytes([both[inside] ^ 1]) + both[inside + 1 :])


def flipped_signature(pdf: bytes) -> bytes:
    info = contents(pdf)
    signer = info["content"]["signer_infos"][0]
    value = bytearray(signer["signature"].native)
    value[-1] ^= 1
    signer["signature"] = bytes(value)
    return replace_contents(pdf, info.dump(force=True))


def without_contents(pdf: bytes) -> bytes:
    _, start, end, _ = ranges(pdf)
    return pdf[: start + 1] + b"0" * (end - start - 2) + pdf[end - 1 :]
