"""`antin document`: the register of signed documents."""

from __future__ import annotations

import argparse
from typing import Any, TextIO

from api.cli.call import Call
from api.cli.context import acting, print_json, print_table, refuse_existing
from api.cli.parser import TypedPath
from api.wiring import open_installation
from api.words import Words
from certs.clock import for_people, rfc3339
from signer.codes import grouped
from signer.documents import Document, document_by_code, list_documents
from signer.errors import UsageWrong
from signer.numbering import written
from signer.recall import recall_document
from signer.storage import OutputFile


def run(options: argparse.Namespace, call: Call) -> int:
    """List documents, show one, hand out its file or take it back."""
    if options.action == "recall":
        return _recall(options, call)
    if options.action == "show" and options.output:
        return _write_file(options, call)
    with open_installation(call.environment) as installation, installation.database.read() as session:
        documents = list_documents(session) if options.action == "list" else [document_by_code(session, options.code)]
    if options.json:
        shown = [_as_json(document) for document in documents]
        print_json(call.out, shown if options.action == "list" else shown[0])
    elif options.action == "list":
        _print_list(documents, call.words, call.out)
    else:
        _print_one(documents[0], call.words, call.out)
    return 0


def _write_file(options: argparse.Namespace, call: Call) -> int:
    """The newest signed revision, as the register keeps it."""
    target: TypedPath = options.output
    with open_installation(call.environment) as installation:
        with installation.database.read() as session:
            document = document_by_code(session, options.code)
        if document.sha256 is None:
            raise UsageWrong("CODE_NOT_FOUND", typed=document.code)
        content = installation.blobs.get(document.sha256)
    refuse_existing(target.path, target.typed, force=options.force)
    with OutputFile(target.path, expected_size=len(content), replace=options.force) as file:
        file.publish(content)
    if options.json:
        print_json(call.out, _as_json(document) | {"output": target.typed})
    else:
        facts = {"code": grouped(document.code), "path": target.typed}
        call.out.write(call.words.say("DOCUMENT_WRITTEN", facts) + "\n")
    return 0


def _recall(options: argparse.Namespace, call: Call) -> int:
    with open_installation(call.environment) as installation:
        actor = acting(call, installation)
        document = recall_document(options.code, options.reason, actor, installation.database, installation.clock)
    if options.json:
        print_json(call.out, _as_json(document))
    else:
        call.out.write(call.words.say("DOCUMENT_RECALLED", {"code": grouped(document.code)}) + "\n")
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
    return for_people(document.issued_at) if document.issued_at else words.say("NOT_ISSUED")


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


def _print_one(document: Document, words: Words, out: TextIO) -> None:
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
    print_table(out, [[words.say(f"COLUMN_{name}"), value] for name, value in facts])
    for act in document.acts:
        line = {
            "level": act.level,
            "credential": act.credential,
            "intent": act.intent,
            "state": act.state,
            "time": for_people(act.claimed_time),
        }
        out.write("  " + words.say("ACT_LINE", line) + "\n")
    if document.pending is not None:
        waits = document.pending
        facts_of = {"level": waits.level, "time": for_people(waits.asked_at), "reason": waits.failure}
        out.write("  " + words.say("LEVEL_PENDING", facts_of) + "\n")
