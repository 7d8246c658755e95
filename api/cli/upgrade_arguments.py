"""The words of `antin upgrade`. What it does stands in upgrade.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from signer.levels import LEVELS


def upgrade_arguments(
    add: Callable[..., argparse.ArgumentParser],
    path: Callable[[str], object],
    password: Callable[[argparse.ArgumentParser], None],
    acts: Callable[[argparse.ArgumentParser], None],
    json: Callable[[argparse.ArgumentParser], None],
) -> None:
    """The command. `path`, `password`, `acts` and `json` are those of the other commands."""
    upgrade = add("upgrade", help="raise signed files, ours or not, to a higher level")
    upgrade.add_argument("files", nargs="+", metavar="FILE", type=path)
    upgrade.add_argument("--level", required=True, choices=LEVELS[1:])
    upgrade.add_argument(
        "-o", "--output", required=True, type=path, metavar="OUT", help="a file for one input, a folder for several"
    )
    upgrade.add_argument(
        "--trust",
        action="append",
        default=[],
        type=path,
        metavar="PEM",
        help="trust these certificates and use these revocation lists in this call",
    )
    upgrade.add_argument(
        "--offline", action="store_true", help="never use the network, nor time-stamping authorities of others"
    )
    password(upgrade)
    upgrade.add_argument("--force", action="store_true", help="replace an existing output")
    acts(upgrade)
    json(upgrade)
