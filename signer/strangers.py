"""What proves the state of strangers' certificates: OCSP first, then a CRL, at the addresses that the certificates name.

Everything is checked here with the issuer's key before it is taken, so that a bad OCSP answer leads to the list and not into a file;
the judge process checks all of it once more in the finished file.
"""

from __future__ import annotations

import hashlib
import itertools
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, cast

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from certs.clock import Clock
from signer.errors import SignerError, Unavailable
from signer.extension import ValidationData, join
from signer.fetcher import Exchange, Fetcher

_LARGEST_ANSWER = 64 * 1024
_LARGEST_LIST = 32 * 1024 * 1024
_MOST_ADDRESSES = 3
# A clock of theirs may be a little ahead of ours.
_SKEW = timedelta(minutes=5)
# A service signs and stamps with the same few certificates all day.
_KEPT = timedelta(hours=1)
_MOST_KEPT = 200
_STRONG = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
# What goes wrong with octets that somebody else made: whichever it is, the next address is asked.
_BROKEN = (ValueError, TypeError, KeyError, InvalidSignature, UnsupportedAlgorithm, x509.ExtensionNotFound)


@dataclass(frozen=True)
class _Kept:
    data: ValidationData
    made_at: datetime
    until: datetime


@dataclass(frozen=True)
class FetchPolicy:
    """How long one exchange and how many of them one file may take."""

    seconds: float = 10.0
    exchanges: int = 20


class PathEvidence(Protocol):
    """Whoever can prove the state of strangers' certificates."""

    def collect(self, path: Sequence[bytes]) -> ValidationData:
        """Proofs for every certificate of a path but its anchor, which comes last; Unavailable if one is missing."""
        ...


class StrangerEvidence:
    """Collects it over the network. Built once; safe for threads; called between transactions only."""

    def __init__(self, fetcher: Fetcher, clock: Clock, policy: FetchPolicy = FetchPolicy()) -> None:
        self._fetcher = fetcher
        self._clock = clock
        self._policy = policy
        self._lock = threading.Lock()
        self._kept: dict[bytes, _Kept] = {}

    def collect(self, path: Sequence[bytes]) -> ValidationData:
        """What proves the state of every certificate of a path but its anchor, which comes last; Unavailable if a proof is missing."""
        loaded = [x509.load_der_x509_certificate(each) for each in path]
        budget = _Budget(self._policy.exchanges)
        parts = [ValidationData(tuple(path))]
        parts += [self._proof(one, issuer, budget) for one, issuer in itertools.pairwise(loaded)]
        return join(parts)

    def _proof(self, certificate: x509.Certificate, issuer: x509.Certificate, budget: _Budget) -> ValidationData:
        now = self._clock.now()
        key = certificate.fingerprint(hashes.SHA256()) + issuer.fingerprint(hashes.SHA256())
        with self._lock:
            kept = self._kept.get(key)
        if kept is not None and kept.made_at <= now < kept.until:
            return kept.data
        data, until = self._fetched(certificate, issuer, budget, now)
        with self._lock:
            if len(self._kept) >= _MOST_KEPT:
                self._kept.clear()
            self._kept[key] = _Kept(data, now, min(until, now + _KEPT))
        return data

    def _fetched(
        self, certificate: x509.Certificate, issuer: x509.Certificate, budget: _Budget, now: datetime
    ) -> tuple[ValidationData, datetime]:
        reasons: list[str] = []
        for url in _ocsp_addresses(certificate)[:_MOST_ADDRESSES]:
            request = ocsp.OCSPRequestBuilder().add_certificate(certificate, issuer, hashes.SHA1()).build()  # noqa: S303  a name (RFC 5019 2.1.1)
            wanted = Exchange(
                url, _LARGEST_ANSWER, self._policy.seconds, request.public_bytes(Encoding.DER),
                "application/ocsp-request", "application/ocsp-response",
            )  # fmt: skip
            answer = self._ask(wanted, budget, reasons)
            until = check_ocsp(answer, certificate, issuer, now) if answer else None
            if until is not None:
                held = [each.public_bytes(Encoding.DER) for each in ocsp.load_der_ocsp_response(answer).certificates]
                return ValidationData(tuple(held), (answer,)), until
            if answer:
                reasons.append("OCSP_UNUSABLE")
        for url in _list_addresses(certificate)[:_MOST_ADDRESSES]:
            listed = self._ask(Exchange(url, _LARGEST_LIST, self._policy.seconds), budget, reasons)
            until = check_list(listed, certificate, issuer, now) if listed else None
            if until is not None:
                return ValidationData(crls=(_der(listed),)), until
            if listed:
                reasons.append("CRL_UNUSABLE")
        raise Unavailable(
            "REVOCATION_UNAVAILABLE", authority=_shown(issuer), reason=", ".join(dict.fromkeys(reasons)) or "no address"
        )

    def _ask(self, wanted: Exchange, budget: _Budget, reasons: list[str]) -> bytes:
        budget.spend()
        try:
            return self._fetcher.fetch(wanted)
        except SignerError as error:
            reasons.append(error.code)
            return b""


class _Budget:
    """How many exchanges are left: a file may name as many authorities as its maker likes."""

    def __init__(self, exchanges: int) -> None:
        self._left = exchanges

    def spend(self) -> None:
        if self._left == 0:
            raise Unavailable("REVOCATION_UNAVAILABLE", authority="–", reason="FETCH_TOO_MANY")
        self._left -= 1


