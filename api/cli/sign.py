"""`antin sign`: stamp and sign PDF files, one or many; one refused file does not stop the others."""

from __future__ import annotations

import argparse
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, refuse_existing, writable_folder
from api.cli.failures import describe
from api.cli.parser import TypedPath
from api.errors import UsageError
from api.wiring import Installation, open_installation
from api.words import Words, one_line
from pki.audit import Actor
from signer.appearance.geometry import parse_placement
from signer.codes import grouped
from signer.metadata import Metadata, parse_metadata
from signer.numbering import written
from signer.signing import SignedDocument, SignRequest, sign_document
from signer.storage import OutputFile
from signer.validation.reasons import combined_exit_code

_METADATA_FILE = 1024 * 1024
# What a signature adds at most: certificates, a picture, a font.
_GROWTH = 512 * 1024


@dataclass(frozen=True)
class _Job:
    source: TypedPath
    target: TypedPath


def run(options: argparse.Namespace, call: Call) -> int:
    """Sign every file; a line each, or a JSON array. A single file's failure is the command's."""
    parse_placement(options.placement)
    with open_installation(call.environment, judge=call.judge) as installation:
        jobs = _jobs(options)
        metadata = read_metadata(options)
        actor = acting(call, installation)
        if len(jobs) == 1:
            document = _sign(jobs[0], metadata, options, installation, actor)
            _say(jobs[0], document, options, call.words, call.out)
            return 0
        return _sign_many(jobs, metadata, options, installation, actor, call)


def _sign_many(
    jobs: list[_Job],
    metadata: Metadata,
    options: argparse.Namespace,
    installation: Installation,
    actor: Actor,
    call: Call,
) -> int:
    words, out = call.words, call.out
    exits: set[int] = set()
    results: list[dict[str, Any]] = []
    for job in jobs:
        try:
            document = _sign(job, metadata, options, installation, actor)
        except Exception as error:  # noqa: BLE001  one refused file does not stop the others
            exit_code, code, facts = describe(error)
            exits.add(exit_code)
            results.append({"file": job.source.typed, "error": code, "facts": facts})
            if not options.json:
                sys.stderr.write(f"antin: {one_line(job.source.typed)}: {one_line(words.say(code, facts))}\n")
        else:
            results.append(signed_json(job.source.typed, job.target.typed, document))
            if not options.json:
                _say(job, document, options, words, out)
    if options.json:
        print_json(out, results)
    return combined_exit_code(exits)


def _sign(
    job: _Job, metadata: Metadata, options: argparse.Namespace, installation: Installation, actor: Actor
) -> SignedDocument:
    settings = installation.settings
    pdf = read_input(job.source, settings.sign.max_bytes)
    refuse_existing(job.target.path, job.target.typed, force=options.force)
    request = SignRequest(
        pdf=pdf,
        name=job.source.path.name,
        credential=options.credential,
        intent=options.intent,
        level=options.level or settings.sign.level,
        metadata=metadata,
        placement=options.placement,
        field=options.field,
        subfilter=options.subfilter or settings.sign.subfilter,
    )
    # The output's space is taken before the key is used: a full disk must not cost a signature.
    with OutputFile(job.target.path, expected_size=len(pdf) + _GROWTH, replace=options.force) as file:
        document = sign_document(request, actor, installation.signing)
        file.publish(document.content)
    return document


def read_metadata(options: argparse.Namespace) -> Metadata:
    """What `--metadata` names; UsageError METADATA_NOT_JSON."""
    if options.metadata is None:
        return {}
    raw = read_input(options.metadata, _METADATA_FILE)
    try:
        return parse_metadata(json.loads(raw.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        raise UsageError("METADATA_NOT_JSON", path=options.metadata.typed) from None


def _jobs(options: argparse.Namespace) -> list[_Job]:
    """Which file becomes which; refused before anything is signed when two would become one."""
    files: list[TypedPath] = options.files
    if len(files) == 1 and not (options.output and options.output.path.is_dir()):
        return _distinct([_Job(files[0], options.output or _default_target(files[0]))])
    if options.output is None:
        return _distinct([_Job(file, _default_target(file)) for file in files])
    if options.output.path.exists() and not options.output.path.is_dir():
        raise UsageError("OUTPUT_NOT_FOLDER", path=options.output.typed)
    writable_folder(options.output.path, options.output.typed)
    return _distinct(
        [
            _Job(
                file, TypedPath(str(Path(options.output.typed) / file.path.name), options.output.path / file.path.name)
            )
            for file in files
        ]
    )


def _distinct(jobs: list[_Job]) -> list[_Job]:
    inputs = {(status.st_dev, status.st_ino) for job in jobs if (status := _status(job.source.path))}
    seen: set[Path] = set()
    for job in jobs:
        # Any of the inputs, not only its own: with --force NAME-signed.pdf of one file may be another.
        present = _status(job.target.path)
        if present and (present.st_dev, present.st_ino) in inputs:
            raise UsageError("OUTPUT_IS_INPUT", path=job.target.typed)
        target = job.target.path.parent.resolve() / job.target.path.name
        if target in seen:
            raise UsageError("OUTPUT_TWICE", path=job.target.typed)
        seen.add(target)
    return jobs


def _status(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except OSError:
        return None  # said when it is read or written


def _default_target(source: TypedPath) -> TypedPath:
    name = f"{source.path.stem}-signed.pdf"
    return TypedPath(str(Path(source.typed).parent / name), source.path.parent / name)


def signed_json(source: str, output: str, document: SignedDocument) -> dict[str, Any]:
    """A signed document for programs."""
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
    }


def _say(job: _Job, document: SignedDocument, options: argparse.Namespace, words: Words, out: TextIO) -> None:
    if options.json:
        if len(options.files) == 1:
            print_json(out, signed_json(job.source.typed, job.target.typed, document))
        return
    print_signed(job.source.typed, job.target.typed, document, words, out)
    if document.placed is None and options.placement != "none":
        sys.stderr.write(one_line(words.say("SIGNED_UNSEEN", {"file": job.source.typed})) + "\n")


def print_signed(source: str, output: str, document: SignedDocument, words: Words, out: TextIO) -> None:
    """A signed document for people."""
    facts = {
        "file": source,
        "output": output,
        "code": grouped(document.code),
        "number": written(document.number) if document.number is not None else "",
    }
    out.write(words.say("SIGNED_NUMBERED" if document.number is not None else "SIGNED", facts) + "\n")
    if document.pending is not None:
        waiting = {"file": source, "level": document.level, "pending": document.pending}
        sys.stderr.write(one_line(words.say("SIGNED_BELOW", waiting)) + "\n")
