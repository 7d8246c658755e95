"""What proves the state of strangers' certificates here: the network where it is allowed, else the lists that were brought to this home."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from certs.clock import Clock
from certs.db import Database
from signer.errors import Unavailable
from signer.extension import ValidationData, join
from signer.strangers import PathEvidence
from signer.trust_lists import TrustLists, facts_of
from signer.trust_store import shown_subject
from signer.validation.facts import CrlFacts


@dataclass(frozen=True)
class TrustedEvidence:
    """Collects it. Built once; safe for threads; called between transactions only. Without `strangers` nobody is asked."""

    database: Database
    clock: Clock
    lists: TrustLists
    strangers: PathEvidence | None = None

    def collect(self, path: Sequence[bytes]) -> ValidationData:
        """What proves the state of every certificate of a path but its anchor, which comes last; Unavailable if a proof is missing."""
        parts = [ValidationData(tuple(path))]
        parts += [self._proof(one, issuer) for one, issuer in itertools.pairwise(path)]
        return join(parts)

    def _proof(self, certificate: bytes, issuer: bytes) -> ValidationData:
        failure = None
        if self.strangers is not None:
            try:
                return self.strangers.collect((certificate, issuer))
            except Unavailable as error:
                failure = error
        above = x509.load_der_x509_certificate(issuer)
        with self.database.read() as session:
            crl = self.lists.newest(session, above)
        until = crl.next_update_utc if crl is not None else None
        if crl is not None and until is not None and crl.last_update_utc <= self.clock.now() <= until:
            return ValidationData(crls=(crl.public_bytes(Encoding.DER),))
        raise failure or Unavailable("REVOCATION_UNAVAILABLE", authority=shown_subject(above)[:120], reason="FETCH_OFF")


def said_of(data: ValidationData, certificate: x509.Certificate) -> list[CrlFacts]:
    """What proofs that were collected for one certificate say of it; whose they are was checked then."""
    found = []
    for answer in data.ocsps:
        for single in ocsp.load_der_ocsp_response(answer).responses:
            if single.serial_number == certificate.serial_number:
                reason = single.revocation_reason.value if single.revocation_reason is not None else "unspecified"
                when: datetime | None = single.revocation_time_utc
                told = reason if when is not None else None
                found.append(CrlFacts(single.this_update_utc, single.next_update_utc, when, told, "fetched", "ocsp"))
    found += [facts_of(x509.load_der_x509_crl(listed), certificate) for listed in data.crls]
    return found
