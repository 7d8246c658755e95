"""The words of `antin print`. What it does stands in print.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def print_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The command; `add` makes its parser."""
    command = add(
        "print",
        help="a document for paper: its pages, and under each where the original is, who printed it, where, when",
    )
    command.add_argument("document", metavar="CODE|FILE", help="its code, or any signed file of it")
    command.add_argument("-o", "--output", required=True, type=shared.path, metavar="OUT")
    command.add_argument(
        "--place", default="", metavar="TEXT", help="where it is printed; default: the setting print.place"
    )
    command.add_argument(
        "--printer", default="", metavar="TEXT", help="kiosk or agency that prints; default: the system's owner"
    )
    command.add_argument("--force", action="store_true", help="replace an existing output")
    shared.acts(command)
    shared.json(command)
