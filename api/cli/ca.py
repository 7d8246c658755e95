"""`antin ca`: the authorities of this home and what they publish."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import acting, parse_time, print_json, print_table, read_input, refuse_existing
from api.errors import UsageError
from api.publishing import publish
from api.wiring import Installation, open_installation
from api.words import Words, local_time
from certs.clock import for_people, rfc3339
from certs.inventory import CertificateRecord, State, get_certificate
from pki.authorities import AuthorityRecord, AuthorityState, get_authority, list_authorities
from pki.authority_import import import_authority
from pki.ceremony import CeremonyDeps
from pki.crl import Issued, partition_crl
from pki.crl_archive import StoredCrl, crl_octets, find_at, find_by_number
from pki.crl_entries import FULL
from pki.errors import CrlNotFound, IssuerNotGood
from signer.official import read_bundle
from signer.storage import OutputFile
from signer.trust_lists import load_list

_CERTIFICATES = 1024 * 1024
_LIST = 64 * 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry call.out one action."""
    actions = {
        "list": _list, "show": _show, "publish": _publish, "partition": _partition, "crl": _crl, "import": _import,
    }  # fmt: skip
    with open_installation(call.environment) as installation:
        return actions[options.action](options, installation, call)


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


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
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


def _show(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
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
        print_table(
            out, [[words.say(f"COLUMN_{name.upper()}"), local_time(str(value or "–"))] for name, value in facts.items()]
        )
    return 0


def _publish(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    issued = publish(installation, acting(call, installation), everything=options.all)
    if options.json:
        print_json(out, [_issued_as_json(each) for each in issued])
        return 0
    for each in issued:
        _say_issued(each, words, out)
    if not issued:
        out.write(words.say("CRL_NONE_DUE") + "\n")
    return 0


def _partition(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """The lists of new partitions are there before anybody is sent to them."""
    words, out, actor = call.words, call.out, acting(call, installation)
    before = partition_crl(options.name, options.count, actor, installation.crls)
    issued = publish(installation, actor)
    if options.json:
        facts = {"authority": options.name, "partitions": options.count, "were": before}
        print_json(out, facts | {"issued": [_issued_as_json(each) for each in issued]})
        return 0
    facts = {"authority": options.name, "count": str(options.count), "before": str(before)}
    out.write(words.say("CRL_PARTITIONED", facts) + "\n")
    return 0


def _import(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """An authority that exists already, with its key in the token; its lists go on from here."""
    actor = acting(call, installation)
    if (options.crl is None) != options.never_revoked:
        raise UsageError("IMPORT_NEEDS_LIST", name=options.name)
    found = read_bundle(read_input(options.file, _CERTIFICATES))
    if len(found) != 1:
        raise UsageError("IMPORT_ONE_AT_A_TIME", count=str(len(found)))
    crl = None if options.crl is None else load_list(read_input(options.crl, _LIST))
    deps = CeremonyDeps(
        installation.database, installation.clock, installation.keys, installation.catalogue,
        installation.settings.http.public_url, installation.twins, approvals=installation.approvals,
    )  # fmt: skip
    done = import_authority(options.name, found[0], crl, actor, deps)
    publish(installation, actor)
    with installation.database.read() as session:
        certificate = get_certificate(session, done.authority.serial or "")
    if options.json:
        print_json(call.out, _as_json(done.authority, certificate, installation))
    else:
        facts = {"name": options.name, "subject": done.authority.subject, "revoked": str(done.revoked)}
        call.out.write(call.words.say("AUTHORITY_TAKEN", facts) + "\n")
    return 0


def _crl(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    if options.number is not None and options.shard is not None:
        raise UsageError("CRL_NUMBER_NAMES_SCOPE")
    output = options.output
    if output is not None:
        refuse_existing(output.path, output.typed, force=options.force)
    moment = parse_time(options.at) if options.at else installation.clock.now()
    with installation.database.read() as session:
        get_authority(session, options.name)
        found = (
            find_by_number(session, options.name, options.number, is_delta=options.delta)
            if options.number is not None
            else find_at(session, options.name, moment, options.shard or FULL, is_delta=options.delta)
        )
        if found is None:
            number = "" if options.number is None else str(options.number)
            raise CrlNotFound(f"{options.name} has no such CRL", authority=options.name, number=number)
        if output is not None:
            with OutputFile(output.path, expected_size=found.size, replace=options.force) as file:
                file.publish_parts(crl_octets(session, found))
    facts = _crl_as_json(found)
    if options.json:
        print_json(out, facts)
    elif output is not None:
        out.write(words.say("CRL_WRITTEN", {"number": str(found.number), "path": output.typed}) + "\n")
    else:
        print_table(
            out, [[words.say(f"COLUMN_{name.upper()}"), local_time(str(value or "–"))] for name, value in facts.items()]
        )
    return 0


def _crl_as_json(crl: StoredCrl) -> dict[str, Any]:
    return {
        "authority": crl.authority,
        "shard": crl.shard or None,
        "number": crl.number,
        "delta_base": crl.base,
        "this_update": rfc3339(crl.this_update),
        "next_update": rfc3339(crl.next_update),
        "size": crl.size,
        "sha256": crl.sha256,
    }


def _issued_as_json(issued: Issued) -> dict[str, Any]:
    """The complete list as ever; a delta beside it, or alone, under its own name."""
    facts: dict[str, Any] = {"authority": issued.authority, "shard": issued.shard or None, "number": issued.number}
    complete, delta = issued.complete, issued.delta
    facts["next_update"] = rfc3339(complete.next_update) if complete is not None else None
    facts["sha256"] = complete.sha256 if complete is not None else None
    facts["delta"] = _crl_as_json(delta) if delta is not None else None
    return facts


def _say_issued(issued: Issued, words: Words, out: TextIO) -> None:
    name = issued.authority if issued.shard == FULL else f"{issued.authority}/{issued.shard}"
    newest = issued.complete or issued.delta
    assert newest is not None
    facts = {"authority": name, "number": str(issued.number), "until": for_people(newest.next_update)}
    out.write(words.say("DELTA_PUBLISHED" if newest.is_delta else "CRL_PUBLISHED", facts) + "\n")
