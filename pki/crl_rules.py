"""Rules for CRLs: what every list of ours must be (RFC 5280 5), judged on a twin before the key is used and on the finished list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar, cast

from cryptography import x509

from certs.names import issuer_of, subject_of
from certs.template import key_identifier_of

E = TypeVar("E", bound=x509.ExtensionType)
# RFC 5280 has no name for it: X.509 (2019) 9.5.2.8.
EXPIRED_CERTS_ON_CRL = "2.5.29.60"


@dataclass(frozen=True)
class Wanted:
    """What a list is to say. `url` is the distribution point of a partition, `base` makes a delta."""

    issuer: x509.Certificate
    number: int
    this_update: datetime
    next_update: datetime
    url: str | None
    base: int | None
    freshest: str | None
    keeps_expired: bool


def find_problems(crl: x509.CertificateRevocationList, wanted: Wanted) -> Iterator[str]:
    """What is not as it must be; nothing for a good list."""
    if issuer_of(crl) != subject_of(wanted.issuer):
        yield "issuer"
    if (crl.last_update_utc, crl.next_update_utc) != (wanted.this_update, wanted.next_update):
        yield "times"
    if wanted.next_update <= wanted.this_update:
        yield "order of times"
    number = _extension(crl, x509.CRLNumber)
    # 5.2.3: MUST be there, not critical, at most 20 octets.
    if number is None or number.critical or number.value.crl_number != wanted.number:
        yield "number"
    identifier = _extension(crl, x509.AuthorityKeyIdentifier)
    # 5.2.1: MUST be there; 4.2.1.1: not critical.
    if identifier is None or identifier.critical or identifier.value.key_identifier != key_identifier_of(wanted.issuer):
        yield "authorityKeyIdentifier"
    yield from _scope_problems(crl, wanted)
    known = {"2.5.29.35", "2.5.29.20", "2.5.29.27", "2.5.29.28", "2.5.29.46"}
    if wanted.keeps_expired:
        known.add(EXPIRED_CERTS_ON_CRL)
    present = [each.oid.dotted_string for each in crl.extensions]
    if not set(present) <= known:
        yield "an extension that no list of ours has"
    if wanted.keeps_expired and EXPIRED_CERTS_ON_CRL not in present:
        yield "expiredCertsOnCRL"


def _scope_problems(crl: x509.CertificateRevocationList, wanted: Wanted) -> Iterator[str]:
    point = _extension(crl, x509.IssuingDistributionPoint)
    # 5.2.5: critical, and the very name that stands in the certificates, or their reader must refuse the list.
    named = (True, [wanted.url]) if wanted.url is not None else None
    if (None if point is None else (point.critical, _urls(point.value.full_name))) != named:
        yield "issuingDistributionPoint"
    delta = _extension(crl, x509.DeltaCRLIndicator)
    # 5.2.4: critical, with the number of the base.
    based = (True, wanted.base) if wanted.base is not None else None
    if (None if delta is None else (delta.critical, delta.value.crl_number)) != based:
        yield "deltaCRLIndicator"
    freshest = _extension(crl, x509.FreshestCRL)
    # 5.2.6: not critical, and never in a delta.
    found = [url for each in freshest.value for url in _urls(each.full_name)] if freshest is not None else []
    if found != ([wanted.freshest] if wanted.freshest is not None else []) or (
        freshest is not None and freshest.critical
    ):
        yield "freshestCRL"
    if wanted.base is not None and wanted.freshest is not None:
        yield "freshestCRL in a delta"


def _urls(names: list[x509.GeneralName] | None) -> list[str]:
    return [str(name.value) for name in names or ()]


def _extension(crl: x509.CertificateRevocationList, kind: type[E]) -> x509.Extension[E] | None:
    try:
        return cast("x509.Extension[E]", crl.extensions.get_extension_for_class(kind))
    except x509.ExtensionNotFound:
        return None
