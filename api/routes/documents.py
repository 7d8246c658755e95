"""/api/v1/documents: sign one, look one up by its code, fetch its file, take it back, let another replace or correct it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import read_form
from api.lineage_report import describe_lineage
from api.routes.reading import idempotency_key, read_json
from api.sign_form import FIELDS
from api.sign_jobs import SignJob, is_short, links_of, sign_alone
from certs.clock import rfc3339
from certs.training import marked_name
from signer.documents import Document
from signer.levels import LEVELS
from signer.lineage import CORRECTED, REPLACED, Lineage
from signer.printing import PrintWish
from signer.register_search import MOST, NAMES, parse_query
from signer.succession import Succession

_FILE_MEDIA_TYPE = "application/pdf"
# Who may see more of a document than its code shows everybody.
_READERS = ("sign", "verify", "audit")
# Who may look through the register without holding a code of it.
_SEARCHERS = ("sign", "audit")
_PAGE = 100


async def sign(request: Request) -> Response:
    """Sign the file; under an Idempotency-Key once, however often it is asked."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    key = idempotency_key(request)
    async with read_form(request, FIELDS) as form:
        job = SignJob(token, form, key)
        if is_short(job, state.services.installation.settings.sign):
            done = await state.together.run(job)
        else:
            done = await state.lanes.sign.run(sign_alone, state.services, job)
    if done.level:
        state.metrics.count_signed(done.level)
    return JSONResponse(done.answer, 201, {"Location": done.answer["links"]["self"]})


async def show(request: Request) -> Response:
    """What everybody may know of a document, and with a token all that is recorded."""
    state = request.app.state
    token: TokenRecord | None = await state.access.welcome(request)
    document, lineage = await state.lanes.quick.run(state.services.document_history, request.path_params["code"])
    known = token is not None and bool(token.scopes.intersection(_READERS))
    return JSONResponse(_describe(document, lineage) | (_describe_inside(document) if known else {}))


async def search(request: Request) -> Response:
    """Documents that fit, newest first, and where the next ones are. The whole register is open here, so not to every token."""
    state = request.app.state
    await state.access.require(request, *_SEARCHERS)
    typed, limit, after = _search_wish(request.query_params)
    # Without an index for words a large register is read through: not on the lane of what takes milliseconds.
    found = await state.lanes.judge.run(state.services.documents, parse_query(typed), limit + 1, after)
    answer = [_describe_facts(each) | _describe_inside(each) for each in found[:limit]]
    onward = None
    if len(found) > limit:
        onward = "/api/v1/documents?" + urlencode(typed | {"limit": limit, "after": found[limit - 1].code})
    return JSONResponse({"documents": answer, "next": onward})


def _search_wish(query: QueryParams) -> tuple[dict[str, str], int, str | None]:
    """What is looked for, how many of them, and behind which one; RequestError for a name that is none of these."""
    given = dict(query.multi_items())
    for name in given:
        if name not in (*NAMES, "limit", "after"):
            raise RequestError("QUERY_NAME_UNKNOWN", name=name[:40], valid=", ".join((*NAMES, "limit", "after")))
    if len(given) != len(query.multi_items()):
        raise RequestError("QUERY_NAME_TWICE")
    limit, after = given.pop("limit", str(_PAGE)), given.pop("after", None)
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) < MOST):
        raise RequestError("FORM_VALUE_WRONG", field="limit", valid=f"1–{MOST - 1}")
    return given, int(limit), after


async def fetch(request: Request) -> Response:
    """The newest signed revision. Its code is the key to it: whoever holds the paper may have the file."""
    state = request.app.state
    await state.access.welcome(request)
    document, content = await state.lanes.quick.run(state.services.document_file, request.path_params["code"])
    name = f"{document.code}.pdf"
    if state.services.installation.training:
        name = marked_name(name)
    headers = {
        "Content-Disposition": f'attachment; filename="{name}"',
        "ETag": f'"{document.sha256}"',
    }
    if isinstance(content, bytes):
        return Response(content, 200, headers, media_type=_FILE_MEDIA_TYPE)
    # Starlette reads the pieces of a long one on a thread, one at a time.
    headers["Content-Length"] = str(len(content))
    return StreamingResponse(content.pieces(0, len(content)), 200, headers, media_type=_FILE_MEDIA_TYPE)


