"""`antin token`: bearer tokens for the HTTP service: issue, list, revoke."""

from __future__ import annotations

import argparse
from typing import Any

from api.auth.tokens import SCOPES, TokenRecord, issue_token, list_tokens, revoke_token
from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.errors import UsageError
from api.wiring import Installation, open_installation
from certs.clock import for_people, rfc3339


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    action = {"issue": _issue, "list": _list, "revoke": _revoke}[options.action]
    with open_installation(call.environment) as installation:
        return action(options, installation, call)


def _as_json(record: TokenRecord, installation: Installation) -> dict[str, Any]:
    return {
        "name": record.name,
        "person": record.person,
        "scopes": sorted(record.scopes),
        "state": record.state_at(installation.clock.now()),
        "created_by": record.created_by,
        "created_at": rfc3339(record.created_at),
        "expires_at": rfc3339(record.expires_at),
        "last_used_at": rfc3339(record.last_used_at) if record.last_used_at else None,
    }


def _issue(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """Print the token and nothing else: it goes into a file or a variable, and is never shown again."""
    if not options.scope and options.person is None:
        raise UsageError("TOKEN_NEEDS_SCOPE", valid=", ".join(SCOPES))
    token, record = issue_token(
        installation.persons,
        acting(call, installation),
        scopes=[scope for group in options.scope or [SCOPES] for scope in group],
        person=options.person,
        days=options.days,
        name=options.name,
    )
    if options.json:
        print_json(call.out, {"token": token} | _as_json(record, installation))
    else:
        call.out.write(token + "\n")
    return 0


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    with installation.database.read() as session:
        records = list_tokens(session)
    if options.json:
        print_json(call.out, [_as_json(record, installation) for record in records])
        return 0
    now = installation.clock.now()
    table = [
        [
            call.words.say(f"COLUMN_{name}")
            for name in ("NAME", "PERSON", "SCOPES", "STATE", "EXPIRES_AT", "LAST_USED_AT")
        ]
    ]
    table += [
        [
            each.name,
            each.person or "–",
            " ".join(sorted(each.scopes)),
            each.state_at(now),
            for_people(each.expires_at),
            for_people(each.last_used_at) if each.last_used_at else "–",
        ]
        for each in records
    ]
    print_table(call.out, table)
    return 0


def _revoke(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    record = revoke_token(installation.database, installation.clock, acting(call, installation), options.name)
    if options.json:
        print_json(call.out, _as_json(record, installation))
    else:
        call.out.write(call.words.say("TOKEN_WITHDRAWN", {"name": record.name}) + "\n")
    return 0
