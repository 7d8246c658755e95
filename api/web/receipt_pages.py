"""Receipts on the pages: of a verdict that was just shown, by its ticket, and of a document of the register, by its code."""

from __future__ import annotations

from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from api.errors import RequestError
from api.receipts import RECEIPT_FAILURES
from api.routes.verify import receipt_answer
from api.services import Services
from api.web.notices import NOTICES, Notice
from api.web.rendering import language_of
from signer.errors import UsageWrong
from signer.validation.verdict import Verdict

_LARGEST_FORM = 64 * 1024


async def receipt_of_ticket(request: Request) -> Response | Notice:
    """The receipt of the verdict in a ticket, or why there is none."""
    state = request.app.state
    await state.access.welcome(request)
    body = await request.body()
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=4) if len(body) <= _LARGEST_FORM else {}
        verdict: Verdict = await state.lanes.judge.run(state.services.receipts.redeem, fields.get("ticket", [""])[0])
    except (ValueError, RequestError) as error:
        if isinstance(error, RequestError) and error.code != "RECEIPT_TICKET_WRONG":
            raise
        return NOTICES["RECEIPT_OLD"]
    return await _signed(request, verdict)


async def receipt_of_code(request: Request) -> Response | Notice:
    """The receipt of a document's newest file, judged now."""
    state = request.app.state
    await state.access.welcome(request)
    try:
        verdict: Verdict = await state.lanes.judge.run(_judge_code, state.services, request.path_params["code"][:100])
    except UsageWrong:
        return NOTICES["CODE_MALFORMED"]
    if verdict.judged.reason == "CODE_NOT_FOUND":
        return NOTICES["CODE_UNKNOWN"]
    return await _signed(request, verdict)


def _judge_code(services: Services, typed: str) -> Verdict:
    return services.known_files().by_code(typed)


async def _signed(request: Request, verdict: Verdict) -> Response | Notice:
    state, language = request.app.state, language_of(request)
    try:
        octets = await state.lanes.sign.run(state.services.receipts.make, verdict, language)
    except RECEIPT_FAILURES:
        return NOTICES["RECEIPT_AWAY"]
    return receipt_answer(octets, language)
