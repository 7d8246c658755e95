"""Notices: the plain page for everything that is no verdict, with its status. Each key has a title, a why and a next step."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Notice:
    """One plain page. `tone` is its look; `retry_seconds` goes into Retry-After. `title`, `why` and `next` are codes."""

    key: str
    status: int
    tone: str = "plain"
    retry_seconds: int = 0
    asks_code: bool = False

    @property
    def title(self) -> str:
        return "WEB_" + self.key + "_TITLE"

    @property
    def why(self) -> str:
        return "WEB_" + self.key + "_WHY"

    @property
    def next(self) -> str:
        return "WEB_" + self.key + "_NEXT"


NOTICES = {
    notice.key: notice
    for notice in (
        Notice("PHOTO", 415, asks_code=True),
        Notice("WORD", 415),
        Notice("EXCEL", 415),
        Notice("OFFICE", 415),
        Notice("XML", 415),
        Notice("EDXML", 415),
        Notice("XADES", 415),
        Notice("ZIP", 415),
        Notice("ASIC", 415),
        Notice("EMAIL", 415),
        Notice("LOCKED_CMS", 415),
        Notice("NO_DOCUMENT", 415),
        Notice("PRIVATE_KEY", 415, "unsure"),
        Notice("STAMP_REFUSED", 422),
        Notice("TWO_FILES", 422),
        Notice("NOT_PDF", 415, asks_code=True),
        Notice("EMPTY", 422),
        Notice("DAMAGED", 422),
        Notice("ENCRYPTED", 422),
        Notice("TOO_LARGE", 413, asks_code=True),
        Notice("LIMIT", 422, asks_code=True),
        Notice("UNAVAILABLE", 503, retry_seconds=60),
        Notice("TOO_MANY", 429, retry_seconds=60),
        Notice("NO_FILE", 400),
        Notice("BROKEN", 400),
        Notice("MEDIA", 415),
        Notice("REFUSED", 403),
        Notice("NOT_FOUND", 404),
        Notice("METHOD", 405),
        Notice("FAULT", 500),
        Notice("CODE_MALFORMED", 404, asks_code=True),
        # Not "bad": a code that nobody has is mistyped more often than forged. The sentence says what to think of paper.
        Notice("CODE_UNKNOWN", 404, "unsure", asks_code=True),
        # No word against the file: it may be another office's, or a page was added by a reader's program.
        Notice("HASH_UNKNOWN", 404, "unsure"),
        Notice("HASH_MALFORMED", 400),
        Notice("NOT_CERTIFICATE", 415),
        Notice("BIG_CERTIFICATE", 413),
        Notice("TIME_WRONG", 400),
        Notice("TIME_AHEAD", 400),
        Notice("RECEIPT_AWAY", 503, retry_seconds=60),
        Notice("RECEIPT_OLD", 400),
    )
}

# Reasons of the closed table that say that nothing could be judged.
_UNREADABLE = {
    "UNREADABLE_NOT_PDF": "NOT_PDF",
    "UNREADABLE_PHOTO": "PHOTO",
    "UNREADABLE_WORD": "WORD",
    "UNREADABLE_EXCEL": "EXCEL",
    "UNREADABLE_OFFICE": "OFFICE",
    "UNREADABLE_XML": "XML",
    "UNREADABLE_EDXML": "EDXML",
    "UNREADABLE_XADES": "XADES",
    "UNREADABLE_ZIP": "ZIP",
    "UNREADABLE_ASIC": "ASIC",
    "UNREADABLE_EMAIL": "EMAIL",
    "UNREADABLE_CMS_ENCRYPTED": "LOCKED_CMS",
    "UNREADABLE_CMS_OTHER": "NO_DOCUMENT",
    "UNREADABLE_CRL": "NO_DOCUMENT",
    "UNREADABLE_REQUEST": "NO_DOCUMENT",
    "UNREADABLE_PRIVATE_KEY": "PRIVATE_KEY",
    "UNREADABLE_STAMP_REFUSED": "STAMP_REFUSED",
    "UNREADABLE_TWO_FILES": "TWO_FILES",
    "UNREADABLE_CONTENT": "TOO_LARGE",
    "UNREADABLE_EMPTY": "EMPTY",
    "UNREADABLE_DAMAGED": "DAMAGED",
    "UNREADABLE_ENCRYPTED": "ENCRYPTED",
    "UNREADABLE_PASSWORD_WRONG": "ENCRYPTED",
    "UNREADABLE_TOO_LARGE": "TOO_LARGE",
    "UNREADABLE_LIMIT": "LIMIT",
    "JUDGE_UNAVAILABLE": "UNAVAILABLE",
}
_BY_CODE = {
    "FORM_FILE_MISSING": "NO_FILE",
    "CODE_MALFORMED": "CODE_MALFORMED",
    "CODE_MISTYPED": "CODE_MALFORMED",
    "CODE_NOT_FOUND": "CODE_UNKNOWN",
    # A stored revision that is gone or altered is our trouble, and no word about the document.
    "BLOB_MISSING": "UNAVAILABLE",
    "BLOB_ALTERED": "UNAVAILABLE",
}
_BY_STATUS = {
    401: "REFUSED",
    403: "REFUSED",
    404: "NOT_FOUND",
    405: "METHOD",
    413: "TOO_LARGE",
    415: "MEDIA",
    429: "TOO_MANY",
    503: "UNAVAILABLE",
}


def notice_of_unreadable(reason: str) -> Notice:
    """Why a file could not be judged."""
    return NOTICES[_UNREADABLE.get(reason, "DAMAGED")]


def notice_of_problem(status: int, code: str) -> Notice:
    """The page of a failure, by the code and status that api/problems.py gives it."""
    if code in _BY_CODE:
        return NOTICES[_BY_CODE[code]]
    return NOTICES[_BY_STATUS.get(status, "BROKEN" if status < 500 else "FAULT")]
