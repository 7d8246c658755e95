"""`antin cert renew|suspend|reinstate|notices`: what becomes of a certificate after it was issued."""

from __future__ import annotations

import argparse
import contextlib
from dataclasses import dataclass

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.cert_official import find_official, write_request
from api.cli.context import acting, find_record, parse_time, print_json, print_table, read_input, refuse_existing
from api.errors import UsageError
from api.notice_delivery import carry_notices
from api.publishing import publish
from api.wiring import Installation
from certs.clock import for_people, rfc3339
from certs.csr import parse_csr
from certs.inventory import CertificateRecord
from pki.audit import Actor
from pki.expiry_notices import ENDED, Notice
from pki.renewal import RenewalRequest, renew
from pki.revocation import HOLD, reinstate, revoke
from pki.roles import Permission, require
from signer.credential_renewal import CredentialRenewal, rekey_credential, renew_credential
from signer.credentials import find_by_certificate
from signer.enrolment import EnrolmentDeps
from signer.official import RequestWish
from signer.storage import OutputFile

_SMALL_FILE = 1024 * 1024
_PEM_FILE = 16 * 1024


@dataclass(frozen=True)
class _Renewed:
    """What a renewal made, of what; `credential` signs with it, if one does."""

    old: CertificateRecord
    new: CertificateRecord
    credential: str | None


