"""/api/v1/batches: hand in many documents, see what became of each, call off what is not signed yet."""

from __future__ import annotations

import contextlib
import hashlib
import json
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import PASSWORD, BatchForm, read_batch_form
from api.problems import sentence_of
from api.routes.reading import idempotency_key
from api.services import Services
from api.settings import SignSettings
from api.sign_form import chosen, particulars_of
from certs.clock import rfc3339
from certs.errors import CertsError
from signer.appearance.geometry import parse_placement
from signer.batches import ENDED, FAILED, WAITING, Batch, BatchDocument, NewBatch, NewDocument
from signer.errors import UsageWrong
from signer.levels import LEVELS
from signer.metadata import Metadata, parse_metadata
from signer.office_policy import INTENTS, PARTICULARS
from signer.protection import parse_protection
from signer.subfilters import SUBFILTERS

_FIELDS = (
    "credential", "intent", "level", "metadata", "placement", "subfilter", "certify", "lock", "activation", PASSWORD, "documents",
    *PARTICULARS,
)  # fmt: skip
_OF_ONE = ("reference", "metadata", "placement")
_LONGEST_REFERENCE = 100
# What signer/errors.py calls OwnOutputBroken.
_INNER = {"SELF_CHECK_FAILED", "PREPARED_FILE_WRONG", "CMS_TOO_LARGE"}


async def add(request: Request) -> Response:
    """Take the files; under an Idempotency-Key once, however often it is asked. The worker signs them."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    key = idempotency_key(request)
    most = state.services.installation.settings.web.max_batch_documents
    async with read_batch_form(request, _FIELDS, most) as form:
        answer = await state.lanes.judge.run(_add, state.services, token, form, key)
    return JSONResponse(answer, 202, {"Location": answer["links"]["self"]})


async def show(request: Request) -> Response:
    """What became of each document."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign", "audit")
    batch = await state.lanes.quick.run(state.services.batch, request.path_params["id"])
    return JSONResponse(_describe(_of_this(token, batch)))