async def upgrade(request: Request) -> Response:
    """Raise the document's newest file to a higher level; the register goes on with the raised one."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    (level,) = _texts(await read_json(request), "level")
    if level not in LEVELS[1:]:
        raise RequestError("FORM_VALUE_WRONG", field="level", valid=", ".join(LEVELS[1:]))
    code = request.path_params["code"]
    await state.lanes.sign.run(state.services.upgrade, code, level, token.actor)
    document, lineage = await state.lanes.quick.run(state.services.document_history, code)
    return JSONResponse(_describe(document, lineage))


async def print_out(request: Request) -> Response:
    """The rendition for paper, for a kiosk or a counter: its token says who prints, the body where."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "print", "sign")
    (place,) = _texts(await read_json(request), "place")
    wish = PrintWish(request.path_params["code"], place, token.person or token.name)
    printed = await state.lanes.judge.run(state.services.print, wish, token.actor)
    name = f"{printed.code}-print.pdf"
    if state.services.installation.training:
        name = marked_name(name)
    # It says when it was made: nobody keeps it for the next reader.
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(printed.content, 200, headers, media_type=_FILE_MEDIA_TYPE)


async def recall(request: Request) -> Response:
    """Take the document back; the reason is required and kept."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    (reason,) = _texts(await read_json(request), "reason")
    code = request.path_params["code"]
    return await _changed(request, state.services.recall, code, reason, token.actor)


async def replace(request: Request) -> Response:
    """Another document of the register takes its place."""
    return await _succeed(request, REPLACED)


async def correct(request: Request) -> Response:
    """Another document of the register corrects it; both hold."""
    return await _succeed(request, CORRECTED)


async def _succeed(request: Request, status: str) -> Response:
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    by, reason = _texts(await read_json(request), "by", "reason")
    wanted = Succession(request.path_params["code"], by, status, reason)
    return await _changed(request, state.services.succeed, wanted, token.actor)


async def _changed(request: Request, deed: Callable[..., Document], *arguments: object) -> Response:
    """Do it, and say how the document stands now."""
    state = request.app.state
    document = await state.lanes.quick.run(deed, *arguments)
    document, lineage = await state.lanes.quick.run(state.services.document_history, document.code)
    return JSONResponse(_describe(document, lineage))


def _texts(body: object, *names: str) -> list[str]:
    """The values of an object that has these names and no others, all of them strings."""
    if not isinstance(body, dict) or set(body) != set(names) or not all(isinstance(body[name], str) for name in names):
        valid = json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)
        raise RequestError("FORM_VALUE_WRONG", field="body", valid=valid)
    return [body[name] for name in names]


def _describe(document: Document, lineage: Lineage) -> dict[str, Any]:
    return _describe_facts(document) | describe_lineage(lineage)


def _describe_facts(document: Document) -> dict[str, Any]:
    done = [act for act in document.acts if act.state == "done"]
    return {
        "code": document.code,
        "status": document.status,
        "issued": document.issued,
        "sha256": document.sha256,
        "level": done[-1].level if done else None,
        "pending_level": document.pending.level if document.pending else None,
        "agency": document.agency,
        "number": document.number,
        "year": document.number_year,
        "notation": document.notation,
        "created_at": rfc3339(document.created_at),
        "issued_at": rfc3339(document.issued_at) if document.issued_at else None,
        "links": links_of(document.code),
    }


def _describe_inside(document: Document) -> dict[str, Any]:
    """What the agency's own systems see besides."""
    return {
        "name": document.name,
        "subject": document.subject,
        "metadata": document.details,
        "signatures": [
            {
                "state": act.state,
                "credential": act.credential,
                "intent": act.intent,
                "level": act.level,
                "field": act.field,
                "certificate": act.certificate_serial,
                "claimed_time": rfc3339(act.claimed_time),
                "sha256": act.sha256,
                "actor": act.actor,
                "particulars": act.particulars or {},
            }
            for act in document.acts
        ],
    }


routes = [
    Route("/api/v1/documents", sign, methods=["POST"]),
    Route("/api/v1/documents", search, methods=["GET"]),
    Route("/api/v1/documents/{code}", show, methods=["GET"]),
    Route("/api/v1/documents/{code}/file", fetch, methods=["GET"]),
    Route("/api/v1/documents/{code}/upgrade", upgrade, methods=["POST"]),
    Route("/api/v1/documents/{code}/print", print_out, methods=["POST"]),
    Route("/api/v1/documents/{code}/recall", recall, methods=["POST"]),
    Route("/api/v1/documents/{code}/replace", replace, methods=["POST"]),
    Route("/api/v1/documents/{code}/correct", correct, methods=["POST"]),
]
