"""Notices: every failure has a page with its status."""

from __future__ import annotations

import pytest

from api.web.notices import NOTICES, notice_of_problem, notice_of_unreadable
from signer.validation.reasons import REASONS


@pytest.mark.parametrize("reason", [code for code, row in REASONS.items() if row.conclusion == "unreadable"])
def test_every_unreadable_file_has_a_page_that_is_no_success(reason):
    assert notice_of_unreadable(reason).status >= 400


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
