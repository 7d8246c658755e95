"""The time-stamp token: TSTInfo signed by one TSA key (RFC 3161 2.4.2, RFC 5816), from parts that are encoded once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Protocol

from cryptography import x509

from certs.serial import random_serial
from hsm import der
from hsm.der import Reader
from hsm.spec import PublicKey
from pki.errors import TokenWrong
from pki.schemes import DIGEST_OIDS, Scheme, SignatureMismatch, check_signature, sign_message
from pki.service_keys import Service
from pki.signed_data import TST_INFO, SignerTemplate, read_signed_data
from pki.tsa.request import TimeStampRequest

_VERSION_1 = der.integer(1)
# RFC 3161 2.4.2: seconds are always there, a fraction may be.
_TIME = re.compile(r"(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(?:\.(\d{1,6}))?Z", re.ASCII)


class TokenSigner(Protocol):
    """By whom a token should be; a `Service` is one."""

    @property
    def certificate(self) -> x509.Certificate: ...

    @property
    def public_key(self) -> PublicKey: ...

    @property
    def scheme(self) -> Scheme: ...


class TokenTemplate:
    """Everything of a service's tokens that depends on no request."""

    def __init__(self, service: Service, policy: str, accuracy: int) -> None:
        """`policy` in dotted form; `accuracy` in whole seconds (EN 319 422 5.2.2 wants it stated)."""
        self.service = service
        self._policy = der.oid(policy)
        self._accuracy = der.sequence(der.integer(accuracy))
        self._signer = SignerTemplate(service.certificate, service.scheme, TST_INFO)
        self._certificates = self._signer.certificates(service.chain)

    def sign(self, request: TimeStampRequest, moment: datetime, meanwhile: Callable[[], None] | None = None) -> bytes:
        """A token for a checked request: a ContentInfo in DER. The key is used once; `meanwhile` as for sign_message."""
        scheme = self.service.scheme
        content = der.sequence(
            _VERSION_1,
            self._policy,
            request.imprint,
            # RFC 3161 2.4.2: unique for ever, which 158 random bits are without a counter that a restored backup could repeat.
            der.integer(random_serial()),
            der.generalized_time(moment, milliseconds=True),
            self._accuracy,
            # ordering is FALSE by DEFAULT, and so not written: two processes share no clock tick.
            b"" if request.nonce is None else der.integer(request.nonce),
        )
        attributes = self._signer.signed_attributes(hashlib.new(scheme.digest, content).digest())
        signature = sign_message(self.service.key, scheme, attributes, meanwhile)
        head = self._signer.head(content)
        if request.wants_certificates:
            head += self._certificates  # RFC 3161 2.4.1: certReq decides whether they are there at all
        return self._signer.content_info(head, attributes, signature)


def check_token(token: bytes, digest: str, hashed: bytes, service: TokenSigner, policy: str | None = None) -> datetime:
    """The time of a token by this service over this hash; see TokenCheck, which is for many tokens of one service."""
    return TokenCheck(service).check(token, digest, hashed, policy)


class TokenCheck:
    """Checks tokens of one service: what all of them must share is encoded once."""

    def __init__(self, service: TokenSigner) -> None:
        self.service = service
        self._signer = SignerTemplate(service.certificate, service.scheme, TST_INFO)

    def check(self, token: bytes, digest: str, hashed: bytes, policy: str | None = None) -> datetime:
        """The time of a token over this hash, from the token's own octets; TokenWrong unless all of it is right.

        `policy` in dotted form: the only one that will do. None: any.
        """
        service = self.service
        try:
            parts = read_signed_data(token, TST_INFO)
            made_under, imprint, moment = _read_content(parts.content)
        except (ValueError, OverflowError) as error:
            raise TokenWrong(f"not a token: {error}", part="structure") from error
        if policy is not None and der.tlv(der.OID, made_under) != der.oid(policy):
            raise TokenWrong("the policy is another", part="policy")
        if imprint != der.algorithm(DIGEST_OIDS[digest]) + der.octets(hashed):
            raise TokenWrong("the imprint is another", part="imprint")
        expected = self._signer.signed_attributes(hashlib.new(service.scheme.digest, parts.content).digest())
        if Reader(expected).take(der.SET) != parts.attributes:
            raise TokenWrong("the attributes are others", part="attributes")
        try:
            check_signature(service.public_key, service.scheme, parts.signature, expected)
        except SignatureMismatch as error:
            raise TokenWrong(str(error), part="signature") from error
        return moment


def embedded_certificates(token: bytes) -> list[x509.Certificate]:
    """The certificates that a token brings along, in any order; ValueError when it cannot be read."""
    content_info = Reader(token).enter()
    content_info.take(der.OID)
    signed_data = content_info.enter(0xA0).enter()
    signed_data.integer()
    signed_data.take(der.SET)
    signed_data.take(der.SEQUENCE)
    if not signed_data.next_is(0xA0):
        return []
    held, found = signed_data.enter(0xA0), []
    while not held.is_empty:
        found.append(x509.load_der_x509_certificate(der.tlv(der.SEQUENCE, held.take(der.SEQUENCE))))
    return found


def _read_content(content: bytes) -> tuple[bytes, bytes, datetime]:
    """The content of the policy's OID and of the imprint, and genTime."""
    info = Reader(content).enter()
    info.integer()
    policy = info.take(der.OID)
    imprint = info.take(der.SEQUENCE)
    info.integer()
    time = _TIME.fullmatch(info.take(der.GENERALIZED_TIME).decode("ascii"))
    if time is None:
        raise ValueError("no time")
    *whole, fraction = time.groups()
    year, month, day, hour, minute, second = map(int, whole)
    moment = datetime(year, month, day, hour, minute, second, int((fraction or "").ljust(6, "0")), UTC)
    return policy, imprint, moment
