"""The octets of OCSP answers: who answers, what is said of each certificate, and the whole around both (RFC 6960 4.2.1).

It uses no key, no database and no clock: that is ocsp.py's, for answers made when asked, and ocsp_store.py's, for those made before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum

from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from certs.inventory import RevocationState, State
from hsm import der
from pki.ocsp_request import CertId
from pki.revocation import REASONS
from pki.schemes import NULL, Scheme

_BASIC = der.oid("1.3.6.1.5.5.7.48.1.1")
_NONCE = der.oid("1.3.6.1.5.5.7.48.1.2")
_ARCHIVE_CUTOFF = der.oid("1.3.6.1.5.5.7.48.1.6")
_INVALIDITY_DATE = der.oid("2.5.29.24")
_GOOD, _UNKNOWN = der.tlv(0x80, b""), der.tlv(0x82, b"")
# CRLReason numbers of RFC 5280 5.3.1, by our names of the reasons. `unspecified` is said by leaving it out.
_REASON_NUMBERS = {
    "keyCompromise": 1, "cACompromise": 2, "affiliationChanged": 3, "superseded": 4, "cessationOfOperation": 5,
    "certificateHold": 6, "privilegeWithdrawn": 9, "aACompromise": 10,
}  # fmt: skip
assert set(_REASON_NUMBERS) | {"unspecified"} == set(REASONS)
# Digests that CertIDs are made with, and the content of their OIDs.
_CERT_ID_OIDS = {
    name: der.oid(dotted)[2:]
    for name, dotted in (
        ("sha1", "1.3.14.3.2.26"),
        ("sha256", "2.16.840.1.101.3.4.2.1"),
        ("sha384", "2.16.840.1.101.3.4.2.2"),
        ("sha512", "2.16.840.1.101.3.4.2.3"),
    )
}


class ResponseStatus(IntEnum):
    """OCSPResponseStatus (RFC 6960 4.2.1). All but the first are unsigned and carry nothing else (RFC 6960 2.3)."""

    SUCCESSFUL = 0
    MALFORMED_REQUEST = 1
    INTERNAL_ERROR = 2
    TRY_LATER = 3
    UNAUTHORIZED = 6


@dataclass(frozen=True)
class OcspAnswer:
    """One OCSPResponse. A shared cache may keep it until `next_update` when `cacheable` (RFC 5019 6.1): not one with a nonce.

    `this_update` and `next_update` are None unless it is successful. `cause` is why it is not, for the log.
    """

    status: ResponseStatus
    der: bytes
    cacheable: bool = False
    this_update: datetime | None = None
    next_update: datetime | None = None
    cause: Exception | None = None


@dataclass(frozen=True)
class Responder:
    """A certificate that an authority has delegated its answers to, with the parts of them that never change.

    `issuers` holds the authority's (name hash, key hash) by the content of the digest's OID. `archive_from` is how far back
    it answers for what has ended.
    """

    authority: str
    issuers: dict[bytes, tuple[bytes, bytes]]
    responder_id: bytes
    algorithm: bytes
    tail: bytes
    archive_from: datetime
    not_before: datetime
    not_after: datetime

    def is_issuer_of(self, certificate: CertId) -> bool:
        """Whether the certificate asked about is one of its authority's."""
        return self.issuers.get(certificate.algorithm) == (certificate.issuer_name_hash, certificate.issuer_key_hash)


def build_responder(
    authority: str, certificate: x509.Certificate, issuer: x509.Certificate, scheme: Scheme
) -> Responder:
    """The responder of an authority, from its own certificate and the authority's."""
    own = certificate.public_bytes(Encoding.DER)
    issued_by = asn1_x509.Certificate.load(issuer.public_bytes(Encoding.DER))
    # The contents of a BIT STRING begin with the octet that counts unused bits; the digest is over what follows.
    issuer_key = issued_by.public_key["public_key"].contents[1:]
    key = asn1_x509.Certificate.load(own).public_key["public_key"].contents[1:]
    return Responder(
        authority=authority,
        issuers={
            oid: (hashlib.new(name, issued_by.subject.dump()).digest(), hashlib.new(name, issuer_key).digest())
            for name, oid in _CERT_ID_OIDS.items()
        },
        # RFC 6960 4.2.1: the SHA-1 of the key's bits, whatever else is SHA-256. RFC 5019 2.2.2 prefers it to the name.
        responder_id=der.explicit(2, der.octets(hashlib.sha1(key).digest())),  # noqa: S324  an identifier, no signature
        algorithm=scheme.algorithm_identifier(),
        tail=der.explicit(0, der.sequence(own)),
        archive_from=issuer.not_valid_before_utc,
        not_before=certificate.not_valid_before_utc,
        not_after=certificate.not_valid_after_utc,
    )


