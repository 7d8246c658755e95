"""POST /tsa: time-stamps over HTTP (RFC 3161 3.4)."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from api.errors import RequestError
from api.logs import LOGGER
from api.problems import retry_seconds
from api.routes.binary import read_structure
from hsm.errors import HSMError
from pki.tsa.authority import TimeStampAnswer, refusal
from pki.tsa.failure import Failure

_QUERY, _REPLY = "application/timestamp-query", "application/timestamp-reply"
# A query has about 70 octets; one with a policy and a nonce some more.
_MOST_OCTETS = 4096


async def post(request: Request) -> Response:
    state = request.app.state
    note = request.scope["antin.note"]
    body = await read_structure(request, _QUERY, _MOST_OCTETS)
    try:
        answer: TimeStampAnswer = await state.lanes.key.run(state.services.installation.tsa.answer, body)
    except RequestError as error:
        answer = TimeStampAnswer(refusal(Failure.TIME_NOT_AVAILABLE), failure=Failure.TIME_NOT_AVAILABLE, cause=error)
    except Exception as error:
        # The protocol has an answer for defects too (RFC 3161 2.4.2).
        logging.getLogger(LOGGER).exception("tsa")
        answer = TimeStampAnswer(refusal(Failure.SYSTEM_FAILURE), failure=Failure.SYSTEM_FAILURE, cause=error)
    if answer.failure is not None:
        note["code"] = f"TSA {answer.failure.name.lower()}"
        note["error"] = getattr(answer.cause, "code", type(answer.cause).__name__)
    status, headers = 200, {"Cache-Control": "no-store"}
    if isinstance(answer.cause, HSMError):
        # RFC 3161 knows no "try later"; HTTP does, and the refusal stands in the body for clients that read it all the same.
        status, headers["Retry-After"] = 503, str(retry_seconds(answer.cause))
    return Response(answer.der, status, headers, media_type=_REPLY)


routes = [Route("/tsa", post, methods=["POST"])]
