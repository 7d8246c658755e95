"""`antin verify`: judge signed files; in words or as the JSON of the interface."""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace

from api.cli.call import Call
from api.cli.context import language_of, print_json, read_input, read_password, refuse_existing
from api.cli.outputs import Job, distinct
from api.cli.parser import TypedPath
from api.cli.trusted import read_trusted
from api.errors import UsageError
from api.leaning import leaning_of, policies_of
from api.receipts import ReceiptDesk
from api.report import describe_verdict
from api.wiring import Installation, locate, open_installation
from api.wishes import parse_wish
from certs.clock import SystemClock
from hsm.errors import HSMError
from pki.errors import PkiError
from signer.errors import Refused, Unavailable
from signer.judging import stranger_verifier
from signer.known_files import KnownFiles
from signer.octets import Octets
from signer.revocation_cache import MemoryCache
from signer.storage import OutputFile
from signer.validation.dossier import LARGEST, parse_dossier
from signer.validation.facts import ValidationInputs
from signer.validation.reasons import combined_exit_code
from signer.validation.rules import PolicyShelf
from signer.validation.verdict import Verdict, verdict_of
from signer.verification import Verifier, verify_file, verify_many

_PORTION = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Judge every file; works without a home too, and then knows only what --trust names."""
    _check(options)
    home, settings = locate(call.environment)
    clock = SystemClock()
    wish = parse_wish(options.policy, options.at, clock.now())
    if options.from_facts is not None:
        return _report(options, [_judge_facts(options, policies_of(home.root, settings))], call)
    assert call.judge is not None, "started ahead for this command"
    at = wish.at or clock.now()
    anchors, crls = read_trusted(options.trust)
    extra = ValidationInputs(at, anchors, (), crls, read_password(options.password_file))
    limit = settings.validation.max_bytes
    if not home.exists() and options.receipt is not None:
        raise UsageError("RECEIPT_NO_HOME")
    if not home.exists() and not _asks_register(options):
        leaning = leaning_of(home, settings, MemoryCache())
        leaning = replace(leaning, fetcher=None) if options.offline else leaning
        policy = leaning.policies.get(wish.policy)
        verifier = stranger_verifier(call.judge, extra, clock, limit, policy, leaning)
        return _report(options, _judge(options, verifier), call)
    with open_installation(call.environment, clock, call.judge) as installation:
        policy = installation.leaning.policies.get(wish.policy)
        verifier = installation.judging.verifier(
            wish.at, extra, file_limit=limit, policy=policy, offline=options.offline
        )
        judging = functools.partial(_judge_octets, verifier)
        known = KnownFiles(installation.database, installation.blobs, clock, judging, policy)
        asked = [known.by_hash(each) for each in options.sha256] + [known.by_code(each) for each in options.code]
        verdicts = _judge(options, verifier) + asked
        code = _report(options, verdicts, call)
        if options.receipt is not None:
            _write_receipt(options, verdicts[0], installation, call)
        return code


def _write_receipt(options: argparse.Namespace, verdict: Verdict, installation: Installation, call: Call) -> None:
    """Write the receipt, after the verdict was said: that stands, whatever becomes of the receipt."""
    try:
        octets = ReceiptDesk(installation).make(verdict, options.lang or language_of(call.environment))
    except (HSMError, PkiError) as error:
        raise Unavailable("RECEIPT_AWAY", reason=error.code) from error
    with OutputFile(options.receipt.path, expected_size=len(octets), replace=options.force) as output:
        output.publish_parts([octets])
    if not options.json:
        call.out.write(call.words.say("RECEIPT_WRITTEN", {"output": options.receipt.typed}) + "\n")


def _judge_octets(verifier: Verifier, pdf: Octets, name: str) -> Verdict:
    return verify_file(pdf, name, verifier)


def _judge_facts(options: argparse.Namespace, policies: PolicyShelf) -> Verdict:
    """The verdict on facts that were written before, by the same policy where none is named."""
    dossier = parse_dossier(read_input(options.from_facts, LARGEST), options.from_facts.typed)
    return verdict_of(dossier, policies.get(options.policy or dossier.policy))


def _asks_register(options: argparse.Namespace) -> bool:
    return bool(options.sha256 or options.code)


def _check(options: argparse.Namespace) -> None:
    """UsageError for a call that names nothing, or more than can be done, before anything is judged."""
    if options.from_facts is not None:
        others = (
            options.files,
            options.sha256,
            options.code,
            options.at,
            options.trust,
            options.content,
            options.extract_revision,
            options.receipt,
        )
        if any(others) or options.facts is not None:
            raise UsageError("FACTS_ALONE")
        return
    if not options.files and not _asks_register(options):
        raise UsageError("VERIFY_NOTHING")
    if options.content is not None and (len(options.files) != 1 or _asks_register(options)):
        raise UsageError("CONTENT_ONE_FILE")
    if options.lang is not None and options.receipt is None:
        raise UsageError("RECEIPT_LANGUAGE_ALONE")
    if options.receipt is not None:
        if len(options.files) + len(options.sha256) + len(options.code) != 1:
            raise UsageError("RECEIPT_ONE_FILE")
        if options.files:
            distinct([Job(options.files[0], options.receipt)])
        refuse_existing(options.receipt.path, options.receipt.typed, force=options.force)
    for target in filter(None, (options.extract_revision, options.facts)):
        if len(options.files) != 1 or _asks_register(options):
            raise UsageError("EXTRACT_ONE_FILE" if target is options.extract_revision else "FACTS_ONE_FILE")
        distinct([Job(options.files[0], target)])
        refuse_existing(target.path, target.typed, force=options.force)


def _judge(options: argparse.Namespace, verifier: Verifier) -> list[Verdict]:
    files: Sequence[TypedPath] = options.files
    if options.content is not None:
        return [verify_file(files[0].path, files[0].path.name, verifier, options.content.path)]
    return list(verify_many([(file.path, file.path.name) for file in files], verifier))


def _report(options: argparse.Namespace, verdicts: list[Verdict], call: Call) -> int:
    written = _extract(options, verdicts[0], call) if options.extract_revision is not None else ""
    if options.facts is not None:
        _write_facts(options, verdicts[0])
    if options.json:
        shown = [verdict.to_json() for verdict in verdicts]
        print_json(call.out, shown if len(shown) > 1 else shown[0])
    else:
        for number, verdict in enumerate(verdicts):
            if number:
                call.out.write("\n")
            call.out.write("\n".join(describe_verdict(verdict, call.words)) + "\n")
        if options.from_facts is not None:
            call.out.write(call.words.say("REPORT_FROM_FACTS") + "\n")
        if written:
            call.out.write(written + "\n")
    return combined_exit_code(verdict.exit_code for verdict in verdicts)


def _write_facts(options: argparse.Namespace, verdict: Verdict) -> None:
    """Write what the verdict goes by. Refused where the file could not even be read: there are no facts then."""
    if verdict.dossier is None:
        raise Refused("FACTS_NONE", file=options.files[0].typed, reason=verdict.reason)
    octets = json.dumps(verdict.dossier.to_json(), ensure_ascii=False, indent=1).encode("utf-8") + b"\n"
    with OutputFile(options.facts.path, expected_size=len(octets), replace=options.force) as output:
        output.publish_parts([octets])


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
