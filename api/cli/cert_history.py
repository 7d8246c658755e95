"""`antin cert show --at`: what was true of a certificate at a time, what is known today, and the evidence, which it can write to files."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from api.cli.call import Call
from api.cli.context import parse_time, print_json, print_table, writable_folder
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.past_report import describe_gap, describe_past
from api.wiring import Installation
from api.words import Words
from certs.clock import for_people, rfc3339
from certs.inventory import CertificateRecord
from pki.crl_archive import StoredCrl, crl_octets
from pki.history import AnswerEvidence, CrlEvidence, Gap, History, IssuerPast, LifeEvent, Past, Standing, history_of
from signer.storage import OutputFile


def show_past(record: CertificateRecord, options: argparse.Namespace, installation: Installation, call: Call) -> int:
    """Print it, and write the evidence where that is asked for."""
    at = parse_time(options.at)
    if options.pem:
        raise UsageError("PEM_HAS_NO_PAST")
    now = installation.clock.now()
    with installation.database.read() as session:
        history = history_of(session, record.serial, at, now)
    report = describe_past(history, _certificate(record, history.lost))
    written: list[str] = []
    if options.evidence is not None:
        written = _write_evidence(history, report, options.evidence, installation)
    if options.json:
        print_json(call.out, report)
        return 0
    rows = list(_rows(history, call.words))
    if written:
        rows.append([call.words.say("HISTORY_EVIDENCE"), f"{options.evidence.typed}: {', '.join(written)}"])
    print_table(call.out, rows)
    return 0


def _certificate(record: CertificateRecord, lost: Gap | None) -> dict[str, Any]:
    return {
        "serial": record.serial,
        "profile": record.profile,
        "subject": record.subject,
        "common_name": record.common_name,
        "issuer": record.issuer,
        "not_before": rfc3339(record.not_before),
        "not_after": rfc3339(record.not_after),
        "sha256": record.sha256,
        "record_lost": describe_gap(lost),
    }


def _rows(history: History, words: Words) -> Iterator[list[str]]:
    record = history.record
    yield [words.say("COLUMN_SERIAL"), record.serial]
    yield [words.say("COLUMN_COMMON_NAME"), record.common_name]
    yield [words.say("HISTORY_AT"), for_people(history.at)]
    yield [words.say("COLUMN_STATE"), _said_then(history.then, record, words)]
    yield [words.say("HISTORY_TODAY"), _said_today(history, words)]
    for event in history.later:
        yield [words.say("HISTORY_LATER"), _said_later(event, words)]
    for issuer in history.issuers:
        yield [words.say("COLUMN_ISSUER"), _said_issuer(issuer, words)]
    if history.lost is not None:
        yield [words.say("HISTORY_LOST"), said_loss(history.lost, words)]
    if history.gap is not None:
        facts = {"begun": for_people(history.gap.begun), "ended": for_people(history.gap.ended)}
        yield [words.say("HISTORY_GAP"), words.say("HISTORY_GAP_DAYS", facts)]
    for evidence in history.crls:
        label = "HISTORY_DELTA" if evidence.crl.is_delta else "HISTORY_CRL"
        yield [words.say(label), _said_crl(evidence, words)]
    if not history.crls:
        yield [words.say("HISTORY_CRL"), words.say("LISTING_none")]
    yield [words.say("HISTORY_OCSP"), _said_answer(history.answer, words)]


def _said_then(standing: Standing, record: CertificateRecord, words: Words) -> str:
    facts = {
        "since": _shown(standing.revoked_at),
        "reason": standing.reason or "",
        "end": for_people(record.not_after),
        "suspect": _shown(standing.suspect_since),
    }
    said = words.say(f"PAST_{standing.state.value}", facts)
    return said if standing.suspect_since is None else f"{said}; {words.say('HISTORY_SUSPECT', facts)}"


def _said_today(history: History, words: Words) -> str:
    return _said_knowledge(history.then, history.today, words)


def _said_knowledge(then: Standing, today: Standing, words: Words) -> str:
    kind = "same" if today == then else today.state.value
    if kind == then.state.value == Past.REVOKED.value:
        kind = "raised"
    facts = {"since": _shown(today.revoked_at), "reason": today.reason or "", "suspect": _shown(today.suspect_since)}
    return words.say(f"TODAY_{kind}", facts)


def _said_issuer(issuer: IssuerPast, words: Words) -> str:
    said = f"{issuer.authority} {issuer.record.serial}: {_said_then(issuer.then, issuer.record, words)}"
    if issuer.today == issuer.then:
        return said
    return f"{said}; {words.say('HISTORY_TODAY')}: {_said_knowledge(issuer.then, issuer.today, words)}"


def said_loss(lost: Gap, words: Words) -> str:
    """How a certificate's record was lost, and where what is known of it comes from."""
    return words.say("HISTORY_LOST_DAYS", {"begun": for_people(lost.begun), "ended": for_people(lost.ended)})


