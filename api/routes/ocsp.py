"""OCSP over HTTP: POST and GET (RFC 6960 appendix A, RFC 5019 5 and 6)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import logging
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.errors import RequestError
from api.logs import LOGGER
from api.routes.binary import read_structure
from api.routes.caching import caching_headers
from pki.ocsp_answer import OcspAnswer, ResponseStatus, refusal
from pki.ocsp_request import MOST_OCTETS

_REQUEST, _RESPONSE = "application/ocsp-request", "application/ocsp-response"
_URL_SAFE = str.maketrans("-_", "+/")


async def post(request: Request) -> Response:
    """An answer to the request in the body. Caches keep no POST."""
    answer = await _answer(request, await read_structure(request, _REQUEST, MOST_OCTETS))
    return Response(answer.der, 200, {"Cache-Control": "no-store"}, media_type=_RESPONSE)


async def get(request: Request) -> Response:
    """An answer to the request in the path, with the headers that let caches keep it until it ends."""
    try:
        body = _decode(request.path_params["request"])
    except ValueError as error:
        answer = refusal(ResponseStatus.MALFORMED_REQUEST, error)
    else:
        answer = await _answer(request, body)
    headers = {"Cache-Control": "no-store"}
    if answer.cacheable and answer.this_update is not None and answer.next_update is not None:
        now: datetime = request.app.state.services.installation.clock.now()
        digest = hashlib.sha256(answer.der).hexdigest()
        headers = caching_headers(digest, answer.this_update, answer.next_update, now)
    return Response(answer.der, 200, headers, media_type=_RESPONSE)


async def _answer(request: Request, body: bytes) -> OcspAnswer:
    state = request.app.state
    note = request.scope["antin.note"]
    try:
        answer: OcspAnswer | None = await state.lanes.look_up(state.services.ocsp.find, body)
        if answer is None:
            answer = await state.lanes.key.run(state.services.ocsp.make, body)
    except RequestError as error:
        answer = refusal(ResponseStatus.TRY_LATER, error)
    except Exception as error:
        # The protocol has an answer for defects too (RFC 6960 2.3).
        logging.getLogger(LOGGER).exception("ocsp")
        answer = refusal(ResponseStatus.INTERNAL_ERROR, error)
    if answer.status is not ResponseStatus.SUCCESSFUL:
        note["code"] = f"OCSP {answer.status.name.lower()}"
        note["error"] = getattr(answer.cause, "code", type(answer.cause).__name__)
    return answer


def _decode(text: str) -> bytes:
    """The base64 of a path, slashes and all; ValueError when it is none. Clients leave the padding out, or the URL-safe letters in."""
    if not text.isascii():
        raise ValueError("not ASCII")
    plain = text.translate(_URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except binascii.Error as error:
        raise ValueError("not base64") from error


routes = [
    Route("/ocsp", post, methods=["POST"]),
    Route("/ocsp/", post, methods=["POST"]),
    Route("/ocsp/{request:path}", get, methods=["GET"]),
]
