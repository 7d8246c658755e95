"""What `antin sign --resume` finds done already: an output that stands there, or a signature whose output was not written."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta

from api.cli.outputs import Job
from api.wiring import Installation
from pki.audit import Actor
from signer.documents import OPEN, find_signed
from signer.octets import sha256_of
from signer.signing import SignedDocument, SignRequest

# Who goes on with what was broken off does so soon. What was signed longer ago may be meant anew.
_WITHIN = timedelta(days=7)


@dataclass(frozen=True)
class DoneBefore:
    """A document that was signed from the same file. `is_written`: its output stands where it belongs."""

    document: SignedDocument
    is_written: bool


def done_before(request: SignRequest, job: Job, actor: Actor, installation: Installation) -> DoneBefore | None:
    """What the same person made of the same octets, with this credential, for the same level; None when it is still to be signed."""
    since = installation.clock.now() - _WITHIN
    digest = sha256_of(request.pdf)
    with installation.database.read() as session:
        document = find_signed(session, digest, request.credential, actor.name, since)
    if document is None or document.status not in OPEN:
        return None
    act = next((each for each in document.acts if each.input_sha256 == digest and each.state == "done"), None)
    if act is None or act.sha256 is None:
        return None
    pending = document.pending.level if document.pending is not None else None
    if request.level not in (act.level, pending):
        return None
    content = installation.blobs.open(act.sha256)
    is_written = _is_one_of(job, {act.sha256, act.output_sha256})
    return DoneBefore(
        SignedDocument(
            document.code, content, act.sha256, act.field, act.intent, act.level, document.status, document.issued,
            document.number, None, (), pending if pending != act.level else None,
        ),
        is_written,
    )  # fmt: skip


def _is_one_of(job: Job, digests: set[str | None]) -> bool:
    try:
        with job.target.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() in digests
    except OSError:
        return False
