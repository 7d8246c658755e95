"""/api/v1/verify: the verdict on a file that anybody sends, of which nothing is kept, or on one of the register, by its hash or code."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.errors import RequestError
from api.even_time import even_time
from api.forms import PASSWORD, Form, read_verify_form
from api.services import Services
from signer.validation.verdict import Verdict


async def verify(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    async with read_verify_form(request, (PASSWORD,)) as form:
        verdict: Verdict = await state.lanes.judge.run(_judge, state.services, form)
    state.metrics.count_verdict(verdict.conclusion)
    return JSONResponse(verdict.to_json())


async def verify_known(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    asked = [(name, request.query_params[name]) for name in ("sha256", "code") if name in request.query_params]
    if len(asked) != 1:
        raise RequestError("VERIFY_ONE_OF")
    async with even_time():
        verdict: Verdict = await state.lanes.judge.run(_judge_known, state.services, *asked[0])
    state.metrics.count_verdict(verdict.conclusion)
    return JSONResponse(verdict.to_json())


def _judge_known(services: Services, by: str, typed: str) -> Verdict:
    known = services.known_files
    return known.by_hash(typed[:200]) if by == "sha256" else known.by_code(typed[:100])


def _judge(services: Services, form: Form) -> Verdict:
    return services.verify(form.content(), form.name, form.password(), form.beside())


routes = [
    Route("/api/v1/verify", verify, methods=["POST"]),
    Route("/api/v1/verify", verify_known, methods=["GET"]),
]
