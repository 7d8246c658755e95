"""`antin sign` over many files: signed in chunks, each output written when its chunk is committed, a line for each file."""

from __future__ import annotations

import argparse
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from api.cli.call import Call
from api.cli.context import print_json, read_password, refuse_existing, take_input
from api.cli.failures import describe
from api.cli.interruption import Interruption
from api.cli.outputs import Job
from api.cli.progress import Progress
from api.cli.sign_again import done_before
from api.cli.sign_report import say_signed, signed_json
from api.errors import UsageError
from api.wiring import Installation
from api.words import one_line
from pki.audit import Actor
from signer.metadata import Metadata
from signer.particulars import parse_particulars
from signer.protection import parse_protection
from signer.signing import SignedDocument, SignRequest
from signer.signing_chunks import sign_in_chunks
from signer.storage import OutputFile, publish_all
from signer.validation.reasons import combined_exit_code

# What a signature adds at most: certificates, a picture, a font.
GROWTH = 512 * 1024


@dataclass
class _Place:
    """One file in its row. Without document and error it is still to come. `is_new`: signed now, not in a run before."""

    job: Job
    is_new: bool = True
    output: OutputFile | None = None
    document: SignedDocument | None = None
    error: Exception | None = None

    @property
    def is_over(self) -> bool:
        return self.document is not None or self.error is not None


def sign_request(job: Job, metadata: Metadata, options: argparse.Namespace, installation: Installation) -> SignRequest:
    """The request for a file, which is read."""
    settings = installation.settings
    return SignRequest(
        pdf=take_input(job.source, settings.sign.max_bytes, installation.blobs, GROWTH),
        name=job.source.path.name,
        credential=options.credential,
        intent=options.intent,
        level=options.level or settings.sign.level,
        metadata=metadata,
        placement=options.placement,
        field=options.field,
        protection=parse_protection(options.certify, options.lock),
        password=read_password(options.password_file),
        subfilter=options.subfilter or settings.sign.subfilter,
        particulars=parse_particulars(options.main, options.copy_form, options.copy_source, options.comment),
        activation=options.activation,
    )


class ManyFiles:
    """The row of files of one command."""

    def __init__(
        self,
        jobs: Sequence[Job],
        metadata: Metadata,
        options: argparse.Namespace,
        installation: Installation,
        actor: Actor,
        call: Call,
    ) -> None:
        self._jobs = jobs
        self._metadata = metadata
        self._options = options
        self._installation = installation
        self._actor = actor
        self._call = call
        self._progress = Progress(len(jobs), call.words, call.err)
        # Those whose line is not printed yet, and among them those that are being signed.
        self._row: deque[_Place] = deque()
        self._asked: deque[_Place] = deque()
        self._exits: set[int] = set()
        self._results: list[dict[str, object]] = []
        self._done = self._refused = 0

    def sign(self) -> int:
        """Sign them all, or as far as nobody stops it; the exit code."""
        with Interruption() as interruption:
            try:
                deps = self._installation.signing_many
                for results in sign_in_chunks(self._requests(), self._actor, deps, interruption.is_asked):
                    self._write(results)
                    self._print()
                self._print()
            finally:
                for place in self._asked:
                    _discard(place)
                self._progress.clear()
        if self._options.json:
            print_json(self._call.out, [*self._results, *self._not_begun()])
        left = len(self._jobs) - self._done - self._refused
        if interruption.is_asked() and left:
            facts = {"done": str(self._done), "refused": str(self._refused), "left": str(left)}
            self._call.err.write(f"antin: {self._call.words.say('SIGN_STOPPED', facts)}\n")
            return interruption.exit_code
        return combined_exit_code(self._exits)

    def _requests(self) -> Iterator[SignRequest]:
        for job in self._jobs:
            place = _Place(job)
            self._row.append(place)
            try:
                request = self._open(place)
            except Exception as error:  # noqa: BLE001  one refused file does not stop the others
                place.error = error
                continue
            if request is not None:
                self._asked.append(place)
                yield request

    def _open(self, place: _Place) -> SignRequest | None:
        """The request, with room for its output; None when there is nothing to sign."""
        job, options = place.job, self._options
        request = sign_request(job, self._metadata, options, self._installation)
        before = done_before(request, job, self._actor, self._installation) if options.resume else None
        place.is_new = before is None
        if before is not None and before.is_written:
            place.document = before.document
            return None
        refuse_existing(job.target.path, job.target.typed, force=options.force)
        # The output's space is taken before the key is used: a full disk must not cost a signature.
        output = OutputFile(job.target.path, expected_size=len(request.pdf) + GROWTH, replace=options.force)
        output.begin(request.pdf if before is None else before.document.file)
        if before is not None:
            with output:
                output.publish(before.document.file)
            place.document = before.document
            return None
        place.output = output
        return request

    def _write(self, results: Sequence[SignedDocument | Exception | None]) -> None:
        """What has been signed gets its name."""
        places = [self._asked.popleft() for _ in results]
        ready = []
        for place, result in zip(places, results, strict=True):
            if isinstance(result, SignedDocument) and place.output is not None:
                ready.append((place, result, place.output))
            else:
                _discard(place)
                place.error = result if isinstance(result, Exception) else None
        written = publish_all([(output, result.file) for _, result, output in ready])
        for (place, result, _), error in zip(ready, written, strict=True):
            place.document, place.error = (result, None) if error is None else (None, error)

    def _print(self) -> None:
        """A line for each file, in the order in which they were named."""
        while self._row and self._row[0].is_over:
            place = self._row.popleft()
            self._progress.clear()
            if place.error is not None:
                self._say_refused(place, place.error)
            elif place.document is not None:
                self._done += 1
                self._results.append(signed_json(place.job.source.typed, place.job.target.typed, place.document))
                if not self._options.json:
                    is_stamped = place.is_new and self._options.placement != "none"
                    say_signed(place.job, place.document, self._call, is_stamped=is_stamped)
            # Its octets are on disk.
            place.document = None
        self._call.out.flush()
        self._progress.show(self._done + self._refused)

    def _say_refused(self, place: _Place, error: Exception) -> None:
        self._refused += 1
        exit_code, code, facts = describe(error)
        self._exits.add(exit_code)
        self._results.append({"file": place.job.source.typed, "error": code, "facts": facts})
        if not self._options.json:
            said = one_line(self._call.words.say(code, facts))
            self._call.err.write(f"antin: {one_line(place.job.source.typed)}: {said}\n")

    def _not_begun(self) -> list[dict[str, object]]:
        error = UsageError("NOT_BEGUN")
        left = self._jobs[self._done + self._refused :]
        return [{"file": job.source.typed, "error": error.code, "facts": {}} for job in left]


def _discard(place: _Place) -> None:
    if place.output is not None:
        place.output.discard()
        place.output = None
