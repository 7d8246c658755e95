"""The path from a certificate that others issued to an anchor of the trust store, by names, signatures and terms. Asks nobody."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from signer.trust_store import Trusted, is_authority
from signer.validation.facts import Trust

# As many as the judge goes along (validation/paths.py), and signatures that are checked for it: whoever gives a chain may give anything.
_DEEPEST = 8
_MOST_CHECKS = 60
_MOST_GIVEN = 1000
# Certificates by the octets of their subject.
_Pool = dict[bytes, list[x509.Certificate]]


@dataclass(frozen=True)
class TrustPath:
    """What stands above a certificate: `above` from the nearest up, then the anchor, and the anchor's tree."""

    above: tuple[x509.Certificate, ...]
    anchor: x509.Certificate
    tree: Trust

    def octets(self) -> tuple[bytes, ...]:
        """DER of all of it, the anchor last."""
        return tuple(each.public_bytes(Encoding.DER) for each in (*self.above, self.anchor))


def find_path(
    certificate: x509.Certificate, given: Sequence[x509.Certificate], trusted: Sequence[Trusted], now: datetime
) -> TrustPath | None:
    """The first path whose certificates are authorities in their term; None where there is none. `given` need not be trusted."""
    anchors = [(each.certificate(), each.tree) for each in trusted if each.is_anchor]
    pool: _Pool = {}
    for each in (*given[:_MOST_GIVEN], *(known.certificate() for known in trusted if not known.is_anchor)):
        pool.setdefault(_asn1(each).subject.dump(), []).append(each)
    return next(_walk([certificate], pool, anchors, now, [_MOST_CHECKS]), None)


def _walk(
    chain: list[x509.Certificate],
    pool: _Pool,
    anchors: Sequence[tuple[x509.Certificate, Trust]],
    now: datetime,
    checks: list[int],
) -> Iterator[TrustPath]:
    for anchor, tree in anchors:
        if _has_issued(anchor, chain[-1], now, checks):
            yield TrustPath(tuple(chain[1:]), anchor, tree)
    if len(chain) >= _DEEPEST:
        return
    held = {each.fingerprint(hashes.SHA256()) for each in chain}
    for candidate in pool.get(_asn1(chain[-1]).issuer.dump(), ()):
        if checks[0] <= 0:
            return
        if candidate.fingerprint(hashes.SHA256()) not in held and _has_issued(candidate, chain[-1], now, checks):
            yield from _walk([*chain, candidate], pool, anchors, now, checks)


def _has_issued(issuer: x509.Certificate, lower: x509.Certificate, now: datetime, checks: list[int]) -> bool:
    # By their octets: reading a name out of `cryptography` warns of long Vietnamese ones (certs/names.py).
    if _asn1(lower).issuer.dump() != _asn1(issuer).subject.dump() or not is_authority(issuer):
        return False
    if not issuer.not_valid_before_utc <= now <= issuer.not_valid_after_utc or checks[0] <= 0:
        return False
    checks[0] -= 1
    try:
        lower.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _asn1(certificate: x509.Certificate) -> asn1_x509.Certificate:
    return asn1_x509.Certificate.load(certificate.public_bytes(Encoding.DER))
