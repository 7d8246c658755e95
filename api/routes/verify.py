"""/api/v1/verify: the verdict on a file that anybody sends, of which nothing is kept, or on one of the register, by its hash or code."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.errors import RequestError
from api.even_time import even_time
from api.forms import PASSWORD, Form, read_verify_form
from api.problems import describe_problem, problem
from api.receipts import MEDIA_TYPE, RECEIPT_FAILURES, parse_language
from api.services import Services
from api.wishes import VerdictWish, parse_wish
from signer.errors import Unavailable
from signer.validation.verdict import Verdict

_WISHES = ("policy", "at")
_ZONE = re.compile(r" (\d\d:\d\d)$")


async def verify(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    language = _language_of(request)
    async with read_verify_form(request, (PASSWORD, *_WISHES)) as form:
        wish = _wish_of(state.services, form.fields)
        verdict: Verdict = await state.lanes.judge.run(_judge, state.services, form, wish)
    return await _answer(request, verdict, language)


async def verify_known(request: Request) -> Response:
    state = request.app.state
    await state.access.welcome(request)
    asked = [(name, request.query_params[name]) for name in ("sha256", "code") if name in request.query_params]
    if len(asked) != 1:
        raise RequestError("VERIFY_ONE_OF")
    wish, language = _wish_of(state.services, request.query_params), _language_of(request)
    async with even_time():
        verdict: Verdict = await state.lanes.judge.run(_judge_known, state.services, *asked[0], wish)
    return await _answer(request, verdict, language)


async def _answer(request: Request, verdict: Verdict, language: str | None) -> Response:
    """The verdict, or its receipt. Where no receipt can be made now the problem brings the verdict along: it stands."""
    state = request.app.state
    state.metrics.count_verdict(verdict.conclusion)
    if language is None:
        return JSONResponse(verdict.to_json())
    try:
        octets = await state.lanes.sign.run(state.services.receipts.make, verdict, language)
    except RECEIPT_FAILURES as error:
        away = Unavailable("RECEIPT_AWAY", reason=describe_problem(error)[1])
        away.__cause__ = error
        return problem(*describe_problem(away), verdict=verdict.to_json())
    return receipt_answer(octets, language)


def receipt_answer(octets: bytes, language: str) -> Response:
    """A receipt as a file to keep."""
    headers = {
        "Content-Disposition": 'attachment; filename="antin-receipt.pdf"',
        "Content-Language": language,
        "Cache-Control": "no-store",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(octets, media_type=MEDIA_TYPE, headers=headers)


def _language_of(request: Request) -> str | None:
    """In which language a receipt is asked for, if one is; RequestError RECEIPT_LANGUAGE_WRONG."""
    typed = request.query_params.get("receipt")
    return None if typed is None else parse_language(typed)


def _wish_of(services: Services, named: Mapping[str, str]) -> VerdictWish:
    """Which policy and time are asked for, by form fields or in the query; the plus sign of a zone may have become a space."""
    at = _ZONE.sub(r"+\1", named.get("at", "")[:64])
    return parse_wish(named.get("policy", "")[:64], at, services.installation.clock.now())


def _judge_known(services: Services, by: str, typed: str, wish: VerdictWish) -> Verdict:
    known = services.known_files(wish)
    return known.by_hash(typed[:200]) if by == "sha256" else known.by_code(typed[:100])


def _judge(services: Services, form: Form, wish: VerdictWish) -> Verdict:
    return services.verify(form.content(), form.name, form.password(), wish, form.beside())


routes = [
    Route("/api/v1/verify", verify, methods=["POST"]),
    Route("/api/v1/verify", verify_known, methods=["GET"]),
]
