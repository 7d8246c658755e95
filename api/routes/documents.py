"""/api/v1/documents: sign one, look one up by its code, fetch its file, take it back, let another replace or correct it."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import PASSWORD, Form, read_form
from api.lineage_report import describe_lineage
from api.routes.reading import idempotency_key, read_json
from api.services import Services
from api.settings import SignSettings
from certs.clock import rfc3339
from certs.errors import CertsError
from certs.training import marked_name
from signer.appearance.geometry import parse_placement
from signer.documents import Document
from signer.errors import UsageWrong
from signer.levels import LEVELS
from signer.lineage import CORRECTED, REPLACED, Lineage
from signer.metadata import parse_metadata
from signer.octets import Octets, sha256_of
from signer.office_policy import INTENTS, PARTICULARS
from signer.particulars import Particulars, parse_particulars
from signer.printing import PrintWish
from signer.protection import parse_protection
from signer.register_search import MOST, NAMES, parse_query
from signer.signing import SignedDocument, SignRequest
from signer.subfilters import SUBFILTERS
from signer.succession import Succession

# What a form says of a signature besides the file.
FIELDS = (
    "credential", "intent", "level", "metadata", "placement", "field", "certify", "lock", "subfilter", "activation", PASSWORD,
    *PARTICULARS,
)  # fmt: skip
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
        answer, level = await state.lanes.sign.run(_sign, state.services, token, form, key)
    if level:
        state.metrics.count_signed(level)
    return JSONResponse(answer, 201, {"Location": answer["links"]["self"]})


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


@dataclass(frozen=True)
class _Wish:
    """A request to sign, as it was meant."""

    request: SignRequest
    body_sha256: str


def _sign(services: Services, token: TokenRecord, form: Form, key: str | None) -> tuple[dict[str, Any], str]:
    """The answer, and the level when something was signed just now."""
    wish = _wish(form, services.installation.settings.sign)
    if key is None:
        answer = _carry_out(services, token, wish)
        return answer, answer["level"]
    stored = services.idempotency.begin(
        token.id, key, wish.body_sha256, lambda since: _recover(services, token, wish, since)
    )
    if stored is not None:
        return stored, ""
    try:
        answer = _carry_out(services, token, wish)
    except Exception:
        _forget(services, token, key)
        raise
    # Should it fail: the document is signed and registered, and the client learns so. A repetition finds it in the register.
    with contextlib.suppress(CertsError):
        services.idempotency.finish(token.id, key, answer)
    return answer, answer["level"]


def _carry_out(services: Services, token: TokenRecord, wish: _Wish) -> dict[str, Any]:
    # The register is not asked again: should it fall silent now, the document would be said to have failed, and be signed twice.
    signed = services.sign(wish.request, token.actor)
    return describe_signed(signed, signed.sha256, signed.level, signed.pending)


def _recover(services: Services, token: TokenRecord, wish: _Wish, since: datetime) -> dict[str, Any] | None:
    """What a process that died had finished of this request."""
    input_sha256 = sha256_of(wish.request.pdf)
    document = services.signed_since(input_sha256, wish.request.credential, token.actor, since)
    if document is None or document.sha256 is None:
        return None
    reached = next((act.level for act in reversed(document.acts) if act.state == "done"), wish.request.level)
    return describe_signed(document, document.sha256, reached, document.pending.level if document.pending else None)


def _forget(services: Services, token: TokenRecord, key: str) -> None:
    # Should it fail: the key stays taken until its request counts as dead, and what brought us here is what is said.
    with contextlib.suppress(CertsError):
        services.idempotency.forget(token.id, key)


def _wish(form: Form, settings: SignSettings) -> _Wish:
    if not form.fields.get("credential"):
        raise RequestError("FORM_FIELD_MISSING", field="credential")
    request = sign_request(form, settings)
    return _Wish(request, body_sha256(form.fields, request.pdf))


def sign_request(form: Form, settings: SignSettings) -> SignRequest:
    """What a form asks to be signed; RequestError for a value that cannot be meant."""
    fields = form.fields
    level = fields.get("level") or settings.level
    if level not in LEVELS:
        raise RequestError("FORM_VALUE_WRONG", field="level", valid=", ".join(LEVELS))
    subfilter = fields.get("subfilter") or settings.subfilter
    if subfilter not in SUBFILTERS:
        raise RequestError("FORM_VALUE_WRONG", field="subfilter", valid=", ".join(SUBFILTERS))
    intent = fields.get("intent") or None
    if intent not in (None, *INTENTS):
        raise RequestError("FORM_VALUE_WRONG", field="intent", valid=", ".join(INTENTS))
    placement = fields.get("placement") or "auto"
    parse_placement(placement)
    try:
        metadata = json.loads(fields["metadata"]) if fields.get("metadata") else {}
    except (ValueError, RecursionError):
        raise UsageWrong("METADATA_NOT_OBJECT") from None
    return SignRequest(
        pdf=form.content(), name=form.name, credential=fields.get("credential", ""), intent=intent, level=level,
        metadata=parse_metadata(metadata), placement=placement, field=fields.get("field") or None, subfilter=subfilter,
        protection=parse_protection(fields.get("certify") or None, fields.get("lock") or None), password=form.password(),
        particulars=particulars_of(fields),
        activation=fields.get("activation") or None,
    )  # fmt: skip


def particulars_of(fields: Mapping[str, str]) -> Particulars:
    """What some intents need to be told."""
    return parse_particulars(*(fields.get(name) or None for name in PARTICULARS))


def body_sha256(fields: dict[str, str], pdf: Octets) -> str:
    """What makes two requests the same one: file and fields, however the form around them was written."""
    # Without the password: this is stored, and a password that people choose can be guessed from its hash.
    said = sorted(item for item in fields.items() if item[0] != PASSWORD)
    written = json.dumps([said, sha256_of(pdf)])
    return hashlib.sha256(written.encode()).hexdigest()


def _texts(body: object, *names: str) -> list[str]:
    """The values of an object that has these names and no others, all of them strings."""
    if not isinstance(body, dict) or set(body) != set(names) or not all(isinstance(body[name], str) for name in names):
        valid = json.dumps(dict.fromkeys(names, "…"), ensure_ascii=False)
        raise RequestError("FORM_VALUE_WRONG", field="body", valid=valid)
    return [body[name] for name in names]


def _links(code: str) -> dict[str, str]:
    """Relative references: a client may reach us by another name than we know (RFC 3986 4.2)."""
    own = f"/api/v1/documents/{code}"
    return {"self": own, "file": f"{own}/file", "verify": f"/v/{code}"}


def describe_signed(
    document: SignedDocument | Document, sha256: str, level: str, pending: str | None
) -> dict[str, Any]:
    """What signing answers. `pending_level`: what was asked for, where it is still to be reached."""
    return {
        "code": document.code,
        "sha256": sha256,
        "status": document.status,
        "issued": document.issued,
        "number": document.number,
        "level": level,
        "pending_level": pending,
        # Of a repeated request whose first answer was lost: what was found then is not kept.
        "findings": [each.to_json() for each in document.findings] if isinstance(document, SignedDocument) else [],
        "links": _links(document.code),
    }


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
        "links": _links(document.code),
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
