"""One exchange over HTTP with somebody else's server, bounded in time and size, and never with an address that it must not reach.

Addresses come out of certificates that strangers wrote, so the name is looked up once, every address of it is judged, and the
connection goes to the very one that was judged: a second answer of the name server (DNS rebinding) changes nothing.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from signer.errors import SignerError, Unavailable
from signer.fetcher import Exchange

_PORTS = {"http": 80, "https": 443}
_CHUNK = 64 * 1024
_LONGEST_URL = 2048


@dataclass(frozen=True)
class HttpFetcher:
    """The signer's `Fetcher`. `allows_private`: also what a stranger names may lie in a private network."""

    allows_private: bool = False

    def fetch(self, wanted: Exchange) -> bytes:
        """The body of the answer; Unavailable when it is not there in time, is no 200, of another type, or too large."""
        call = _Call(wanted, allows_private=self.allows_private or wanted.named_by_us)
        # A thread of its own: neither a name server that is silent nor one octet a second may hold up who waits.
        thread = threading.Thread(target=call.run, name="fetch", daemon=True)
        thread.start()
        thread.join(wanted.seconds)
        if thread.is_alive():
            call.give_up()
            raise Unavailable("FETCH_TIMEOUT", url=_shown(wanted.url))
        if call.failure is not None:
            raise call.failure
        return call.body


class _Call:
    """One exchange on its thread: `body` or `failure` is there when it has ended."""

    def __init__(self, wanted: Exchange, *, allows_private: bool) -> None:
        self.body = b""
        self.failure: SignerError | None = None
        self._wanted = wanted
        self._allows_private = allows_private
        self._until = time.monotonic() + wanted.seconds
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._given_up = False

    def run(self) -> None:
        shown = _shown(self._wanted.url)
        try:
            self.body = self._exchange()
        except SignerError as error:
            self.failure = error
        except TimeoutError:
            self.failure = Unavailable("FETCH_TIMEOUT", url=shown)
        except (OSError, http.client.HTTPException, ValueError) as error:
            # Kind and cause, never a text that somebody else made.
            reason = getattr(error, "strerror", None) or type(error).__name__
            self.failure = Unavailable("FETCH_FAILED", url=shown, reason=str(reason))

    def give_up(self) -> None:
        """Nobody waits any more: whatever the thread is doing with the connection ends now."""
        with self._lock:
            self._given_up = True
            if self._socket is not None:
                _shut(self._socket)

    def _exchange(self) -> bytes:
        wanted = self._wanted
        parts = _split(wanted.url)
        host = parts.hostname or ""
        connection = http.client.HTTPConnection(host, parts.port or _PORTS[parts.scheme])
        connection.sock = self._connect(host, parts)
        headers = {"User-Agent": "antin", "Connection": "close", "Accept": wanted.answer_type or "*/*"}
        if wanted.body is not None:
            headers["Content-Type"] = wanted.body_type
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request("GET" if wanted.body is None else "POST", path, wanted.body, headers)
            with connection.getresponse() as answer:
                return self._read(answer)
        finally:
            connection.close()

    def _connect(self, host: str, parts: SplitResult) -> socket.socket:
        found = socket.getaddrinfo(host, parts.port or _PORTS[parts.scheme], type=socket.SOCK_STREAM)
        if not self._allows_private and not all(_is_public(str(address[0])) for *_, address in found):
            raise Unavailable("FETCH_ADDRESS_REFUSED", url=_shown(self._wanted.url))
        failure: OSError = ConnectionError("no address")
        for family, kind, protocol, _, address in found:
            plain = socket.socket(family, kind, protocol)
            try:
                self._hold(plain)
                plain.settimeout(max(0.001, self._until - time.monotonic()))
                plain.connect(address)
                if parts.scheme == "http":
                    return plain
                secured = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
                self._hold(secured)
            except OSError as error:
                plain.close()
                failure = error
            else:
                return secured
        raise failure

    def _hold(self, opened: socket.socket) -> None:
        with self._lock:
            if self._given_up:
                raise TimeoutError
            self._socket = opened

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        wanted = self._wanted
        shown = _shown(wanted.url)
        if answer.status != http.client.OK:
            raise Unavailable("FETCH_STATUS", url=shown, status=str(answer.status))
        media_type = answer.headers.get_content_type()
        if wanted.answer_type is not None and media_type != wanted.answer_type:
            raise Unavailable("FETCH_TYPE_WRONG", url=shown, wanted=wanted.answer_type)
        if answer.length is not None and answer.length > wanted.limit:
            raise Unavailable("FETCH_TOO_LARGE", url=shown, limit=str(wanted.limit))
        read = bytearray()
        while chunk := answer.read(min(_CHUNK, wanted.limit + 1 - len(read))):
            read += chunk
            if len(read) > wanted.limit:
                raise Unavailable("FETCH_TOO_LARGE", url=shown, limit=str(wanted.limit))
        if answer.length:
            raise http.client.IncompleteRead(b"")  # closed before the end that it had announced
        return bytes(read)


def _split(url: str) -> SplitResult:
    """The parts of an address that may be asked; Unavailable for what is none, whoever wrote it."""
    try:
        parts = urlsplit(url)
        # Asking for the port is what refuses a wrong one.
        named = parts.hostname is not None and (parts.port is None or parts.port > 0)
    except ValueError:
        named = False
    plain = url.isascii() and url.isprintable() and " " not in url and len(url) <= _LONGEST_URL
    if not named or not plain or parts.scheme not in _PORTS or "@" in parts.netloc:
        raise Unavailable("FETCH_ADDRESS_REFUSED", url=_shown(url))
    return parts


def _is_public(address: str) -> bool:
    """Whether an address belongs to the public Internet, also one in an address of IPv6 (RFC 4291 2.5.5.2, RFC 6052, RFC 3056)."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        inner = parsed.ipv4_mapped or parsed.sixtofour or (parsed.teredo[1] if parsed.teredo else None)
        if inner is None and parsed in _NAT64:
            inner = ipaddress.IPv4Address(int(parsed) & 0xFFFFFFFF)
        if inner is not None and not inner.is_global:
            return False
    return parsed.is_global and not parsed.is_multicast


_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")


def _shown(url: str) -> str:
    """An address as it may stand in a message: bounded, on one line, without a query, which may hold a secret."""
    return "".join(each if each.isprintable() else "?" for each in url.partition("?")[0][:200])


def _shut(opened: socket.socket) -> None:
    try:
        opened.shutdown(socket.SHUT_RDWR)
    except OSError:
        opened.close()  # not connected yet
