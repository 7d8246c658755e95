"""`antin number`: hold a number, give one up, and see a year's numbers with every gap and its reason."""

from __future__ import annotations

import argparse
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.wiring import Installation, open_installation
from api.words import Words
from certs.clock import for_people, rfc3339
from signer.codes import grouped
from signer.number_book import NumberEntry, NumberWish, agency_of_seal, give_up_number, hold_number, list_numbers
from signer.numbering import written, year_of


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "list":
            year = options.year or year_of(installation.clock.now())
            with installation.database.read() as session:
                found = list_numbers(session, year, options.series)
            found = [each for each in found if each.is_gap or not options.gaps]
        else:
            found = [_change(options, installation, call)]
    if options.json:
        described = [_describe(each) for each in found]
        print_json(call.out, described if options.action == "list" else described[0])
    else:
        _print(found, call)
    return 0


def _change(options: argparse.Namespace, installation: Installation, call: Call) -> NumberEntry:
    actor, database, clock = acting(call, installation), installation.database, installation.clock
    with database.read() as session:
        agency = agency_of_seal(session, options.credential)
    if options.action == "reserve":
        wish = NumberWish(agency, options.series, options.number)
        return hold_number(wish, options.purpose, actor, database, clock)
    wish = NumberWish(agency, options.series, options.number, options.year)
    return give_up_number(wish, options.reason, actor, database, clock)


def _print(found: list[NumberEntry], call: Call) -> None:
    words = call.words
    table = [[words.say(f"COLUMN_{name}") for name in ("NUMBER", "AGENCY", "STATE", "DOCUMENT", "REASON", "SINCE")]]
    for each in found:
        number = written(each.first) if each.first == each.last else f"{written(each.first)}–{written(each.last)}"
        document = grouped(each.code) if each.code else "–"
        since = for_people(each.at) if each.at else "–"
        table.append([f"{number}/{each.year}", each.agency, each.state, document, _reason(each, words), since])
    print_table(call.out, table)


def _reason(entry: NumberEntry, words: Words) -> str:
    """A code has its sentence, as far as one can be said without the facts of then; what a clerk wrote stands as it is."""
    if entry.state == "skipped":
        return words.say("NUMBER_AHEAD", {"number": written(entry.last + 1)})
    return entry.reason or entry.purpose or "–"


def _describe(entry: NumberEntry) -> dict[str, Any]:
    return {
        "agency": entry.agency, "year": entry.year, "series": entry.series, "first": entry.first, "last": entry.last,
        "state": entry.state, "reason": entry.reason, "purpose": entry.purpose, "code": entry.code,
        "at": rfc3339(entry.at) if entry.at else None,
    }  # fmt: skip
