"""Time-stamps on signatures: what level B-T needs of a time-stamping authority, and our own one asked in process."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import CertsError
from certs.serial import serial_hex
from hsm.der import SEQUENCE, Reader, tlv
from hsm.errors import HSMError
from pki.errors import PkiError, TokenWrong
from pki.tsa.authority import TimeStampingAuthority
from pki.tsa.request import build_request
from pki.tsa.token import check_token
from signer.cms import TIMESTAMP_ROOM
from signer.errors import OwnOutputBroken, SignerError, Unavailable

# SHA-256 whatever the signature uses: every validator knows it, and it is as strong as a P-256 token.
DIGEST = "sha256"
_NONCE_BITS = 64


@dataclass(frozen=True)
class StampedBy:
    """Whose a token is: the serial of a certificate of ours, or a stranger's path in DER, the anchor last.

    `renew_at`: when what it proves is to be proved anew, by the life of the signer's certificate.
    """

    serial: str | None
    path: tuple[bytes, ...]
    renew_at: datetime


def renewal_of(begins: datetime, ends: datetime) -> datetime:
    """When a time-stamp is to be covered by another: in the last third of its certificate's life; earlier, one would prove nothing more."""
    return begins + (ends - begins) * 2 / 3


class Timestamper(Protocol):
    """Gives time-stamp tokens over signature values (RFC 3161 appendix A, EN 319 122-1 5.3)."""

    @property
    def room(self) -> int:
        """How many octets a token may have."""
        ...

    def serial(self) -> str | None:
        """The serial of our own certificate that the next token is signed by; None when somebody else's will be. Unavailable."""
        ...

    def timestamp(self, signature: bytes) -> bytes:
        """A token (ContentInfo in DER) over a signature value, with its certificates; Unavailable when there is none."""
        ...

    def timestamp_digest(self, hashed: bytes) -> bytes:
        """The same over what has this SHA-256: a document with a hole (EN 319 142-1 5.4.3)."""
        ...

    def check(self, token: bytes, signature: bytes) -> datetime:
        """The time that a token proves for a signature value; OwnOutputBroken when it proves nothing."""
        ...

    def check_digest(self, token: bytes, hashed: bytes) -> datetime:
        """The same for what has this SHA-256."""
        ...

    def stamped_by(self, token: bytes, hashed: bytes) -> StampedBy | None:
        """Whose a token over this SHA-256 is; None when it is nobody's here."""
        ...


class OwnTimestamper:
    """Our own time-stamping authority, asked in process with the same bytes as over HTTP."""

    room = TIMESTAMP_ROOM

    def __init__(self, authority: TimeStampingAuthority) -> None:
        self._authority = authority

    def serial(self) -> str | None:
        try:
            return serial_hex(self._authority.service().certificate.serial_number)
        except (PkiError, HSMError, CertsError) as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error

    def timestamp(self, signature: bytes) -> bytes:
        return self.timestamp_digest(hashlib.new(DIGEST, signature).digest())

    def timestamp_digest(self, hashed: bytes) -> bytes:
        # The nonce ties the answer to this request (RFC 3161 2.4.1); in process it only keeps both ways alike.
        answer = self._authority.answer(build_request(DIGEST, hashed, nonce=secrets.randbits(_NONCE_BITS)))
        if answer.failure is not None:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=answer.failure.name) from answer.cause
        response = Reader(answer.der).enter()
        response.take(SEQUENCE)  # PKIStatusInfo, judged above
        return tlv(SEQUENCE, response.take(SEQUENCE))

    def check(self, token: bytes, signature: bytes) -> datetime:
        return self.check_digest(token, hashlib.new(DIGEST, signature).digest())

    def check_digest(self, token: bytes, hashed: bytes) -> datetime:
        try:
            return check_token(token, DIGEST, hashed, self._authority.service())
        except TokenWrong as error:
            raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp") from error
        except PkiError as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error

    def stamped_by(self, token: bytes, hashed: bytes) -> StampedBy | None:  # noqa: ARG002  in the token's own words
        try:
            certificate = self._authority.service().certificate
        except (PkiError, HSMError, CertsError):
            return None
        # Its octets stand in the token, which was found right when it was made.
        if certificate.public_bytes(Encoding.DER) not in token:
            return None
        until = renewal_of(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        return StampedBy(serial_hex(certificate.serial_number), (), until)


class OneStamp:
    """A time-stamper for one signature: what it cannot give is remembered instead of raised, because a signature is never lost for it."""

    def __init__(self, timestamper: Timestamper) -> None:
        self._timestamper = timestamper
        self.failure: SignerError | None = None
        self.stamped_by: StampedBy | None = None
        # The signature value and the token over it, once that was found right.
        self.checked: tuple[bytes, bytes] | None = None

    def timestamp(self, signature: bytes) -> bytes:
        """A token, or nothing."""
        try:
            token = self._timestamper.timestamp(signature)
            self._timestamper.check(token, signature)
        except (Unavailable, OwnOutputBroken) as error:
            # A token that holds nothing is as good as none, and the signature is as good as before.
            self.failure = error
            return b""
        self.checked = (signature, token)
        self.stamped_by = self._timestamper.stamped_by(token, hashlib.new(DIGEST, signature).digest())
        return token
