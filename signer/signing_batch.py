"""Many documents signed at once: two commits and few questions to the key for all, a result for each.

The steps are those of signing.py, taken for all before the next one. What is wrong with one document is its result and stops
none of the others; its act and its number are left as a single signature would leave them.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from certs.errors import CertsError, DatabaseUnavailable
from hsm.errors import HSMError
from pki.audit import Actor
from pki.errors import PkiError
from pki.finishing import sign_in_pieces
from pki.roles import Permission, require
from pki.schemes import sign_messages
from signer.appearance.errors import AppearanceError
from signer.credentials import Credential
from signer.errors import Refused, SignerError, Unavailable
from signer.numbering import GivenNumber
from signer.signing_case import embed_and_raise, open_case, prepare_case, reason_of, signed_document
from signer.signing_parts import Case, Made, Outcome, Ready, SignedDocument, SigningDeps, SignRequest
from signer.signing_rows import Begun, Failure, begin_all, fail_all, finish_all, reserve_all

# What more of them share is little, and what a death leaves is more.
MOST = 100
# What speaks against a document, or is away while its turn comes. Anything else is a defect, and is raised.
_ERRORS = (SignerError, AppearanceError, HSMError, PkiError, CertsError)

_STOPPED = "STOPPED"

Result = SignedDocument | Exception | None
T = TypeVar("T")
R = TypeVar("R")


class Ledger(Protocol):
    """Rows of the caller's own that are committed with those of the cycle: what becomes of which document. Uses no key."""

    def note_begun(self, connection: Connection, acts: Sequence[tuple[int, int]]) -> None:
        """Place of the request, and its act."""
        ...

    def note_ended(self, connection: Connection, results: Sequence[tuple[int, SignedDocument | Exception]]) -> None:
        """Place of the request, and what came of it after its act had begun."""
        ...


def never() -> bool:
    """Nobody wants it stopped."""
    return False


