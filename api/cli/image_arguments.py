"""The words of `antin image`. What it does stands in image.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def image_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The command."""
    actions = add(
        "image", help="the pictures of seals and signatures: one person adds, another approves"
    ).add_subparsers(dest="action", metavar="ACTION", required=True)
    new = actions.add_parser("add", help="check a picture and let it wait for a second person")
    new.add_argument("credential", metavar="CREDENTIAL", help="who signs with it; a seal is its agency's")
    new.add_argument(
        "png", type=shared.path, metavar="PNG", help="8 bits a channel, transparent, fine enough for print"
    )
    new.add_argument(
        "--mm", type=_millimetres, metavar="N", help="diameter of the seal, width of the signature, on paper"
    )
    new.add_argument("--from", dest="starts", metavar="DAY", help="default: the day on which it is approved")
    new.add_argument("--to", dest="ends", metavar="DAY", help="the last day")
    listing = actions.add_parser("list", help="all, newest first")
    listing.add_argument("--as", dest="credential", metavar="CREDENTIAL", help="of this signer, or of its agency")
    show = actions.add_parser("show", help="one of them, and what it looks like")
    show.add_argument("-o", "--output", type=shared.path, metavar="FILE", help="write the picture here, in PNG")
    show.add_argument("--force", action="store_true", help="replace an existing output")
    end = actions.add_parser("end", help="nobody signs with it from now on")
    end.add_argument("--reason", required=True, metavar="TEXT")
    for one in (show, end):
        one.add_argument("id", type=shared.number(1, 2**31 - 1), metavar="ID")
    for change in (new, end):
        shared.acts(change)
    for each in (new, listing, show, end):
        shared.json(each)


def _millimetres(typed: str) -> float:
    value = float(typed.replace(",", "."))
    if not 1 <= value <= 1000:
        raise argparse.ArgumentTypeError(f"{typed} is not between 1 and 1000")
    return value
