"""`antin cert`: the certificates of this home: list, show, issue, revoke. Their life and their past are for the modules beside it."""

from __future__ import annotations

import argparse
from datetime import datetime
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.cert_history import said_loss, show_past
from api.cli.cert_issue import issue_certificates
from api.cli.cert_life import reinstate_one, renew_one, show_notices, suspend_one
from api.cli.cert_official import find_official, make_request, show_official, take_in
from api.cli.context import acting, find_record, parse_time, print_json, print_table
from api.errors import UsageError
from api.past_report import describe_gap
from api.publishing import publish
from api.wiring import Installation, open_installation
from certs.clock import for_people, rfc3339
from certs.inventory import CertificateRecord, State, find_successors
from certs.search import CertificateQuery, search
from pki.history import find_loss
from pki.registration_records import registration_of_certificate
from pki.revocation import revoke

_TIMES = ("valid_at", "issued_from", "issued_before", "ends_from", "ends_before")


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry call.out one action."""
    action = _ACTIONS[options.action]
    with open_installation(call.environment) as installation:
        return action(options, installation, call)


def _facts(record: CertificateRecord, installation: Installation) -> dict[str, str | datetime | None]:
    return {
        "serial": record.serial,
        "profile": record.profile,
        "subject": record.subject,
        "common_name": record.common_name,
        "issuer": record.issuer,
        "state": record.state_at(installation.clock.now()).value,
        "not_before": record.not_before,
        "not_after": record.not_after,
        "sha256": record.sha256,
        "replaces": record.replaces,
        "revoked_at": record.revoked_at,
        "revocation_reason": record.revocation_reason,
        "suspect_since": record.suspect_since,
    }


def _as_json(record: CertificateRecord, installation: Installation) -> dict[str, Any]:
    facts = _facts(record, installation)
    return {name: rfc3339(value) if isinstance(value, datetime) else value for name, value in facts.items()}


def _for_people(value: str | datetime | None) -> str:
    return for_people(value) if isinstance(value, datetime) else value or "–"


def _list(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    now = installation.clock.now()
    wanted = CertificateQuery(
        text=options.find,
        organization=options.organization,
        identifier=options.identifier,
        serial=options.serial,
        sha256=options.fingerprint,
        key_id=options.key,
        profile=options.profile,
        issuer=options.issuer,
        state=State(options.state) if options.state else None,
        **{name: parse_time(typed) for name in _TIMES if (typed := getattr(options, name)) is not None},
    )
    with installation.database.read() as session:
        records = search(session, now, wanted, options.limit)
    if options.json:
        print_json(out, [_as_json(record, installation) for record in records])
        return 0
    table = [[words.say(f"COLUMN_{name}") for name in ("SERIAL", "PROFILE", "STATE", "NOT_AFTER", "COMMON_NAME")]]
    table += [
        [each.serial, each.profile, each.state_at(now).value, for_people(each.not_after), each.common_name]
        for each in records
    ]
    print_table(out, table)
    return 0


def _show(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out = call.words, call.out
    official = find_official(installation, options.which)
    if official is not None and options.at is None:
        return show_official(*official, options, call)
    with installation.database.read() as session:
        record = find_record(session, options.which)
        # An intent that a death left is no certificate; a revoked one still tells what became of the old one.
        followers = [each.serial for each in find_successors(session, record.serial) if each.der is not None]
    if options.at is not None:
        return show_past(record, options, installation, call)
    if options.evidence is not None:
        raise UsageError("EVIDENCE_NEEDS_TIME")
    if options.pem:
        out.write(record.certificate().public_bytes(Encoding.PEM).decode())
        return 0
    with installation.database.read() as session:
        registration = registration_of_certificate(session, record.serial)
        lost = find_loss(session, record)
    number = registration.id if registration is not None else None
    if options.json:
        more = {"replaced_by": followers, "registration": number, "record_lost": describe_gap(lost)}
        print_json(out, _as_json(record, installation) | more)
    else:
        facts = _facts(record, installation)
        table = [[words.say(f"COLUMN_{name.upper()}"), _for_people(value)] for name, value in facts.items()]
        table.append([words.say("COLUMN_REPLACED_BY"), ", ".join(followers) or "–"])
        table.append([words.say("COLUMN_REGISTRATION"), str(number or "–")])
        if lost is not None:
            table.append([words.say("HISTORY_LOST"), said_loss(lost, words)])
        print_table(out, table)
    return 0


def _issue(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    return issue_certificates(options, installation, call, _as_json)


def _revoke(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out, actor = call.words, call.out, acting(call, installation)
    since = parse_time(options.since) if options.since else None
    with installation.database.read() as session:
        before = find_record(session, options.which)
    record = revoke(before.serial, options.reason, actor, installation.revocation, since)
    if options.json:
        print_json(out, _as_json(record, installation))
    else:
        code = "CERTIFICATE_SUSPENDED" if record.state is State.SUSPENDED else "CERTIFICATE_REVOKED"
        if before.state is State.REVOKED:
            code = "REVOCATION_RAISED"
        out.write(words.say(code, {"serial": record.serial, "reason": record.revocation_reason or ""}) + "\n")
    # Relying parties learn of it now, not when somebody remembers to publish. Should the token be away, the revocation
    # stands, the failure is said, and the CRL stays due.
    publish(installation, actor)
    return 0


_ACTIONS = {
    "list": _list,
    "show": _show,
    "issue": _issue,
    "revoke": _revoke,
    "renew": renew_one,
    "suspend": suspend_one,
    "reinstate": reinstate_one,
    "notices": show_notices,
    "csr": make_request,
    "import": take_in,
}
