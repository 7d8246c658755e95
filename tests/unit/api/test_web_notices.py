"""Notices: what people send instead of a signed PDF is recognised, and every failure has a page with its status."""

from __future__ import annotations

import io
import zipfile

import pytest
from PIL import Image

from api.web.notices import NOTICES, notice_of_problem, notice_of_unreadable
from signer.validation.reasons import REASONS


def _picture(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (8, 8), "red").save(stream, kind)
    return stream.getvalue()


def _office(member: str) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("[Content_Types].xml" if member != "plain.txt" else "a.txt", "x")
        archive.writestr(member, "x")
    return stream.getvalue()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP"])
def test_a_picture_is_called_a_picture(kind):
    assert notice_of_unreadable("UNREADABLE_NOT_PDF", _picture(kind)).key == "PHOTO"


@pytest.mark.parametrize(
    ("content", "key"),
    [
        (b"\x00\x00\x00\x18ftypheic\x00\x00", "PHOTO"),
        (_office("word/document.xml"), "WORD"),
        (_office("xl/workbook.xml"), "WORD"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(100), "WORD"),
        (rb"{\rtf1\ansi}", "WORD"),
        (_office("plain.txt"), "NOT_PDF"),
        (b'<?xml version="1.0"?><edXML/>', "XML"),
        (b'\xef\xbb\xbf\r\n<?xml version="1.0"?>', "XML"),
        ('<?xml version="1.0"?>'.encode("utf-16"), "XML"),
        (b"<!doctype html><html>", "NOT_PDF"),
        (b"\x00" * 10, "NOT_PDF"),
    ],
)
def test_what_is_no_pdf_is_named_by_its_first_octets(content, key):
    notice = notice_of_unreadable("UNREADABLE_NOT_PDF", content)
    assert (notice.key, notice.status) == (key, 415)


@pytest.mark.parametrize("reason", [code for code, row in REASONS.items() if row.conclusion == "unreadable"])
def test_every_unreadable_file_has_a_page_that_is_no_success(reason):
    assert notice_of_unreadable(reason, b"%PDF-1.7").status >= 400


@pytest.mark.parametrize(
    ("status", "code", "key"),
    [
        (413, "BODY_TOO_LARGE", "TOO_LARGE"),
        (415, "MEDIA_TYPE_WRONG", "MEDIA"),
        (429, "TOO_MANY_REQUESTS", "TOO_MANY"),
        (503, "BUSY", "UNAVAILABLE"),
        (503, "DATABASE_UNAVAILABLE", "UNAVAILABLE"),
        (400, "FORM_FILE_MISSING", "NO_FILE"),
        (400, "FORM_MALFORMED", "BROKEN"),
        (408, "BODY_TOO_SLOW", "BROKEN"),
        (404, "NOT_FOUND", "NOT_FOUND"),
        (404, "CODE_NOT_FOUND", "CODE_UNKNOWN"),
        (405, "METHOD_NOT_ALLOWED", "METHOD"),
        (403, "TOKEN_NEEDS_TLS", "REFUSED"),
        (500, "INTERNAL_PROBLEM", "FAULT"),
        (507, "SOMETHING_NEW", "FAULT"),
    ],
)
def test_a_problem_becomes_the_page_that_says_it(status, code, key):
    assert notice_of_problem(status, code).key == key


def test_only_what_passes_by_itself_asks_to_come_again():
    assert {key for key, notice in NOTICES.items() if notice.retry_seconds} == {
        "UNAVAILABLE",
        "TOO_MANY",
        "RECEIPT_AWAY",
    }
