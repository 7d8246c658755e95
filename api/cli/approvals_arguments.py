"""The words of `antin approvals`. What it does stands in approvals.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def approvals_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The command."""
    actions = add("approvals", help="what waits for a second person").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    listing = actions.add_parser("list", help="requests that are open")
    listing.add_argument("--all", action="store_true", help="also those that are over")
    shared.json(listing)
    show = actions.add_parser("show", help="everything that a request would do, and its SHA-256")
    show.add_argument("id", type=shared.number(1, 2**63 - 1), metavar="ID")
    shared.json(show)
    yes = actions.add_parser("approve", help="agree; who asked then repeats his command")
    yes.add_argument("id", type=shared.number(1, 2**63 - 1), metavar="ID")
    yes.add_argument(
        "--sha256", metavar="HASH", help="the SHA-256 that show names, or its beginning; without it a terminal is asked"
    )
    no = actions.add_parser("reject", help="say no; who asked takes his request back so")
    no.add_argument("id", type=shared.number(1, 2**63 - 1), metavar="ID")
    no.add_argument("--reason", required=True, metavar="TEXT", help="why; who asked reads it")
    for change in (yes, no):
        shared.acts(change)
        shared.json(change)