class _Patience:
    """Stops a stage that takes longer than it may, but never before something of it is done."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._until: float | None = None

    def begin(self) -> None:
        """A stage begins."""
        self._until = None

    def is_over(self) -> bool:
        """Whether nothing more of the stage is begun. Asked before each document."""
        if self._seconds is None:
            return False
        now = time.monotonic()
        if self._until is None:
            self._until = now + self._seconds
        return now > self._until


@dataclass
class PreparedChunk:
    """Documents on their way: prepared, and nothing is written yet but numbers. `results` by the place of the request."""

    deps: SigningDeps
    count: int
    errors: tuple[type[Exception], ...]
    readies: dict[int, Ready] = field(default_factory=dict)
    results: dict[int, Result] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


def sign_documents(
    requests: Sequence[SignRequest],
    actor: Actor,
    deps: SigningDeps,
    ledger: Ledger | None = None,
    *,
    is_each_alone: bool = False,
    seconds: float | None = None,
) -> list[Result]:
    """Sign each document: what came of it, or the error that speaks against it. A hundred at a time are enough.

    `is_each_alone`: they are of people who know nothing of each other, and a defect that one of them meets is his result too.
    `seconds`: when opening or preparing them takes longer, nothing more is begun, as in `prepare_chunk`; the first one always is.
    """
    errors = (Exception,) if is_each_alone else _ERRORS
    chunk = prepare_chunk(requests, actor, deps, errors=errors, seconds=seconds)
    return finish_chunk(chunk, ledger)


def prepare_chunk(
    requests: Sequence[SignRequest],
    actor: Actor,
    deps: SigningDeps,
    stopped: Callable[[], bool] = never,
    *,
    errors: tuple[type[Exception], ...] = _ERRORS,
    seconds: float | None = None,
) -> PreparedChunk:
    """Steps 1 to 3: decide, number and prepare. Uses no key, and may go on beside the signing of the chunk before.

    When it is `stopped`, or a stage has taken so many `seconds`, nothing more is begun: those have no result. A document that has got its
    number goes on, for the number would be lost. `errors` of one document are its result.
    """
    require(actor, Permission.SIGN_DOCUMENTS)
    chunk = PreparedChunk(deps, len(requests), errors)
    usable, patience = _Usable(deps), _Patience(seconds)

    def opened(request: SignRequest) -> Case | None:
        return (
            None if stopped() or patience.is_over() else open_case(request, actor, usable.get(request.credential), deps)
        )

    cases = _each(opened, dict(enumerate(requests)), chunk)
    numbers = _reserve(cases, chunk)
    patience.begin()

    def prepared(place: int) -> Ready | None:
        number = numbers.get(place)
        if (stopped() or patience.is_over()) and not (number and number.fresh):
            return None
        return prepare_case(cases[place], number)

    try:
        chunk.readies = _each(prepared, {place: place for place in cases if place not in chunk.results}, chunk)
    except (Exception, KeyboardInterrupt) as error:
        chunk.failures = [Failure(cases[place], number, None, reason_of(error)) for place, number in numbers.items()]
        _note(chunk.failures, deps)
        raise
    for place, number in numbers.items():
        if place not in chunk.readies:
            chunk.failures.append(Failure(cases[place], number, None, _reason(chunk.results.get(place))))
    return chunk


def finish_chunk(chunk: PreparedChunk, ledger: Ledger | None = None) -> list[Result]:
    """Steps 4 to 8: intents in one commit, signatures asked for together, every output checked and stored, results in one commit."""
    run = _Run(chunk, ledger)
    try:
        # 4. Commit what we are about to sign.
        run.begin()
        # 5. The only line here that uses keys. 6. and 7. as for one.
        run.sign()
        # 8. Results, levels, numbers and audit rows move together or not at all.
        run.finish()
    except (Exception, KeyboardInterrupt) as error:
        run.give_up(error)
        raise
    return [chunk.results.get(place) for place in range(chunk.count)]


def abandon_chunk(chunk: PreparedChunk) -> None:
    """Nothing comes of what was prepared: the numbers that were given say so."""
    given = [Failure(ready.case, ready.number, None, _STOPPED) for ready in chunk.readies.values()]
    _note([*chunk.failures, *given], chunk.deps)


class _Usable:
    """The credentials of a chunk, each asked for once."""

    def __init__(self, deps: SigningDeps) -> None:
        self._desk = deps.desk
        self._found: dict[str, Credential | Exception] = {}

    def get(self, name: str) -> Credential:
        if name not in self._found:
            try:
                self._found[name] = self._desk.usable(name)
            except _ERRORS as error:
                self._found[name] = error
        found = self._found[name]
        if isinstance(found, Exception):
            raise found
        return found


def _each(work: Callable[[T], R | None], given: dict[int, T], chunk: PreparedChunk) -> dict[int, R]:
    """Do it for each, as many at a time as there are processes for it; an error is the result of its place."""
    done: dict[int, R] = {}
    for place, outcome in _worked(work, given, chunk.deps.prepared_at_once):
        try:
            made = outcome()
        except chunk.errors as error:
            chunk.results[place] = error
        else:
            if made is not None:
                done[place] = made
    return done


def _worked(work: Callable[[T], R], given: dict[int, T], at_once: int) -> Iterator[tuple[int, Callable[[], R]]]:
    if at_once < 2 or len(given) < 2:
        yield from ((place, functools.partial(work, each)) for place, each in given.items())
        return
    pool = ThreadPoolExecutor(min(at_once, len(given)), "prepare")
    try:
        yield from [(place, pool.submit(work, each).result) for place, each in given.items()]
    finally:
        pool.shutdown(cancel_futures=True)


def _reserve(cases: dict[int, Case], chunk: PreparedChunk) -> dict[int, GivenNumber]:
    """Numbers for all that are issued, in the order they came in, with one commit."""
    if all(case.rule.series is None for case in cases.values()):
        return {}
    numbers: dict[int, GivenNumber] = {}
    try:
        with chunk.deps.database.write_rows() as connection:
            reserved = reserve_all(connection, list(cases.values()))
    except (DatabaseUnavailable, PkiError) as error:
        chunk.results |= dict.fromkeys(cases, error)
        return {}
    for place, number in zip(cases, reserved, strict=True):
        if isinstance(number, Refused):
            chunk.results[place] = number
        elif number is not None:
            numbers[place] = number
    return numbers


def _reason(result: Result) -> str:
    return reason_of(result) if isinstance(result, Exception) else _STOPPED


class _Run:
    """The second half of a chunk's way."""

    def __init__(self, chunk: PreparedChunk, ledger: Ledger | None) -> None:
        self._chunk = chunk
        self._deps = chunk.deps
        self._results = chunk.results
        self._ledger = ledger
        self._failures = chunk.failures
        self._begun: dict[int, Begun] = {}
        self._outcomes: dict[int, Outcome] = {}

    def begin(self) -> None:
        places = sorted(self._chunk.readies)
        readies = [self._chunk.readies[place] for place in places]
        if not readies and not self._failures:
            return
        try:
            with self._deps.database.write_rows() as connection:
                begun = begin_all(connection, readies)
                acts = [(place, each.act) for place, each in zip(places, begun, strict=True) if isinstance(each, Begun)]
                if self._ledger is not None and acts:
                    self._ledger.note_begun(connection, acts)
                lost = [
                    _failure(ready, None, error)
                    for ready, error in zip(readies, begun, strict=True)
                    if isinstance(error, Refused)
                ]
                self._write_failures(connection, lost)
        except (DatabaseUnavailable, PkiError, CertsError) as error:
            # Nothing was begun; numbers that were given stay reserved, and the doctor names them.
            self._results |= dict.fromkeys(places, error)
            _note([*self._failures, *(_failure(ready, None, error) for ready in readies)], self._deps)
            return
        for place, each in zip(places, begun, strict=True):
            if isinstance(each, Begun):
                self._begun[place] = each
            else:
                self._results[place] = each

    def sign(self) -> None:
        """By credential: a key is asked once for many. While it signs, this process checks and stores what has come."""
        by_key: dict[str, list[int]] = {}
        for place, begun in self._begun.items():
            by_key.setdefault(begun.ready.case.signatory.serial, []).append(place)
        made: dict[int, Made] = {}
        for places in by_key.values():
            attributes = [self._begun[place].ready.attributes() for place in places]
            signatures = self._signatures(places, attributes)
            for place, signed, signature in zip(places, attributes, signatures, strict=True):
                if isinstance(signature, Exception):
                    self._results[place] = signature
                    continue
                try:
                    made[place] = embed_and_raise(self._begun[place].ready, signed, signature)
                except self._chunk.errors as error:
                    self._results[place] = error
        stored = self._deps.blobs.put_all([each.raised.content for each in made.values()])
        for (place, each), sha256 in zip(made.items(), stored, strict=True):
            if isinstance(sha256, Unavailable):
                self._results[place] = sha256
            else:
                self._outcomes[place] = Outcome(each.signed, each.raised, sha256)

    def _signatures(self, places: Sequence[int], attributes: Sequence[bytes]) -> Iterator[bytes | Exception]:
        credential = self._begun[places[0]].ready.case.signatory
        assert isinstance(credential, Credential)
        keys, public_key_der, scheme = credential.keys, credential.public_key_der, credential.template.scheme

        def sign(messages: Sequence[bytes]) -> list[bytes]:
            return sign_messages(keys, public_key_der, scheme, messages)

        came = 0
        try:
            for signature in sign_in_pieces(sign, attributes):
                came += 1
                yield signature
        except _ERRORS as error:
            # Those that have come are good; the others have none.
            yield from [error] * (len(places) - came)

    def finish(self) -> None:
        if not self._begun:
            return
        made = [(self._begun[place], outcome) for place, outcome in self._outcomes.items()]
        results = {place: error for place in self._begun if isinstance(error := self._results.get(place), Exception)}
        ended: dict[int, SignedDocument | Exception] = dict(results)
        try:
            with self._deps.database.write_rows() as connection:
                for place, (begun, outcome), refused in zip(
                    self._outcomes, made, finish_all(connection, made), strict=True
                ):
                    ended[place] = refused or signed_document(begun.ready, begun.document, outcome)
                self._write_failures(connection, self._lost_acts(ended))
                if self._ledger is not None:
                    self._ledger.note_ended(connection, sorted(ended.items(), key=itemgetter(0)))
        except (DatabaseUnavailable, PkiError, CertsError) as error:
            # Whether it was committed is unknown: what is done after all, stays done.
            self._results |= dict.fromkeys(self._outcomes, error)
            _note(self._lost_acts({place: self._results[place] for place in self._begun}), self._deps)
            return
        self._results |= ended

    def give_up(self, error: BaseException) -> None:
        """Somebody broke it off, or there is a defect: what has begun and is not done says so."""
        open_acts = {place: self._results.get(place) or error for place in self._begun}
        _note([*self._failures, *self._lost_acts(open_acts)], self._deps)

    def _lost_acts(self, ended: Mapping[int, SignedDocument | BaseException | None]) -> list[Failure]:
        begun = self._begun
        return [
            _failure(begun[place].ready, begun[place].act, each)
            for place, each in ended.items()
            if isinstance(each, BaseException)
        ]

    def _write_failures(self, connection: Connection, more: Sequence[Failure]) -> None:
        if self._failures or more:
            fail_all(connection, [*self._failures, *more])
            self._failures = []


def _failure(ready: Ready, act: int | None, error: BaseException) -> Failure:
    return Failure(ready.case, ready.number, act, reason_of(error))


def _note(failures: Sequence[Failure], deps: SigningDeps) -> None:
    """If the database is what failed, acts and numbers stay open and the doctor names them."""
    with contextlib.suppress(DatabaseUnavailable):
        if failures:
            with deps.database.write_rows() as connection:
                fail_all(connection, failures)
