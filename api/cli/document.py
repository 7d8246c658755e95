"""`antin document`: the register of signed documents."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, refuse_existing
from api.cli.outputs import refuse_unmarked
from api.cli.parser import TypedPath
from api.lineage_report import describe_lineage, lineage_lines
from api.metadata_report import metadata_rows
from api.wiring import open_installation
from api.words import Words
from certs.clock import for_people, rfc3339
from signer.admission import awaits_seal
from signer.codes import grouped
from signer.documents import Document, document_by_code
from signer.errors import UsageWrong
from signer.lineage import CORRECTED, RECALLED, REPLACED, Lineage, lineage_of
from signer.numbering import written
from signer.recall import recall_document
from signer.register_search import NAMES, parse_query, search_documents
from signer.storage import OutputFile
from signer.succession import Succession, record_succession

# What an action makes of a document.
_CHANGES = {"recall": RECALLED, "replace": REPLACED, "correct": CORRECTED}


def run(options: argparse.Namespace, call: Call) -> int:
    """List documents, show one, hand out its file, take it back, or let another replace or correct it."""
    if options.action in _CHANGES:
        return _change_status(options, call)
    if options.action == "show" and options.output:
        return _write_file(options, call)
    with open_installation(call.environment) as installation, installation.database.read() as session:
        if options.action == "show":
            document = document_by_code(session, options.code)
            lineage = lineage_of(session, document.code)
        else:
            wanted = parse_query({name: getattr(options, name) for name in NAMES})
            documents = search_documents(session, wanted, options.limit, options.after)
    if options.action == "show":
        if options.json:
            print_json(call.out, _as_json(document) | describe_lineage(lineage))
        else:
            _print_one(document, lineage, call.words, call.out)
    elif options.json:
        print_json(call.out, [_as_json(document) for document in documents])
    else:
        _print_list(documents, call.words, call.out)
    return 0


def _write_file(options: argparse.Namespace, call: Call) -> int:
    """The newest signed revision, as the register keeps it."""
    target: TypedPath = options.output
    with open_installation(call.environment) as installation:
        with installation.database.read() as session:
            document = document_by_code(session, options.code)
        if document.sha256 is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=document.code)
        if installation.training:
            refuse_unmarked(target)
        content = installation.blobs.open(document.sha256)
    refuse_existing(target.path, target.typed, force=options.force)
    with OutputFile(target.path, expected_size=len(content), replace=options.force) as file:
        file.publish(content)
    if options.json:
        print_json(call.out, _as_json(document) | {"output": target.typed})
    else:
        facts = {"code": grouped(document.code), "path": target.typed}
        call.out.write(call.words.say("DOCUMENT_WRITTEN", facts) + "\n")
    return 0


def _change_status(options: argparse.Namespace, call: Call) -> int:
    """Recall, replace or correct; the document as it is now."""
    status = _CHANGES[options.action]
    with open_installation(call.environment) as installation:
        actor = acting(call, installation)
        database, clock = installation.database, installation.clock
        if status == RECALLED:
            document = recall_document(options.code, options.reason, actor, database, clock)
        else:
            wanted = Succession(options.code, options.by, status, options.reason)
            document = record_succession(wanted, actor, database, clock)
        with database.read() as session:
            lineage = lineage_of(session, document.code)
    if options.json:
        print_json(call.out, _as_json(document) | describe_lineage(lineage))
    else:
        facts = {"code": grouped(document.code), "by": grouped(lineage.changes[-1].by or "")}
        call.out.write(call.words.say(f"DOCUMENT_{status.upper()}", facts) + "\n")
    return 0


def _as_json(document: Document) -> dict[str, Any]:
    return {
        "code": document.code,
        "status": document.status,
        "issued": document.issued,
        "agency": document.agency,
        "name": document.name,
        "subject": document.subject,
        "number": document.number,
        "year": document.number_year,
        "notation": document.notation,
        "created_at": rfc3339(document.created_at),
        "issued_at": rfc3339(document.issued_at) if document.issued_at else None,
        "sha256": document.sha256,
        "metadata": document.details,
        "pending_level": _pending(document),
        "signatures": [
            {
                "state": act.state,
                "credential": act.credential,
                "intent": act.intent,
                "level": act.level,
                "field": act.field,
                "certificate": act.certificate_serial,
                "claimed_time": rfc3339(act.claimed_time),
                "sha256": act.sha256,
                "actor": act.actor,
                "particulars": act.particulars or {},
                "failure": act.failure,
            }
            for act in document.acts
        ],
    }


def _pending(document: Document) -> dict[str, Any] | None:
    """The level that was asked for and is still to be reached; `reason` is what was in the way the last time."""
    waits = document.pending
    if waits is None:
        return None
    return {
        "level": waits.level, "since": rfc3339(waits.asked_at), "attempts": waits.attempts, "reason": waits.failure,
    }  # fmt: skip


def _number(document: Document) -> str:
    if document.number is None:
        return "–"
    return written(document.number) + (f"/{document.notation}" if document.notation else "")


def _issued(document: Document, words: Words) -> str:
    """When the agency's seal made it a document of the agency."""
    if document.issued_at is not None:
        return for_people(document.issued_at)
    # What arrived, a copy or an appendix waits for no seal.
    return words.say("NOT_ISSUED") if awaits_seal(document) else "–"


def _print_list(documents: list[Document], words: Words, out: TextIO) -> None:
    table = [[words.say(f"COLUMN_{name}") for name in ("CODE", "STATUS", "ISSUED", "NUMBER", "CREATED_AT", "NAME")]]
    table += [
        [
            grouped(each.code),
            words.say(f"STATUS_{each.status}"),
            _issued(each, words),
            _number(each),
            for_people(each.created_at),
            each.name,
        ]
        for each in documents
    ]
    print_table(out, table)


def _print_one(document: Document, lineage: Lineage, words: Words, out: TextIO) -> None:
    facts = [
        ("CODE", grouped(document.code)),
        ("STATUS", words.say(f"STATUS_{document.status}")),
        ("ISSUED", _issued(document, words)),
        ("NUMBER", _number(document)),
        ("AGENCY", document.agency),
        ("SUMMARY", document.subject or "–"),
        ("NAME", document.name),
        ("CREATED_AT", for_people(document.created_at)),
        ("SHA256", document.sha256 or "–"),
    ]
    rows = [(words.say(f"COLUMN_{name}"), value) for name, value in facts]
    # The subject has its row above.
    rows += metadata_rows({name: value for name, value in document.details.items() if name != "Subject"}, words)
    print_table(out, [list(row) for row in rows])
    for line in lineage_lines(lineage, document.code, words):
        out.write("  " + line + "\n")
    for act in document.acts:
        signed = {
            "level": act.level,
            "credential": act.signed_by,
            "intent": words.say(f"INTENT_{act.intent}"),
            "state": act.state,
            "time": for_people(act.claimed_time),
        }
        out.write("  " + words.say("ACT_LINE", signed) + "\n")
        main = (act.particulars or {}).get("main")
        if main:
            out.write("    " + words.say("APPENDIX_OF", {"main": grouped(main)}) + "\n")
    if document.pending is not None:
        waits = document.pending
        facts_of = {"level": waits.level, "time": for_people(waits.asked_at), "reason": waits.failure}
        out.write("  " + words.say("LEVEL_PENDING", facts_of) + "\n")
