"""The trust store: anchors outside of this home, each with the tree it stands for, taken in by a fingerprint that a person typed.

Authorities below an anchor come in with the certificates that they issued. Revocation lists are trust_lists.py's.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from certs.clock import Clock
from certs.db import Database
from certs.inventory import find_by_sha256
from certs.names import rfc4514, subject_of
from certs.training import is_training
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.errors import Refused, UsageWrong
from signer.trust_tables import TrustedRow
from signer.validation.facts import TRUST_KINDS, Trust, TrustAnchor

TREES: tuple[Trust, ...] = tuple(kind for kind in TRUST_KINDS if kind not in ("training", "unknown"))
_FINGERPRINT_OCTETS = 32
# What goes wrong with certificates that somebody else made.
_BROKEN = (ValueError, TypeError, KeyError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound)


@dataclass(frozen=True)
class Trusted:
    """A certificate that is believed. Not an anchor: it helps to build paths, and is believed for its anchor's sake."""

    sha256: str
    tree: Trust
    is_anchor: bool
    subject: str
    not_after: datetime
    der: bytes
    added_at: datetime
    added_by: str
    origin: str | None = None

    def certificate(self) -> x509.Certificate:
        return x509.load_der_x509_certificate(self.der)


@dataclass(frozen=True)
class TrustDeps:
    """What changing the store works with."""

    database: Database
    clock: Clock


def parse_fingerprint(typed: str) -> bytes:
    """A SHA-256 as people copy it: 64 hexadecimal digits, with colons, spaces or neither; UsageWrong otherwise."""
    plain = "".join(typed.replace(":", "").split())
    try:
        octets = bytes.fromhex(plain)
    except ValueError:
        octets = b""
    if len(octets) != _FINGERPRINT_OCTETS:
        raise UsageWrong("TRUST_FINGERPRINT_MALFORMED")
    return octets


def add_anchor(certificate: x509.Certificate, tree: str, fingerprint: bytes, actor: Actor, deps: TrustDeps) -> Trusted:
    """Believe an authority from here on; Refused unless the fingerprint, from another source, is this certificate's."""
    require(actor, Permission.MANAGE_TRUST)
    if tree not in TREES:
        raise UsageWrong("TRUST_TREE_UNKNOWN", tree=tree[:32], valid=", ".join(TREES))
    if not hmac.compare_digest(certificate.fingerprint(hashes.SHA256()), fingerprint):
        raise Refused("TRUST_FINGERPRINT_WRONG", subject=shown_subject(certificate))
    refuse_no_authority(certificate)
    refuse_training([certificate.public_bytes(Encoding.DER)])
    new = trusted_of(certificate, tree, actor, deps.clock, is_anchor=True)
    with deps.database.write() as session:
        if find_by_sha256(session, new.sha256) is not None:
            raise Refused("TRUST_OWN_AUTHORITY", subject=new.subject)
        known = session.get(TrustedRow, new.sha256)
        if known is not None and known.is_anchor:
            if known.tree != tree:
                raise Refused("TRUST_OTHER_TREE", subject=new.subject, tree=known.tree)
            return _record(known)
        if known is not None:
            session.delete(known)
            session.flush()
        session.add(TrustedRow(**vars(new)))
        append(session, deps.clock, actor, "trust.add", "trust", new.sha256, tree=tree, subject=new.subject)
    return new


def add_authorities(
    session: Session, certificates: Sequence[x509.Certificate], tree: str, actor: Actor, clock: Clock
) -> None:
    """Keep authorities whose path to an anchor of this tree was checked, in the caller's transaction, with its audit row."""
    refuse_training([certificate.public_bytes(Encoding.DER) for certificate in certificates])
    for certificate in certificates:
        new = trusted_of(certificate, tree, actor, clock, is_anchor=False)
        if session.get(TrustedRow, new.sha256) is None:
            session.add(TrustedRow(**vars(new)))
            append(session, clock, actor, "trust.authority", "trust", new.sha256, tree=tree, subject=new.subject)


