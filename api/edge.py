"""The edge: what happens to every request before a route sees it and after it has answered.

Request id, limits on the body in size and time, the last door for defects, security headers, one log line, metrics.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Sequence
from typing import NoReturn

from starlette.requests import Request
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.errors import RequestError
from api.metrics import Metrics
from api.problems import answer_failure
from api.settings import WebSettings

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
_SMALL_BODY = 64 * 1024
# Where a form may hold many files.
_BATCHES = "/api/v1/batches"
# What the parts of a form around a file may take.
_FORM_SLACK = 256 * 1024
# How long we listen on to a client that is not done sending what we refused, so that it sees our answer.
_LINGER_SECONDS = 5.0
_LINGER_OCTETS = 256 * 1024 * 1024
_SILENCE_SECONDS = 15.0
_HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"cross-origin-resource-policy", b"same-origin"),
)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Edge:
    """ASGI middleware. Built once a process."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: WebSettings,
        metrics: Metrics,
        logger: logging.Logger,
        routes: Sequence[BaseRoute],
    ) -> None:
        self._app = app
        self._templates = {each.endpoint: each.path for each in routes if isinstance(each, Route)}
        self._settings = settings
        self._metrics = metrics
        self._logger = logger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = time.perf_counter()
        scope["antin.request"] = request_id = _request_id(scope)
        scope["antin.note"] = {}
        body = _Body(scope, receive, self._settings)
        answer = _Answer(scope, send, body, request_id)
        self._metrics.begin_request()
        try:
            await self._app(scope, body.receive, answer.send)
        except Exception as error:
            # The last door: an answer and a log line, never a traceback.
            if not answer.started:
                response = await answer_failure(Request(scope, body.receive), error)
                await response(scope, body.receive, answer.send)
            else:
                # Half an answer is out; only breaking the connection tells the client so.
                scope["antin.note"]["error"] = type(error).__name__
                raise
        finally:
            self._record(scope, answer.status, time.perf_counter() - begun)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "OTHER"
        route = self._templates.get(scope.get("endpoint", _nowhere)) or getattr(scope.get("route"), "path", None) or "-"
        self._metrics.end_request(method, route, status, seconds)
        level = logging.ERROR if status == 500 else logging.WARNING if status >= 500 or status == 0 else logging.INFO
        if self._logger.isEnabledFor(level):
            record = {"request": scope["antin.request"], "method": method, "route": route, "status": status}
            self._logger.log(level, "request", extra=record | {"ms": round(seconds * 1000, 1)} | scope["antin.note"])


class _Body:
    """Hands a body on, piece by piece, until it is too large, too slow or silent."""

    def __init__(self, scope: Scope, receive: Receive, settings: WebSettings) -> None:
        headers = dict(scope["headers"])
        form = headers.get(b"content-type", b"").lower().startswith(b"multipart/")
        form_mb = settings.max_batch_mb if scope["path"] == _BATCHES else settings.max_upload_mb
        self._limit = form_mb * 1024 * 1024 + _FORM_SLACK if form else _SMALL_BODY
        self._limit_text = f"{form_mb} MB" if form else f"{_SMALL_BODY // 1024} KB"
        self._receive = receive
        self._seconds = settings.upload_seconds
        self._deadline: float | None = None
        self._octets = 0
        declared = headers.get(b"content-length", b"")
        self._too_large = declared.isdigit() and int(declared) > self._limit
        self._ended = False
        self.refused = False

    async def receive(self) -> Message:
        if self._ended:
            return await self._receive()
        now = time.monotonic()
        if self._deadline is None:
            self._deadline = now + self._seconds
        if self._too_large:
            self._refuse(RequestError("BODY_TOO_LARGE", limit=self._limit_text))
        try:
            # Not wait_for: it makes a task of each piece, though most have come already.
            async with asyncio.timeout(max(0.01, min(_SILENCE_SECONDS, self._deadline - now))):
                message = await self._receive()
        except TimeoutError:
            self._refuse(RequestError("BODY_TOO_SLOW"))
        if message["type"] == "http.request":
            self._octets += len(message.get("body", b""))
            self._ended = not message.get("more_body", False)
            if self._octets > self._limit:
                self._refuse(RequestError("BODY_TOO_LARGE", limit=self._limit_text))
        else:
            self._ended = True
        return message

    async def drain(self) -> None:
        """Throw away what still comes, for a while: a client that is cut off while sending seldom reads why."""
        deadline, octets = time.monotonic() + _LINGER_SECONDS, 0
        while octets < _LINGER_OCTETS and (left := deadline - time.monotonic()) > 0:
            try:
                message = await asyncio.wait_for(self._receive(), left)
            except TimeoutError:
                return
            octets += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                return

    def _refuse(self, error: RequestError) -> NoReturn:
        self.refused = True
        raise error


class _Answer:
    """Hands an answer on, with the headers that all of ours have."""

    def __init__(self, scope: Scope, send: Send, body: _Body, request_id: str) -> None:
        self._send = send
        self._body = body
        self._request_id = request_id.encode()
        self._secure = scope["scheme"] == "https"
        self.started = False
        self.status = 0

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.started, self.status = True, message["status"]
            headers = message["headers"] = list(message.get("headers", ()))
            present = {name.lower() for name, _ in headers}
            headers += [pair for pair in _HEADERS if pair[0] not in present]
            if b"cache-control" not in present:
                headers.append((b"cache-control", b"no-store"))
            if self._secure:
                headers.append((b"strict-transport-security", b"max-age=31536000"))
            headers.append((b"x-request-id", self._request_id))
        elif self._body.refused and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._body.drain()
            message = {"type": "http.response.body", "body": b"", "more_body": False}
        await self._send(message)


def _request_id(scope: Scope) -> str:
    """The caller's X-Request-Id when it is a harmless one, else a new one."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return uuid.uuid4().hex


def _nowhere() -> None:
    """The endpoint of a request that no route took."""
