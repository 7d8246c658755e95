"""Verifying a file: the one function that command line, HTTP and pages call. Whatever happens becomes a verdict."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path

from certs.clock import Clock
from signer.long_file import LONG, LongFile, Source
from signer.octets import Octets, sha256_of
from signer.revocation_sources import Completed
from signer.sandbox import Judge
from signer.validation.content import content_of, with_digests
from signer.validation.dossier import Dossier, own_record
from signer.validation.errors import FactsUnreadable, InputsUnreadable, SandboxFailure, SandboxTaskFailed
from signer.validation.facts import FileFacts, ValidationInputs
from signer.validation.policy import JudgedFile, OwnCertificate, OwnStatus, Policy
from signer.validation.verdict import DocumentStatus, Verdict, verdict_of

FILE_LIMIT = 2000 * 1024 * 1024


@dataclass(frozen=True)
class Known:
    """What an installation knows of one file: the state of each certificate that is its own, and the document it registered."""

    own: Mapping[str, OwnCertificate] = field(default_factory=dict)
    document: DocumentStatus | None = None


# Asked once a file: SHA-256 of the certificates it leans on, and of the file and its signed revisions, the whole first.
LookUp = Callable[[Sequence[str], Sequence[str]], Known]

Complete = Callable[[FileFacts, OwnStatus, datetime, Policy], Completed]

# What a failure of the judge process says about the file; everything else says that the file is damaged.
_CAUSES = {
    "SANDBOX_TIMEOUT": "UNREADABLE_LIMIT",
    "SANDBOX_MEMORY": "UNREADABLE_LIMIT",
    "SANDBOX_TOO_LARGE": "UNREADABLE_TOO_LARGE",
}
# A file that does not unlock, and what signing says of it.
LOCKED = {"UNREADABLE_ENCRYPTED": "INPUT_ENCRYPTED", "UNREADABLE_PASSWORD_WRONG": "INPUT_PASSWORD_WRONG"}
# These happen before a file is looked at.
_OUR_FAULT = frozenset({"start", "ModuleNotFoundError", "ImportError"})


@dataclass(frozen=True)
class Verifier:
    """What verifying needs besides a file. `inputs.at` is the time in question, `clock` the time of the verdict."""

    judge: Judge
    inputs: ValidationInputs
    look_up: LookUp
    clock: Clock
    policy: Policy
    file_limit: int = FILE_LIMIT
    # Puts what can be found out about revocations besides into the facts before they are judged (revocation_sources.py).
    complete: Complete | None = None
    # Somebody asked for `inputs.at`; otherwise it is the time of checking.
    is_past: bool = False
    # The octets behind inputs.content, for what else of them is asked for.
    beside: Octets | None = None


def verify_file(source: Path | Octets, name: str, verifier: Verifier, content: Path | Octets | None = None) -> Verdict:
    """Judge one file, given as a path or as its bytes; `name` is what the verdict calls it.

    `content`: what the file signs or stamps, where that stands in another one; it is hashed here and parsed nowhere.
    Whatever is wrong with the file becomes a verdict. InputsUnreadable is raised when an anchor or list given is none.
    """
    if content is not None:
        beside, unreadable = _read(content, verifier.file_limit) if isinstance(content, Path) else (content, "")
        if unreadable or len(beside) > verifier.file_limit:
            return _verdict(name, None, None, JudgedFile("unreadable", "UNREADABLE_CONTENT"), None, verifier)
        return _verify_beside(source, name, verifier, beside)
    return _verify_alone(source, name, verifier)


def _verify_beside(source: Path | Octets, name: str, verifier: Verifier, beside: Octets) -> Verdict:
    verifier = replace(verifier, beside=beside, inputs=replace(verifier.inputs, content=content_of(beside)))
    verdict = _while_unchanged(beside, lambda: _verify_alone(source, name, verifier))
    return verdict or _verdict(name, None, None, JudgedFile("unreadable", "UNREADABLE_CONTENT"), None, verifier)


def _verify_alone(source: Path | Octets, name: str, verifier: Verifier) -> Verdict:
    if isinstance(source, Path):
        pdf, unreadable = _read(source, verifier.file_limit)
    else:
        pdf, unreadable = source, "UNREADABLE_TOO_LARGE" if len(source) > verifier.file_limit else ""
    if unreadable:
        return _verdict(name, None, None, JudgedFile("unreadable", unreadable), None, verifier)
    verdict = _while_unchanged(pdf, lambda: _judged(pdf, name, verifier))
    return verdict or _verdict(name, None, None, JudgedFile("unreadable", "UNREADABLE_NO_ACCESS"), None, verifier)


def _while_unchanged(octets: Octets, judge: Callable[[], Verdict]) -> Verdict | None:
    """What `judge` says; None when a long file was changed meanwhile: what was hashed and what was looked at may be two files."""
    if isinstance(octets, bytes):
        return judge()
    try:
        before = octets.source.changed_at()
        verdict = judge()
        if octets.source.changed_at() == before:
            return verdict
    except OSError:
        pass  # somebody cuts it off while it is read
    return None


def _judged(pdf: Octets, name: str, verifier: Verifier) -> Verdict:
    if isinstance(pdf, LongFile):
        # Both processes hash it, since neither believes the other; this one begins while that one is asked.
        pdf.source.hash_ahead(pdf.size)
    sha256 = sha256_of(pdf) if isinstance(pdf, bytes) else ""
    try:
        facts = _gather(pdf, verifier)
        if facts.wanted_digests and verifier.beside is not None:
            facts = _gather_again(pdf, verifier, verifier.beside, facts.wanted_digests)
        sha256 = sha256 or sha256_of(pdf)
        if facts.sha256 != sha256 or facts.size != len(pdf):
            raise FactsUnreadable("the judge answered about another file")
    except SandboxFailure as failure:
        if isinstance(failure, SandboxTaskFailed) and failure.error_code == InputsUnreadable.code:
            raise InputsUnreadable("what validation should lean on cannot be read", **failure.error_facts) from failure
        judged = JudgedFile("unreadable", _cause(failure))
        sha256 = sha256 or sha256_of(pdf)
        return _verdict(name, sha256, None, judged, verifier.look_up((), [sha256]).document, verifier)
    certificates = facts.certificate_hashes()
    known = verifier.look_up(certificates, _revision_hashes(pdf, sha256, facts, verifier.beside))
    judged_whole = None
    if verifier.complete is not None:
        # A certificate that nobody asked about is an error of ours, and must not pass for a stranger's.
        own = {each: known.own.get(each) for each in certificates}
        completed = verifier.complete(facts, own.__getitem__, verifier.inputs.at, verifier.policy)
        facts, judged_whole = completed.facts, completed.judged
    records = tuple(own_record(each, known.own[each]) for each in certificates if each in known.own)
    now, policy = verifier.clock.now(), verifier.policy
    dossier = Dossier(name, verifier.inputs.at, now, policy.name, facts, records, known.document, verifier.is_past)
    return verdict_of(dossier, policy, judged_whole)


def verify_many(sources: Iterable[tuple[Path | Octets, str]], verifier: Verifier) -> Iterator[Verdict]:
    """Judge several files with one judge process, in the order given."""
    for source, name in sources:
        yield verify_file(source, name, verifier)


def _read(path: Path, limit: int) -> tuple[Octets, str]:
    """The file's octets, or why there are none. Never waits on a pipe and never reads past the limit."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return b"", "UNREADABLE_MISSING"
    except (OSError, ValueError):
        return b"", "UNREADABLE_NO_ACCESS"
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            return b"", "UNREADABLE_NOT_FILE"
        if status.st_size > limit:
            return b"", "UNREADABLE_TOO_LARGE"
        if status.st_size > LONG:
            return LongFile(Source(os.dup(descriptor), status.st_size)), ""
        with open(descriptor, "rb", closefd=False) as stream:
            pdf = stream.read(limit + 1)
    except OSError:
        return b"", "UNREADABLE_NO_ACCESS"
    finally:
        os.close(descriptor)
    return (b"", "UNREADABLE_TOO_LARGE") if len(pdf) > limit else (pdf, "")


