"""The structural gate on bytes made by hand."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signer.validation.structure import (
    Finding,
    Section,
    check_after,
    check_byte_range,
    find_raw_signatures,
    has_pdf_header,
)

HEAD = b"%PDF-1.7\n1 0 obj\n<< /ByteRange [0 0000 0000 0000] /Contents "
CONTENTS = b"\x30\x03\x02\x01\x05\x00\x00"
TAIL = b" >>\nendobj\nstartxref\n9\n%%EOF\n"
GAP = b"<" + CONTENTS.hex().encode() + b">"
WHOLE = HEAD + GAP + TAIL
RANGE = [0, len(HEAD), len(HEAD) + len(GAP), len(TAIL)]


def test_ranges_around_contents_and_nothing_else_pass() -> None:
    assert check_byte_range(WHOLE, RANGE, CONTENTS) == []


@pytest.mark.parametrize(
    "numbers",
    [[], [0, 1], [0, 1, 2, 3, 4, 5], [0, 1, 2, -3], [0, 1, 2, True], [0, 1, 2, 3.0], ["0", "1", "2", "3"], [None] * 4],
)
def test_anything_but_four_natural_numbers_is_malformed(numbers: list[object]) -> None:
    assert check_byte_range(WHOLE, numbers, CONTENTS) == [Finding.BYTERANGE_MALFORMED]


def test_a_range_that_begins_later_leaves_something_out() -> None:
    assert check_byte_range(WHOLE, [1, RANGE[1] - 1, *RANGE[2:]], CONTENTS) == [Finding.BYTERANGE_START]


@pytest.mark.parametrize(
    "numbers", [[0, 0, 10, 10], [0, 10, 10, 5], [0, 50, 40, 10], [0, 10, 20, 0], [0, 10, 20, 10**9]]
)
def test_ranges_that_overlap_are_empty_or_pass_the_end_are_out_of_order(numbers: list[int]) -> None:
    assert check_byte_range(WHOLE, numbers, CONTENTS) == [Finding.BYTERANGE_ORDER]


@pytest.mark.parametrize(
    "gap",
    [
        GAP[:-1] + b" >",
        b" " + GAP,
        GAP + b" ",
        GAP[:5] + b"\n" + GAP[5:],
        b"(" + GAP[1:-1] + b")",
        GAP + b"1 0 obj",
        b"<3>",
        b"<>",
    ],
)
def test_a_gap_that_is_not_exactly_the_string_is_found(gap: bytes) -> None:
    pdf = HEAD + gap + TAIL
    findings = check_byte_range(pdf, [0, len(HEAD), len(HEAD) + len(gap), len(TAIL)], CONTENTS)
    assert Finding.GAP_NOT_CONTENTS in findings


def test_a_gap_that_holds_another_string_than_the_reader_saw_is_found() -> None:
    assert check_byte_range(WHOLE, RANGE, CONTENTS[:-1] + b"\x01") == [Finding.GAP_NOT_CONTENTS]


def test_a_gap_that_follows_another_key_is_found() -> None:
    head = HEAD.replace(b"/Contents", b"/Kontents")
    assert check_byte_range(head + GAP + TAIL, RANGE, CONTENTS) == [Finding.GAP_NOT_CONTENTS]


@pytest.mark.parametrize("key", [b"/ByteRange [0 1 2 3]", b"/Contents <00>"])
def test_a_dictionary_that_names_a_key_twice_is_found(key: bytes) -> None:
    pdf = HEAD + GAP + b" " + key + TAIL
    assert check_byte_range(pdf, [*RANGE[:3], len(pdf) - RANGE[2]], CONTENTS) == [Finding.ENTRY_TWICE]


def test_a_range_that_ends_before_the_revision_is_found() -> None:
    assert check_byte_range(WHOLE, [*RANGE[:3], len(TAIL) - 10], CONTENTS) == [Finding.END_NOT_REVISION]


UPDATE = b"2 0 obj\nnull\nendobj\nxref\n2 1\n0000000000 00000 n \ntrailer\n<< >>\n"
BASE = len(WHOLE)


def updated(body: bytes = UPDATE, pointer: int | None = None, end: bytes = b"%%EOF\n") -> tuple[bytes, list[Section]]:
    table = BASE + body.index(b"xref")
    pdf = WHOLE + body + b"startxref\n%d\n" % (table if pointer is None else pointer) + end
    return pdf, [Section(table, table, table + 20, frozenset({BASE}))]


def test_a_clean_update_passes() -> None:
    assert check_after(*_with(updated())) == []


@pytest.mark.parametrize("blank", [b"", b"\n", b"\r\n \x00\t\x0c"])
def test_white_space_is_no_tail(blank: bytes) -> None:
    assert check_after(WHOLE + blank, BASE, []) == []


def test_bytes_that_no_revision_accounts_for_are_found() -> None:
    assert check_after(WHOLE + b"x", BASE, []) == [Finding.TAIL_UNPARSED]
    pdf, later = updated()
    assert check_after(pdf + b"3 0 obj", BASE, later) == [Finding.TAIL_UNPARSED]
    assert check_after(*_with(updated(end=b""))) == [Finding.TAIL_UNPARSED]
    assert check_after(*_with(updated(end=b"%%EOF\n%%EOF\n"))) == [Finding.TAIL_UNPARSED]


def test_a_startxref_that_leads_elsewhere_is_found() -> None:
    assert check_after(*_with(updated(pointer=9))) == [Finding.STARTXREF_ELSEWHERE]


def test_an_object_that_the_table_does_not_list_is_found() -> None:
    body = UPDATE.replace(b"xref", b"7 0 obj\nnull\nendobj\nxref", 1)
    assert check_after(*_with(updated(body))) == [Finding.OBJECT_UNLISTED]


def test_an_object_that_is_there_twice_is_found() -> None:
    body = UPDATE.replace(b"xref", b"2 0 obj\ntrue\nendobj\nxref", 1)
    assert set(check_after(*_with(updated(body)))) == {Finding.OBJECT_TWICE, Finding.OBJECT_UNLISTED}


def test_a_table_that_points_at_no_object_is_found() -> None:
    pdf, (section,) = updated()
    wrong = Section(section.declared, section.start, section.end, frozenset({BASE, BASE + 3}))
    assert Finding.XREF_WRONG in check_after(pdf, BASE, [wrong])


def _with(made: tuple[bytes, list[Section]]) -> tuple[bytes, int, list[Section]]:
    return made[0], BASE, made[1]


@pytest.mark.parametrize(
    "hostile",
    [
        b"/ByteRange [" * 200_000,
        b"/ByteRange [0 " + b" " * 3_000_000,
        b"1 0 " * 700_000,
        b"0 " * 1_500_000 + b"obj",
        b"obj" * 1_000_000,
    ],
)
def test_hostile_bytes_take_linear_time(hostile: bytes) -> None:
    section = Section(0, BASE, BASE, frozenset())
    begun = time.process_time()
    find_raw_signatures(hostile)
    check_after(WHOLE + hostile + b"startxref\n0\n%%EOF", BASE, [section])
    assert time.process_time() - begun < 5


@given(st.binary(max_size=400), st.lists(st.integers(-5, 500), max_size=6), st.binary(max_size=20))
def test_the_gate_answers_whatever_it_is_given(pdf: bytes, numbers: list[int], contents: bytes) -> None:
    assert all(isinstance(finding, Finding) for finding in check_byte_range(pdf, numbers, contents))
    assert all(isinstance(finding, Finding) for finding in check_after(pdf, 3, [Section(5, 6, 7, frozenset({8}))]))
    find_raw_signatures(pdf)
    has_pdf_header(pdf)
