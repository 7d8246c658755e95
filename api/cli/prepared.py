"""`antin prepared`: the documents that wait for their signature: list them, show one, write what is to be signed, call one off."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TextIO

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, refuse_existing
from api.cli.parser import TypedPath
from api.prepared_report import content_of, describe_prepared, hash_of
from api.wiring import Installation, open_installation
from api.words import Words
from certs.clock import for_people
from signer.codes import grouped
from signer.handing_over import cancel_document, stored_file
from signer.prepared import STATES, TAKEN, WAITING, PreparedDocument, get_prepared, list_prepared
from signer.storage import OutputFile


def run(options: argparse.Namespace, call: Call) -> int:
    """List, show or cancel."""
    actions: dict[str, Callable[[argparse.Namespace, Call, Installation], int]] = {
        "list": _list,
        "show": _show,
        "cancel": _cancel,
    }
    with open_installation(call.environment) as installation:
        return actions[options.action](options, call, installation)


def _list(options: argparse.Namespace, call: Call, installation: Installation) -> int:
    with installation.database.read() as session:
        found = list_prepared(session, STATES if options.all else (WAITING, TAKEN))
    words = call.words
    if options.json:
        print_json(call.out, [describe_prepared(one) for one in found])
        return 0
    table = [[words.say(f"COLUMN_{name}") for name in ("PREPARED", "STATE", "CODE", "SIGNED_BY", "EXPIRES_AT", "NAME")]]
    for one in found:
        state, until = words.say(f"STATE_{one.state}"), for_people(one.expires_at)
        table.append([one.id, state, grouped(one.code), _signed_by(one), until, one.name])
    print_table(call.out, table)
    return 0


def _show(options: argparse.Namespace, call: Call, installation: Installation) -> int:
    with installation.database.read() as session:
        one = get_prepared(session, options.id)
    wanted = [(options.output, one.to_be_signed)]
    if options.content is not None:
        wanted.append((options.content, content_of(stored_file(one, installation.blobs))))
    for target, octets in wanted:
        if target is not None:
            _write(target, octets, force=options.force)
    if options.json:
        print_json(call.out, describe_prepared(one))
    else:
        print_prepared(one, call.words, call.out)
    return 0


def _write(target: TypedPath, octets: bytes, *, force: bool) -> None:
    refuse_existing(target.path, target.typed, force=force)
    with OutputFile(target.path, expected_size=len(octets), replace=force) as file:
        file.publish(octets)


def _cancel(options: argparse.Namespace, call: Call, installation: Installation) -> int:
    one = cancel_document(options.id, acting(call, installation), installation.handover)
    if options.json:
        print_json(call.out, describe_prepared(one))
    else:
        call.out.write(call.words.say("PREPARED_CALLED_OFF", {"id": one.id}) + "\n")
    return 0


def print_prepared(one: PreparedDocument, words: Words, out: TextIO) -> None:
    """One of them, with what a signer needs."""
    facts = [
        ("PREPARED", one.id),
        ("STATE", words.say(f"STATE_{one.state}")),
        ("CODE", grouped(one.code)),
        ("SIGNED_BY", _signed_by(one)),
        ("EXPIRES_AT", for_people(one.expires_at)),
        ("NAME", one.name),
        ("ALGORITHM", one.scheme.value),
        ("HASH", hash_of(one)),
        ("DOCUMENT_DIGEST", one.digest),
        ("ROOM", str(one.room)),
    ]
    rows = [(words.say(f"COLUMN_{name}"), value) for name, value in facts]
    print_table(out, [list(row) for row in rows])


def _signed_by(one: PreparedDocument) -> str:
    return one.credential or one.certificate_serial
