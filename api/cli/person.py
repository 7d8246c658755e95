"""`antin person`: who may act here: add, list, show, grant and withdraw roles, disable, enable."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.wiring import Installation, open_installation
from certs.clock import for_people, rfc3339
from pki.appointment import add_person, disable_person, enable_person, grant_role, withdraw_role
from pki.persons import Person, get_person, list_persons
from pki.roles import Role


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "list":
            return _list(options, installation, call)
        person = _show(options, installation) if options.action == "show" else _change(options, installation, call)
    if options.json:
        print_json(call.out, _as_json(person))
    else:
        _print_all([person], call)
    return 0


def _show(options: argparse.Namespace, installation: Installation) -> Person:
    with installation.database.read() as session:
        return get_person(session, options.name)


def _change(options: argparse.Namespace, installation: Installation, call: Call) -> Person:
    actor, deps, name = acting(call, installation), installation.persons, options.name
    if options.action == "add":
        return add_person(name, options.full_name, [Role(role) for role in options.role], actor, deps)
    if options.action == "grant":
        return grant_role(name, Role(options.role), actor, deps)
    if options.action == "withdraw":
        return withdraw_role(name, Role(options.role), actor, deps)
    return (disable_person if options.action == "disable" else enable_person)(name, actor, deps)


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    with installation.database.read() as session:
        persons = list_persons(session)
    if options.json:
        print_json(call.out, [_as_json(each) for each in persons])
    else:
        _print_all(persons, call)
    return 0


def _as_json(person: Person) -> dict[str, Any]:
    return {
        "name": person.name,
        "full_name": person.full_name,
        "roles": sorted(person.roles),
        "state": person.state.value,
        "created_at": rfc3339(person.created_at),
    }


def _print_all(persons: list[Person], call: Call) -> None:
    table = [[call.words.say(f"COLUMN_{name}") for name in ("NAME", "FULL_NAME", "ROLES", "STATE", "SINCE")]]
    table += [
        [each.name, each.full_name, " ".join(sorted(each.roles)) or "–", each.state.value, for_people(each.created_at)]
        for each in persons
    ]
    print_table(call.out, table)