def remove_anchor(which: str, actor: Actor, deps: TrustDeps) -> Trusted:
    """Believe an anchor no more, named by at least 8 digits of its fingerprint; with the last of its tree go the authorities below."""
    require(actor, Permission.MANAGE_TRUST)
    plain = "".join(which.replace(":", "").split()).lower()
    with deps.database.write() as session:
        row = TrustedRow
        # Long enough to be meant, and only digits reach the pattern.
        good = len(plain) >= 8 and not set(plain) - set("0123456789abcdef")
        query = select(row).where(row.is_anchor, row.sha256.startswith(plain))
        found = [_record(each) for each in session.scalars(query)] if good else []
        if len(found) != 1:
            raise UsageWrong("TRUST_ANCHOR_UNKNOWN", which=which[:80])
        (anchor,) = found
        session.execute(delete(row).where(row.sha256 == anchor.sha256))
        left = session.scalar(select(row.sha256).where(row.is_anchor, row.tree == anchor.tree).limit(1))
        if left is None:
            session.execute(delete(row).where(row.tree == anchor.tree))
        append(
            session, deps.clock, actor, "trust.remove", "trust", anchor.sha256, tree=anchor.tree, subject=anchor.subject
        )
    return anchor


def list_trusted(session: Session) -> list[Trusted]:
    """All of it: by tree, anchors first, then by name."""
    rows = session.scalars(select(TrustedRow))
    records = [_record(row) for row in rows]
    return sorted(records, key=lambda each: (TREES.index(each.tree), not each.is_anchor, each.subject, each.sha256))


def is_anchor(session: Session, der: bytes) -> bool:
    """Whether this certificate is believed now."""
    row = session.get(TrustedRow, hashlib.sha256(der).hexdigest())
    return row is not None and row.is_anchor


def anchors_of(trusted: Sequence[Trusted]) -> tuple[TrustAnchor, ...]:
    """The anchors as judging takes them."""
    return tuple(TrustAnchor(each.der, each.tree) for each in trusted if each.is_anchor)


def refuse_training(ders: Iterable[bytes], own: Collection[bytes] = ()) -> None:
    """Refused for a certificate that only serves to practise: nobody believes one but the home that made it, which has it as its own."""
    for der in ders:
        if is_training(der) and der not in own:
            raise Refused("TRUST_TRAINING", sha256=hashlib.sha256(der).hexdigest())


def refuse_no_authority(certificate: x509.Certificate) -> None:
    """Refused unless it may issue certificates (RFC 5280 4.2.1.9, 4.2.1.3), whether or not it says so in critical extensions."""
    if not is_authority(certificate):
        raise Refused("TRUST_NOT_AN_AUTHORITY", subject=shown_subject(certificate))


def is_authority(certificate: x509.Certificate) -> bool:
    try:
        extensions = certificate.extensions
        if not extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
    except _BROKEN:
        return False
    usages = [each.value for each in extensions if isinstance(each.value, x509.KeyUsage)]
    return all(usage.key_cert_sign for usage in usages)


def trusted_of(certificate: x509.Certificate, tree: str, actor: Actor, clock: Clock, *, is_anchor: bool) -> Trusted:
    """A certificate as the store keeps it."""
    kind = next(each for each in TREES if each == tree)
    return Trusted(
        certificate.fingerprint(hashes.SHA256()).hex(), kind, is_anchor, shown_subject(certificate),
        certificate.not_valid_after_utc, certificate.public_bytes(Encoding.DER), clock.now(), actor.name,
    )  # fmt: skip


def shown_subject(certificate: x509.Certificate) -> str:
    """Its subject for people; the names of others may hold anything."""
    try:
        return rfc4514(subject_of(certificate))
    except _BROKEN:
        raise UsageWrong("OUTSIDE_UNREADABLE") from None


def _record(row: TrustedRow) -> Trusted:
    tree = next(each for each in TREES if each == row.tree)
    return Trusted(
        row.sha256, tree, row.is_anchor, row.subject, row.not_after, row.der, row.added_at, row.added_by, row.origin
    )
