"""The arguments of `antin document`, for parser.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def add_document(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The actions of the register; `add` makes the parser of one."""
    _add_list(add("list", help="newest first; all that is asked for must be so"), shared)
    show = add("show", help="one document, by its code")
    show.add_argument("code", metavar="CODE")
    show.add_argument("-o", "--output", type=shared.path, metavar="FILE", help="also write its newest signed file here")
    show.add_argument("--force", action="store_true", help="replace an existing output")
    shared.json(show)
    recall = add("recall", help="take a document out of force; its signatures stay as good as they were")
    _add_change(recall, shared)
    replace = add("replace", help="let another document take its place")
    correct = add("correct", help="name the document that corrects it; both are in force")
    for change in (replace, correct):
        change.add_argument(
            "--by", required=True, metavar="CODE2", help="that document: in this register, signed and in force"
        )
        _add_change(change, shared)


def _add_list(listing: argparse.ArgumentParser, shared: Shared) -> None:
    listing.add_argument(
        "--number", metavar="N[/SYMBOL]", help="the number, with its symbol or without: 7 or 7/QĐ-UBND"
    )
    listing.add_argument("--date-from", metavar="DAY", help="issued on this day or later (2026-11-22 or 22/11/2026)")
    listing.add_argument("--date-to", metavar="DAY", help="issued on this day or earlier")
    listing.add_argument("--agency", metavar="WORDS", help="words of the agency's name, with marks or without")
    listing.add_argument("--code", metavar="CODE", help="the lookup code")
    listing.add_argument("--hash", metavar="HEX", help="SHA-256 of a signed file, or its first 8 digits and more")
    listing.add_argument("--text", metavar="WORDS", help="words of the subject, the metadata or the file's name")
    listing.add_argument("--status", metavar="STATUS", help="in-force, recalled, replaced or corrected")
    listing.add_argument("--limit", type=shared.number(1, 1000), default=1000, metavar="N", help="the newest N (1000)")
    listing.add_argument("--after", metavar="CODE", help="those that follow this document")
    shared.json(listing)


def _add_change(change: argparse.ArgumentParser, shared: Shared) -> None:
    change.add_argument("code", metavar="CODE")
    change.add_argument("--reason", required=True, metavar="TEXT", help="why; everybody may read it")
    shared.acts(change)
    shared.json(change)
