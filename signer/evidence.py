"""What proves the state of our own certificates: OCSP answers signed in process, the newest CRLs of the archive; no HTTP.

For strangers' certificates it is the caller who gives lists (upgrading.py).
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database
from certs.errors import CertsError
from certs.inventory import get_certificate
from hsm import der
from hsm.errors import HSMError
from pki.authorities import get_authority
from pki.crl_archive import crl_octets, find_latest
from pki.errors import PkiError
from pki.ocsp import OcspResponder
from signer.errors import SignerError, Unavailable
from signer.extension import ValidationData, join

# As long as a process goes on with what it once read of a service (pki/service_keys.py).
_KEPT = timedelta(seconds=60)
# A service that runs for years may sign with very many credentials.
_MOST_REMEMBERED = 2000


@dataclass(frozen=True)
class _Own:
    """A certificate of ours. `issuer` is the authority's name; `above` the issuer's serial, None for a root."""

    der: bytes
    issuer: str
    above: str | None


@dataclass(frozen=True)
class _Kept:
    """Octets that may be used again until a time."""

    data: ValidationData
    made_at: datetime
    until: datetime


class OwnEvidence:
    """Collects it for paths that begin at a certificate of ours. Built once; safe for threads."""

    def __init__(self, database: Database, clock: Clock, responder: OcspResponder) -> None:
        self._database = database
        self._clock = clock
        self._responder = responder
        self._own: dict[str, _Own] = {}
        self._kept: dict[str, _Kept] = {}

    def collect(self, serial: str, *, fresh: bool) -> ValidationData:
        """Certificates of the path from this serial up to the root, and what proves the state of each; Unavailable if a proof is missing.

        `fresh`: the first one's state is asked now; what is above it, and services, may have been asked a minute ago.
        """
        try:
            return join(self._along(serial, fresh=fresh))
        except (PkiError, HSMError, CertsError) as error:
            # Whoever has just signed goes on without: no outage costs a signature.
            raise Unavailable("REVOCATION_UNAVAILABLE", authority="–", reason=error.code) from error

    def _along(self, serial: str, *, fresh: bool) -> Iterator[ValidationData]:
        step: str | None = serial
        while step is not None:
            own = self._certificate(step)
            yield ValidationData((own.der,))
            if own.above is not None:
                yield self._proof(step, own, fresh=fresh and step == serial)
            step = own.above

    def _proof(self, serial: str, own: _Own, *, fresh: bool) -> ValidationData:
        now = self._clock.now()
        kept = self._kept.get(serial)
        if not fresh and kept is not None and kept.made_at <= now < kept.until:
            return kept.data
        try:
            answer = self._responder.about(own.issuer, serial)
        except (PkiError, HSMError) as error:
            raise Unavailable("REVOCATION_UNAVAILABLE", authority=own.issuer, reason=error.code) from error
        if answer is not None and answer.next_update is not None:
            data = ValidationData(_responder_certificates(answer.der), (answer.der,))
            until = answer.next_update
        else:
            data, until = self._newest_crl(own.issuer, now)
        if not fresh:
            self._kept[serial] = _Kept(data, now, min(until, now + _KEPT))
        return data

    def _newest_crl(self, authority: str, now: datetime) -> tuple[ValidationData, datetime]:
        with self._database.read() as session:
            crl = find_latest(session, authority)
            if crl is None or now >= crl.next_update:
                when = rfc3339(crl.next_update) if crl is not None else "never"
                raise Unavailable("REVOCATION_UNAVAILABLE", authority=authority, reason=f"CRL {when}")
            return ValidationData(crls=(b"".join(crl_octets(session, crl)),)), crl.next_update

    def _certificate(self, serial: str) -> _Own:
        """What never changes about a certificate of ours."""
        own = self._own.get(serial)
        if own is None:
            if len(self._own) >= _MOST_REMEMBERED:
                self._own.clear()
            with self._database.read() as session:
                own = self._own[serial] = _read(session, serial)
        return own


class EvidenceAhead:
    """Evidence about certificates of ours, asked for while something else is waited for. What is not had then is asked for again."""

    def __init__(self, evidence: OwnEvidence, serials: Sequence[str]) -> None:
        self._evidence = evidence
        self._serials = tuple(serials)
        self._found: dict[str, ValidationData] = {}

    def gather(self) -> None:
        """Ask for what is not there yet. No failure: `collect` will meet it."""
        with contextlib.suppress(SignerError):
            for serial in self._serials:
                self.collect(serial)

    def collect(self, serial: str) -> ValidationData:
        """As `OwnEvidence.collect`, fresh; Unavailable."""
        if serial not in self._found:
            self._found[serial] = self._evidence.collect(serial, fresh=True)
        return self._found[serial]


def _read(session: Session, serial: str) -> _Own:
    record = get_certificate(session, serial)
    assert record.der is not None, "an intent is in no path"
    authority = get_authority(session, record.issuer)
    return _Own(record.der, record.issuer, None if authority.serial == serial else authority.serial)


def _responder_certificates(answer: bytes) -> tuple[bytes, ...]:
    """The certificates that came with an answer of our own: in the store they are dated by the time-stamp over it."""
    _, start, end = der.element(answer, 0)
    _, (_, start, end) = der.elements(answer, start, end)  # responseStatus, responseBytes [0]
    _, start, end = der.element(answer, start)
    _, (_, start, _) = der.elements(answer, start, end)  # responseType, response
    _, start, end = der.element(answer, start)
    *_, (_, start, end) = der.elements(answer, start, end)  # …, certs [0]
    _, start, end = der.element(answer, start)
    return tuple(der.tlv(der.SEQUENCE, answer[first:last]) for _, first, last in der.elements(answer, start, end))
