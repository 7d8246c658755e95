"""Somebody else's services: a real HTTP server on a thread, with a time-stamping authority, an OCSP responder and lists that can misbehave."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from asn1crypto import keys, tsp
from asn1crypto import x509 as asn1_x509
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from pyhanko.sign.timestamps import DummyTimeStamper

from tests.attacks.pki import Party

# What a path answers: status, media type, body. It may also write by itself and return None.
Answer = tuple[int, str, bytes] | None
Handler = Callable[["_Request", bytes], Answer]

STAMP_TYPE = "application/timestamp-reply"
OCSP_TYPE = "application/ocsp-response"


@dataclass
class Stranger:
    """The server's address, what it answers by path, and which paths it was asked at."""

    port: int
    handlers: dict[str, Handler] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    open_most: int = 0

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}{path}"


class _Request(BaseHTTPRequestHandler):
    stranger: Stranger
    lock = threading.Lock()
    open_now = 0

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        kind, stranger = type(self), self.stranger
        with self.lock:
            stranger.asked.append(self.path)
            kind.open_now += 1
            stranger.open_most = max(stranger.open_most, kind.open_now)
        try:
            answer = stranger.handlers[self.path](self, body)
            if answer is not None:
                status, media_type, content = answer
                self.send_response(status)
                self.send_header("Content-Type", media_type)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the client has had enough
        finally:
            with self.lock:
                kind.open_now -= 1

    def log_message(self, *_: object) -> None:
        """Nothing is said."""


@contextmanager
def serving() -> Iterator[Stranger]:
    """The server, until the block ends."""
    handler = type("Handler", (_Request,), {"lock": threading.Lock(), "open_now": 0})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    stranger = handler.stranger = Stranger(server.server_address[1])
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield stranger
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def stamping(
    tsa: Party, now: Callable[[], datetime], change: Callable[[tsp.TimeStampReq], None] | None = None
) -> Handler:
    """Another library's authority. `change` makes it answer another request than it was asked."""

    def answer(_: _Request, body: bytes) -> Answer:
        request = tsp.TimeStampReq.load(body)
        if change is not None:
            change(request)
        return 200, STAMP_TYPE, stamper(tsa, now()).request_tsa_response(request).dump()

    return answer


def stamper(tsa: Party, moment: datetime | None = None) -> DummyTimeStamper:
    key = tsa.key.private_bytes(Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    chain = [asn1_x509.Certificate.load(each.public_bytes(Encoding.DER)) for each in tsa.chain]
    return DummyTimeStamper(
        asn1_x509.Certificate.load(tsa.der), keys.PrivateKeyInfo.load(key), certs_to_embed=chain, fixed_dt=moment
    )


def saying(status: int, media_type: str, body: bytes) -> Handler:
    return lambda _request, _body: (status, media_type, body)


def sleeping(seconds: float, then: Handler) -> Handler:
    def answer(request: _Request, body: bytes) -> Answer:
        time.sleep(seconds)
        return then(request, body)

    return answer


def closing(request: _Request, _: bytes) -> Answer:
    """Hangs up without a word."""
    request.close_connection = True


def dripping(request: _Request, _: bytes) -> Answer:
    """Sends an octet now and then, for as long as somebody listens: no pause is long, the whole is."""
    request.send_response(200)
    request.send_header("Content-Type", STAMP_TYPE)
    request.send_header("Content-Length", "4000")
    request.end_headers()
    for _octet in range(400):
        request.wfile.write(b"0")
        request.wfile.flush()
        time.sleep(0.05)


def redirecting(target: str) -> Handler:
    def answer(request: _Request, _: bytes) -> Answer:
        request.send_response(302)
        request.send_header("Location", target)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def answering(
    subject: Party,
    responder: Party,
    now: Callable[[], datetime],
    *,
    status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
    age: timedelta = timedelta(minutes=1),
) -> Handler:
    """An OCSP responder that knows one certificate; `responder` is its issuer, or one that the issuer delegated to."""

    def answer(_request: _Request, _body: bytes) -> Answer:
        assert subject.issuer is not None
        made = now() - age
        revoked = status is ocsp.OCSPCertStatus.REVOKED
        builder = ocsp.OCSPResponseBuilder().add_response(
            subject.certificate, subject.issuer.certificate, hashes.SHA1(), status, made, made + timedelta(hours=1),
            made - timedelta(days=1) if revoked else None, x509.ReasonFlags.key_compromise if revoked else None,
        )  # fmt: skip
        builder = builder.responder_id(ocsp.OCSPResponderEncoding.HASH, responder.certificate)
        if responder is not subject.issuer:
            builder = builder.certificates([responder.certificate])
        return 200, OCSP_TYPE, builder.sign(responder.key, hashes.SHA256()).public_bytes(Encoding.DER)

    return answer


def addresses(ocsp_url: str | None = None, crl_url: str | None = None) -> list[x509.ExtensionType]:
    """Where a certificate says that its state can be asked for."""
    found: list[x509.ExtensionType] = []
    if ocsp_url is not None:
        where = x509.UniformResourceIdentifier(ocsp_url)
        access = x509.AccessDescription(x509.AuthorityInformationAccessOID.OCSP, where)
        found.append(x509.AuthorityInformationAccess([access]))
    if crl_url is not None:
        point = x509.DistributionPoint([x509.UniformResourceIdentifier(crl_url)], None, None, None)
        found.append(x509.CRLDistributionPoints([point]))
    return found
