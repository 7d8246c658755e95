"""The use of consent: an activation covers one document once, decided by UPDATEs in the commit of the signature's intent.

Whoever else tries at the same moment, in whatever process, finds it used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import cast

from sqlalchemy import Connection, Table, bindparam, select, update

from certs.clock import rfc3339
from certs.prepared import Prepared
from pki.audit import Act
from signer.consent_tables import ActivationDocumentRow, ActivationRow
from signer.credentials import STANDING, Credential
from signer.errors import Refused
from signer.octets import sha256_of
from signer.signing_parts import Case
from signer.tables import CredentialRow

_CREDENTIALS = cast("Table", CredentialRow.__table__)
_ACTIVATIONS = cast("Table", ActivationRow.__table__)
_DOCUMENTS = cast("Table", ActivationDocumentRow.__table__)
_ID_LETTERS = 32
# Asked for every signature.
_ACTIVATION_OF = Prepared(select(_CREDENTIALS.c.activation).where(_CREDENTIALS.c.name == bindparam("wanted")))


def asks_for_consent(connection: Connection, credential: Credential) -> bool:
    """Whether the credential signs with consent only, as it is now: it may have been changed since it was looked up."""
    rows = _ACTIVATION_OF.run(connection, {"wanted": credential.name})
    # Fail closed: a way that this release does not know is not one that signs without asking.
    return not rows or rows[0][0] != STANDING


def refuse_without_consent(connection: Connection, case: Case) -> None:
    """Refused when the consent that a request names is not one, before anything is done for it; the commit decides again.

    A document that is only prepared may get its consent when it is finished.
    """
    credential = case.signatory
    if case.request.later and case.request.activation is None:
        return
    if isinstance(credential, Credential) and asks_for_consent(connection, credential):
        _look(connection, case, credential.name)


def refuse_unless_covered(
    connection: Connection, name: str, activation: str | None, documents: Sequence[str], now: datetime
) -> None:
    """The same for documents that are handed in to be signed later: each must be covered, and not signed with it yet."""
    for sha256 in documents:
        look_at_consent(connection, name, activation, sha256, now)


def kept_activation(typed: str | None) -> str | None:
    """What a row keeps of an activation's id: what cannot be one covers nothing."""
    return typed[:_ID_LETTERS] if typed else None


def use_consent(connection: Connection, cases: Sequence[Case]) -> tuple[dict[int, Refused], list[tuple[int, Act]]]:
    """Use the consents of these signatures in the caller's transaction: which of them have none, and the audit rows of the others."""
    refused: dict[int, Refused] = {}
    acts: list[tuple[int, Act]] = []
    asking: dict[str, bool] = {}
    # One activation after the other: two who use the same ones do not wait for each other for ever.
    order = sorted(range(len(cases)), key=lambda place: (cases[place].request.activation or "", place))
    for place in order:
        case, credential = cases[place], cases[place].signatory
        if not isinstance(credential, Credential):
            continue
        if credential.name not in asking:
            asking[credential.name] = asks_for_consent(connection, credential)
        if not asking[credential.name]:
            continue
        try:
            acts.append((place, _use(connection, case, credential.name)))
        except Refused as error:
            refused[place] = error
    return refused, acts


def give_back(connection: Connection, case: Case) -> None:
    """Nothing was begun after all, in the same transaction: the consent is as it was."""
    activation, sha256 = case.request.activation or "", _input(case)
    connection.execute(
        update(_DOCUMENTS)
        .where(_DOCUMENTS.c.activation_id == activation, _DOCUMENTS.c.input_sha256 == sha256)
        .values(used_at=None)
    )
    connection.execute(
        update(_ACTIVATIONS).where(_ACTIVATIONS.c.id == activation).values(remaining=_ACTIVATIONS.c.remaining + 1)
    )


def _use(connection: Connection, case: Case, name: str) -> Act:
    activation, sha256, now = case.request.activation or "", _input(case), case.deps.clock.now()
    taken = connection.execute(
        update(_ACTIVATIONS)
        .where(
            _ACTIVATIONS.c.id == activation, _ACTIVATIONS.c.credential == name, _ACTIVATIONS.c.expires_at > now,
            _ACTIVATIONS.c.remaining > 0,
        )
        .values(remaining=_ACTIVATIONS.c.remaining - 1)
    ).rowcount  # fmt: skip
    if taken == 1:
        used = connection.execute(
            update(_DOCUMENTS)
            .where(
                _DOCUMENTS.c.activation_id == activation, _DOCUMENTS.c.input_sha256 == sha256, _DOCUMENTS.c.used_at.is_(None)
            )
            .values(used_at=now)
        ).rowcount  # fmt: skip
        if used == 1:
            return Act("activation.use", "activation", activation, {"credential": name, "sha256": sha256})
        connection.execute(
            update(_ACTIVATIONS).where(_ACTIVATIONS.c.id == activation).values(remaining=_ACTIVATIONS.c.remaining + 1)
        )
    _look(connection, case, name)
    raise Refused("ACTIVATION_USED", id=activation, name=name)


def _look(connection: Connection, case: Case, name: str) -> None:
    look_at_consent(connection, name, case.request.activation, _input(case), case.deps.clock.now())


def look_at_consent(connection: Connection, name: str, activation: str | None, sha256: str, now: datetime) -> None:
    """Refused with the reason, where there is one."""
    if activation is None:
        raise Refused("ACTIVATION_NEEDED", name=name)
    row = connection.execute(
        select(_ACTIVATIONS.c.credential, _ACTIVATIONS.c.expires_at, _ACTIVATIONS.c.remaining).where(
            _ACTIVATIONS.c.id == activation
        )
    ).one_or_none()
    if row is None or row.credential != name:
        raise Refused("ACTIVATION_UNKNOWN", id=activation[:64], name=name)
    expires_at: datetime = row.expires_at
    if expires_at <= now:
        raise Refused("ACTIVATION_EXPIRED", id=activation, when=rfc3339(expires_at))
    document = connection.execute(
        select(_DOCUMENTS.c.used_at).where(
            _DOCUMENTS.c.activation_id == activation, _DOCUMENTS.c.input_sha256 == sha256
        )
    ).one_or_none()
    if document is None:
        raise Refused("ACTIVATION_OTHER_DOCUMENT", id=activation, name=name)
    if document.used_at is not None or row.remaining <= 0:
        raise Refused("ACTIVATION_USED", id=activation, name=name)


def _input(case: Case) -> str:
    return sha256_of(case.request.pdf)
