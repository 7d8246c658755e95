"""The signing cycle: one document from a request to a stored, registered signature, in one straight function.

What is decided on the way is signing_case.py's, the rows are signing_rows.py's. Many documents that share their commits go
through signing_batch.py, by the same steps; one that waits between them for its signature, through handing_over.py.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from certs.errors import DatabaseUnavailable
from pki.audit import Actor
from pki.roles import Permission, require
from pki.schemes import sign_ahead
from signer.admission import out_of_force
from signer.credentials import Credential, Signatory
from signer.errors import Refused
from signer.numbering import GivenNumber
from signer.office_policy import APPROVE, ISSUE
from signer.signing_case import embed_and_raise, open_case, prepare_case, reason_of, signed_document
from signer.signing_parts import (
    Case,
    Claim,
    EarlierSignatures,
    Made,
    Outcome,
    Preparer,
    Ready,
    SignedDocument,
    SigningDeps,
    SignRequest,
)
from signer.signing_rows import (
    Begun,
    Failure,
    begin_all,
    begin_alone,
    begin_claimed,
    fail_all,
    fail_claimed,
    finish_all,
    finish_claimed,
    finish_simple,
    is_simple,
    reserve_all,
)

# What a caller of the cycle needs, from one place.
__all__ = [
    "APPROVE",
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
    ready = make_ready(request, actor, deps.desk.usable(request.credential), deps)
    with void_on_failure(ready.case, ready.number):
        return complete(ready, sign_with_key)


def make_ready(request: SignRequest, actor: Actor, signatory: Signatory, deps: SigningDeps) -> Ready:
    """Steps 2 and 3: everything that comes before the key, for a signatory who may sign. Only a number of the series is committed."""
    # 2. Level, size, and what others have signed before.
    case = open_case(request, actor, signatory, deps)
    # 3. Number and date belong into what the seal signs, so they are fixed before. A gap keeps its reason.
    number = _reserve(case)
    with void_on_failure(case, number):
        return prepare_case(case, number)


def complete(ready: Ready, make: Callable[[Ready], Made], claim: Claim | None = None) -> SignedDocument:
    """Steps 4 to 8: from a prepared file to a stored, registered signature. `make` signs, checks and raises; `claim`: a stored one's."""
    # 4. Commit what we are about to sign. From here on a death leaves a trace.
    begun = _begin(ready, claim)
    with _fail_act_on_failure(begun, claim):
        # 5. The signature. 6. Its own octets are checked. 7. Proofs go behind it; then the bytes are on disk before the register says so.
        made = make(ready)
        outcome = Outcome(made.signed, made.raised, ready.case.deps.blobs.put(made.raised.content))
        # 8. Result, level, number and audit row move together or not at all.
        _finish(begun, outcome, claim)
    return signed_document(ready, begun.document, outcome)


def sign_with_key(ready: Ready) -> Made:
    """Steps 5 to 7 with the key of a credential of ours: the only line here that uses it."""
    credential, attributes = ready.case.signatory, ready.attributes()
    assert isinstance(credential, Credential)
    # Our own output is checked while the key process checks the signature; nothing leaves before both have.
    with sign_ahead(credential.key(), credential.template.scheme, attributes) as signed:
        made = embed_and_raise(ready, attributes, signed.signature)
        signed.confirm()
    return made


def _reserve(case: Case) -> GivenNumber | None:
    if case.rule.series is None:
        return None
    with case.deps.database.write_rows() as connection:
        (number,) = reserve_all(connection, [case])
        if isinstance(number, Refused):
            raise number
    return number


def _begin(ready: Ready, claim: Claim | None) -> Begun:
    database = ready.case.deps.database
    if claim is None and database.is_far:
        with database.at_once() as connection:
            alone = begin_alone(connection, ready)
        if alone is not None:
            return alone
    with database.write_rows() as connection:
        if claim is not None:
            return begin_claimed(connection, ready, claim)
        (begun,) = begin_all(connection, [ready])
        if isinstance(begun, Refused):
            raise begun
    return begun


def _finish(begun: Begun, outcome: Outcome, claim: Claim | None) -> None:
    database = begun.ready.case.deps.database
    if claim is None and is_simple(begun, outcome):
        # One statement, which is its own transaction.
        with database.at_once() as connection:
            (done,) = finish_simple(connection, [(begun, outcome)])
        if not done:
            with database.read() as session:
                raise out_of_force(session, begun.document)
        return
    with database.write_rows() as connection:
        if claim is not None:
            finish_claimed(connection, begun, outcome, claim)
            return
        (refused,) = finish_all(connection, [(begun, outcome)])
        if refused is not None:
            raise refused


@contextlib.contextmanager
def void_on_failure(case: Case, number: GivenNumber | None) -> Iterator[None]:
    """What goes wrong inside makes the number that was reserved for it a gap."""
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        if number is not None and number.fresh:
            _note(Failure(case, number, None, reason_of(error)))
        raise


@contextlib.contextmanager
def _fail_act_on_failure(begun: Begun, claim: Claim | None) -> Iterator[None]:
    try:
        yield
    except (Exception, KeyboardInterrupt) as error:
        _note(Failure(begun.ready.case, None, begun.act, reason_of(error)), claim)
        raise


def _note(failure: Failure, claim: Claim | None = None) -> None:
    """If the database is what failed, act and number stay open and the doctor names them."""
    with contextlib.suppress(DatabaseUnavailable), failure.case.deps.database.write_rows() as connection:
        if claim is not None:
            fail_claimed(connection, failure, claim)
        else:
            fail_all(connection, [failure])