def check_ocsp(
    answer: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> datetime | None:
    """Until when an OCSP answer speaks for this certificate; None unless it does so now and its signer may (RFC 6960 3.2)."""
    try:
        response = ocsp.load_der_ocsp_response(answer)
        if response.response_status is not ocsp.OCSPResponseStatus.SUCCESSFUL:
            return None
        single = next((each for each in response.responses if _is_about(each, certificate, issuer)), None)
        if single is None or single.certificate_status is ocsp.OCSPCertStatus.UNKNOWN:
            return None
        # One without a nextUpdate is as old as it says: newer answers are to be had all the time (RFC 6960 4.2.2.1).
        until = single.next_update_utc or single.this_update_utc + _SKEW
        if not single.this_update_utc - _SKEW <= now <= until:
            return None
        return (
            until if any(_may_speak(each, issuer, response, now) for each in (issuer, *response.certificates)) else None
        )
    except _BROKEN:
        return None


def _is_about(single: ocsp.OCSPSingleResponse, certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    name = issuer.subject.public_bytes()
    same_name = hashlib.new(single.hash_algorithm.name, name, usedforsecurity=False).digest() == single.issuer_name_hash
    return same_name and single.serial_number == certificate.serial_number


def _may_speak(signer: x509.Certificate, issuer: x509.Certificate, response: ocsp.OCSPResponse, now: datetime) -> bool:
    """Whether a certificate has signed, and is the issuer's or one that the issuer delegated to (RFC 6960 4.2.2.2)."""
    try:
        if signer != issuer:
            usage = signer.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
            if ExtendedKeyUsageOID.OCSP_SIGNING not in usage or not _is_in_force(signer, now):
                return False
            signer.verify_directly_issued_by(issuer)
        _verify(signer, response)
    except _BROKEN:
        return False
    return True


def _verify(signer: x509.Certificate, response: ocsp.OCSPResponse) -> None:
    key, digest = signer.public_key(), response.signature_hash_algorithm
    if not isinstance(digest, _STRONG):
        raise UnsupportedAlgorithm("a digest that nobody should rely on")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(response.signature, response.tbs_response_bytes, ec.ECDSA(digest))
    elif isinstance(key, rsa.RSAPublicKey):
        pss = response.signature_algorithm_oid == x509.SignatureAlgorithmOID.RSASSA_PSS
        how = padding.PSS(padding.MGF1(digest), padding.PSS.AUTO) if pss else padding.PKCS1v15()
        key.verify(response.signature, response.tbs_response_bytes, how, digest)
    else:
        raise UnsupportedAlgorithm("a key that signs nothing here")


def check_list(
    listed: bytes, certificate: x509.Certificate, issuer: x509.Certificate, now: datetime
) -> datetime | None:
    """Until when a complete list of this issuer speaks for this certificate; None unless it does so now (RFC 5280 6.3.3)."""
    try:
        crl = x509.load_der_x509_crl(_der(listed))
        usage = issuer.extensions.get_extension_for_class(x509.KeyUsage).value
        until = crl.next_update_utc
        known = (x509.IssuingDistributionPoint.oid, x509.AuthorityKeyIdentifier.oid, x509.CRLNumber.oid)
        good = (
            crl.issuer == certificate.issuer
            and usage.crl_sign
            and until is not None
            and crl.last_update_utc - _SKEW <= now <= until
            # A delta list says what is new and no more; its mark is critical, like all that changes what a list means.
            and not any(each.critical and each.oid not in known for each in crl.extensions)
            and crl.is_signature_valid(cast("rsa.RSAPublicKey", issuer.public_key()))
        )
    except _BROKEN:
        return None
    return until if good else None


def _der(listed: bytes) -> bytes:
    """The octets of a list; some are published in PEM, though RFC 5280 4.2.1.13 asks for DER."""
    return x509.load_pem_x509_crl(listed).public_bytes(Encoding.DER) if listed.lstrip()[:5] == b"-----" else listed


def _is_in_force(certificate: x509.Certificate, now: datetime) -> bool:
    return certificate.not_valid_before_utc <= now <= certificate.not_valid_after_utc


def _ocsp_addresses(certificate: x509.Certificate) -> list[str]:
    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except _BROKEN:
        return []
    named = [each for each in access if each.access_method == AuthorityInformationAccessOID.OCSP]
    return [
        each.access_location.value for each in named if isinstance(each.access_location, x509.UniformResourceIdentifier)
    ]


def _list_addresses(certificate: x509.Certificate) -> list[str]:
    try:
        points = certificate.extensions.get_extension_for_class(x509.CRLDistributionPoints).value
    except _BROKEN:
        return []
    return list(_web_names(points))


def _web_names(points: x509.CRLDistributionPoints) -> Iterator[str]:
    for point in points:
        # One that lists some reasons only, or that another authority signs, does not say that all is well.
        if point.reasons is None and point.crl_issuer is None:
            for name in point.full_name or ():
                if isinstance(name, x509.UniformResourceIdentifier) and name.value.startswith(("http://", "https://")):
                    yield name.value


def _shown(issuer: x509.Certificate) -> str:
    text = issuer.subject.rfc4514_string()[:120]
    return "".join(each if each.isprintable() else "?" for each in text)
