"""The words of `antin consent`: second factors, and what people consent to. What it does stands in consent.py."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def add_consent(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The command."""
    actions = add("consent", help="signatures that a person consents to, each with his second factor").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    enrol = actions.add_parser("enrol", help="a second factor; from then on the credential signs with consent only")
    enrol.add_argument("credential", metavar="CREDENTIAL")
    enrol.add_argument("--again", action="store_true", help="another one in the place of the one that is there")
    standing = actions.add_parser("standing", help="sign without asking again: for systems and kiosks")
    standing.add_argument("credential", metavar="CREDENTIAL")
    give = actions.add_parser("give", help="consent to sign these very files; prints the activation's id")
    give.add_argument("files", nargs="+", metavar="FILE", type=shared.path)
    give.add_argument("--as", dest="credential", required=True, metavar="CREDENTIAL")
    give.add_argument("--minutes", type=shared.number(1, 720), default=10, metavar="N", help="until when (10)")
    give.add_argument("--count", type=shared.number(1, 1000), metavar="N", help="how many of them (all)")
    give.add_argument(
        "--code-file",
        type=shared.path,
        metavar="FILE",
        help="the code, as the file's only line; without it a terminal is asked",
    )
    listing = actions.add_parser("list", help="what was consented to, the newest first")
    listing.add_argument("--credential", metavar="CREDENTIAL")
    for command in (enrol, standing, give):
        shared.acts(command)
    for command in (enrol, standing, give, listing):
        shared.json(command)
