"""/api/v1/prepared: make a document ready for a signature that is made elsewhere or later, look at it, finish it, call it off."""

from __future__ import annotations

import base64
import binascii
import contextlib
import dataclasses
import hashlib
import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from api.auth.tokens import TokenRecord
from api.errors import RequestError
from api.forms import PASSWORD, Form, read_form
from api.prepared_report import describe_prepared
from api.routes.reading import idempotency_key, read_json
from api.services import Services
from api.sign_form import FIELDS, body_sha256, sign_request
from api.sign_jobs import describe_signed
from certs.errors import CertsError
from signer.given import Given
from signer.handing_over import OutsideWish
from signer.outside import read_certificates
from signer.password import NO_PASSWORD, parse_password
from signer.signing_parts import SignRequest

_FIELDS = (*FIELDS, "certificate", "chain", "room")
_MOST_ROOM = 1024 * 1024
_GIVEN = ("signature", "cms")
_ACTIVATION = "activation"
_TOLD = (*_GIVEN, _ACTIVATION, PASSWORD)
Answer = dict[str, Any]


async def prepare(request: Request) -> Response:
    """Prepare the file; under an Idempotency-Key once, however often it is asked."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    key = idempotency_key(request)
    async with read_form(request, _FIELDS) as form:
        answer = await state.lanes.sign.run(_prepare, state.services, token, form, key)
    return JSONResponse(answer, 201, {"Location": answer["links"]["self"]})


async def show(request: Request) -> Response:
    """How it stands, and what is to be signed."""
    state = request.app.state
    await state.access.require(request, "sign")
    one = await state.lanes.quick.run(state.services.prepared, request.path_params["id"])
    return JSONResponse(_answer(describe_prepared(one)))


async def finish(request: Request) -> Response:
    """Put the signature in; the answer is that of signing."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    key = idempotency_key(request)
    body = await read_json(request)
    answer, level = await state.lanes.sign.run(_finish, state.services, token, request.path_params["id"], body, key)
    if level:
        state.metrics.count_signed(level)
    return JSONResponse(answer, 201, {"Location": answer["links"]["self"]})


async def cancel(request: Request) -> Response:
    """Nobody will sign it."""
    state = request.app.state
    token: TokenRecord = await state.access.require(request, "sign")
    one = await state.lanes.quick.run(state.services.cancel_prepared, request.path_params["id"], token.actor)
    return JSONResponse(_answer(describe_prepared(one)))


def _prepare(services: Services, token: TokenRecord, form: Form, key: str | None) -> Answer:
    outside = _outside(form.fields)
    settings = services.installation.settings.sign
    request = dataclasses.replace(sign_request(form, settings), room=_room(form.fields.get("room")))
    return _once(
        services, token, key, body_sha256(form.fields, request.pdf),
        lambda: _answer(describe_prepared(services.prepare(request, outside, token.actor))),
        lambda since: _prepared_since(services, request, outside, token, since),
    )  # fmt: skip


def _prepared_since(
    services: Services, request: SignRequest, outside: OutsideWish | None, token: TokenRecord, since: datetime
) -> Answer | None:
    """What a process that died had prepared of this request."""
    found = services.prepared_since(request, outside, token.actor, since)
    return None if found is None else _answer(describe_prepared(found))


def _finish(
    services: Services, token: TokenRecord, prepared_id: str, body: object, key: str | None
) -> tuple[Answer, str]:
    """The answer, and the level when something was signed just now."""
    given = _given(body)
    levels = []

    def carry_out() -> Answer:
        signed = services.finish_prepared(prepared_id, given, token.actor)
        levels.append(signed.level)
        return describe_signed(signed, signed.sha256, signed.level, signed.pending)

    # Without the password: this is stored, and a password that people choose can be guessed from its hash.
    told = {name: value for name, value in body.items() if name != PASSWORD} if isinstance(body, dict) else body
    digest = hashlib.sha256(json.dumps([prepared_id, told], sort_keys=True).encode()).hexdigest()
    answer = _once(services, token, key, digest, carry_out, lambda since: _finished_since(services, prepared_id, since))
    return answer, levels[0] if levels else ""