def _gather(pdf: Octets, verifier: Verifier) -> FileFacts:
    header, blobs = verifier.inputs.to_message()
    answer, _ = verifier.judge.run("gather", header, [pdf, *blobs])
    return FileFacts.from_json(answer)


def _gather_again(pdf: Octets, verifier: Verifier, beside: Octets, wanted: Sequence[str]) -> FileFacts:
    """Once more with the digests that the file asks for; what nobody knows here stays unknown."""
    assert verifier.inputs.content is not None
    content = with_digests(verifier.inputs.content, beside, wanted)
    return _gather(pdf, replace(verifier, inputs=replace(verifier.inputs, content=content)))


def _revision_hashes(pdf: Octets, sha256: str, facts: FileFacts, beside: Octets | None) -> list[str]:
    """SHA-256 of the file and of each signed revision, computed here: the judge process is not believed about them.

    Where a content stands beside, that is the document.
    """
    if beside is not None:
        return [sha256_of(beside), sha256]
    ends = {s.revision_end for s in facts.signatures if s.revision_end is not None and 0 < s.revision_end <= len(pdf)}
    return [sha256, *(sha256_of(pdf, end) for end in sorted(ends, reverse=True) if end != len(pdf))]


def _cause(failure: SandboxFailure) -> str:
    if failure.facts.get("reason") in _OUR_FAULT or failure.facts.get("kind") in _OUR_FAULT:
        return "JUDGE_UNAVAILABLE"
    return _CAUSES.get(failure.code, "UNREADABLE_DAMAGED")


def _verdict(
    name: str,
    sha256: str | None,
    kind: str | None,
    judged: JudgedFile,
    document: DocumentStatus | None,
    verifier: Verifier,
) -> Verdict:
    return Verdict(
        file=name,
        sha256=sha256,
        format=kind,
        judged=judged,
        document=document,
        policy=verifier.policy,
        checked_at=verifier.clock.now(),
        at=verifier.inputs.at if verifier.is_past else None,
    )
