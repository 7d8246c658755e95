"""One web process: opens its own installation, serves the application on the supervisor's socket, ends when told or left alone.

Started as `python -m api.loading api.web_process LISTENING CONTROL SHARES NUMBER` by api/serve.py, with three inherited descriptors.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from typing import ClassVar

import h11
import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

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


class PatientProtocol(H11Protocol):
    """uvicorn's HTTP/1.1, which waits for ever for a first request, with an end to its patience."""

    shares: ClassVar[Shares]
    _refused = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in the base class
        super().connection_made(transport)
        self.shares.tell(len(self.connections))
        self._first_request = self.loop.call_later(_FIRST_REQUEST_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._first_request.cancel()
        super().connection_lost(exc)
        self.shares.tell(len(self.connections))

    def data_received(self, data: bytes) -> None:
        if not self._refused:
            super().data_received(data)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  as in the base class
        """What is no HTTP gets a problem too, and time to read it: a reset would take the answer away again."""
        self._refused = True
        answer = problem(*describe_problem(RequestError("REQUEST_MALFORMED")))
        headers = [*answer.raw_headers, (b"connection", b"close"), (b"x-content-type-options", b"nosniff")]
        try:
            parts = (
                h11.Response(status_code=400, headers=headers),
                h11.Data(data=bytes(answer.body)),
                h11.EndOfMessage(),
            )
            for part in parts:
                self.transport.write(self.conn.send(part) or b"")
        except h11.LocalProtocolError:  # in the middle of another answer
            self.transport.close()
        else:
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
        h11_max_incomplete_event_size=32 * 1024,  # an OCSP request in a path, with room
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