def _finished_since(services: Services, prepared_id: str, since: datetime) -> Answer | None:
    """What a process that died had finished of this request."""
    one = services.prepared(prepared_id)
    if one.act_id is None or one.state != "finished" or one.ended_at is None or one.ended_at < since:
        return None
    document = services.document(one.code)
    act = next(each for each in document.acts if each.id == one.act_id)
    pending = document.pending.level if document.pending else None
    return describe_signed(document, act.sha256 or "", act.level, pending)


def _once(
    services: Services,
    token: TokenRecord,
    key: str | None,
    digest: str,
    carry_out: Callable[[], Answer],
    recover: Callable[[datetime], Answer | None],
) -> Answer:
    """Carry a request out; under a key once, however often it comes."""
    if key is None:
        return carry_out()
    stored = services.idempotency.begin(token.id, key, digest, recover)
    if stored is not None:
        return stored
    try:
        answer = carry_out()
    except Exception:
        # Should it fail: the key stays taken until its request counts as dead, and what brought us here is what is said.
        with contextlib.suppress(CertsError):
            services.idempotency.forget(token.id, key)
        raise
    # Should it fail: it is done, and the client learns so. A repetition finds it.
    with contextlib.suppress(CertsError):
        services.idempotency.finish(token.id, key, answer)
    return answer


def _outside(fields: dict[str, str]) -> OutsideWish | None:
    """The certificate of a signer elsewhere; exactly one of it and a credential is named."""
    certificate = fields.get("certificate")
    if bool(certificate) == bool(fields.get("credential")):
        raise RequestError("FORM_FIELD_MISSING", field="credential|certificate")
    if not certificate:
        if fields.get("chain"):
            raise RequestError("FORM_VALUE_WRONG", field="chain", valid="certificate")
        return None
    own, *above = read_certificates(certificate.encode("utf-8", "replace"))
    chain = fields.get("chain", "").encode("utf-8", "replace")
    return OutsideWish(own, (*above, *(read_certificates(chain) if chain else ())))


def _room(typed: str | None) -> int:
    if not typed:
        return 0
    if not (typed.isascii() and typed.isdecimal() and len(typed) < 8 and 1 <= int(typed) <= _MOST_ROOM):
        raise RequestError("FORM_VALUE_WRONG", field="room", valid=f"1–{_MOST_ROOM}")
    return int(typed)


def _given(body: object) -> Given:
    """`signature` or `cms` in base64, or neither: then the key of the credential signs. `password` opens the file."""
    if not isinstance(body, dict):
        raise RequestError("BODY_NOT_JSON")
    for name in body:
        if name not in _TOLD:
            raise RequestError("FORM_FIELD_UNKNOWN", field=name[:64], valid=", ".join(_TOLD))
    if all(name in body for name in _GIVEN):
        raise RequestError("FORM_VALUE_WRONG", field="cms", valid="signature | cms")
    octets = {name: _octets(name, value) for name, value in body.items() if name in _GIVEN}
    typed = body.get(PASSWORD)
    if typed is not None and not isinstance(typed, str):
        raise RequestError("FORM_VALUE_WRONG", field=PASSWORD, valid="text")
    password = parse_password(typed.encode("utf-8", "replace")) if typed else NO_PASSWORD
    activation = body.get(_ACTIVATION)
    if activation is not None and not isinstance(activation, str):
        raise RequestError("FORM_VALUE_WRONG", field=_ACTIVATION, valid="text")
    return Given(octets.get("signature"), octets.get("cms"), password=password, activation=activation or None)


def _octets(name: str, value: object) -> bytes:
    try:
        # Signing services write base64 in either alphabet (RFC 4648 4, 5).
        text = str(value).replace("-", "+").replace("_", "/") if isinstance(value, str) else "!"
        return base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise RequestError("FORM_VALUE_WRONG", field=name, valid="base64") from None


def _answer(described: Answer) -> Answer:
    own = f"/api/v1/prepared/{described['id']}"
    return described | {"links": {"self": own, "finish": f"{own}/finish", "document": f"/v/{described['code']}"}}


routes = [
    Route("/api/v1/prepared", prepare, methods=["POST"]),
    Route("/api/v1/prepared/{id}", show, methods=["GET"]),
    Route("/api/v1/prepared/{id}", cancel, methods=["DELETE"]),
    Route("/api/v1/prepared/{id}/finish", finish, methods=["POST"]),
]