def build_cert_id(responder: Responder, digest: str, serial: int) -> CertId:
    """How clients ask about a certificate of the responder's authority with this digest: with NULL parameters, as nearly all do."""
    algorithm = _CERT_ID_OIDS[digest]
    name_hash, key_hash = responder.issuers[algorithm]
    encoded = der.sequence(
        der.sequence(der.tlv(der.OID, algorithm), NULL),
        der.octets(name_hash),
        der.octets(key_hash),
        der.integer(serial),
    )
    return CertId(algorithm, name_hash, key_hash, serial, encoded)


def digest_of(certificate: CertId) -> str | None:
    """The name of the digest that a certificate was asked about with, if we know it."""
    return next((name for name, oid in _CERT_ID_OIDS.items() if oid == certificate.algorithm), None)


def build_response_data(
    responder: Responder,
    asked: Sequence[tuple[CertId, RevocationState | None]],
    now: datetime,
    next_update: datetime,
    nonce: bytes = b"",
) -> bytes:
    """ResponseData: what a responder signs. None for what it does not know. Times in whole seconds."""
    times = der.generalized_time(now) + der.explicit(0, der.generalized_time(next_update))
    singles = [_single(certificate, state, times, now, responder) for certificate, state in asked]
    body = responder.responder_id + der.generalized_time(now) + der.sequence(*singles)
    if nonce:
        extension = der.sequence(_NONCE, der.octets(der.octets(nonce)))  # RFC 9654 2.1
        body += der.explicit(1, der.sequence(extension))
    return der.tlv(der.SEQUENCE, body)


def build_answer(responder: Responder, response_data: bytes, signature: bytes) -> bytes:
    """The OCSPResponse around what was signed."""
    basic = der.sequence(response_data, responder.algorithm, der.bits(signature), responder.tail)
    content = der.explicit(0, der.sequence(_BASIC, der.octets(basic)))
    return der.sequence(der.tlv(der.ENUMERATED, b"\0"), content)


def refusal(status: ResponseStatus, cause: Exception) -> OcspAnswer:
    """An answer that says only why there is none; rooms above give INTERNAL_ERROR with it for what nobody foresaw."""
    return OcspAnswer(status, der.sequence(der.tlv(der.ENUMERATED, bytes((status,)))), cause=cause)


def _single(
    certificate: CertId, state: RevocationState | None, times: bytes, now: datetime, responder: Responder
) -> bytes:
    """SingleResponse (RFC 6960 4.2.1)."""
    extensions = b""
    # A serial that was never issued is not good (RFC 6960 2.2); nor is an intent, of which nobody knows that it was signed.
    if state is None or state.state is State.INTENT:
        status = _UNKNOWN
    elif state.state in (State.REVOKED, State.SUSPENDED):
        status, extensions = _revoked(state)
    else:
        status = _GOOD
    if state is not None and now > state.not_after:
        # RFC 6960 4.4.4: we go on answering for what has ended, as far back as the authority goes (EN 319 411-2 6.3.10).
        cutoff = der.octets(der.generalized_time(responder.archive_from))
        extensions += der.sequence(_ARCHIVE_CUTOFF, cutoff)
    if extensions:
        times += der.explicit(1, der.tlv(der.SEQUENCE, extensions))
    return der.tlv(der.SEQUENCE, certificate.der + status + times)


def _revoked(state: RevocationState) -> tuple[bytes, bytes]:
    """RevokedInfo, and the date since when the key is suspect as a CRL entry would say it (RFC 6960 4.4.5, RFC 5280 5.3.2)."""
    assert state.revoked_at is not None
    info = der.generalized_time(state.revoked_at)
    number = _REASON_NUMBERS.get(state.revocation_reason or "unspecified")
    if number is not None:
        info += der.explicit(0, der.tlv(der.ENUMERATED, bytes((number,))))
    extensions = b""
    if state.suspect_since is not None:
        extensions = der.sequence(_INVALIDITY_DATE, der.octets(der.generalized_time(state.suspect_since)))
    return der.tlv(0xA1, info), extensions
