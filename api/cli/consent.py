"""`antin consent`: second factors of credentials, and activations for the very files that are to be signed."""

from __future__ import annotations

import argparse
import getpass
import hashlib
import sys
from datetime import timedelta
from typing import Any

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, read_input
from api.errors import UsageError
from api.wiring import Installation, open_installation
from certs.clock import for_people, rfc3339
from signer.consent import Activation, ActivationWish, end_consent, enrol_factor, give_consent, list_activations

_CODE_FILE = 64


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry out one action."""
    actions = {"enrol": _enrol, "standing": _standing, "give": _give, "list": _list}
    with open_installation(call.environment) as installation:
        return actions[options.action](options, installation, call)


def _enrol(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    uri = enrol_factor(options.credential, acting(call, installation), installation.consent, again=options.again)
    if options.json:
        print_json(call.out, {"credential": options.credential, "activation": "consent", "uri": uri})
    else:
        call.out.write(uri + "\n")
        call.err.write(call.words.say("FACTOR_ENROLLED", {"name": options.credential}) + "\n")
    return 0


def _standing(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    end_consent(options.credential, acting(call, installation), installation.consent)
    if options.json:
        print_json(call.out, {"credential": options.credential, "activation": "standing"})
    else:
        call.out.write(call.words.say("CONSENT_ENDED", {"name": options.credential}) + "\n")
    return 0


def _give(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    actor = acting(call, installation)
    limit = installation.settings.sign.max_bytes
    documents = tuple(hashlib.sha256(read_input(file, limit)).hexdigest() for file in options.files)
    wish = ActivationWish(options.credential, documents, timedelta(minutes=options.minutes), options.count)
    given = give_consent(wish, _code(options, call), actor, installation.consent)
    if options.json:
        print_json(call.out, _as_json(given))
    else:
        # The id alone, for `antin sign --activation`.
        call.out.write(given.id + "\n")
        facts = {"name": given.credential, "count": str(given.count), "until": for_people(given.expires_at)}
        call.err.write(call.words.say("CONSENT_GIVEN", facts) + "\n")
    return 0


def _code(options: argparse.Namespace, call: Call) -> str:
    if options.code_file is not None:
        return read_input(options.code_file, _CODE_FILE).decode("ascii", "replace").strip()
    if options.json or not sys.stdin.isatty():
        raise UsageError("CONSENT_NEEDS_CODE", name=options.credential)
    return getpass.getpass(call.words.say("CONSENT_QUESTION") + " ")


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    with installation.database.read() as session:
        found = list_activations(session, options.credential)
    if options.json:
        print_json(out, [_as_json(each) for each in found])
        return 0
    table = [[words.say(f"COLUMN_{name}") for name in ("ID", "CREDENTIAL", "REMAINING", "EXPIRES_AT", "MADE_BY")]]
    table += [
        [each.id, each.credential, f"{each.remaining}/{each.count}", for_people(each.expires_at), each.made_by]
        for each in found
    ]
    print_table(out, table)
    return 0


def _as_json(one: Activation) -> dict[str, Any]:
    return {
        "id": one.id,
        "credential": one.credential,
        "factor": one.factor,
        "count": one.count,
        "remaining": one.remaining,
        "made_at": rfc3339(one.made_at),
        "made_by": one.made_by,
        "expires_at": rfc3339(one.expires_at),
    }
