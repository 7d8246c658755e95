"""`antin trust`: whom this home believes besides itself, and the revocation lists that were brought to it."""

from __future__ import annotations

import argparse
import sys
from datetime import timedelta
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, read_input, refuse_existing
from api.errors import UsageError
from api.service_upkeep import make_trust_store_service
from api.wiring import Installation, open_installation
from api.words import one_line
from certs.clock import for_people, rfc3339
from pki.roles import Permission, require
from signer.errors import UsageWrong
from signer.official import read_bundle
from signer.storage import OutputFile
from signer.trust_exchange import export_store, import_store
from signer.trust_file import StoreFile
from signer.trust_lists import TrustList, import_list, list_lists
from signer.trust_store import Trusted, add_anchor, list_trusted, parse_fingerprint, remove_anchor, shown_subject

_CERTIFICATES = 1024 * 1024
_LIST = 64 * 1024 * 1024
_STORE = 16 * 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    actions = {"add": _add, "list": _list, "remove": _remove, "crl": _crl, "export": _export, "import": _import}
    with open_installation(call.environment) as installation:
        return actions[options.action](options, installation, call)


def _add(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    found = read_bundle(read_input(options.file, _CERTIFICATES))
    if len(found) != 1:
        # One fingerprint was typed: it is for one certificate.
        raise UsageWrong("TRUST_ONE_AT_A_TIME", count=str(len(found)))
    certificate = found[0]
    fingerprint = _typed(options, call, shown_subject(certificate))
    new = add_anchor(certificate, options.tree, fingerprint, actor, installation.trust)
    return _say(new, options, call, added=True)


def _typed(options: argparse.Namespace, call: Call, about: str) -> bytes:
    """The fingerprint that a person brings from elsewhere, out of the call or from the terminal."""
    typed = options.fingerprint
    if typed is None:
        if options.json or not sys.stdin.isatty():
            raise UsageError("TRUST_NEEDS_FINGERPRINT", path=options.file.typed)
        call.out.write(about + "\n" + call.words.say("TRUST_QUESTION") + " ")
        call.out.flush()
        typed = sys.stdin.readline()
    return parse_fingerprint(typed)


def _export(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    target = options.output
    refuse_existing(target.path, target.typed, force=options.force)
    require(actor, Permission.MANAGE_TRUST)
    make_trust_store_service(installation, actor)
    made = export_store(timedelta(days=options.days), actor, installation.trust, installation.services)
    with OutputFile(target.path, expected_size=len(made.octets), replace=options.force) as output:
        output.publish(made.octets)
    file = made.file
    if options.json:
        print_json(call.out, _store_json(file) | {"signer_sha256": made.signer_sha256})
        return 0
    facts = {"output": target.typed, "version": str(file.version), "count": str(len(file.anchors))}
    call.out.write(call.words.say("TRUST_STORE_WRITTEN", facts) + "\n")
    told = {"sha256": made.signer_sha256, "until": for_people(file.valid_until)}
    call.out.write(call.words.say("TRUST_STORE_SIGNER", told) + "\n")
    return 0


def _import(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    octets = read_input(options.file, _STORE)
    fingerprint = _typed(options, call, options.file.typed)
    taken = import_store(octets, fingerprint, actor, installation.trust)
    if options.json:
        changes = {
            "added": [_as_json(each) for each in taken.added],
            "removed": [_as_json(each) for each in taken.removed],
        }
        print_json(call.out, _store_json(taken.file) | changes)
        return 0
    facts = {
        "issuer": taken.file.issuer, "version": str(taken.file.version), "added": str(len(taken.added)),
        "removed": str(len(taken.removed)), "kept": str(taken.kept),
    }  # fmt: skip
    call.out.write(call.words.say("TRUST_STORE_TAKEN", facts) + "\n")
    for mark, found in (("+", taken.added), ("-", taken.removed)):
        for each in found:
            call.out.write(f"  {mark} {call.words.say(f'TRUST_{each.tree}')}: {one_line(each.subject)}\n")
    return 0


def _store_json(file: StoreFile) -> dict[str, Any]:
    return {
        "store": file.store,
        "version": file.version,
        "issuer": file.issuer,
        "issued_at": rfc3339(file.issued_at),
        "valid_until": rfc3339(file.valid_until),
        "anchors": [{"sha256": each.sha256, "tree": each.tree, "subject": each.subject} for each in file.anchors],
    }


def _remove(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    gone = remove_anchor(options.which, acting(call, installation), installation.trust)
    return _say(gone, options, call, added=False)


def _say(one: Trusted, options: argparse.Namespace, call: Call, *, added: bool) -> int:
    if options.json:
        print_json(call.out, _as_json(one))
    else:
        tree = call.words.say(f"TRUST_{one.tree}")
        facts = {"subject": one.subject, "tree": tree, "sha256": one.sha256}
        call.out.write(call.words.say("TRUST_ADDED" if added else "TRUST_REMOVED", facts) + "\n")
    return 0


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    with installation.database.read() as session:
        trusted, lists = list_trusted(session), list_lists(session)
    if options.json:
        print_json(out, {
            "anchors": [_as_json(each) for each in trusted if each.is_anchor],
            "authorities": [_as_json(each) for each in trusted if not each.is_anchor],
            "lists": [_list_json(each) for each in lists],
        })  # fmt: skip
        return 0
    if not trusted:
        out.write(words.say("TRUST_NOBODY") + "\n")
        return 0
    table = [[words.say(f"COLUMN_{name}") for name in ("TREE", "IS_ANCHOR", "NOT_AFTER", "SHA256", "SUBJECT")]]
    table += [
        [
            words.say(f"TRUST_{each.tree}"),
            words.say("TRUST_ANCHOR") if each.is_anchor else "–",
            for_people(each.not_after),
            each.sha256[:16],
            each.subject,
        ]
        for each in trusted
    ]
    print_table(out, table)
    for one in lists:
        out.write(words.say("TRUST_LIST_LINE", {"issuer": one.issuer, "until": for_people(one.next_update)}) + "\n")
    return 0


def _crl(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    given = [] if options.issuer is None else read_bundle(read_input(options.issuer, _CERTIFICATES))
    new = import_list(read_input(options.file, _LIST), given, actor, installation.trust)
    if options.json:
        print_json(call.out, _list_json(new))
    else:
        facts = {"issuer": new.issuer, "until": for_people(new.next_update)}
        call.out.write(call.words.say("TRUST_LIST_TAKEN", facts) + "\n")
    return 0


def _as_json(one: Trusted) -> dict[str, Any]:
    return {
        "sha256": one.sha256,
        "tree": one.tree,
        "anchor": one.is_anchor,
        "subject": one.subject,
        "not_after": rfc3339(one.not_after),
        "added_at": rfc3339(one.added_at),
        "added_by": one.added_by,
        "origin": one.origin,
    }


def _list_json(one: TrustList) -> dict[str, Any]:
    return {
        "issuer": one.issuer,
        "sha256": one.sha256,
        "this_update": rfc3339(one.this_update),
        "next_update": rfc3339(one.next_update),
    }
