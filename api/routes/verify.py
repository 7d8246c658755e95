"""POST /api/v1/verify: the verdict on a file that anybody sends. Nothing of the file is kept."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.forms import PASSWORD, Form, read_form
from api.services import Services
from signer.validation.verdict import Verdict


async def verify(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    async with read_form(request, (PASSWORD,)) as form:
        verdict: Verdict = await state.lanes.judge.run(_judge, state.services, form)
    state.metrics.count_verdict(verdict.conclusion)
    return JSONResponse(verdict.to_json())


def _judge(services: Services, form: Form) -> Verdict:
    return services.verify(form.content(), form.name, form.password())


routes = [Route("/api/v1/verify", verify, methods=["POST"])]
