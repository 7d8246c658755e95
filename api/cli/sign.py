"""`antin sign`: stamp and sign PDF files, one or many; one refused file does not stop the others."""

from __future__ import annotations

import argparse
import json

from api.cli.call import Call
from api.cli.context import acting, print_json, read_input, refuse_existing
from api.cli.outputs import Job, practice_jobs
from api.cli.sign_again import done_before
from api.cli.sign_jobs import is_one, sign_jobs
from api.cli.sign_many import GROWTH, ManyFiles, sign_request
from api.cli.sign_report import say_signed, signed_json
from api.errors import UsageError
from api.wiring import Installation, open_installation
from pki.audit import Actor
from signer.appearance.geometry import parse_placement
from signer.metadata import Metadata, parse_metadata
from signer.protection import parse_protection
from signer.signing import SignedDocument, sign_document
from signer.storage import OutputFile

_METADATA_FILE = 1024 * 1024


def run(options: argparse.Namespace, call: Call) -> int:
    """Sign every file; a line each, or a JSON array. A single file's failure is the command's."""
    parse_placement(options.placement)
    parse_protection(options.certify, options.lock)
    with open_installation(call.environment, judge=call.judge) as installation:
        jobs = sign_jobs(options)
        if installation.training:
            jobs = practice_jobs(jobs, options)
        metadata = read_metadata(options)
        actor = acting(call, installation)
        if not is_one(options):
            return ManyFiles(jobs, metadata, options, installation, actor, call).sign()
        (job,) = jobs
        document, is_new = _sign(job, metadata, options, installation, actor)
        if options.json:
            print_json(call.out, signed_json(job.source.typed, job.target.typed, document))
        else:
            say_signed(job, document, call, is_stamped=is_new and options.placement != "none")
        return 0


def _sign(
    job: Job, metadata: Metadata, options: argparse.Namespace, installation: Installation, actor: Actor
) -> tuple[SignedDocument, bool]:
    """The document, and whether it was signed now, not in a run before."""
    request = sign_request(job, metadata, options, installation)
    before = done_before(request, job, actor, installation) if options.resume else None
    if before is not None and before.is_written:
        return before.document, False
    refuse_existing(job.target.path, job.target.typed, force=options.force)
    # The output's space is taken before the key is used: a full disk must not cost a signature.
    with OutputFile(job.target.path, expected_size=len(request.pdf) + GROWTH, replace=options.force) as file:
        file.begin(request.pdf if before is None else before.document.file)
        document = before.document if before is not None else sign_document(request, actor, installation.signing)
        file.publish(document.file)
    return document, before is None


def read_metadata(options: argparse.Namespace) -> Metadata:
    """What `--metadata` names; UsageError METADATA_NOT_JSON."""
    if options.metadata is None:
        return {}
    raw = read_input(options.metadata, _METADATA_FILE)
    try:
        return parse_metadata(json.loads(raw.decode("utf-8-sig")))
    except (ValueError, RecursionError):
        raise UsageError("METADATA_NOT_JSON", path=options.metadata.typed) from None
