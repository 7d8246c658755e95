"""/api/v1/verify: the verdict on a file that anybody sends, of which nothing is kept, or on one of the register, by its hash or code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.errors import RequestError
from api.even_time import even_time
from api.forms import PASSWORD, Form, read_form
from api.services import Services
from api.wishes import VerdictWish, parse_wish
from signer.validation.verdict import Verdict

_WISHES = ("policy", "at")
_ZONE = re.compile(r" (\d\d:\d\d)$")


async def verify(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    async with read_form(request, (PASSWORD, *_WISHES)) as form:
        wish = _wish_of(state.services, form.fields)
        verdict: Verdict = await state.lanes.judge.run(_judge, state.services, form, wish)
    state.metrics.count_verdict(verdict.conclusion)
    return JSONResponse(verdict.to_json())


async def verify_known(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    asked = [(name, request.query_params[name]) for name in ("sha256", "code") if name in request.query_params]
    if len(asked) != 1:
        raise RequestError("VERIFY_ONE_OF")
    wish = _wish_of(state.services, request.query_params)
    async with even_time():
        verdict: Verdict = await state.lanes.judge.run(_judge_known, state.services, *asked[0], wish)
    state.metrics.count_verdict(verdict.conclusion)
    return JSONResponse(verdict.to_json())


def _wish_of(services: Services, named: Mapping[str, str]) -> VerdictWish:
    """Which policy and time are asked for, by form fields or in the query; the plus sign of a zone may have become a space."""
    at = _ZONE.sub(r"+\1", named.get("at", "")[:64])
    return parse_wish(named.get("policy", "")[:64], at, services.installation.clock.now())


def _judge_known(services: Services, by: str, typed: str, wish: VerdictWish) -> Verdict:
    known = services.known_files_by(wish)
    return known.by_hash(typed[:200]) if by == "sha256" else known.by_code(typed[:100])


def _judge(services: Services, form: Form, wish: VerdictWish) -> Verdict:
    return services.verify(form.content(), form.name, form.password(), wish)


routes = [
    Route("/api/v1/verify", verify, methods=["POST"]),
    Route("/api/v1/verify", verify_known, methods=["GET"]),
]
