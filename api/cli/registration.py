"""`antin registration`: add, list, show, confirm, refuse. Issuing by a confirmed one is `antin cert issue --registration`."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, read_input
from api.wiring import Installation, open_installation
from api.words import local_time, one_line
from certs.clock import for_people, rfc3339
from certs.csr import parse_csr
from certs.names import parse_subject
from pki.issuance import key_name
from pki.registration import add_registration, confirm_registration, refuse_registration
from pki.registration_records import (
    RegistrationRecord,
    RegistrationState,
    Wanted,
    get_registration,
    list_registrations,
)

_SMALL_FILE = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    action = {"add": _add, "list": _list, "show": _show, "confirm": _confirm, "refuse": _refuse}[options.action]
    with open_installation(call.environment) as installation:
        return action(options, installation, call)


def _add(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    key = None if options.csr is None else parse_csr(read_input(options.csr, _SMALL_FILE))
    # As it will stand in the certificate, whatever way it was typed.
    subject = str(parse_subject(options.subject))
    wanted = Wanted(options.profile, subject, tuple(options.san), options.days, key)
    record = add_registration(wanted, options.evidence, acting(call, installation), installation.registrations)
    return _say(record, options, call)


def _confirm(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    return _say(confirm_registration(options.id, options.evidence, actor, installation.registrations), options, call)


def _refuse(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    return _say(refuse_registration(options.id, options.reason, actor, installation.registrations), options, call)


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    states = [RegistrationState(each) for each in options.state]
    with installation.database.read() as session:
        records = list_registrations(session, states, options.limit)
    if options.json:
        print_json(call.out, [_as_json(each) for each in records])
        return 0
    table = [
        [call.words.say(f"COLUMN_{name}") for name in ("ID", "STATE", "PROFILE", "ASKED_BY", "ASKED_AT", "SUBJECT")]
    ]
    table += [
        [
            str(each.id),
            each.state.value,
            each.wanted.profile,
            each.asked_by,
            for_people(each.asked_at),
            one_line(each.wanted.subject),
        ]
        for each in records
    ]
    print_table(call.out, table)
    return 0


def _show(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    with installation.database.read() as session:
        record = get_registration(session, options.id)
    if options.json:
        print_json(call.out, _as_json(record))
        return 0
    facts = _as_json(record)
    for name, moment in (("asked_at", record.asked_at), ("decided_at", record.decided_at)):
        facts[name] = for_people(moment) if moment else None
    facts["san"] = ", ".join(record.wanted.san)
    print_table(
        call.out,
        [
            [call.words.say(f"COLUMN_{name.upper()}"), one_line(local_time(str(value or "–")))]
            for name, value in facts.items()
        ],
    )
    return 0


def _say(record: RegistrationRecord, options: argparse.Namespace, call: Call) -> int:
    if options.json:
        print_json(call.out, _as_json(record))
        return 0
    code = "REGISTRATION_ADDED"
    if record.state is RegistrationState.CONFIRMED:
        code = "REGISTRATION_CONFIRMED"
    elif record.state is RegistrationState.REFUSED:
        code = "REGISTRATION_REFUSED"
    elif record.state is RegistrationState.WITHDRAWN:
        code = "REGISTRATION_WITHDRAWN"
    call.out.write(call.words.say(code, {"id": str(record.id)}) + "\n")
    return 0


def _as_json(record: RegistrationRecord) -> dict[str, Any]:
    key = record.wanted.public_key_der
    return {
        "id": record.id,
        "state": record.state.value,
        "profile": record.wanted.profile,
        "subject": record.wanted.subject,
        "san": list(record.wanted.san),
        "days": record.wanted.days,
        "key": None if key is None else key_name(key),
        "evidence": record.evidence,
        "asked_by": record.asked_by,
        "asked_at": rfc3339(record.asked_at),
        "decided_by": record.decided_by,
        "decided_at": rfc3339(record.decided_at) if record.decided_at else None,
        "reason": record.reason,
        "sha256": record.sha256,
        "certificate": record.certificate_serial,
    }
