"""Time-stamps on signatures: what level B-T needs of a time-stamping authority, and our own one asked in process."""

from __future__ import annotations

import hashlib
import secrets
from datetime import datetime
from typing import Protocol

from hsm.der import SEQUENCE, Reader, tlv
from pki.errors import PkiError, TokenWrong
from pki.tsa.authority import TimeStampingAuthority
from pki.tsa.request import build_request
from pki.tsa.token import check_token
from signer.errors import OwnOutputBroken, Unavailable

# SHA-256 whatever the signature uses: every validator knows it, and it is as strong as a P-256 token.
_DIGEST = "sha256"
_NONCE_BITS = 64


class Timestamper(Protocol):
    """Gives time-stamp tokens over signature values (RFC 3161 appendix A, EN 319 122-1 5.3)."""

    def check_ready(self) -> None:
        """Unavailable unless a token can be expected now: asked before a key is used, so that no signature is lost."""
        ...

    def timestamp(self, signature: bytes) -> bytes:
        """A token (ContentInfo in DER) over a signature value, with its certificates; Unavailable when there is none."""
        ...

    def check(self, token: bytes, signature: bytes) -> datetime:
        """The time that a token proves for a signature value; OwnOutputBroken when it proves nothing."""
        ...


class OwnTimestamper:
    """Our own time-stamping authority, asked in process with the same bytes as over HTTP."""

    def __init__(self, authority: TimeStampingAuthority) -> None:
        self._authority = authority

    def check_ready(self) -> None:
        try:
            self._authority.service()
        except PkiError as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error

    def timestamp(self, signature: bytes) -> bytes:
        # The nonce ties the answer to this request (RFC 3161 2.4.1); in process it only keeps both ways alike.
        hashed = hashlib.new(_DIGEST, signature).digest()
        answer = self._authority.answer(build_request(_DIGEST, hashed, nonce=secrets.randbits(_NONCE_BITS)))
        if answer.failure is not None:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=answer.failure.name) from answer.cause
        response = Reader(answer.der).enter()
        response.take(SEQUENCE)  # PKIStatusInfo, judged above
        return tlv(SEQUENCE, response.take(SEQUENCE))

    def check(self, token: bytes, signature: bytes) -> datetime:
        try:
            return check_token(token, _DIGEST, hashlib.new(_DIGEST, signature).digest(), self._authority.service())
        except TokenWrong as error:
            raise OwnOutputBroken("SELF_CHECK_FAILED", part="timestamp") from error
        except PkiError as error:
            raise Unavailable("TIMESTAMP_UNAVAILABLE", reason=error.code) from error
