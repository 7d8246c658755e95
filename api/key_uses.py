"""What the records say each key is used for, and giving a key without a purpose the one that follows from it."""

from __future__ import annotations

from dataclasses import dataclass

from api.wiring import Installation
from certs.db import Database
from hsm.spec import KeyRef, Purpose
from pki.audit import Actor, append
from pki.authorities import list_authorities
from pki.roles import Permission, require
from pki.service_keys import list_services
from signer.credentials import list_credentials


@dataclass(frozen=True)
class KeyUse:
    """Who counts on a key. `kind` is authority, service or credential."""

    kind: str
    name: str
    purpose: Purpose


def key_uses(database: Database) -> dict[bytes, KeyUse]:
    """Every key that a record names, by its SubjectPublicKeyInfo."""
    with database.read() as session:
        uses = {
            each.public_key_der: KeyUse("authority", each.name, Purpose.AUTHORITY) for each in list_authorities(session)
        }
        for service in list_services(session):
            uses[service.public_key_der] = KeyUse("service", service.name, service.kind.purpose)
        for credential in list_credentials(session):
            uses[credential.public_key_der] = KeyUse("credential", credential.name, Purpose.DOCUMENT)
    return uses


def give_purposes(installation: Installation, actor: Actor) -> list[tuple[KeyRef, KeyUse]]:
    """Give every key that has no purpose the one it is used for, each with its audit rows; what was given.

    Keys of an older release have none, and sign nothing until then. A key that no record names stays as it is: nobody
    knows what it is for.
    """
    require(actor, Permission.MEND)
    uses = key_uses(installation.database)
    given: list[tuple[KeyRef, KeyUse]] = []
    for ref in installation.keys.list_keys():
        use = uses.get(ref.public_key_der)
        if ref.purpose is None and use is not None:
            _note(installation, actor, "key.purpose.intent", ref, use)
            installation.keys.assign_purpose(ref.public_key_der, use.purpose)
            _note(installation, actor, "key.purpose", ref, use)
            given.append((ref, use))
    return given


def _note(installation: Installation, actor: Actor, action: str, ref: KeyRef, use: KeyUse) -> None:
    with installation.database.write() as session:
        append(
            session, installation.clock, actor, action, "key", ref.key_id.hex(),
            purpose=use.purpose.value, used_by=use.kind, name=use.name,
        )  # fmt: skip
