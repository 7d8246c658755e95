"""`antin mandate`: by what right persons sign for others: add, list, end."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.wiring import Installation, open_installation
from certs.clock import VIETNAM, rfc3339
from signer.mandates import Mandate, NewMandate, add_mandate, end_mandate, list_mandates


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "list":
            with installation.database.read() as session:
                found = list_mandates(session, options.credential)
        else:
            found = [_change(options, installation, call)]
        day = installation.clock.now().astimezone(VIETNAM).date().isoformat()
    described = [_describe(each, day) for each in found]
    if options.json:
        print_json(call.out, described if options.action == "list" else described[0])
        return 0
    table = [
        [
            call.words.say(f"COLUMN_{name}")
            for name in ("ID", "NAME", "MANDATE", "GIVEN_BY", "REFERENCE", "STARTS", "ENDS", "STATE")
        ]
    ]
    for one in described:
        what = f"{one['form']}. {one['title']}"
        last = one["ends"] or "–"
        table.append(
            [
                str(one["id"]),
                one["credential"],
                what,
                one["given_by"],
                one["reference"] or "–",
                one["starts"],
                last,
                one["state"],
            ]
        )
    print_table(call.out, table)
    return 0


def _change(options: argparse.Namespace, installation: Installation, call: Call) -> Mandate:
    actor, database, clock = acting(call, installation), installation.database, installation.clock
    if options.action == "end":
        return end_mandate(options.id, options.reason, actor, database, clock)
    new = NewMandate(
        options.credential,
        options.form,
        options.title,
        options.given_by,
        options.reference,
        options.starts,
        options.ends,
    )
    return add_mandate(new, actor, database, clock)


def _describe(one: Mandate, day: str) -> dict[str, Any]:
    state = "ended" if one.ended_at else "to come" if day < one.starts else "in force" if one.holds_on(day) else "over"
    return {
        "id": one.id, "credential": one.credential, "form": one.form, "title": one.title, "given_by": one.given_by,
        "reference": one.reference, "starts": one.starts, "ends": one.ends, "state": state,
        "ended_at": rfc3339(one.ended_at) if one.ended_at else None, "end_reason": one.end_reason,
    }  # fmt: skip
