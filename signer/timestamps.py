"""Time-stamps on signatures: what level B-T needs of a time-stamping authority, and our own one asked in process."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from cryptography.hazmat.primitives.serialization import Encoding

from certs.errors import CertsError
from certs.serial import serial_hex
from hsm.der import SEQUENCE, Reader, tlv
from hsm.errors import HSMError
from pki.errors import PkiError, TokenWrong
from pki.service_keys import Service
from pki.tsa.authority import TimeStampingAuthority
from pki.tsa.request import build_request
from pki.tsa.token import TokenCheck
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

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        """A token (ContentInfo in DER) over a signature value, with its certificates; Unavailable when there is none.

        `meanwhile` may be called, or not, while a token is being made; its time is taken by then.
        """
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


@dataclass(frozen=True)
class _OwnService:
    """What never changes about one service of ours."""

    check: TokenCheck
    certificate: bytes
    stamped_by: StampedBy

    @classmethod
    def of(cls, service: Service) -> _OwnService:
        certificate = service.certificate
        until = renewal_of(certificate.not_valid_before_utc, certificate.not_valid_after_utc)
        by = StampedBy(serial_hex(certificate.serial_number), (), until)
        return cls(TokenCheck(service), certificate.public_bytes(Encoding.DER), by)


class OwnTimestamper:
    """Our own time-stamping authority, asked in process with the same bytes as over HTTP."""

    room = TIMESTAMP_ROOM

    def __init__(self, authority: TimeStampingAuthority) -> None:
        self._authority = authority
        self._known: _OwnService | None = None

    def serial(self) -> str | None:
        try:
            return serial_hex(self._authority.service().certificate.serial_number)
        except (PkiError, HSMError, CertsError) as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error

    def timestamp(self, signature: bytes, meanwhile: Callable[[], None] | None = None) -> bytes:
        return self._ask(hashlib.new(DIGEST, signature).digest(), meanwhile)

    def timestamp_digest(self, hashed: bytes) -> bytes:
        return self._ask(hashed, None)

    def _ask(self, hashed: bytes, meanwhile: Callable[[], None] | None) -> bytes:
        # The nonce ties the answer to this request (RFC 3161 2.4.1); in process it only keeps both ways alike.
        answer = self._authority.answer(build_request(DIGEST, hashed, nonce=secrets.randbits(_NONCE_BITS)), meanwhile)
        if answer.failure is not None:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=answer.failure.name) from answer.cause
        response = Reader(answer.der).enter()
        response.take(SEQUENCE)  # PKIStatusInfo, judged above
        return tlv(SEQUENCE, response.take(SEQUENCE))

    def check(self, token: bytes, signature: bytes) -> datetime:
        return self.check_digest(token, hashlib.new(DIGEST, signature).digest())

    def check_digest(self, token: bytes, hashed: bytes) -> datetime:
        try:
            return self._service().check.check(token, DIGEST, hashed)
        except TokenWrong as error:
            raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp") from error
        except PkiError as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error

    def stamped_by(self, token: bytes, hashed: bytes) -> StampedBy | None:  # noqa: ARG002  in the token's own words
        try:
            known = self._service()
        except (PkiError, HSMError, CertsError):
            return None
        # Its octets stand in the token, which was found right when it was made.
        return known.stamped_by if known.certificate in token else None

    def _service(self) -> _OwnService:
        """The service in force, which the desk makes anew when anything about it changed."""
        service, known = self._authority.service(), self._known
        if known is None or known.check.service is not service:
            known = self._known = _OwnService.of(service)
        return known


class OneStamp:
    """A time-stamper for one signature: what it cannot give is remembered instead of raised, because a signature is never lost for it."""

    def __init__(self, timestamper: Timestamper, meanwhile: Callable[[], None] | None = None) -> None:
        """`meanwhile` as for `Timestamper.timestamp`."""
        self._timestamper = timestamper
        self._meanwhile = meanwhile
        self.failure: SignerError | None = None
        self.stamped_by: StampedBy | None = None
        # The signature value and the token over it, once that was found right.
        self.checked: tuple[bytes, bytes] | None = None

    def timestamp(self, signature: bytes) -> bytes:
        """A token, or nothing."""
        try:
            token = self._timestamper.timestamp(signature, self._meanwhile)
            self._timestamper.check(token, signature)
        except (Unavailable, OwnOutputBroken) as error:
            # A token that holds nothing is as good as none, and the signature is as good as before.
            self.failure = error
            return b""
        self.checked = (signature, token)
        self.stamped_by = self._timestamper.stamped_by(token, hashlib.new(DIGEST, signature).digest())
        return token
