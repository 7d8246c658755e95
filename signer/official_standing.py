"""How certificates that others have issued for keys of ours stand now: checked before each signature (Thông tư 15/2025). Fails closed.

By their terms, and by OCSP or lists: fetched where the settings allow it, else those that were brought to this home.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from sqlalchemy import Connection
from sqlalchemy.orm import Session

from certs.clock import Clock, rfc3339
from certs.db import Database, unit_of_work
from certs.outside import OutsideCertificate
from signer.errors import Refused, Unavailable
from signer.strangers import PathEvidence
from signer.trust_lists import TrustLists
from signer.trust_store import is_anchor
from signer.trusted_evidence import TrustedEvidence, said_of
from signer.validation.facts import CrlFacts

_ON_HOLD, _OFF_HOLD = "certificateHold", "removeFromCRL"


class OfficialStanding:
    """Says it. Built once; safe for threads."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        lists: TrustLists | None = None,
        evidence: PathEvidence | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._lists = lists or TrustLists()
        self._evidence = evidence or TrustedEvidence(database, clock, self._lists)

    def refuse_unless_good(self, official: OutsideCertificate, name: str) -> None:
        """Refused unless every certificate of its path is proved good now; Unavailable without a proof. Uses the network, maybe."""
        with self._database.read() as session:
            self.refuse_known_bad(session, official, name)
        for one, issuer in itertools.pairwise(official.whole_path()):
            try:
                data = self._evidence.collect((one, issuer))
            except Unavailable as error:
                facts = {
                    "name": name,
                    "authority": error.facts.get("authority", ""),
                    "reason": error.facts.get("reason", ""),
                }
                raise Unavailable("OFFICIAL_STATE_UNKNOWN", **facts) from error
            refuse_revoked(said_of(data, x509.load_der_x509_certificate(one)), name)

    def refuse_known_bad(self, within: Session | Connection, official: OutsideCertificate, name: str) -> None:
        """The same by what is here, in the caller's transaction: Refused when something speaks against it."""
        refuse_out_of_term(official, name, self._clock.now())
        if isinstance(within, Session):
            self._refuse_listed(within, official, name)
        else:
            with unit_of_work(within) as session:
                self._refuse_listed(session, official, name)

    def _refuse_listed(self, session: Session, official: OutsideCertificate, name: str) -> None:
        if not is_anchor(session, official.path[-1]):
            raise Refused("OFFICIAL_CHAIN_NOWHERE", subject=official.subject)
        loaded = [x509.load_der_x509_certificate(each) for each in official.whole_path()]
        for one, issuer in itertools.pairwise(loaded):
            said = self._lists.about(session, one, issuer)
            refuse_revoked([said] if said is not None else [], name)


def refuse_out_of_term(official: OutsideCertificate, name: str, now: datetime) -> None:
    """Refused when a certificate of the path has ended, or has not begun."""
    for der in official.whole_path():
        each = x509.load_der_x509_certificate(der)
        if now < each.not_valid_before_utc:
            raise Refused("CREDENTIAL_NOT_YET_VALID", name=name, when=rfc3339(each.not_valid_before_utc))
        if now > each.not_valid_after_utc:
            raise Refused("CREDENTIAL_EXPIRED", name=name, when=rfc3339(each.not_valid_after_utc))


def refuse_revoked(said: Sequence[CrlFacts], name: str) -> None:
    """Refused when one of these says so: whichever it is, nobody signs against it."""
    for each in said:
        if each.revoked_at is None or each.reason == _OFF_HOLD:
            continue
        if each.reason == _ON_HOLD:
            raise Refused("CREDENTIAL_SUSPENDED", name=name)
        raise Refused(
            "CREDENTIAL_REVOKED", name=name, when=rfc3339(each.revoked_at), reason=each.reason or "unspecified"
        )