def renew_one(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """The certificate that follows another, and with --revoke-old the end of that one."""
    words, out, actor = call.words, call.out, acting(call, installation)
    output = options.output
    if output is not None:
        refuse_existing(output.path, output.typed, force=options.force)
    if find_official(installation, options.which) is not None:
        # Its authority renews it: a request for the same key goes out, as the first time, and `cert import` takes in what comes back.
        return write_request(RequestWish(options.which), options, installation, call)
    if options.csr is not None and not options.rekey:
        raise UsageError("CSR_NEEDS_REKEY")
    if options.revoke_old:
        # Before there is a new one: half of what was asked for helps nobody.
        require(actor, Permission.REVOKE)
    with contextlib.ExitStack() as stack:
        file = None
        if output is not None:
            file = stack.enter_context(OutputFile(output.path, expected_size=_PEM_FILE, replace=options.force))
        done = _renew(options, installation, actor)
        pem = done.new.certificate().public_bytes(Encoding.PEM)
        if file is not None:
            file.publish(pem)
    facts = {
        "serial": done.new.serial,
        "old": done.old.serial,
        "name": done.credential or "",
        "end": for_people(done.new.not_after),
        "days": str(_term(done.new)),
        "old_days": str(_term(done.old)),
    }
    said = words.say("CERTIFICATE_RENEWED_FOR" if done.credential else "CERTIFICATE_RENEWED", facts)
    if options.json:
        print_json(out, _as_json(done))
    elif done.credential is None and output is None:
        # The standard output is the certificate alone.
        call.err.write(said + "\n")
        out.write(pem.decode())
    else:
        out.write(said + "\n")
    if options.revoke_old:
        revoke(done.old.serial, "superseded", actor, installation.revocation)
        publish(installation, actor)
    return 0


def _term(record: CertificateRecord) -> int:
    return (record.not_after - record.not_before).days


def _renew(options: argparse.Namespace, installation: Installation, actor: Actor) -> _Renewed:
    with installation.database.read() as session:
        record = find_record(session, options.which)
        credential = find_by_certificate(session, record.serial)
    issuing = installation.issuing_today(record.issuer)
    if credential is None:
        key = None
        if options.rekey:
            if options.csr is None:
                raise UsageError("REKEY_NEEDS_CSR", serial=record.serial)
            key = parse_csr(read_input(options.csr, _SMALL_FILE))
        wanted = RenewalRequest(record.serial, key, options.days, options.force)
        return _Renewed(record, renew(wanted, actor, issuing), None)
    if options.csr is not None:
        raise UsageError("REKEY_MAKES_THE_KEY", name=credential.name)
    deps = EnrolmentDeps(installation.keys, issuing, installation.settings.sign.rsa_padding)
    request = CredentialRenewal(credential.name, options.days, options.force)
    if options.rekey:
        new, name = rekey_credential(request, actor, deps)
        return _Renewed(record, new, name)
    return _Renewed(record, renew_credential(request, actor, deps), credential.name)


def suspend_one(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """Take a certificate out of force for a while."""
    actor = acting(call, installation)
    since = parse_time(options.since) if options.since else None
    with installation.database.read() as session:
        serial = find_record(session, options.which).serial
    record = revoke(serial, HOLD.value, actor, installation.revocation, since)
    said = call.words.say("CERTIFICATE_SUSPENDED", {"serial": serial})
    return _tell(record, said, actor, options, installation, call)


def reinstate_one(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """Bring a suspended certificate back into force."""
    actor = acting(call, installation)
    with installation.database.read() as session:
        serial = find_record(session, options.which).serial
    record = reinstate(serial, actor, installation.revocation)
    said = call.words.say("CERTIFICATE_REINSTATED", {"serial": serial})
    return _tell(record, said, actor, options, installation, call)


def _tell(
    record: CertificateRecord,
    said: str,
    actor: Actor,
    options: argparse.Namespace,
    installation: Installation,
    call: Call,
) -> int:
    """Say the new state, then publish it: should the token be away, the state stands and is said."""
    if options.json:
        print_json(call.out, _state_json(record, installation))
    else:
        call.out.write(said + "\n")
    publish(installation, actor)
    return 0


def show_notices(options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """What ends soon and is not said yet, what was said, and with --run: say it now."""
    words, out = call.words, call.out
    if options.run:
        carried = carry_notices(installation, acting(call, installation), None, hurry=True)
        if carried.failed:
            facts = {"failed": str(carried.failed), "waiting": str(carried.waiting)}
            call.err.write(f"antin: {words.say('NOTICES_NOT_SENT', facts)}\n")
    desk = installation.notices
    due, made = desk.due(options.limit), desk.list_notices(options.limit)
    if options.json:
        print_json(out, {
            "due": [{"serial": serial, "days": days} for serial, days in due],
            "notices": [_notice_json(each) for each in made],
        })  # fmt: skip
        return 0
    table = [
        [words.say(f"COLUMN_{name}") for name in ("SERIAL", "PROFILE", "NOT_AFTER", "THRESHOLD", "MADE_AT", "SENT")]
    ]
    table += [
        [
            each.serial,
            each.profile,
            for_people(each.not_after),
            _threshold(each.days, call),
            for_people(each.made_at),
            _sent(each),
        ]
        for each in made
    ]
    print_table(out, table)
    if due:
        out.write(words.say("NOTICES_DUE", {"count": str(len(due))}) + "\n")
    return 0


def _threshold(days: int, call: Call) -> str:
    return call.words.say("NOTICE_ENDED") if days == ENDED else call.words.say("NOTICE_DAYS", {"days": str(days)})


def _sent(notice: Notice) -> str:
    if notice.sent_at is not None:
        return for_people(notice.sent_at)
    return notice.problem or "–"


def _notice_json(notice: Notice) -> dict[str, object]:
    return {
        "id": notice.id,
        "serial": notice.serial,
        "profile": notice.profile,
        "issuer": notice.issuer,
        "not_after": rfc3339(notice.not_after),
        "days": notice.days,
        "made_at": rfc3339(notice.made_at),
        "logged_at": rfc3339(notice.logged_at) if notice.logged_at else None,
        "sent_at": rfc3339(notice.sent_at) if notice.sent_at else None,
        "attempts": notice.attempts,
        "next_attempt_at": rfc3339(notice.next_attempt_at) if notice.next_attempt_at else None,
        "problem": notice.problem or None,
    }


def _as_json(done: _Renewed) -> dict[str, object]:
    new = done.new
    return {
        "serial": new.serial,
        "replaces": done.old.serial,
        "profile": new.profile,
        "subject": new.subject,
        "common_name": new.common_name,
        "issuer": new.issuer,
        "state": new.state.value,
        "not_before": rfc3339(new.not_before),
        "not_after": rfc3339(new.not_after),
        "sha256": new.sha256,
        "credential": done.credential,
    }


def _state_json(record: CertificateRecord, installation: Installation) -> dict[str, object]:
    return {
        "serial": record.serial,
        "state": record.state_at(installation.clock.now()).value,
        "revoked_at": rfc3339(record.revoked_at) if record.revoked_at else None,
        "revocation_reason": record.revocation_reason,
        "suspect_since": rfc3339(record.suspect_since) if record.suspect_since else None,
    }
