"""The words of `antin backup`. What they do stands in backup.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable


def add_backup(
    add: Callable[..., argparse.ArgumentParser],
    path: Callable[[str], object],
    acts: Callable[[argparse.ArgumentParser], None],
) -> None:
    """The command and its actions. `path` and `acts` are those of the other commands."""
    actions = add("backup", help="a home as one encrypted file, and back").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    keygen = actions.add_parser("keygen", help="make a recovery key; what backups are encrypted to is printed")
    keygen.add_argument("-o", "--output", required=True, type=path, metavar="FILE", help="the key; keep it offline")
    create = actions.add_parser("create", help="write a backup, while the service runs")
    create.add_argument("-o", "--output", type=path, metavar="FILE", help="default: antin-TIME.backup in this folder")
    create.add_argument(
        "--recipient",
        action="append",
        default=[],
        metavar="AGE1…",
        help="who can open it, several times for several; default: the setting backup.recipient",
    )
    create.add_argument("--force", action="store_true", help="replace an existing output")
    acts(create)
    restore = actions.add_parser("restore", help="make a home out of a backup, where there is none")
    restore.add_argument("file", metavar="FILE", type=path)
    restore.add_argument("--identity", required=True, type=path, metavar="FILE", help="the recovery key")
    restore.add_argument(
        "--audit-export",
        action="append",
        default=[],
        type=path,
        metavar="FILE",
        help="what was done since the backup, as antin audit export wrote it; several times for several",
    )
    for each in (keygen, create, restore):
        each.add_argument("--json", action="store_true", help="machine-readable output, the same in every language")