async def cancel(request: Request) -> Response:
    """Sign no more of it."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    code = request.path_params["id"]
    _of_this(token, await state.lanes.quick.run(state.services.batch, code))
    return JSONResponse(_describe(await state.lanes.quick.run(state.services.cancel_batch, code, token.actor)))


def _of_this(token: TokenRecord, batch: Batch) -> Batch:
    """Whoever handed it in may know of it, and whoever may see all; to others it is not there."""
    if batch.token_id != token.id and batch.actor != token.actor.name and "audit" not in token.scopes:
        raise UsageWrong("BATCH_UNKNOWN", batch=batch.code)
    return batch


def _add(services: Services, token: TokenRecord, form: BatchForm, key: str | None) -> dict[str, Any]:
    wanted = _wanted(form, token, services.installation.settings.sign)
    if key is None:
        return _describe(services.add_batch(wanted, token.actor))

    def recover(since: datetime) -> dict[str, Any] | None:
        batch = services.batch_since(wanted, since)
        return None if batch is None else _describe(batch)

    stored = services.idempotency.begin(token.id, key, wanted.request_sha256, recover)
    if stored is not None:
        return stored
    try:
        answer = _describe(services.add_batch(wanted, token.actor))
    except Exception:
        # Should it fail: the key stays taken until its request counts as dead.
        with contextlib.suppress(CertsError):
            services.idempotency.forget(token.id, key)
        raise
    with contextlib.suppress(CertsError):
        services.idempotency.finish(token.id, key, answer)
    return answer


def _wanted(form: BatchForm, token: TokenRecord, settings: SignSettings) -> NewBatch:
    fields = form.fields
    if not fields.get("credential"):
        raise RequestError("FORM_FIELD_MISSING", field="credential")
    level = chosen(fields, "level", LEVELS, settings.level)
    intent = chosen(fields, "intent", INTENTS, None)
    subfilter = chosen(fields, "subfilter", SUBFILTERS, settings.subfilter)
    contents = form.contents()
    digests = [hashlib.sha256(each).hexdigest() for each in contents]
    said = _said_of_each(fields, len(contents))
    documents = [
        NewDocument(name, pdf, digest, *each)
        for name, pdf, digest, each in zip(form.names, contents, digests, said, strict=True)
    ]
    # Without the password: this is stored, and a password that people choose can be guessed from its hash.
    told = sorted(item for item in fields.items() if item[0] != PASSWORD)
    written = json.dumps([told, form.names, digests])
    request_sha256 = hashlib.sha256(written.encode()).hexdigest()
    protection = parse_protection(fields.get("certify") or None, fields.get("lock") or None)
    return NewBatch(
        token.id,
        request_sha256,
        fields["credential"],
        intent,
        level,
        documents,
        subfilter,
        protection,
        particulars_of(fields),
        form.password(),
        fields.get("activation") or None,
    )


def _said_of_each(fields: dict[str, str], count: int) -> list[tuple[str, str, Metadata]]:
    """Reference, placement and metadata of each document: its own, else those of all."""
    placement = fields.get("placement") or "auto"
    parse_placement(placement)
    common = parse_metadata(_json(fields.get("metadata")) or {})
    given = _json(fields.get("documents"))
    if given is None:
        return [("", placement, common)] * count
    if not isinstance(given, list) or len(given) != count:
        raise RequestError("BATCH_DOCUMENTS_WRONG", count=str(count))
    return [_said_of_one(each, placement, common, count) for each in given]


def _said_of_one(given: object, placement: str, common: Metadata, count: int) -> tuple[str, str, Metadata]:
    if not isinstance(given, dict) or not set(given) <= set(_OF_ONE):
        raise RequestError("BATCH_DOCUMENTS_WRONG", count=str(count))
    reference, own = given.get("reference", ""), given.get("placement", placement)
    if not isinstance(reference, str) or len(reference) > _LONGEST_REFERENCE or not reference.isprintable():
        raise RequestError("FORM_VALUE_WRONG", field="reference", valid=f"text of 1–{_LONGEST_REFERENCE}")
    if not isinstance(own, str):
        raise RequestError("BATCH_DOCUMENTS_WRONG", count=str(count))
    parse_placement(own)
    return reference, own, {**common, **parse_metadata(given.get("metadata", {}))}


def _json(text: str | None) -> object:
    if not text:
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise RequestError("BODY_NOT_JSON") from None


def _describe(batch: Batch) -> dict[str, Any]:
    state = batch.state
    if state != ENDED:
        state = "cancelling" if batch.cancelled_at else "open"
    own = f"/api/v1/batches/{batch.code}"
    return {
        "id": batch.code,
        "state": state,
        "credential": batch.credential,
        "level": batch.level,
        "total": batch.total,
        "counts": dict(batch.counts),
        "created_at": rfc3339(batch.created_at),
        "ended_at": rfc3339(batch.ended_at) if batch.ended_at else None,
        "documents": [_describe_document(each) for each in batch.documents],
        "links": {"self": own, "cancel": f"{own}/cancel"},
    }


def _describe_document(document: BatchDocument) -> dict[str, Any]:
    outcome = document.outcome
    links = None
    if outcome is not None:
        own = f"/api/v1/documents/{outcome['code']}"
        links = {"self": own, "file": f"{own}/file", "verify": f"/v/{outcome['code']}"}
    return {
        "position": document.position,
        "name": document.name,
        "reference": document.reference,
        "state": document.state,
        # Something that is needed is away; it is tried again by itself.
        "delayed": document.state == WAITING and document.error is not None,
        "document": None if outcome is None else {"findings": [], **outcome, "links": links},
        "error": _describe_error(document) if document.state == FAILED else None,
    }


def _describe_error(document: BatchDocument) -> dict[str, str]:
    """As the answer to a single signature says it. Why our own output did not pass, is for the log."""
    code, facts = document.error or "", document.facts
    if code in _INNER:
        code, facts = "INTERNAL_PROBLEM", {}
    return {"code": code, "detail": sentence_of(code, facts)}


routes = [
    Route("/api/v1/batches", add, methods=["POST"]),
    Route("/api/v1/batches/{id}", show, methods=["GET"]),
    Route("/api/v1/batches/{id}/cancel", cancel, methods=["POST"]),
]
