"""A certificate of ours as everybody may see it: its state first, names with personal numbers masked, nothing else of a person."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import x509

from api.web.text import Attribute, in_groups, masked, shown, subject_attributes
from certs.clock import for_people
from certs.inventory import CertificateRecord, State
from pki.history import Gap

# In the order of the page. E-mail, surname and given name say nothing that the common name and a checker's purpose need.
_SHOWN = ("CN", "T", "OU", "O", "UID", "serialNumber", "L", "ST")
_TONES = {
    "active": "good",
    "revoked": "bad",
    "issuer": "bad",
    "suspended": "unsure",
    "future": "unsure",
    "expired": "unsure",
    "lost": "unsure",
}
_PEM = re.compile(rb"-----BEGIN (?:TRUSTED )?CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END")


@dataclass(frozen=True)
class CertificateView:
    """The answer. `word`, `sentence`, `next` and `reason` are codes; the rest is empty for a certificate that is not ours.

    `lost_from`, `lost_until`: the days with which its record was lost; then its own term and fingerprint are not known.
    """

    tone: str
    word: str
    sentence: str
    next: str
    checked_at: str
    found: bool = False
    lost_from: str = ""
    lost_until: str = ""
    subject: tuple[Attribute, ...] = ()
    issuer: str = ""
    not_before: str = ""
    not_after: str = ""
    revoked_at: str = ""
    reason: str = ""
    suspect_since: str = ""
    serial: str = ""
    sha256: str = ""


def view_certificate(
    record: CertificateRecord, issuer: CertificateRecord | None, now: datetime, lost: Gap | None = None
) -> CertificateView:
    """`issuer` is the authority's own certificate: what it issued is worth no more than that. `lost`: its record is."""
    state = _state(record, issuer, now)
    attributes = subject_attributes(record.subject)
    revoked = record.state in (State.REVOKED, State.SUSPENDED)
    return CertificateView(
        tone=_TONES[state],
        word=f"WEB_CERTIFICATE_WORD_{state}",
        sentence=f"WEB_CERTIFICATE_SENTENCE_{state}",
        next=f"WEB_CERTIFICATE_NEXT_{state}",
        checked_at=for_people(now),
        found=True,
        subject=tuple(each for name in _SHOWN for each in attributes if each.name == name),
        issuer=masked(shown(issuer.common_name if issuer else record.issuer)),
        # Of a lost one the trail knows when it was begun, and no more.
        not_before="" if lost else for_people(record.not_before),
        not_after="" if lost else for_people(record.not_after),
        lost_from=for_people(lost.begun) if lost else "",
        lost_until=for_people(lost.ended) if lost else "",
        revoked_at=for_people(record.revoked_at) if revoked and record.revoked_at else "",
        reason=f"WEB_REASON_{record.revocation_reason or 'unspecified'}" if revoked else "",
        suspect_since=for_people(record.suspect_since) if revoked and record.suspect_since else "",
        serial=in_groups(record.serial),
        sha256=in_groups(record.sha256 or ""),
    )


def view_unknown(now: datetime) -> CertificateView:
    """A certificate that was not issued here."""
    return CertificateView(
        tone="plain",
        word="WEB_CERTIFICATE_WORD_unknown",
        sentence="WEB_CERTIFICATE_SENTENCE_unknown",
        next="WEB_CERTIFICATE_NEXT_unknown",
        checked_at=for_people(now),
    )


def _state(record: CertificateRecord, issuer: CertificateRecord | None, now: datetime) -> str:
    state = record.state_at(now)
    if state is State.REVOKED:
        return "revoked"
    if issuer is not None and issuer.serial != record.serial and issuer.state_at(now) is not State.ACTIVE:
        return "issuer"
    if state is State.ACTIVE and now < record.not_before:
        return "future"
    # All that is public and no certificate yet has lost its record.
    return "lost" if state is State.INTENT else state.value


def octets_of(file: bytes) -> bytes | None:
    """The certificate in a PEM or DER file, in DER, or None when there is none that can be read."""
    pem = _PEM.search(file)
    try:
        der = base64.b64decode(b"".join(pem.group(1).split()), validate=True) if pem else file
        certificate = x509.Certificate.load(der, strict=True)
        # The library reads lazily: only what is asked for is parsed, so something is asked for.
        assert certificate["tbs_certificate"]["serial_number"].native is not None
        assert certificate["tbs_certificate"]["subject"].chosen is not None
    except (
        binascii.Error,
        ValueError,
        TypeError,
        KeyError,
        AttributeError,
        AssertionError,
        OverflowError,
        RecursionError,
    ):
        return None
    return der
