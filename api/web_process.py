"""One web process: opens its own installation, serves the application on the supervisor's socket, ends when told or left alone.

Started as `python -m api.loading api.web_process LISTENING CONTROL SHARES NUMBER` by api/serve.py, with three inherited descriptors.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import ClassVar

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from api.ahead import serving_limits
from api.app import create_app
from api.errors import RequestError
from api.fair_listening import FairSocket, Shares
from api.lifeline import Lifeline
from api.loading import spare_what_is_there
from api.logs import set_up_logs
from api.problems import describe_problem, problem
from api.wiring import locate, open_installation
from signer.sandbox_relay import RelayedJudge

# Within the supervisor's patience, so that a slow client cannot keep us.
_GRACEFUL_SECONDS = 2
_KEEP_ALIVE_SECONDS = 15
_FIRST_REQUEST_SECONDS = 15.0
_LINGER_SECONDS = 2.0
_MOST_CONNECTIONS = 1000
# Request line and headers: an OCSP request in a path, with room.
_LONGEST_HEAD = 32 * 1024


class PatientProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1, which waits for ever for a first request and for the end of its headers, with an end to its patience."""

    shares: ClassVar[Shares]
    _refused = False
    # Octets of a head whose end has not come, at least; None while a body comes.
    _head: int | None = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self.shares.tell(len(self.connections))
        self._first_request = self.loop.call_later(_FIRST_REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._first_request.cancel()
        super().connection_lost(exc)
        self.shares.tell(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        super().data_received(data)
        if self._head is not None and not self._refused:
            self._head += len(data)
            if self._head > _LONGEST_HEAD:
                self.send_400_response("")

    def on_message_begin(self) -> None:
        self._head = 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Raises ValueError, which the parser takes for a broken request."""
        if len(self.url) + sum(len(name) + len(value) for name, value in self.headers) > _LONGEST_HEAD:
            raise ValueError("the head is too long")
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):  # RFC 9112 3.2
            raise ValueError("not one host")
        self._head = None
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  as in the base class
        """What is no HTTP gets a problem too, and time to read it: a reset would take the answer away again."""
        self._refused = True
        if self.cycle is not None and not self.cycle.response_complete:  # in the middle of another answer
            self.transport.close()
            return
        answer = problem(*describe_problem(RequestError("REQUEST_MALFORMED")))
        headers = [*answer.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
        lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
        self.transport.write(STATUS_LINE[400] + lines + b"\r\n" + bytes(answer.body))
        self.loop.call_later(_LINGER_SECONDS, self.transport.close)

    def _give_up(self) -> None:
        if self.cycle is None:
            self.transport.close()


def main(listening: int, control: int, shares: int, number: int) -> None:
    """Serve until SIGTERM, or until the supervisor is gone."""
    door = FairSocket(fileno=listening)
    door.shares = PatientProtocol.shares = Shares(shares, number)
    logger = set_up_logs()
    _, settings = locate(os.environ)
    judge = RelayedJudge(serving_limits(settings), preload=("prepare", "gather"))
    app = create_app(open_installation(os.environ, judge=judge, starts_keys=False))
    config = uvicorn.Config(
        app,
        http=PatientProtocol,
        loop="asyncio",
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        proxy_headers=False,  # api/auth/access.py decides whom to believe
        server_header=False,
        limit_concurrency=_MOST_CONNECTIONS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACEFUL_SECONDS,
    )
    server = _Server(config, Lifeline(control))
    server.run([door])
    logger.info("stopped")
    sys.stderr.flush()
    # Threads in the middle of a call that cannot be broken off (a database that does not answer) have no say any more.
    os._exit(0)


class _Server(uvicorn.Server):
    """Tells the supervisor when it accepts requests, and stops when the supervisor's end of the line is closed."""

    def __init__(self, config: uvicorn.Config, line: Lifeline) -> None:
        super().__init__(config)
        self._line = line

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        PatientProtocol.shares.tell(0)
        await super().startup(sockets)
        # What is there by now stays: looking through it for garbage again and again would keep every request waiting.
        spare_what_is_there()
        self._line.watch()
        self._line.tell_ready()
