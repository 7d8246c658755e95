"""Revocation lists of authorities outside that were brought to this home: taken in, kept the newest of each, and read.

A list is checked with its issuer's key when it comes, and again with the very certificate that it is to speak about (RFC 5280 6.3.3).
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast

from asn1crypto import crl as asn1_crl
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select
from sqlalchemy.orm import Session

from certs.clock import rfc3339
from certs.names import issuer_of, rfc4514
from pki.audit import Actor, append
from pki.roles import Permission, require
from signer.errors import Refused, UsageWrong
from signer.trust_path import find_path
from signer.trust_store import TrustDeps, add_authorities, is_authority, list_trusted, shown_subject
from signer.trust_tables import TrustListRow
from signer.validation.facts import CrlFacts, FileFacts, PathFacts, SignatureFacts, TokenFacts, base64_octets

# These say which list it is and leave its meaning alone; a part of a list, or a list of another's, says so in a critical one.
_HARMLESS = (x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid)
_BROKEN = (ValueError, TypeError, KeyError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound)
_MOST_KEPT = 50


@dataclass(frozen=True)
class TrustList:
    """One list. `issuer_key`: SHA-256 of its issuer's name and key."""

    issuer_key: str
    sha256: str
    issuer: str
    this_update: datetime
    next_update: datetime


def issuer_key(certificate: x509.Certificate) -> str:
    """The name and key of an authority as one word: certificates of one authority may be several."""
    held = asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
    return hashlib.sha256(held.subject.dump() + held["tbs_certificate"]["subject_public_key_info"].dump()).hexdigest()


def load_list(data: bytes) -> x509.CertificateRevocationList:
    """A list in DER or PEM; UsageWrong TRUST_LIST_UNREADABLE."""
    try:
        pem = data.lstrip()[:5] == b"-----"
        return x509.load_pem_x509_crl(data) if pem else x509.load_der_x509_crl(data)
    except _BROKEN:
        raise UsageWrong("TRUST_LIST_UNREADABLE") from None


def import_list(data: bytes, given: Sequence[x509.Certificate], actor: Actor, deps: TrustDeps) -> TrustList:
    """Take in a complete list of an authority that is trusted, or that `given` leads to an anchor; Refused otherwise."""
    require(actor, Permission.MANAGE_TRUST)
    crl, now = load_list(data), deps.clock.now()
    with deps.database.read() as session:
        trusted = list_trusted(session)
    known = [each.certificate() for each in trusted]
    issuer = next((each for each in (*known, *given) if is_signed_by(crl, each)), None)
    if issuer is None:
        raise Refused("TRUST_LIST_ISSUER_UNKNOWN", issuer=_issuer_text(crl))
    path = None
    if issuer not in known:
        path = find_path(issuer, given, trusted, now)
        if path is None or not is_authority(issuer):
            raise Refused("OFFICIAL_CHAIN_NOWHERE", subject=shown_subject(issuer))
    _refuse_unfit(crl, now)
    new = _described(crl, issuer)
    with deps.database.write() as session:
        if path is not None:
            add_authorities(session, (issuer, *path.above), path.tree, actor, deps.clock)
        row = session.get(TrustListRow, new.issuer_key)
        if row is not None and row.sha256 == new.sha256:
            return new
        if row is not None and row.this_update >= new.this_update:
            # An older list would let what was revoked since come to life again.
            raise Refused("TRUST_LIST_OLDER", issuer=new.issuer, when=rfc3339(row.this_update))
        values = vars(new) | {
            "der": crl.public_bytes(Encoding.DER), "imported_at": now, "imported_by": actor.name,
        }  # fmt: skip
        if row is None:
            session.add(TrustListRow(**values))
        else:
            for name, value in values.items():
                setattr(row, name, value)
        append(
            session, deps.clock, actor, "trust.list", "trust", new.issuer_key,
            sha256=new.sha256, issuer=new.issuer, next_update=rfc3339(new.next_update),
        )  # fmt: skip
    return new


