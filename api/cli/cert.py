"""`antin cert`: the certificates of this home: list, show, issue, revoke."""

from __future__ import annotations

import argparse
import contextlib
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import acting, find_record, parse_time, print_json, print_table, read_input, refuse_existing
from api.errors import UsageError
from api.publishing import publish
from api.wiring import Installation, open_installation
from certs.clock import for_people, rfc3339
from certs.csr import parse_csr
from certs.inventory import CertificateRecord, State
from certs.names import parse_subject
from certs.search import CertificateQuery, search
from hsm.spec import KeySpec
from pki.audit import Actor
from pki.issuance import IssuanceRequest, issue
from pki.revocation import revoke
from pki.roles import Permission, require
from signer.credentials import ROLE_OF_PROFILE, SEAL
from signer.enrolment import EnrolmentDeps, EnrolmentRequest, enrol, free_name
from signer.errors import UsageWrong
from signer.storage import OutputFile

_SMALL_FILE = 1024 * 1024
_PEM_FILE = 16 * 1024
_PICTURE_FILE = 8 * 1024 * 1024
_TIMES = ("valid_at", "issued_from", "issued_before", "ends_from", "ends_before")


def run(options: argparse.Namespace, call: Call) -> int:
    """Carry call.out one action."""
    action = {"list": _list, "show": _show, "issue": _issue, "revoke": _revoke}[options.action]
    with open_installation(call.environment) as installation:
        return action(options, installation, call)


def _as_json(record: CertificateRecord, installation: Installation) -> dict[str, Any]:
    return {
        "serial": record.serial,
        "profile": record.profile,
        "subject": record.subject,
        "common_name": record.common_name,
        "issuer": record.issuer,
        "state": record.state_at(installation.clock.now()).value,
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "sha256": record.sha256,
        "revoked_at": rfc3339(record.revoked_at) if record.revoked_at else None,
        "revocation_reason": record.revocation_reason,
        "suspect_since": rfc3339(record.suspect_since) if record.suspect_since else None,
    }


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
    with installation.database.read() as session:
        record = find_record(session, options.which)
    if options.pem:
        out.write(record.certificate().public_bytes(Encoding.PEM).decode())
        return 0
    facts = _as_json(record, installation)
    if options.json:
        print_json(out, facts)
    else:
        print_table(out, [[words.say(f"COLUMN_{name.upper()}"), str(value or "–")] for name, value in facts.items()])
    return 0


def _issue(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out, actor = call.words, call.out, acting(call, installation)
    output = options.output
    if output is not None:
        refuse_existing(output.path, output.typed, force=options.force)
    installation.catalogue.get(options.profile)
    if options.csr is not None and (options.credential or options.image):
        raise UsageError("CSR_MAKES_NO_CREDENTIAL")
    # The output's space is taken first: a folder that is not there must not cost a key and a certificate.
    with contextlib.ExitStack() as stack:
        file = None
        if output is not None:
            file = stack.enter_context(OutputFile(output.path, expected_size=_PEM_FILE, replace=options.force))
        if options.csr is not None:
            record, name = _issue_for_csr(options, installation, actor), None
        else:
            record, name = _issue_with_key(options, installation, actor)
        pem = record.certificate().public_bytes(Encoding.PEM)
        if file is not None:
            file.publish(pem)
    if options.json:
        print_json(out, _as_json(record, installation) | {"credential": name})
    elif output is None:
        out.write(pem.decode())
    else:
        facts = {"serial": record.serial, "path": output.typed, "name": name or ""}
        out.write(words.say("CERTIFICATE_ISSUED_FOR" if name else "CERTIFICATE_ISSUED", facts) + "\n")
    return 0


def _issue_for_csr(options: argparse.Namespace, installation: Installation, actor: Actor) -> CertificateRecord:
    # Law 5: the request gives key and proof; the subject is what was typed here.
    public_key_der = parse_csr(read_input(options.csr, _SMALL_FILE))
    request = IssuanceRequest(options.profile, parse_subject(options.subject), public_key_der, tuple(options.san))
    return issue(request, actor, installation.issuing())


def _issue_with_key(
    options: argparse.Namespace, installation: Installation, actor: Actor
) -> tuple[CertificateRecord, str]:
    if options.profile not in ROLE_OF_PROFILE:
        raise UsageWrong("PROFILE_NEEDS_CSR", profile=options.profile, valid=", ".join(ROLE_OF_PROFILE))
    settings = installation.settings
    seal = ROLE_OF_PROFILE[options.profile] == SEAL
    picture = None
    if options.image is not None:
        # A picture is kept as soon as it is read, so this is asked before enrolment asks it.
        require(actor, Permission.MANAGE_CREDENTIALS)
        png = read_input(options.image, _PICTURE_FILE)
        picture = installation.images.register(png, "seal" if seal else "signature", options.image.typed)
    request = EnrolmentRequest(
        name=options.credential or free_name(installation.database, options.profile),
        profile=options.profile,
        subject=parse_subject(options.subject),
        spec=KeySpec(settings.keys.credential),
        image_sha256=picture,
        diameter_mm=settings.sign.seal_diameter_mm if seal else None,
        san=tuple(options.san),
    )
    deps = EnrolmentDeps(installation.keys, installation.issuing(), settings.sign.rsa_padding)
    return enrol(request, actor, deps), request.name


def _revoke(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    words, out, actor = call.words, call.out, acting(call, installation)
    since = parse_time(options.since) if options.since else None
    with installation.database.read() as session:
        record = find_record(session, options.which)
    record = revoke(record.serial, options.reason, actor, installation.revocation, since)
    if options.json:
        print_json(out, _as_json(record, installation))
    else:
        code = "CERTIFICATE_SUSPENDED" if record.state is State.SUSPENDED else "CERTIFICATE_REVOKED"
        out.write(words.say(code, {"serial": record.serial, "reason": record.revocation_reason or ""}) + "\n")
    # Relying parties learn of it now, not when somebody remembers to publish. Should the token be away, the revocation
    # stands, the failure is said, and the CRL stays due.
    publish(installation, actor)
    return 0
