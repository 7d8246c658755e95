"""Trust stores between homes: our anchors handed out as a signed file, those of another home taken in, never an older version."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.inventory import find_by_sha256, get_certificate
from pki.audit import Actor, append
from pki.authorities import AuthorityState, list_authorities
from pki.roles import Permission, require
from pki.service_keys import ServiceDesk, ServiceKind
from signer.errors import Refused, Unavailable
from signer.trust_file import StoreEntry, StoreFile, content_octets, read_store, sign_content
from signer.trust_store import (
    TREES,
    TrustDeps,
    Trusted,
    list_trusted,
    refuse_no_authority,
    refuse_training,
    shown_subject,
    trusted_of,
)
from signer.trust_tables import TrustedRow, TrustStoreRow
from signer.validation.facts import Trust

_INTERNAL: Trust = "internal"


@dataclass(frozen=True)
class Exported:
    """A store that was handed out. `signer_sha256`: the fingerprint that whoever takes it in has to type."""

    octets: bytes
    file: StoreFile
    signer_sha256: str


@dataclass(frozen=True)
class Imported:
    """What came of taking a store in: which anchors came, which went, how many were here already."""

    file: StoreFile
    added: tuple[Trusted, ...]
    removed: tuple[Trusted, ...]
    kept: int


def export_store(term: timedelta, actor: Actor, deps: TrustDeps, services: ServiceDesk) -> Exported:
    """Sign what is believed here, our own roots too. The version and its audit row are committed before the key is used."""
    require(actor, Permission.MANAGE_TRUST)
    service = services.usable(ServiceKind.TRUST_STORE)[-1]
    now = deps.clock.now().replace(microsecond=0)
    with deps.database.write() as session:
        roots = _own(session, below=False)
        if not roots:
            raise Unavailable("TRUST_STORE_NO_ROOT")
        store = roots[0].sha256
        row = session.get(TrustStoreRow, store, with_for_update=True)
        trusted = [each for each in list_trusted(session) if each.not_after > now]
        file = StoreFile(
            store=store,
            version=row.version + 1 if row is not None else 1,
            issued_at=now,
            valid_until=now + term,
            issuer=roots[0].subject,
            anchors=(*roots, *(_entry(each) for each in trusted if each.is_anchor)),
            authorities=(*_own(session, below=True), *(_entry(each) for each in trusted if not each.is_anchor)),
        )
        content = content_octets(file)
        _note(session, row, file, hashlib.sha256(content).hexdigest(), actor, deps)
        append(
            session, deps.clock, actor, "trust.export", "trust", store, version=str(file.version),
            sha256=hashlib.sha256(content).hexdigest(), anchors=str(len(file.anchors)),
        )  # fmt: skip
    octets = sign_content(content, service)
    signer = hashlib.sha256(service.certificate.public_bytes(Encoding.DER)).hexdigest()
    return Exported(octets, file, signer)


def import_store(octets: bytes, fingerprint: bytes, actor: Actor, deps: TrustDeps) -> Imported:
    """Believe what a store says, and no more what only its earlier version said: all of it in one transaction, or nothing."""
    require(actor, Permission.MANAGE_TRUST)
    file = read_store(octets, fingerprint, deps.clock.now())
    for each in (*file.anchors, *file.authorities):
        if each.tree not in TREES:
            raise Refused("TRUST_STORE_TREE_UNKNOWN", subject=shown_subject(each.certificate), tree=each.tree[:32])
        refuse_no_authority(each.certificate)
    refuse_training(each.certificate.public_bytes(Encoding.DER) for each in (*file.anchors, *file.authorities))
    sha256 = hashlib.sha256(content_octets(file)).hexdigest()
    with deps.database.write() as session:
        if any(each.sha256 == file.store for each in _own(session, below=False)):
            raise Refused("TRUST_STORE_OWN")
        row = session.get(TrustStoreRow, file.store, with_for_update=True)
        _refuse_older(row, file, sha256)
        removed = _remove_gone(session, file, actor, deps)
        added, kept = _add_new(session, file, actor, deps)
        if row is None or row.version != file.version:
            _note(session, row, file, sha256, actor, deps)
            append(
                session, deps.clock, actor, "trust.import", "trust", file.store, version=str(file.version), sha256=sha256,
                signer=fingerprint.hex(), added=str(len(added)), removed=str(len(removed)),
            )  # fmt: skip
    return Imported(file, tuple(added), tuple(removed), kept)


def _refuse_older(row: TrustStoreRow | None, file: StoreFile, sha256: str) -> None:
    if row is None:
        return
    if file.version < row.version:
        # What was taken out since would be believed once more.
        raise Refused("TRUST_STORE_OLDER", version=str(file.version), newest=str(row.version))
    if file.version == row.version and sha256 != row.sha256:
        raise Refused("TRUST_STORE_TWO_OF_ONE_VERSION", version=str(file.version))


def _remove_gone(session: Session, file: StoreFile, actor: Actor, deps: TrustDeps) -> list[Trusted]:
    """Certificates that came in with this store and do not stand in it any more."""
    wanted = {each.sha256 for each in (*file.anchors, *file.authorities)}
    rows = session.scalars(select(TrustedRow).where(TrustedRow.origin == file.store))
    gone = [row for row in rows if row.sha256 not in wanted]
    found = {each.sha256: each for each in list_trusted(session)}
    for row in gone:
        append(session, deps.clock, actor, "trust.remove", "trust", row.sha256, tree=row.tree, subject=row.subject)
        session.delete(row)
    session.flush()
    return [found[row.sha256] for row in gone]


def _add_new(session: Session, file: StoreFile, actor: Actor, deps: TrustDeps) -> tuple[list[Trusted], int]:
    added: list[Trusted] = []
    kept = 0
    for each, is_anchor in [(e, True) for e in file.anchors] + [(e, False) for e in file.authorities]:
        known = session.get(TrustedRow, each.sha256)
        if find_by_sha256(session, each.sha256) is not None or (known is not None and known.tree == each.tree):
            kept += 1  # ours, or believed already: by whom it was typed or brought stays as it is
            continue
        if known is not None:
            raise Refused("TRUST_OTHER_TREE", subject=known.subject, tree=known.tree)
        new = _with_origin(trusted_of(each.certificate, each.tree, actor, deps.clock, is_anchor=is_anchor), file.store)
        session.add(TrustedRow(**vars(new)))
        action = "trust.add" if is_anchor else "trust.authority"
        append(
            session, deps.clock, actor, action, "trust", new.sha256, tree=new.tree, subject=new.subject, origin=file.store
        )  # fmt: skip
        added.append(new)
    session.flush()
    return added, kept


def _with_origin(trusted: Trusted, origin: str) -> Trusted:
    return Trusted(**{**vars(trusted), "origin": origin})


def _note(
    session: Session, row: TrustStoreRow | None, file: StoreFile, sha256: str, actor: Actor, deps: TrustDeps
) -> None:
    values = {"version": file.version, "sha256": sha256, "noted_at": deps.clock.now(), "noted_by": actor.name}
    if row is None:
        session.add(TrustStoreRow(store=file.store, **values))
    else:
        for name, value in values.items():
            setattr(row, name, value)


def _own(session: Session, *, below: bool) -> Sequence[StoreEntry]:
    """Our own roots, the oldest first, or the authorities below them."""
    found = []
    for authority in list_authorities(session):
        if (
            (authority.parent is not None) is below
            and authority.serial
            and authority.state is not AuthorityState.PENDING
        ):
            held = get_certificate(session, authority.serial).certificate()
            found.append(StoreEntry(_INTERNAL, held, shown_subject(held), held.public_bytes(Encoding.DER)))
    return found


def _entry(trusted: Trusted) -> StoreEntry:
    return StoreEntry(trusted.tree, trusted.certificate(), trusted.subject, trusted.der)
