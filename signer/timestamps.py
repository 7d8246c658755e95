"""Time-stamps on signatures: what level B-T needs of a time-stamping authority, and our own one asked in process."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Protocol

from certs.errors import CertsError
from certs.serial import serial_hex
from hsm.der import SEQUENCE, Reader, tlv
from hsm.errors import HSMError
from pki.errors import PkiError, TokenWrong
from pki.tsa.authority import TimeStampingAuthority
from pki.tsa.request import build_request
from pki.tsa.token import check_token
from signer.errors import OwnOutputBroken, SignerError, Unavailable

# SHA-256 whatever the signature uses: every validator knows it, and it is as strong as a P-256 token.
DIGEST = "sha256"
_NONCE_BITS = 64


class Timestamper(Protocol):
    """Gives time-stamp tokens over signature values (RFC 3161 appendix A, EN 319 122-1 5.3)."""

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


class OwnTimestamper:
    """Our own time-stamping authority, asked in process with the same bytes as over HTTP."""

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


class OneStamp:
    """A time-stamper for one signature: what it cannot give is remembered instead of raised, because a signature is never lost for it."""

    def __init__(self, timestamper: Timestamper) -> None:
        self._timestamper = timestamper
        self.failure: SignerError | None = None

    def timestamp(self, signature: bytes) -> bytes:
        """A token, or nothing."""
        try:
            return self._timestamper.timestamp(signature)
        except Unavailable as error:
            self.failure = error
            return b""
