"""The words of `antin cert` about a certificate's life: renew, suspend, reinstate, notices, and its past. The rest is parser.py's."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Shared:
    """What every command's arguments are made with; parser.py has them."""

    json: Callable[[argparse.ArgumentParser], None]
    acts: Callable[[argparse.ArgumentParser], None]
    path: Callable[[str], Any]
    number: Callable[[int, int], Callable[[str], int]]


def add_past(show: argparse.ArgumentParser, shared: Shared) -> None:
    """`antin cert show --at`."""
    show.add_argument(
        "--at", metavar="TIME", help="what was true then, what is known today, and the evidence (RFC 3339)"
    )
    show.add_argument(
        "--evidence",
        type=shared.path,
        metavar="DIR",
        help="with --at: write certificates, CRLs and the OCSP answer here, in DER",
    )


def add_life(actions: Any, shared: Shared) -> None:
    """The commands that follow, pause and watch certificates."""
    renew = actions.add_parser("renew", help="the certificate that follows: same holder, same key or a new one")
    renew.add_argument("which", metavar="SERIAL|CREDENTIAL")
    renew.add_argument("--rekey", action="store_true", help="with a new key; a credential gets the next name")
    renew.add_argument("--csr", type=shared.path, metavar="FILE", help="with --rekey: a key of somebody else's making")
    renew.add_argument(
        "--days",
        type=shared.number(1, 36_525),
        metavar="N",
        help="for so many days (default: the full term of its profile, also after a shorter one)",
    )
    renew.add_argument("--revoke-old", action="store_true", help="revoke the old one as superseded")
    renew.add_argument("-o", "--output", type=shared.path, metavar="FILE", help="write the PEM here")
    renew.add_argument(
        "--force", action="store_true", help="also before its last third or once more; replace an existing output"
    )
    suspend = actions.add_parser("suspend", help="take a certificate out of force for a while")
    suspend.add_argument("which", metavar="SERIAL|CREDENTIAL")
    suspend.add_argument("--since", metavar="TIME", help="when the key is believed to have been compromised")
    reinstate = actions.add_parser("reinstate", help="end a suspension")
    reinstate.add_argument("which", metavar="SERIAL|CREDENTIAL")
    notices = actions.add_parser("notices", help="which certificates end soon, and who was told")
    notices.add_argument("--run", action="store_true", help="make and send now what is due, as the worker does")
    notices.add_argument(
        "--limit", type=shared.number(1, 100_000), default=1000, metavar="N", help="the newest N (1000)"
    )
    for command in (renew, suspend, reinstate, notices):
        shared.acts(command)
        shared.json(command)
