"""`antin verify`: judge signed files; in words or as the JSON of the interface."""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Iterator, Sequence

from api.cli.call import Call
from api.cli.context import parse_time, print_json, read_password, refuse_existing
from api.cli.outputs import Job, distinct
from api.cli.parser import TypedPath
from api.cli.trusted import read_trusted
from api.errors import UsageError
from api.report import describe_verdict
from api.wiring import locate, open_installation
from certs.clock import SystemClock
from signer.errors import Refused
from signer.judging import stranger_verifier
from signer.known_files import KnownFiles
from signer.storage import OutputFile
from signer.validation.facts import ValidationInputs
from signer.validation.reasons import combined_exit_code
from signer.validation.verdict import Verdict
from signer.verification import Verifier, verify_file, verify_many

_PORTION = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Judge every file; works without a home too, and then knows only what --trust names."""
    _check(options)
    home, settings = locate(call.environment)
    assert call.judge is not None, "started ahead for this command"
    clock = SystemClock()
    at = parse_time(options.at) if options.at else clock.now()
    anchors, crls = read_trusted(options.trust)
    extra = ValidationInputs(at, anchors, (), crls, read_password(options.password_file))
    limit = settings.validation.max_bytes
    if not home.exists() and not _asks_register(options):
        return _report(options, _judge(options, stranger_verifier(call.judge, extra, clock, limit)), call)
    with open_installation(call.environment, clock, call.judge) as installation:
        verifier = installation.judging.verifier(at, extra, file_limit=limit)
        known = KnownFiles(
            installation.database, installation.blobs, clock, lambda pdf, name: verify_file(pdf, name, verifier)
        )
        asked = [known.by_hash(each) for each in options.sha256] + [known.by_code(each) for each in options.code]
        return _report(options, _judge(options, verifier) + asked, call)


def _asks_register(options: argparse.Namespace) -> bool:
    return bool(options.sha256 or options.code)


def _check(options: argparse.Namespace) -> None:
    """UsageError for a call that names nothing, or more than can be done, before anything is judged."""
    if not options.files and not _asks_register(options):
        raise UsageError("VERIFY_NOTHING")
    if options.content is not None and (len(options.files) != 1 or _asks_register(options)):
        raise UsageError("CONTENT_ONE_FILE")
    if options.extract_revision is None:
        return
    if len(options.files) != 1 or _asks_register(options):
        raise UsageError("EXTRACT_ONE_FILE")
    distinct([Job(options.files[0], options.extract_revision)])
    refuse_existing(options.extract_revision.path, options.extract_revision.typed, force=options.force)


def _judge(options: argparse.Namespace, verifier: Verifier) -> list[Verdict]:
    files: Sequence[TypedPath] = options.files
    if options.content is not None:
        return [verify_file(files[0].path, files[0].path.name, verifier, options.content.path)]
    return list(verify_many([(file.path, file.path.name) for file in files], verifier))


def _report(options: argparse.Namespace, verdicts: list[Verdict], call: Call) -> int:
    written = _extract(options, verdicts[0], call) if options.extract_revision is not None else ""
    if options.json:
        shown = [verdict.to_json() for verdict in verdicts]
        print_json(call.out, shown if len(shown) > 1 else shown[0])
    else:
        for number, verdict in enumerate(verdicts):
            if number:
                call.out.write("\n")
            call.out.write("\n".join(describe_verdict(verdict, call.words)) + "\n")
        if written:
            call.out.write(written + "\n")
    return combined_exit_code(verdict.exit_code for verdict in verdicts)


def _extract(options: argparse.Namespace, verdict: Verdict, call: Call) -> str:
    """Write the octets that a signature covers, hole and all: the document as it was when it was signed. The line that says so."""
    source, target = options.files[0], options.extract_revision
    facts = [each.facts for each in verdict.judged.signatures if options.field in (None, each.facts.field)]
    ends = [each.revision_end for each in facts if each.revision_end is not None]
    if not ends:
        if options.field is None:
            raise Refused("REVISION_NONE", file=source.typed)
        raise Refused("REVISION_UNKNOWN", file=source.typed, field=options.field)
    try:
        # The last of these; what the judge process says of a place is only ever cut at.
        end = min(max(ends), source.path.stat().st_size)
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=source.typed, reason=error.strerror or "") from error
    with OutputFile(target.path, expected_size=end, replace=options.force) as output:
        output.publish_parts(_beginning(source, end, verdict.sha256))
    return call.words.say("REVISION_WRITTEN", {"output": target.typed, "size": str(end)})


def _beginning(source: TypedPath, end: int, sha256: str | None) -> Iterator[bytes]:
    """The first octets of a file, in portions; UsageError in the end when the whole of it is not what was judged."""
    hasher = hashlib.sha256()
    at = 0
    try:
        with source.path.open("rb") as file:
            while piece := file.read(_PORTION):
                hasher.update(piece)
                yield piece[: max(0, end - at)]
                at += len(piece)
    except OSError as error:
        raise UsageError("INPUT_UNREADABLE", path=source.typed, reason=error.strerror or "") from error
    if hasher.hexdigest() != sha256:
        raise UsageError("INPUT_CHANGED", path=source.typed)