def is_signed_by(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> bool:
    """Whether this authority has signed the list, and may."""
    held = asn1_x509.Certificate.load(issuer.public_bytes(Encoding.DER))
    try:
        usages = [each.value for each in issuer.extensions if isinstance(each.value, x509.KeyUsage)]
        named = asn1_crl.CertificateList.load(crl.public_bytes(Encoding.DER)).issuer == held.subject
        return (
            named
            and all(usage.crl_sign for usage in usages)
            and crl.is_signature_valid(cast("rsa.RSAPublicKey", issuer.public_key()))
        )
    except _BROKEN:
        return False


def _refuse_unfit(crl: x509.CertificateRevocationList, now: datetime) -> None:
    """It is complete, and there is an end to how long it is believed."""
    if any(each.critical and each.oid not in _HARMLESS for each in crl.extensions):
        raise Refused("TRUST_LIST_PARTIAL", issuer=_issuer_text(crl))
    if crl.next_update_utc is None or not crl.last_update_utc <= now < crl.next_update_utc:
        when = rfc3339(crl.next_update_utc) if crl.next_update_utc else ""
        raise Refused("TRUST_LIST_NOT_FRESH", issuer=_issuer_text(crl), when=when)


def _issuer_text(crl: x509.CertificateRevocationList) -> str:
    try:
        return rfc4514(issuer_of(crl))
    except _BROKEN:
        raise UsageWrong("TRUST_LIST_UNREADABLE") from None


def _described(crl: x509.CertificateRevocationList, issuer: x509.Certificate) -> TrustList:
    assert crl.next_update_utc is not None
    sha256 = hashlib.sha256(crl.public_bytes(Encoding.DER)).hexdigest()
    return TrustList(issuer_key(issuer), sha256, _issuer_text(crl), crl.last_update_utc, crl.next_update_utc)


def list_lists(session: Session) -> list[TrustList]:
    """What lists there are, without their octets."""
    row = TrustListRow
    rows = session.execute(
        select(row.issuer_key, row.sha256, row.issuer, row.this_update, row.next_update).order_by(row.issuer)
    )
    return [TrustList(*each) for each in rows]


class TrustLists:
    """Reads them. What was loaded is kept by its digest. Safe for threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loaded: dict[str, x509.CertificateRevocationList] = {}
        # Whether a certificate's key has signed a list, once found out.
        self._signed: dict[tuple[str, bytes], bool] = {}

    def about(self, session: Session, certificate: x509.Certificate, issuer: x509.Certificate) -> CrlFacts | None:
        """What the newest list of this issuer says of a certificate; None without one. Whether it is fresh is for the caller."""
        crl = self.newest(session, issuer)
        return facts_of(crl, certificate) if crl is not None else None

    def newest(self, session: Session, issuer: x509.Certificate) -> x509.CertificateRevocationList | None:
        """The newest list of this issuer, its signature checked with this very certificate."""
        key = issuer_key(issuer)
        sha256 = session.scalar(select(TrustListRow.sha256).where(TrustListRow.issuer_key == key))
        if sha256 is None:
            return None
        with self._lock:
            crl = self._loaded.get(sha256)
        if crl is None:
            der = session.scalar(select(TrustListRow.der).where(TrustListRow.issuer_key == key))
            if der is None:
                return None
            crl = x509.load_der_x509_crl(der)
            with self._lock:
                if len(self._loaded) >= _MOST_KEPT:
                    self._loaded.clear()
                    self._signed.clear()
                self._loaded[sha256] = crl
        question = (sha256, issuer.public_bytes(Encoding.DER))
        with self._lock:
            signed = self._signed.get(question)
        if signed is None:
            signed = is_signed_by(crl, issuer)
            with self._lock:
                self._signed[question] = signed
        return crl if signed else None

    def put_into(self, session: Session, facts: FileFacts, anchors: Sequence[bytes]) -> FileFacts:
        """The facts of a file with what the lists say of the certificates along its paths."""
        by_sha256 = {hashlib.sha256(der).hexdigest(): der for der in anchors}
        put = _Putting(self, session, by_sha256)
        signatures = tuple(put.signature(each) for each in facts.signatures)
        return replace(facts, signatures=signatures, certificate_path=put.path(facts.certificate_path))


@dataclass(frozen=True)
class _Putting:
    lists: TrustLists
    session: Session
    anchors: dict[str, bytes]

    def signature(self, facts: SignatureFacts) -> SignatureFacts:
        stamps = tuple(self.token(each) for each in facts.timestamps)
        return replace(facts, path=self.path(facts.path), timestamps=stamps)

    def token(self, facts: TokenFacts) -> TokenFacts:
        return replace(facts, path=self.path(facts.path))

    def path(self, path: PathFacts | None) -> PathFacts | None:
        anchor = self.anchors.get(path.anchor_sha256) if path is not None else None
        if path is None or anchor is None or not path.certificates:
            return path
        # What the judge process read is put before the list as it is: a certificate that it made up would have to be signed all the same.
        ders = [*(base64_octets(each.der) for each in path.certificates), anchor]
        loaded = [x509.load_der_x509_certificate(each) for each in ders]
        filled = []
        for at, each in enumerate(path.certificates):
            said = self.lists.about(self.session, loaded[at], loaded[at + 1])
            filled.append(each if said is None else replace(each, crls=(*each.crls, said)))
        return replace(path, certificates=tuple(filled))


def facts_of(crl: x509.CertificateRevocationList, certificate: x509.Certificate) -> CrlFacts:
    """What a list says of one certificate of its issuer."""
    entry = crl.get_revoked_certificate_by_serial_number(certificate.serial_number)
    revoked_at, reason = None, None
    if entry is not None:
        revoked_at, reason = entry.revocation_date_utc, x509.ReasonFlags.unspecified.value
        # One without a reason, or with one that cannot be read, is revoked all the same.
        with contextlib.suppress(*_BROKEN):
            reason = entry.extensions.get_extension_for_class(x509.CRLReason).value.reason.value
    return CrlFacts(crl.last_update_utc, crl.next_update_utc, revoked_at, reason)
