"""What `antin sign` and `antin finish` say of a signed file: a line for people, an object for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from api.cli.call import Call
from api.cli.outputs import Job
from api.words import Words, one_line
from signer.codes import grouped
from signer.findings import SafetyFinding
from signer.numbering import written
from signer.signing import SignedDocument


def signed_json(source: str, output: str, document: SignedDocument) -> dict[str, Any]:
    """The object of a file."""
    return {
        "file": source,
        "output": output,
        "code": document.code,
        "sha256": document.sha256,
        "field": document.field,
        "intent": document.intent,
        "level": document.level,
        "pending_level": document.pending,
        "issued": document.issued,
        "number": document.number,
        "placed": document.placed,
        "findings": [each.to_json() for each in document.findings],
    }


def print_signed(source: str, output: str, document: SignedDocument, call: Call) -> None:
    """The line of a file, and of the level it has not reached yet."""
    words = call.words
    facts = {
        "file": source,
        "output": output,
        "code": grouped(document.code),
        "number": written(document.number) if document.number is not None else "",
    }
    call.out.write(words.say("SIGNED_NUMBERED" if document.number is not None else "SIGNED", facts) + "\n")
    warn_of(document.findings, source, call)
    if document.pending is not None:
        waiting = {"file": source, "level": document.level, "pending": document.pending}
        call.err.write(one_line(words.say("SIGNED_BELOW", waiting)) + "\n")


def warn_of(findings: Sequence[SafetyFinding], source: str, call: Call) -> None:
    """A line on standard error for each finding of a file."""
    for each in findings:
        call.err.write(one_line(f"{source}: {describe_finding(each, call.words)}") + "\n")


def describe_finding(finding: SafetyFinding, words: Words) -> str:
    """One finding as a sentence, with its page."""
    said = words.say(f"FINDING_{finding.kind}", {"detail": finding.detail})
    return said if finding.page is None else words.say("FINDING_ON_PAGE", {"page": str(finding.page), "said": said})


def say_signed(job: Job, document: SignedDocument, call: Call, *, is_stamped: bool) -> None:
    """The line of a file, and what else there is to know of it. `is_stamped`: it was signed now, and a visible stamp was asked for."""
    print_signed(job.source.typed, job.target.typed, document, call)
    if document.placed is None and is_stamped:
        call.err.write(one_line(call.words.say("SIGNED_UNSEEN", {"file": job.source.typed})) + "\n")
