"""The words of `antin person`. What it does stands in person.py. Quick to import."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence

from api.cli.cert_arguments import Shared


def person_arguments(add: Callable[..., argparse.ArgumentParser], shared: Shared, roles: Sequence[str]) -> None:
    """The command; `add` makes its parser."""
    actions = add("person", help="who may act here, and with which roles").add_subparsers(
        dest="action", metavar="ACTION", required=True
    )
    new = actions.add_parser("add", help="register a person")
    new.add_argument("name", metavar="NAME", help="1 to 32 of a-z, 0-9 and -")
    new.add_argument("--full-name", required=True, metavar="TEXT")
    new.add_argument("--role", action="append", default=[], choices=roles, metavar="R", help=", ".join(roles))
    changes = [new]
    shared.json(actions.add_parser("list", help="everybody"))
    show = actions.add_parser("show", help="one person")
    show.add_argument("name", metavar="NAME")
    shared.json(show)
    for action, said in (("grant", "give a role"), ("withdraw", "take a role away")):
        change = actions.add_parser(action, help=said)
        change.add_argument("name", metavar="NAME")
        change.add_argument("role", choices=roles, metavar="ROLE", help=", ".join(roles))
        changes.append(change)
    for action, said in (("disable", "lets act no more, at once"), ("enable", "lets act again")):
        change = actions.add_parser(action, help=said)
        change.add_argument("name", metavar="NAME")
        changes.append(change)
    for change in changes:
        shared.acts(change)
        shared.json(change)
