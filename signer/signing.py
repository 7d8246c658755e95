"""The signing cycle: one document from a request to a stored, registered signature, in one straight function.

What is decided on the way is signing_case.py's, the rows are signing_rows.py's. Many documents that share their commits go
through signing_batch.py, by the same steps.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from certs.errors import DatabaseUnavailable
from pki.audit import Actor
from pki.roles import Permission, require
from signer.admission import out_of_force
from signer.errors import Refused
from signer.numbering import GivenNumber
from signer.pades import sign_prepared
from signer.signing_case import (
    APPROVE,
    DRAWN_STYLES,
    ISSUE,
    Case,
    Outcome,
    Ready,
    check_and_raise,
    one_stamp,
    open_case,
    prepare_case,
    reason_of,
    signed_document,
)
from signer.signing_parts import EarlierSignatures, Preparer, SignedDocument, SigningDeps, SignRequest
from signer.signing_rows import Begun, Failure, begin_all, fail_all, finish_all, finish_simple, is_simple, reserve_all

# What a caller of the cycle needs, from one place.
__all__ = [
    "APPROVE",
    "DRAWN_STYLES",
    "ISSUE",
    "EarlierSignatures",
    "Preparer",
    "SignRequest",
    "SignedDocument",
    "SigningDeps",
    "sign_document",
]


def sign_document(request: SignRequest, actor: Actor, deps: SigningDeps) -> SignedDocument:
    """Sign one document; raise before the key is used (Refused, InputUnreadable, UsageWrong) or leave a failed act behind.

    A process that dies between steps 4 and 8 leaves an intent, which `antin doctor` names; no output exists then.
    """
    require(actor, Permission.SIGN_DOCUMENTS)
    # 1. May this credential do this now? Its certificate and all above it are in force, or nothing else happens.
    credential = deps.desk.usable(request.credential)
    # 2. Level, size, and what others have signed before.
    case = open_case(request, actor, credential, deps)
    # 3. Number and date belong into what the seal signs, so they are fixed before. A gap keeps its reason.
    number = _reserve(case)
    with _void_on_failure(case, number):
        ready = prepare_case(case, number)
        # 4. Commit what we are about to sign. From here on a death leaves a trace.
        begun = _begin(ready)
        with _fail_act_on_failure(begun):
            # 5. The only line here that uses the credential's key.
            stamp = one_stamp(case)
            signed = sign_prepared(
                ready.prepared, credential.template, credential.key(), stamp.timestamp if stamp else None, ready.digest
            )
            # 6. Its own octets are checked. 7. Proofs go behind it; then the bytes are on disk before the register says so.
            raised = check_and_raise(ready, signed, stamp)
            outcome = Outcome(signed, raised, deps.blobs.put(raised.content))
            # 8. Result, level, number and audit row move together or not at all.
            _finish(begun, outcome)
    return signed_document(ready, begun.document, outcome)


def _reserve(case: Case) -> GivenNumber | None:
    if case.intent != ISSUE:
        return None
    with case.deps.database.write_rows() as connection:
        (number,) = reserve_all(connection, [case])
        if isinstance(number, Refused):
            raise number
    return number


def _begin(ready: Ready) -> Begun:
    with ready.case.deps.database.write_rows() as connection:
        (begun,) = begin_all(connection, [ready])
        if isinstance(begun, Refused):
            raise begun
    return begun


def _finish(begun: Begun, outcome: Outcome) -> None:
    database = begun.ready.case.deps.database
    if is_simple(begun, outcome):
        # One statement, which is its own transaction.
        with database.at_once() as connection:
            done = finish_simple(connection, begun, outcome)
        if not done:
            with database.read() as session:
                raise out_of_force(session, begun.document)
        return
    with database.write_rows() as connection:
        (refused,) = finish_all(connection, [(begun, outcome)])
        if refused is not None:
            raise refused


@contextlib.contextmanager
def _void_on_failure(case: Case, number: GivenNumber | None) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if number is not None and number.fresh:
            _note(Failure(case, number, None, reason_of(error)))
        raise


@contextlib.contextmanager
def _fail_act_on_failure(begun: Begun) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        _note(Failure(begun.ready.case, None, begun.act, reason_of(error)))
        raise


def _note(failure: Failure) -> None:
    """If the database is what failed, act and number stay open and the doctor names them."""
    with contextlib.suppress(DatabaseUnavailable), failure.case.deps.database.write_rows() as connection:
        fail_all(connection, [failure])
