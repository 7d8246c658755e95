"""`antin approvals`: what waits for a second person: list, show, approve, reject. Who asked carries it out by repeating his command."""

from __future__ import annotations

import argparse
import json
import sys
from datetime import datetime
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.errors import UsageError
from api.wiring import Installation, open_installation
from api.words import one_line
from certs.clock import for_people, rfc3339
from pki.approval_records import ApprovalRecord, Decision, get_approval, list_approvals
from pki.voting import approve, reject

# As many digits as a person can compare without losing the place.
_SHOWN_DIGITS = 16


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    action = {"list": _list, "show": _show, "approve": _approve, "reject": _reject}[options.action]
    with open_installation(call.environment) as installation:
        return action(options, installation, call)


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    now = installation.clock.now()
    with installation.database.read() as session:
        records = list_approvals(session, now, only_open=not options.all)
    if options.json:
        print_json(call.out, [_as_json(each, now) for each in records])
        return 0
    table = [
        [
            call.words.say(f"COLUMN_{name}")
            for name in ("ID", "STATE", "VOTES", "SHA256", "ASKED_BY", "EXPIRES_AT", "ACT", "TITLE")
        ]
    ]
    table += [_row(each, now) for each in records]
    print_table(call.out, table)
    return 0


def _row(record: ApprovalRecord, now: datetime) -> list[str]:
    return [
        str(record.id),
        record.state_at(now).value,
        f"{_agreed(record)}/{record.needed}",
        record.sha256[:_SHOWN_DIGITS],
        record.asked_by,
        for_people(record.expires_at),
        record.act.value,
        one_line(record.title),
    ]


def _agreed(record: ApprovalRecord) -> int:
    return sum(vote.decision is Decision.APPROVE for vote in record.votes)


def _show(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    with installation.database.read() as session:
        record = get_approval(session, options.id)
    if options.json:
        print_json(call.out, _as_json(record, installation.clock.now()))
    else:
        _print_one(record, installation.clock.now(), call)
    return 0


def _approve(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    seen = options.sha256 or _ask(options, installation, call)
    if not seen:
        call.out.write(call.words.say("APPROVAL_LEFT_OPEN", {"id": str(options.id)}) + "\n")
        return 1
    record = approve(options.id, seen, actor, installation.persons)
    return _say(record, options, installation, call)


def _reject(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    record = reject(options.id, options.reason, acting(call, installation), installation.persons)
    return _say(record, options, installation, call)


def _ask(options: argparse.Namespace, installation: Installation, call: Call) -> str:
    """Show what would be done and ask on the terminal; the hash of what was shown, or nothing for a no."""
    if options.json or not sys.stdin.isatty():
        raise UsageError("APPROVAL_NEEDS_HASH", id=str(options.id))
    with installation.database.read() as session:
        record = get_approval(session, options.id)
    _print_one(record, installation.clock.now(), call)
    call.out.write(call.words.say("APPROVAL_QUESTION") + " ")
    call.out.flush()
    return record.sha256 if sys.stdin.readline().strip().lower() == "yes" else ""


def _say(record: ApprovalRecord, options: argparse.Namespace, installation: Installation, call: Call) -> int:
    now = installation.clock.now()
    if options.json:
        print_json(call.out, _as_json(record, now))
    else:
        facts = {
            "id": str(record.id),
            "state": record.state_at(now).value,
            "person": record.asked_by,
            "votes": str(_agreed(record)),
            "needed": str(record.needed),
        }
        call.out.write(call.words.say("APPROVAL_NOW", facts) + "\n")
    return 0


def _print_one(record: ApprovalRecord, now: datetime, call: Call) -> None:
    facts = [
        ("ID", str(record.id)),
        ("STATE", record.state_at(now).value),
        ("ACT", record.act.value),
        ("TITLE", one_line(record.title)),
        ("ASKED_BY", record.asked_by),
        ("ASKED_AT", for_people(record.asked_at)),
        ("EXPIRES_AT", for_people(record.expires_at)),
        ("VOTES", f"{_agreed(record)}/{record.needed}"),
        ("SHA256", record.sha256),
    ]
    print_table(call.out, [[call.words.say(f"COLUMN_{name}"), value] for name, value in facts])
    for vote in record.votes:
        line = {"person": vote.person, "decision": vote.decision.value, "time": for_people(vote.voted_at)}
        call.out.write("  " + call.words.say("VOTE_LINE", line | {"reason": vote.reason or ""}) + "\n")
    # The bytes of the hash, laid out for reading; letters that turn text around were refused where they came in.
    call.out.write(json.dumps(json.loads(record.content), ensure_ascii=False, indent=2) + "\n")


def _as_json(record: ApprovalRecord, now: datetime) -> dict[str, Any]:
    return {
        "id": record.id,
        "act": record.act.value,
        "title": record.title,
        "state": record.state_at(now).value,
        "sha256": record.sha256,
        "content": json.loads(record.content),
        "asked_by": record.asked_by,
        "asked_at": rfc3339(record.asked_at),
        "expires_at": rfc3339(record.expires_at),
        "needed": record.needed,
        "votes": [
            {
                "person": vote.person,
                "decision": vote.decision.value,
                "sha256": vote.sha256,
                "reason": vote.reason,
                "voted_at": rfc3339(vote.voted_at),
            }
            for vote in record.votes
        ],
    }