def _said_later(event: LifeEvent, words: Words) -> str:
    facts = {"time": for_people(event.time), "reason": event.reason or "", "suspect": _shown(event.suspect_since)}
    return words.say(f"LATER_{event.act}", facts)


def _said_crl(evidence: CrlEvidence, words: Words) -> str:
    crl, listing = evidence.crl, evidence.listing
    kind = "absent" if listing is None else "removed" if listing.revoked_at is None else "listed"
    facts = {
        "authority": crl.authority,
        "number": str(crl.number),
        "this_update": for_people(crl.this_update),
        "next_update": for_people(crl.next_update),
        "sha256": crl.sha256,
        "since": _shown(listing.revoked_at) if listing else "",
        "reason": listing.reason if listing else "",
    }
    said = words.say(f"LISTING_{kind}", facts)
    return said if evidence.is_in_force else f"{said}; {words.say('HISTORY_CRL_ENDED')}"


def _said_answer(answer: AnswerEvidence | None, words: Words) -> str:
    if answer is None:
        return words.say("ANSWER_none")
    facts = {
        "reason": answer.reason or "",
        "this_update": for_people(answer.this_update),
        "next_update": for_people(answer.next_update),
        "sha256": answer.sha256,
    }
    said = words.say(f"ANSWER_{answer.status}", facts)
    return said if answer.was_given_out else f"{said}; {words.say('HISTORY_ANSWER_OLD')}"


def _shown(moment: datetime | None) -> str:
    return "" if moment is None else for_people(moment)


def _write_evidence(
    history: History, report: dict[str, Any], folder: TypedPath, installation: Installation
) -> list[str]:
    """All that is needed to check the certificate at that time without asking us, but for trust in the root; the names of the files.

    Each file whole or not at all, into a folder with nothing else in it; what was found comes last, as a sign that all is there.
    """
    writable_folder(folder.path, folder.typed)
    if any(folder.path.iterdir()):
        raise UsageError("EVIDENCE_FOLDER_FULL", path=folder.typed)
    small = {f"ca-{issuer.authority}.cer": _octets(issuer.record) for issuer in history.issuers}
    if history.record.der is not None:
        small = {"certificate.cer": _octets(history.record)} | small
    if history.answer is not None:
        small["answer.ocsp"] = history.answer.octets
    lists = {_list_name(each.crl): each.crl for each in history.lists}
    report["evidence"] = names = [*small, *lists, "history.json"]
    for name, content in small.items():
        _write(folder.path / name, content)
    with installation.database.read() as session:
        for name, crl in lists.items():
            with OutputFile(folder.path / name, expected_size=crl.size, replace=False) as file:
                file.publish_parts(crl_octets(session, crl))
    text = json.dumps(report, ensure_ascii=False, indent=2) + "\n"
    _write(folder.path / "history.json", text.encode())
    return names


def _octets(record: CertificateRecord) -> bytes:
    return record.certificate().public_bytes(Encoding.DER)


def _list_name(crl: StoredCrl) -> str:
    return f"{crl.authority}-{crl.number}-{'delta' if crl.is_delta else 'crl'}.crl"


def _write(path: Path, content: bytes) -> None:
    with OutputFile(path, expected_size=len(content), replace=False) as file:
        file.publish(content)
