"""The words of `antin credential`. What it does stands in credential.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from api.cli.cert_arguments import Shared


def credential_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared) -> None:
    """The command."""
    actions = add("credential", help="who signs here, also with a card or a service elsewhere").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    shared.json(actions.add_parser("list", help="all credentials: role, agency, where the key is"))
    enrol = actions.add_parser("enrol", help="let a certificate whose key is elsewhere sign prepared documents here")
    enrol.add_argument("name", metavar="NAME", help="1 to 32 of a-z, 0-9 and -")
    enrol.add_argument("--certificate", required=True, type=shared.path, metavar="CERT", help="PEM or DER")
    enrol.add_argument(
        "--chain", action="append", default=[], type=shared.path, metavar="PEM", help="who stands above it"
    )
    enrol.add_argument("--role", required=True, choices=("officer", "seal"), metavar="R", help="officer or seal")
    enrol.add_argument("--agency", default="", metavar="TEXT", help="for which agency; default: as in the certificate")
    enrol.add_argument("--holder", required=True, metavar="TEXT", help="who has the card, or answers for the service")
    enrol.add_argument("--reference", required=True, metavar="TEXT", help="the paper that gives the key to the holder")
    enrol.add_argument("--image", type=shared.path, metavar="PNG", help="the signature or the seal, as it is drawn")
    end = actions.add_parser("end", help="it signs no more: lost, or its holder has another office")
    end.add_argument("name", metavar="NAME")
    end.add_argument("--reason", required=True, metavar="TEXT")
    for change in (enrol, end):
        shared.acts(change)
        shared.json(change)
