"""The words of `antin mandate` and `antin number`. What they do stands in modules of these names. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared

_FORMS = ("TM", "KT", "TL", "TUQ", "Q")
_SERIES = ("out", "in")
_HIGHEST = 99_999_999_999


def office_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The two commands."""
    mandates = add("mandate", help="by what right a person signs for another: TM., KT., TL., TUQ., Q.").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    new = mandates.add_parser("add", help="register one")
    new.add_argument("credential", metavar="CREDENTIAL", help="who signs")
    new.add_argument("form", choices=_FORMS, type=str.upper, metavar="FORM", help=", ".join(_FORMS))
    new.add_argument("--title", required=True, metavar="TEXT", help="in whose place, as it is written: CHỦ TỊCH")
    new.add_argument("--given-by", required=True, metavar="TEXT", help="who has given it")
    new.add_argument("--reference", default="", metavar="TEXT", help="the paper; TUQ. needs one")
    new.add_argument("--from", dest="starts", required=True, metavar="DAY", help="2026-01-31 or 31/01/2026")
    new.add_argument("--to", dest="ends", metavar="DAY", help="the last day; TUQ. needs one")
    listing = mandates.add_parser("list", help="all, newest first")
    listing.add_argument("--as", dest="credential", metavar="CREDENTIAL", help="of this signer")
    end = mandates.add_parser("end", help="take one back, from now on")
    end.add_argument("id", type=shared.number(1, 2**31 - 1), metavar="ID")
    end.add_argument("--reason", required=True, metavar="TEXT")
    numbers = add(
        "number", help="the numbers of documents: held by hand, given, gaps with their reasons"
    ).add_subparsers(dest="action", metavar="ACTION", required=True)
    hold = numbers.add_parser("reserve", help="hold a number for a document that is not signed yet")
    hold.add_argument("--as", dest="credential", required=True, metavar="SEAL", help="of the agency of this seal")
    hold.add_argument("--number", type=shared.number(1, _HIGHEST), metavar="N", help="default: the next")
    hold.add_argument("--for", dest="purpose", required=True, metavar="TEXT", help="for what")
    shown = numbers.add_parser("list", help="a year's numbers in their order")
    shown.add_argument("--gaps", action="store_true", help="only those that no document bears")
    void = numbers.add_parser("void", help="nobody will use it: a gap, with its reason")
    void.add_argument("number", type=shared.number(1, _HIGHEST), metavar="N")
    void.add_argument("--as", dest="credential", required=True, metavar="SEAL", help="of the agency of this seal")
    void.add_argument("--reason", required=True, metavar="TEXT")
    for each in (hold, shown, void):
        each.add_argument("--series", choices=_SERIES, default="out", help="out: issued; in: arrived (default: out)")
    for each in (shown, void):
        each.add_argument("--year", type=shared.number(2000, 9999), metavar="Y", help="default: this year")
    for each in (new, end, hold, void):
        shared.acts(each)
    for each in (new, listing, end, hold, shown, void):
        shared.json(each)
