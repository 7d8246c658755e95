"""`antin ca`: the authorities of this home and what they publish."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table
from api.publishing import publish
from api.wiring import Installation, open_installation
from api.words import Words
from certs.clock import for_people, rfc3339
from certs.inventory import CertificateRecord, State, get_certificate
from pki.authorities import AuthorityRecord, AuthorityState, get_authority, list_authorities
from pki.errors import IssuerNotGood


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry call.out one action."""
    with open_installation(call.environment) as installation:
        if options.action == "list":
            return _list(options, installation, call.words, call.out)
        if options.action == "show":
            return _show(options, installation, call.words, call.out)
        return _publish(options, installation, call)


def _rows(installation: Installation) -> list[tuple[AuthorityRecord, CertificateRecord | None]]:
    with installation.database.read() as session:
        return [
            (each, get_certificate(session, each.serial) if each.serial else None) for each in list_authorities(session)
        ]


def _state(authority: AuthorityRecord, certificate: CertificateRecord | None, installation: Installation) -> str:
    """The authority's own state, unless its certificate says worse."""
    if certificate is None or authority.state is not AuthorityState.ACTIVE:
        return authority.state.value
    state = certificate.state_at(installation.clock.now())
    return authority.state.value if state is State.ACTIVE else state.value


def _as_json(
    authority: AuthorityRecord, certificate: CertificateRecord | None, installation: Installation
) -> dict[str, Any]:
    return {
        "name": authority.name,
        "parent": authority.parent,
        "subject": authority.subject,
        "state": _state(authority, certificate, installation),
        "not_after": rfc3339(certificate.not_after) if certificate else None,
        "serial": authority.serial,
        "sha256": certificate.sha256 if certificate else None,
    }


def _list(options: argparse.Namespace, installation: Installation, words: Words, out: TextIO) -> int:
    rows = _rows(installation)
    if options.json:
        print_json(out, [_as_json(*row, installation) for row in rows])
        return 0
    table = [[words.say(f"COLUMN_{name}") for name in ("NAME", "PARENT", "STATE", "NOT_AFTER", "SUBJECT")]]
    for authority, certificate in rows:
        ends = for_people(certificate.not_after) if certificate else "–"
        table.append(
            [
                authority.name,
                authority.parent or "–",
                _state(authority, certificate, installation),
                ends,
                authority.subject,
            ]
        )
    print_table(out, table)
    return 0


def _show(options: argparse.Namespace, installation: Installation, words: Words, out: TextIO) -> int:
    with installation.database.read() as session:
        authority = get_authority(session, options.name)
        certificate = get_certificate(session, authority.serial) if authority.serial else None
    if options.pem:
        if certificate is None:
            raise IssuerNotGood(
                f"{authority.name} has no certificate", authority=authority.name, state=authority.state.value
            )
        out.write(certificate.certificate().public_bytes(Encoding.PEM).decode())
        return 0
    facts = _as_json(authority, certificate, installation)
    if options.json:
        print_json(out, facts)
    else:
        print_table(out, [[words.say(f"COLUMN_{name.upper()}"), str(value or "–")] for name, value in facts.items()])
    return 0


def _publish(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    signed = publish(installation, acting(call, installation), everything=options.all)
    if options.json:
        print_json(
            out,
            [
                {
                    "authority": crl.authority,
                    "number": crl.number,
                    "next_update": rfc3339(crl.next_update),
                    "sha256": crl.sha256,
                }
                for crl in signed
            ],
        )
        return 0
    for crl in signed:
        facts = {"authority": crl.authority, "number": str(crl.number), "until": for_people(crl.next_update)}
        out.write(words.say("CRL_PUBLISHED", facts) + "\n")
    if not signed:
        out.write(words.say("CRL_NONE_DUE") + "\n")
    return 0
